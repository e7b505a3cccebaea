//! Which headers go on: from the client to the backend, and from the backend to the client.
//!
//! Everything we assert about the client (`X-Forwarded-*`, `Forwarded`) is what we saw ourselves.
//! What a client says about itself there is believed only when it comes from a trusted proxy.

use std::net::{IpAddr, SocketAddr};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use super::route::Rewrite;
use crate::wire::authority::Authority;
use crate::wire::fields;
use crate::wire::list;
use crate::wire::origin::Origin;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// By what name we appear in `Via` (RFC 9110 §7.6.3).
const VIA: &str = "1.1 throughway";

/// What the gateway itself saw of a client.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The listener it came in by.
    pub listener: String,
    /// The other end of its TCP connection.
    pub address: SocketAddr,
    /// Whether it speaks TLS to us.
    pub secure: bool,
    /// Whose word counts.
    pub trusted: Vec<IpNet>,
}

/// What is true of a client once trusted proxies were listened to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The client's own address: for the log and for limits.
    pub address: IpAddr,
    /// `https` or `http`, never `wss`: the scheme of the page's world, which frameworks compare.
    pub scheme: &'static str,
    /// Whether the connection came from a trusted proxy.
    pub trusted: bool,
}

impl Seen {
    /// Weighs what the headers say against what was seen.
    pub fn facts(&self, headers: &HeaderMap) -> Facts {
        let own = self.address.ip().to_canonical();
        let seen_scheme = if self.secure { "https" } else { "http" };
        if !self.trusts(own) {
            return Facts {
                address: own,
                scheme: seen_scheme,
                trusted: false,
            };
        }
        Facts {
            address: self.first_untrusted(headers).unwrap_or(own),
            scheme: told_scheme(headers).unwrap_or(seen_scheme),
            trusted: true,
        }
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&ip))
    }

    // From the right, because everything left of the first stranger is that stranger's word.
    fn first_untrusted(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let told: Vec<Option<&str>> = entries(headers, X_FORWARDED_FOR).collect();
        let mut last = None;
        for entry in told.iter().rev() {
            let ip = entry.and_then(|text| text.parse::<IpAddr>().ok());
            let Some(ip) = ip.map(|ip| ip.to_canonical()) else {
                return last;
            };
            last = Some(ip);
            if !self.trusts(ip) {
                return last;
            }
        }
        last
    }
}

/// The entries of an `X-Forwarded-*` field over all its lines, `None` for one that is no visible
/// ASCII. They are cut at every comma: these fields know no quotes, and neither a quote that a
/// stranger opened nor a byte that is none of ours may swallow what a trusted proxy wrote behind it.
fn entries(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Option<&str>> {
    let lines = headers.get_all(name).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|&b| b == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let is_visible = |&b: &u8| matches!(b, b'\t' | b' '..=b'~');
            let is_text = entry.iter().all(is_visible);
            std::str::from_utf8(entry).ok().filter(|_| is_text)
        })
}

fn told_scheme(headers: &HeaderMap) -> Option<&'static str> {
    // The last entry is the one that the trusted proxy itself wrote.
    match entries(headers, X_FORWARDED_PROTO).last()?? {
        "https" | "wss" => Some("https"),
        "http" | "ws" => Some("http"),
        _ => None,
    }
}

/// The headers of the request to the backend, `Host` excepted. In this order: what ends at this
/// hop goes, what only looks like ours goes, the route's changes are made, then ours are set, so
/// that nothing a client or a route says can undo them. `headers` are the client's, and `authority`
/// is what it asked for.
pub fn to_backend(
    mut headers: HeaderMap,
    authority: &Authority,
    seen: &Seen,
    facts: &Facts,
    rewrite: &Rewrite,
) -> HeaderMap {
    let told = Told::take(&headers, facts);
    fields::strip_hop_by_hop(&mut headers);
    fields::remove_where(&mut headers, |name| {
        let name = name.as_str();
        is_forwarded(&fields::canonical_spelling(name))
            && (fields::is_look_alike(name) || !facts.trusted)
    });
    for own in [
        header::HOST,
        header::CONTENT_LENGTH,
        HeaderName::from_static("http2-settings"),
    ] {
        headers.remove(own);
    }
    for name in &rewrite.remove_headers {
        headers.remove(name);
    }
    for (name, value) in &rewrite.set_headers {
        headers.insert(name, value.clone());
    }
    told.write(&mut headers, authority, seen, facts);
    headers.append(header::VIA, HeaderValue::from_static(VIA));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers
}

/// The headers of the backend's answer that go on to the client: all but what ends at this hop,
/// and the handshake's own, which we write ourselves.
pub fn to_client(mut headers: HeaderMap) -> HeaderMap {
    fields::strip_hop_by_hop(&mut headers);
    headers.remove(header::CONTENT_LENGTH);
    headers
}

/// Adds what older gateways answered to pages that asked for it (`expose` in an origins group).
pub fn expose(headers: &mut HeaderMap, origin: &Origin) {
    let Ok(value) = HeaderValue::from_str(&origin.to_string()) else {
        return;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}

/// The path for the backend, with the route's prefix taken off at a segment boundary.
pub fn path_to_backend(path_and_query: &str, rewrite: &Rewrite) -> String {
    let stripped = rewrite
        .strip_prefix
        .as_deref()
        .and_then(|prefix| path_and_query.strip_prefix(prefix));
    match stripped {
        Some(rest) if rest.starts_with('/') => with_one_slash(rest),
        Some(rest) if rest.is_empty() || rest.starts_with('?') => format!("/{rest}"),
        _ => path_and_query.to_owned(),
    }
}

/// What begins with two slashes can be read as a host (RFC 3986 §4.2), and is refused where a
/// client sends it. So it must not come about by what was taken off.
fn with_one_slash(path: &str) -> String {
    let mut rest = path;
    while let Some(behind) = ["/", "%2f", "%2F"]
        .iter()
        .find_map(|s| rest.strip_prefix(s))
    {
        rest = behind;
    }
    format!("/{rest}")
}

/// What a trusted proxy told in the forwarding headers.
#[derive(Default)]
struct Told {
    forwarded_for: Vec<String>,
    host: Option<String>,
    forwarded: Vec<String>,
}

impl Told {
    fn take(headers: &HeaderMap, facts: &Facts) -> Self {
        if !facts.trusted {
            return Self::default();
        }
        let texts = |name| entries(headers, name).flatten().map(str::to_owned);
        // An element that is no text or never closes its quotes would take ours down with it.
        let elements = fields::tokens(headers, &header::FORWARDED);
        let whole = elements.filter(|e| *e != fields::NO_TEXT && list::is_whole(e));
        Self {
            forwarded_for: texts(X_FORWARDED_FOR).collect(),
            host: texts(X_FORWARDED_HOST).last(),
            forwarded: whole.map(str::to_owned).collect(),
        }
    }

    /// With our own word behind it.
    fn write(mut self, headers: &mut HeaderMap, authority: &Authority, seen: &Seen, facts: &Facts) {
        let ip = seen.address.ip().to_canonical().to_string();
        let host = authority.to_string();
        let scheme = if seen.secure { "https" } else { "http" };
        self.forwarded.push(forwarded_element(&ip, &host, scheme));
        self.forwarded_for.push(ip);
        let fields = [
            (X_FORWARDED_FOR, self.forwarded_for.join(", ")),
            (X_FORWARDED_PROTO, facts.scheme.to_owned()),
            (X_FORWARDED_HOST, self.host.unwrap_or(host)),
            (header::FORWARDED, self.forwarded.join(", ")),
        ];
        for (name, value) in fields {
            headers.remove(&name);
            append(headers, name, value);
        }
    }
}

// RFC 7239 §4, §6: an IPv6 address stands in brackets and quotes, and so does what holds a colon.
fn forwarded_element(ip: &str, host: &str, proto: &str) -> String {
    let (open, close) = match list::is_token(ip) {
        true => ("", ""),
        false => ("\"[", "]\""),
    };
    let quote = match list::is_token(host) {
        true => "",
        false => "\"",
    };
    format!("for={open}{ip}{close};host={quote}{host}{quote};proto={proto}")
}

fn is_forwarded(name: &str) -> bool {
    name == "forwarded" || name == "x-real-ip" || name.starts_with("x-forwarded-")
}

fn append(headers: &mut HeaderMap, name: HeaderName, value: String) {
    // Addresses, hosts and what arrived in a header already are all valid values.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.append(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::parse_request;
    use crate::wire::ws::handshake::{Opening, judge};

    fn opening(lines: &str) -> Opening {
        let text = format!(
            "GET /ws HTTP/1.1\r\nHost: chat.example.com:8443\r\nUpgrade: h2c, websocket\r\n\
             Connection: Upgrade, X-Hop, X-Forwarded-For\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
        );
        judge(parse_request(text.as_bytes()).unwrap()).unwrap()
    }

    fn seen(address: &str, trusted: &[&str]) -> Seen {
        Seen {
            listener: "public".to_owned(),
            address: SocketAddr::new(address.parse().unwrap(), 1),
            secure: true,
            trusted: trusted.iter().map(|n| n.parse().unwrap()).collect(),
        }
    }

    fn forwarded(lines: &str, seen: &Seen) -> HeaderMap {
        let opening = opening(lines);
        let facts = seen.facts(&opening.headers);
        let rewrite = Rewrite::default();
        to_backend(opening.headers, &opening.authority, seen, &facts, &rewrite)
    }

    fn all<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
        headers
            .get_all(name)
            .iter()
            .map(|v| v.to_str().unwrap())
            .collect()
    }

    const SPOOF: &str = "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\n\
        X-Forwarded-Proto: http\r\nX-Forwarded-Host: evil.test\r\nForwarded: for=6.6.6.6\r\n\
        X_Forwarded_For: 6.6.6.6\r\nX.Forwarded.Proto: http\r\nX-Real-IP: 6.6.6.6\r\n\
        X-Forwarded-Port: 1\r\n";

    #[test]
    fn a_stranger_is_not_believed_not_even_from_a_private_address() {
        let headers = forwarded(SPOOF, &seen("10.1.2.3", &[]));
        assert_eq!(all(&headers, "x-forwarded-for"), ["10.1.2.3"]);
        assert_eq!(all(&headers, "x-forwarded-proto"), ["https"]);
        assert_eq!(all(&headers, "x-forwarded-host"), ["chat.example.com:8443"]);
        assert_eq!(
            all(&headers, "forwarded"),
            ["for=10.1.2.3;host=\"chat.example.com:8443\";proto=https"]
        );
        for gone in [
            "x_forwarded_for",
            "x.forwarded.proto",
            "x-real-ip",
            "x-forwarded-port",
        ] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_added_to() {
        let headers = forwarded(
            "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nX-Forwarded-Proto: wss\r\nForwarded: for=2.2.2.2\r\n\
             X_Forwarded_For: 6.6.6.6\r\nX-Real-IP: 2.2.2.2\r\n",
            &Seen {
                secure: false,
                ..seen("10.1.2.3", &["10.0.0.0/8"])
            },
        );
        assert_eq!(
            all(&headers, "x-forwarded-for"),
            ["1.1.1.1, 2.2.2.2, 10.1.2.3"]
        );
        assert_eq!(all(&headers, "x-forwarded-proto"), ["https"]);
        assert_eq!(all(&headers, "x-real-ip"), ["2.2.2.2"]);
        assert_eq!(
            all(&headers, "forwarded"),
            ["for=2.2.2.2, for=10.1.2.3;host=\"chat.example.com:8443\";proto=http"]
        );
        assert!(!headers.contains_key("x_forwarded_for"));
    }

    #[test]
    fn the_client_is_the_last_address_that_no_trusted_proxy_has() {
        let facts = |xff: &str, from: &str| {
            let headers = opening(&format!("X-Forwarded-For: {xff}\r\n")).headers;
            seen(from, &["10.0.0.0/8"])
                .facts(&headers)
                .address
                .to_string()
        };
        assert_eq!(facts("6.6.6.6, 2.2.2.2, 10.0.0.9", "10.0.0.1"), "2.2.2.2");
        assert_eq!(facts("6.6.6.6, junk, 10.0.0.9", "10.0.0.1"), "10.0.0.9");
        assert_eq!(facts("10.0.0.8", "10.0.0.1"), "10.0.0.8");
        assert_eq!(facts("2.2.2.2", "9.9.9.9"), "9.9.9.9");
        assert_eq!(facts("2.2.2.2", "::ffff:10.0.0.1"), "2.2.2.2");
    }

    #[test]
    fn only_the_websocket_token_goes_on_and_what_connection_names_stays() {
        let headers = forwarded(
            "X-Hop: 1\r\nHTTP2-Settings: AAMAAABk\r\nProxy-Authorization: Basic eA==\r\n\
             Cookie: a=b\r\nVia: 1.1 lb\r\nContent-Length: 0\r\n",
            &seen("2001:db8::1", &[]),
        );
        assert_eq!(all(&headers, "upgrade"), ["websocket"]);
        assert_eq!(all(&headers, "connection"), ["Upgrade"]);
        assert_eq!(all(&headers, "cookie"), ["a=b"]);
        assert_eq!(all(&headers, "via"), ["1.1 lb", "1.1 throughway"]);
        assert_eq!(all(&headers, "x-forwarded-for"), ["2001:db8::1"]);
        assert!(all(&headers, "forwarded")[0].starts_with("for=\"[2001:db8::1]\";"));
        for gone in [
            "x-hop",
            "http2-settings",
            "proxy-authorization",
            "host",
            "content-length",
        ] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
    }

    #[test]
    fn a_route_sets_and_removes_but_never_ours() {
        let opening = opening("X-A: client\r\nX-B: client\r\n");
        let seen = seen("9.9.9.9", &[]);
        let name = HeaderName::from_static;
        let rewrite = Rewrite {
            set_headers: vec![
                (name("x-a"), HeaderValue::from_static("route")),
                (X_FORWARDED_FOR, HeaderValue::from_static("6.6.6.6")),
            ],
            remove_headers: vec![name("x-b"), name("upgrade")],
            ..Rewrite::default()
        };
        let facts = seen.facts(&opening.headers);
        let headers = to_backend(opening.headers, &opening.authority, &seen, &facts, &rewrite);
        assert_eq!(all(&headers, "x-a"), ["route"]);
        assert!(!headers.contains_key("x-b"));
        assert_eq!(all(&headers, "x-forwarded-for"), ["9.9.9.9"]);
        assert_eq!(all(&headers, "upgrade"), ["websocket"]);
    }

    #[test]
    fn a_prefix_is_stripped_at_a_segment_boundary() {
        let rewrite = Rewrite {
            strip_prefix: Some("/ws".to_owned()),
            ..Rewrite::default()
        };
        for (path, expected) in [
            ("/ws/a?b", "/a?b"),
            ("/ws", "/"),
            ("/ws?b", "/?b"),
            ("/ws/", "/"),
            ("/wsx", "/wsx"),
            ("/a/ws", "/a/ws"),
        ] {
            assert_eq!(path_to_backend(path, &rewrite), expected, "{path}");
        }
        assert_eq!(path_to_backend("/ws/a", &Rewrite::default()), "/ws/a");
    }

    /// `/ws//evil.test/` had become `//evil.test/`, which a client is refused.
    #[test]
    fn a_stripped_path_does_not_begin_as_a_host_does() {
        let rewrite = Rewrite {
            strip_prefix: Some("/ws".to_owned()),
            ..Rewrite::default()
        };
        for (path, expected) in [
            ("/ws//evil.test/a//b", "/evil.test/a//b"),
            ("/ws///", "/"),
            ("/ws//?a=//b", "/?a=//b"),
            ("/ws/%2fevil.test", "/evil.test"),
            ("/ws/%2F/%2fevil.test", "/evil.test"),
        ] {
            assert_eq!(path_to_backend(path, &rewrite), expected, "{path}");
        }
    }

    /// A client's quote that never closed had hidden what a trusted proxy wrote behind it on the
    /// same line: the client counted as the proxy.
    #[test]
    fn what_a_client_writes_cannot_hide_what_a_trusted_proxy_writes_behind_it() {
        let seen = seen("10.0.0.1", &["10.0.0.0/8"]);
        for told in ["\"", "\u{e9}", "\"\\", "x\"y, z"] {
            let opening = opening(&format!(
                "X-Forwarded-For: {told}, 6.6.6.6\r\nX-Forwarded-Proto: {told}, http\r\n"
            ));
            let facts = seen.facts(&opening.headers);
            assert_eq!(facts.address.to_string(), "6.6.6.6", "{told:?}");
            assert_eq!(facts.scheme, "http", "{told:?}");
        }
    }

    /// A byte beyond ASCII had taken the whole header away, and a quote that never closed had made
    /// ours a part of itself.
    #[test]
    fn what_a_client_writes_cannot_take_our_own_word_away() {
        let seen = seen("10.0.0.1", &["10.0.0.0/8"]);
        let ours = "for=10.0.0.1;host=\"chat.example.com:8443\";proto=https";
        for told in ["\u{e9}", "for=\"a", "a\\\"", "\""] {
            let headers = forwarded(
                &format!("Forwarded: for=b, {told}\r\nX-Forwarded-For: \u{e9}, 6.6.6.6\r\n"),
                &seen,
            );
            let [line] = all(&headers, "forwarded")[..] else {
                panic!("{headers:?}");
            };
            assert_eq!(list::elements(line).last(), Some(ours), "{told:?}");
            assert_eq!(all(&headers, "x-forwarded-for"), ["6.6.6.6, 10.0.0.1"]);
        }
    }

    #[test]
    fn an_answer_loses_what_ends_at_this_hop_a_101_too() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "upgrade, Foo"),
            ("foo", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("upgrade", "websocket"),
            ("set-cookie", "a=b"),
            ("alt-svc", "clear"),
            ("sec-websocket-accept", "x"),
            ("transfer-encoding", "chunked"),
        ] {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let headers = to_client(headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["alt-svc", "sec-websocket-accept", "set-cookie"]);
    }
}
