//! The request that goes to a backend, and what is written of it for one of its servers.
//!
//! Knows no sockets and no way to the server.

use http::HeaderMap;
use http::header::{HOST, HeaderName, HeaderValue};
use http::uri::PathAndQuery;

use super::params::Server;
use super::stumble::{Cause, Step, Stumble, plain};

/// Room for a usual head; a longer one grows.
const HEAD_BYTES: usize = 512;

/// The request as it goes to a backend: everything but the server's own base path and `Host`.
#[derive(Debug, Clone)]
pub struct Request {
    /// Begins with `/`.
    pub path_and_query: String,
    /// The client's `Host`, to be preserved; `None`: the server's own.
    pub host: Option<String>,
    /// Final: end-to-end headers, `Upgrade`, `Connection` and `Sec-WebSocket-*`. No `Host`.
    pub headers: HeaderMap,
    /// The `Sec-WebSocket-Key` among the headers.
    pub key: String,
    /// The subprotocols offered.
    pub subprotocols: Vec<String>,
    /// Those of them of which the backend must choose one; empty: it need choose none.
    pub subprotocols_required: Vec<String>,
    /// The names of the extensions offered.
    pub extensions_offered: Vec<String>,
}

/// A request for one server.
pub(super) struct Addressed<'r> {
    target: PathAndQuery,
    host: HeaderValue,
    pub(super) request: &'r Request,
}

impl<'r> Addressed<'r> {
    // The types of `http` hold no CR, LF, NUL or space where one would end a line or a target early.
    pub(super) fn to(server: &Server, request: &'r Request) -> Result<Self, Stumble> {
        let ours = |what: &str, error: &dyn std::fmt::Display| {
            let text = plain(&format!("{what}: {error}"), 200);
            Stumble::new(Step::Upgrade, Cause::Ours(text))
        };
        let target = format!("{}{}", server.base_path, request.path_and_query);
        let host = request.host.as_deref().unwrap_or(&server.host_header);
        Ok(Self {
            target: PathAndQuery::try_from(target).map_err(|e| ours("path", &e))?,
            host: HeaderValue::from_str(host).map_err(|e| ours("host", &e))?,
            request,
        })
    }

    pub(super) fn target(&self) -> &str {
        self.target.as_str()
    }

    /// Its fields, `Host` first on the page and only once (RFC 9110 §7.2).
    pub(super) fn fields(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        let rest = self
            .request
            .headers
            .iter()
            .filter(|(name, _)| *name != HOST);
        std::iter::once((&HOST, &self.host)).chain(rest)
    }

    /// Its head as bytes (RFC 9112 §3), the empty line included. Names go out in lower case.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        for part in ["GET ", self.target(), " HTTP/1.1\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        for (name, value) in self.fields() {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                head.extend_from_slice(part);
            }
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::params::ServerAddress;

    fn server() -> Server {
        Server {
            url: "ws://a/base".to_owned(),
            address: ServerAddress::Unix("/nowhere".into()),
            tls: None,
            base_path: "/base".to_owned(),
            host_header: "a".to_owned(),
        }
    }

    fn request(path: &str, host: Option<&str>) -> Request {
        Request {
            path_and_query: path.to_owned(),
            host: host.map(str::to_owned),
            headers: HeaderMap::new(),
            key: String::new(),
            subprotocols: Vec::new(),
            subprotocols_required: Vec::new(),
            extensions_offered: Vec::new(),
        }
    }

    #[test]
    fn the_base_path_goes_in_front_and_the_host_is_the_clients_or_the_servers() {
        let check = |path, host, expected_uri: &str, expected_host: &str| {
            let request = request(path, host);
            let server = server();
            let addressed = Addressed::to(&server, &request).expect("sendable");
            let expected = format!("GET {expected_uri} HTTP/1.1\r\nhost: {expected_host}\r\n\r\n");
            assert_eq!(String::from_utf8_lossy(&addressed.head()), expected);
        };
        check("/x?y=1", None, "/base/x?y=1", "a");
        check(
            "/",
            Some("chat.example.com:8443"),
            "/base/",
            "chat.example.com:8443",
        );
    }

    #[test]
    fn nothing_gets_off_its_line() {
        for path in ["/a b", "/a\r\nX: y", "/a\0", "/a\n"] {
            assert!(
                Addressed::to(&server(), &request(path, None)).is_err(),
                "{path:?}"
            );
        }
        for host in ["a\r\nX: y", "a\0", "a\n"] {
            let request = request("/", Some(host));
            assert!(Addressed::to(&server(), &request).is_err(), "{host:?}");
        }
    }
}
