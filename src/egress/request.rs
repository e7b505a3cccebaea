//! The request that goes to a backend, and what is written of it for one of its servers.
//!
//! Knows no sockets and no way to the server.

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Uri};
use http_body_util::Empty;

use super::params::Server;
use super::stumble::{Cause, Step, Stumble, plain};

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

// The types of `http` hold no CR, LF, NUL or space where one would end a line or a target early.
pub(super) fn outgoing(
    server: &Server,
    request: &Request,
) -> Result<http::Request<Empty<Bytes>>, Stumble> {
    let ours = |what: &str, error: &dyn std::fmt::Display| {
        let text = plain(&format!("{what}: {error}"), 200);
        Stumble::new(Step::Upgrade, Cause::Ours(text))
    };
    let target = format!("{}{}", server.base_path, request.path_and_query);
    let target = PathAndQuery::try_from(target).map_err(|e| ours("path", &e))?;
    let host = request.host.as_deref().unwrap_or(&server.host_header);
    let host = HeaderValue::from_str(host).map_err(|e| ours("host", &e))?;
    // First on the page and only once (RFC 9110 §7.2).
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 1);
    headers.insert(HOST, host);
    let mut rest = request.headers.clone();
    rest.remove(HOST);
    headers.extend(rest);
    let mut outgoing = http::Request::new(Empty::new());
    *outgoing.method_mut() = Method::GET;
    *outgoing.uri_mut() = Uri::from(target);
    *outgoing.headers_mut() = headers;
    Ok(outgoing)
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
            let outgoing = outgoing(&server(), &request(path, host)).expect("sendable");
            assert_eq!(outgoing.uri(), expected_uri);
            assert_eq!(outgoing.headers()[HOST], expected_host);
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
                outgoing(&server(), &request(path, None)).is_err(),
                "{path:?}"
            );
        }
        for host in ["a\r\nX: y", "a\0", "a\n"] {
            let request = request("/", Some(host));
            assert!(outgoing(&server(), &request).is_err(), "{host:?}");
        }
    }
}
