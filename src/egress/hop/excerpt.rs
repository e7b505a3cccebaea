//! What a refusing proxy said, in one bounded line for our log.
//!
//! Some proxies print the request they refuse, credentials and all, so everything they say goes
//! through [`Masked`] first. Knows no step and no hop.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use crate::net::Stream;
use crate::wire::connect::reply::Reply;

/// Of an error body.
pub(super) const BODY_BYTES_MAX: usize = 256;
/// Of a header or a reason phrase.
pub(super) const FIELD_BYTES_MAX: usize = 128;
/// Of something that is not HTTP.
pub(super) const GARBAGE_BYTES_MAX: usize = 64;
/// For the body that comes behind its head: it is on its way or it is not.
const BODY_TIME: Duration = Duration::from_millis(250);
/// A cut-off secret shorter than this is not taken for one.
const PARTIAL_BYTES_MIN: usize = 4;
/// The headers that say why (RFC 9209; squid; who it was).
const TELLING: [&str; 3] = ["proxy-status", "x-squid-error", "via"];

/// The texts that must not be shown: what was sent to this proxy in confidence.
pub(super) struct Masked(Vec<Zeroizing<Vec<u8>>>);

impl Masked {
    /// The credentials as the proxy got them, and as it may have decoded them; none where it got
    /// none. The longest comes first, so that no part of it passes for a shorter one.
    pub(super) fn of<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let secrets = secrets.into_iter().filter(|text| !text.is_empty());
        let mut secrets: Vec<_> = secrets
            .map(|s| Zeroizing::new(s.as_bytes().to_vec()))
            .collect();
        secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        Self(secrets)
    }

    /// How many bytes of a body to look at, so that a secret that begins within the excerpt ends
    /// within what was looked at.
    pub(super) fn window(&self) -> usize {
        BODY_BYTES_MAX + self.0.iter().map(|s| s.len()).max().unwrap_or_default()
    }

    /// At most `bytes_max` of `text`, masked and escaped.
    pub(super) fn excerpt(&self, text: &[u8], bytes_max: usize) -> String {
        let mut shown: Vec<u8> = Vec::with_capacity(bytes_max);
        let mut at = 0;
        while at < text.len() && shown.len() < bytes_max {
            let here = &text[at..];
            match self.0.iter().find(|secret| begins_with(here, secret)) {
                Some(secret) => {
                    shown.extend_from_slice(b"***");
                    at += secret.len();
                }
                None => {
                    shown.push(text[at]);
                    at += 1;
                }
            }
        }
        shown.truncate(bytes_max);
        shown.escape_ascii().to_string()
    }
}

// Also when `text` ends in the middle of the secret: the rest may just not have come. A few bytes
// that look alike are chance, and masking those would give away how the secret begins.
fn begins_with(text: &[u8], secret: &[u8]) -> bool {
    text.starts_with(secret) || (text.len() >= PARTIAL_BYTES_MIN && secret.starts_with(text))
}

/// Up to `wanted` bytes of a body whose beginning is in `have`, as many as come in a moment.
pub(super) async fn read_some(
    stream: &mut Stream,
    mut have: BytesMut,
    wanted: usize,
    deadline: Instant,
) -> BytesMut {
    let deadline = deadline.min(Instant::now() + BODY_TIME);
    while have.len() < wanted {
        match timeout_at(deadline, stream.read_buf(&mut have)).await {
            Ok(Ok(n)) if n > 0 => {}
            Ok(Ok(_) | Err(_)) | Err(_) => break,
        }
    }
    have.truncate(wanted);
    have
}

/// `403 Forbidden (x-squid-error: ERR_ACCESS_DENIED 0; body: "...")`.
pub(super) fn told(reply: &Reply, body: &[u8], masked: &Masked) -> String {
    let mut text = reply.status.to_string();
    if !reply.reason.is_empty() {
        text.push(' ');
        text.push_str(&masked.excerpt(&reply.reason, FIELD_BYTES_MAX));
    }
    let mut details: Vec<String> = TELLING
        .iter()
        .filter_map(|name| {
            let value = reply.values(name).next()?;
            Some(format!(
                "{name}: {}",
                masked.excerpt(value, FIELD_BYTES_MAX)
            ))
        })
        .collect();
    if !body.is_empty() {
        details.push(format!(
            "body: \"{}\"",
            masked.excerpt(body, BODY_BYTES_MAX)
        ));
    }
    if !details.is_empty() {
        text.push_str(&format!(" ({})", details.join("; ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked() -> Masked {
        Masked::of([
            "YWxpY2U6b3BlbiBzZXNhbWU=",
            "",
            "open",
            "alice",
            "open sesame",
        ])
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(masked().excerpt(text.as_bytes(), 40), expected, "{text:?}");
    }

    #[test]
    fn credentials_that_come_back_are_masked() {
        check("nothing to hide", "nothing to hide");
        check(
            "Basic YWxpY2U6b3BlbiBzZXNhbWU= was wrong",
            "Basic *** was wrong",
        );
        check("user alice, password open sesame", "user ***, password ***");
        check("open sesameopen sesame", "******");
        // The end did not come in time.
        check("Authorization: YWxpY2U6b3Bl", "Authorization: ***");
        check("open ses", "***");
    }

    #[test]
    fn a_secret_at_the_edge_of_the_excerpt_is_masked_whole() {
        let text = format!("{}open sesame", "x".repeat(39));
        assert_eq!(
            masked().excerpt(text.as_bytes(), 40),
            format!("{}*", "x".repeat(39))
        );
    }

    #[test]
    fn a_refusal_is_one_line() {
        let head = b"HTTP/1.1 403 For\x1b[31mbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\n\
                     Via: 1.1 squid\r\nProxy-Status: squid; error=destination_ip_prohibited\r\n\r\n";
        let reply = Reply::parse(head).expect("a head");
        assert_eq!(
            told(&reply, b"<html>\r\nno", &Masked::of([])),
            "403 For\\x1b[31mbidden (proxy-status: squid; error=destination_ip_prohibited; \
             x-squid-error: ERR_ACCESS_DENIED 0; via: 1.1 squid; body: \"<html>\\r\\nno\")"
        );
        let bare = Reply::parse(b"HTTP/1.1 503\r\n\r\n").expect("a head");
        assert_eq!(told(&bare, b"", &masked()), "503");
    }
}
