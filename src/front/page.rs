//! The one page that a listener may show, at `/`, to a plain GET: the demo's console.
//!
//! It stands here and not behind a port of its own because a browser accepts a development
//! certificate for the page it shows, and the page's WebSockets then need to be on that very port.

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::wire::head::RequestHead;
use crate::wire::ws::handshake;

/// A page without any external part.
#[derive(Debug, Clone)]
pub struct Page {
    /// HTML, in UTF-8.
    pub html: &'static str,
    /// The value of `Content-Security-Policy`.
    pub csp: HeaderValue,
}

impl Page {
    /// Whether `head` asks for the page.
    pub fn is_asked_for(head: &RequestHead) -> bool {
        head.method == Method::GET && head.target == "/" && !handshake::is_upgrade(&head.headers)
    }

    /// The header fields to send it with.
    pub fn headers(&self) -> HeaderMap {
        let fixed = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
        ];
        let mut headers: HeaderMap = fixed
            .into_iter()
            .map(|(name, value): (HeaderName, _)| (name, HeaderValue::from_static(value)))
            .collect();
        headers.insert(header::CONTENT_SECURITY_POLICY, self.csp.clone());
        headers
    }
}
