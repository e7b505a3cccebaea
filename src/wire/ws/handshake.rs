//! The client's opening handshake (RFC 6455 §4.2.1), judged once and in one order.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, Version};

use crate::wire::authority::Authority;
use crate::wire::fields::{self, Twice};
use crate::wire::head::RequestHead;
use crate::wire::list;
use crate::wire::target::{Target, TargetError};

/// The only version there is (RFC 6455 §4.1).
pub const VERSION: &str = "13";
/// Length of a decoded `Sec-WebSocket-Key`.
const KEY_BYTES: usize = 16;

/// A request that asks for a WebSocket and may.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The one authority of the request: for routing, the Origin check and the log.
    pub authority: Authority,
    /// Path and query.
    pub target: Target,
    /// As sent; base64 of 16 bytes.
    pub key: String,
    /// As sent, where it was sent.
    pub origin: Option<String>,
    /// The subprotocols offered, in the client's order.
    pub subprotocols: Vec<String>,
    /// All header lines as they came.
    pub headers: HeaderMap,
}

/// Why a request does not become a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandshakeError {
    /// Not a GET.
    Method,
    /// The request target is unusable.
    Target(TargetError),
    /// No `Host`.
    HostMissing,
    /// Several `Host` lines.
    HostTwice,
    /// `Host` is no host.
    HostInvalid,
    /// The authority of an absolute-form target is not that of `Host`.
    HostDiffers,
    /// A body, or something that could be taken for one.
    Body,
    /// `Connection` names a field that the handshake needs or that belongs to the end-points.
    ConnectionNames(HeaderName),
    /// No `Upgrade: websocket`, no `Connection: upgrade`, or HTTP/1.0.
    NotAnUpgrade,
    /// `Sec-WebSocket-Version` is missing or not 13.
    Version,
    /// `Sec-WebSocket-Key` is missing, there twice, or not base64 of 16 bytes.
    Key,
    /// Several `Origin` lines, or one that is no text.
    OriginTwice,
    /// `Sec-WebSocket-Protocol` holds something that is no token.
    Subprotocol,
}

/// Whether a request asks for a WebSocket at all, however badly.
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    fields::has_token(headers, &header::UPGRADE, "websocket")
        && fields::has_token(headers, &header::CONNECTION, "upgrade")
}

/// Judges a request head. The first rule that it breaks is the one that is reported.
pub fn judge(head: RequestHead) -> Result<Opening, HandshakeError> {
    if head.method != Method::GET {
        return Err(HandshakeError::Method);
    }
    let headers = head.headers;
    let target = Target::parse(&head.target).map_err(HandshakeError::Target)?;
    let authority = authority(&headers, &target)?;
    refuse_body(&headers)?;
    refuse_named(&headers)?;
    if head.version != Version::HTTP_11 || !is_upgrade(&headers) {
        return Err(HandshakeError::NotAnUpgrade);
    }
    refuse_version(&headers)?;
    Ok(Opening {
        authority,
        target,
        key: key(&headers)?,
        origin: origin(&headers)?,
        subprotocols: subprotocols(&headers)?,
        headers,
    })
}

// RFC 9112 §3.2: none, two or an invalid one is a 400. An absolute-form target overrules Host;
// where the two differ we refuse instead, so that nobody behind us can see the other one.
fn authority(headers: &HeaderMap, target: &Target) -> Result<Authority, HandshakeError> {
    let host = match fields::single(headers, &header::HOST) {
        Err(Twice) => return Err(HandshakeError::HostTwice),
        Ok(None) => return Err(HandshakeError::HostMissing),
        Ok(Some(value)) => value.to_str().ok(),
    };
    let host = host
        .and_then(|text| Authority::parse(text).ok())
        .ok_or(HandshakeError::HostInvalid)?;
    match &target.authority {
        Some(other) if *other != host => Err(HandshakeError::HostDiffers),
        _ => Ok(host),
    }
}

// An upgrade has no body. Anything that could announce one to somebody behind us is refused:
// that is the whole CL/TE family of request smuggling (RFC 9112 §6, §11.2).
fn refuse_body(headers: &HeaderMap) -> Result<(), HandshakeError> {
    let length = fields::single(headers, &header::CONTENT_LENGTH);
    let has_body = match length {
        Err(Twice) => true,
        Ok(None) => false,
        Ok(Some(value)) => value != "0",
    };
    let announces = |name: &HeaderName| {
        let spelling = fields::canonical_spelling(name.as_str());
        matches!(spelling.as_ref(), "transfer-encoding" | "expect")
            || (spelling == "content-length" && *name != header::CONTENT_LENGTH)
    };
    match has_body || headers.keys().any(announces) {
        true => Err(HandshakeError::Body),
        false => Ok(()),
    }
}

// RFC 9110 §7.6.1: Connection lists fields for this hop only. Naming one that the end-points need
// would make a proxy on the way take it out: a known way past an authentication check.
fn refuse_named(headers: &HeaderMap) -> Result<(), HandshakeError> {
    let is_needed = |name: &str| {
        matches!(
            name,
            "host" | "origin" | "cookie" | "authorization" | "content-length"
        ) || name.starts_with("sec-websocket-")
    };
    let named = fields::tokens(headers, &header::CONNECTION)
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .find(|name| is_needed(name.as_str()));
    match named {
        Some(name) => Err(HandshakeError::ConnectionNames(name)),
        None => Ok(()),
    }
}

fn refuse_version(headers: &HeaderMap) -> Result<(), HandshakeError> {
    match fields::single(headers, &header::SEC_WEBSOCKET_VERSION) {
        Ok(Some(value)) if value == VERSION => Ok(()),
        _ => Err(HandshakeError::Version),
    }
}

fn key(headers: &HeaderMap) -> Result<String, HandshakeError> {
    let Ok(Some(value)) = fields::single(headers, &header::SEC_WEBSOCKET_KEY) else {
        return Err(HandshakeError::Key);
    };
    let text = value.to_str().map_err(|_| HandshakeError::Key)?;
    match STANDARD.decode(text) {
        Ok(bytes) if bytes.len() == KEY_BYTES => Ok(text.to_owned()),
        _ => Err(HandshakeError::Key),
    }
}

fn origin(headers: &HeaderMap) -> Result<Option<String>, HandshakeError> {
    match fields::single(headers, &header::ORIGIN) {
        Ok(None) => Ok(None),
        Ok(Some(value)) => match value.to_str() {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(HandshakeError::OriginTwice),
        },
        Err(Twice) => Err(HandshakeError::OriginTwice),
    }
}

fn subprotocols(headers: &HeaderMap) -> Result<Vec<String>, HandshakeError> {
    let offered: Vec<String> = fields::tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL)
        .map(str::to_owned)
        .collect();
    match offered.iter().all(|token| list::is_token(token)) {
        true => Ok(offered),
        false => Err(HandshakeError::Subprotocol),
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("the method is not GET"),
            Self::Target(error) => error.fmt(f),
            Self::HostMissing => f.write_str("the Host header is missing"),
            Self::HostTwice => f.write_str("there are several Host headers"),
            Self::HostInvalid => f.write_str("the Host header is not a host"),
            Self::HostDiffers => f.write_str("the Host header differs from the request target"),
            Self::Body => {
                f.write_str("a WebSocket handshake has no body, and this one announces one")
            }
            Self::ConnectionNames(name) => write!(f, "the Connection header names {name}"),
            Self::NotAnUpgrade => {
                f.write_str("the request does not ask for an upgrade to websocket")
            }
            Self::Version => f.write_str("Sec-WebSocket-Version is not 13"),
            Self::Key => f.write_str("Sec-WebSocket-Key is not one base64 text of 16 bytes"),
            Self::OriginTwice => {
                f.write_str("there are several Origin headers, or one that is no text")
            }
            Self::Subprotocol => {
                f.write_str("Sec-WebSocket-Protocol holds something that is no token")
            }
        }
    }
}

impl std::error::Error for HandshakeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::parse_request;

    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

    /// The sample handshake of RFC 6455 §1.3 with lines taken out and put in.
    fn request(line: &str, without: &[&str], with: &[&str]) -> Result<Opening, HandshakeError> {
        let base = [
            "Host: server.example.com",
            "Upgrade: websocket",
            "Connection: Upgrade",
            KEY,
            "Sec-WebSocket-Version: 13",
        ];
        let mut text = format!("{line}\r\n");
        for header in base
            .iter()
            .filter(|l| !without.iter().any(|w| l.starts_with(w)))
            .chain(with)
        {
            text += header;
            text += "\r\n";
        }
        judge(parse_request((text + "\r\n").as_bytes()).unwrap())
    }

    fn check(without: &[&str], with: &[&str], expected: HandshakeError) {
        let got = request("GET /chat HTTP/1.1", without, with).map(|_| ());
        assert_eq!(got, Err(expected), "without {without:?} with {with:?}");
    }

    #[test]
    fn the_sample_handshake_of_the_rfc() {
        let opening = request(
            "GET /chat?a HTTP/1.1",
            &[],
            &[
                "Origin: http://example.com",
                "Sec-WebSocket-Protocol: chat, superchat",
                "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-a",
                "Content-Length: 0",
            ],
        )
        .unwrap();
        assert_eq!(opening.authority.to_string(), "server.example.com");
        assert_eq!(opening.target.path_and_query, "/chat?a");
        assert_eq!(opening.key, "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(opening.origin.as_deref(), Some("http://example.com"));
        assert_eq!(opening.subprotocols, ["chat", "superchat"]);
    }

    #[test]
    fn tokens_in_any_case_and_over_several_lines() {
        let ok = |without: &[&str], with: &[&str]| {
            assert!(request("GET / HTTP/1.1", without, with).is_ok(), "{with:?}");
        };
        ok(&["Connection"], &["Connection: keep-alive, upgrade"]);
        ok(
            &["Connection"],
            &["Connection: keep-alive", "Connection: UPGRADE"],
        );
        ok(&["Upgrade"], &["Upgrade: h2c, WebSocket"]);
        ok(&["Upgrade"], &["Upgrade: h2c", "Upgrade: websocket"]);
    }

    #[test]
    fn what_is_no_upgrade() {
        for (without, with) in [
            ("Upgrade", ""),
            ("Upgrade", "Upgrade: websockets"),
            ("Upgrade", "Upgrade: h2c"),
            ("Upgrade", "Upgrade: websocket/13"),
            ("Connection", ""),
            ("Connection", "Connection: keep-alive"),
            ("Connection", "Connection: upgraded"),
        ] {
            let with: Vec<&str> = Some(with).filter(|w| !w.is_empty()).into_iter().collect();
            check(&[without], &with, HandshakeError::NotAnUpgrade);
        }
        let old = request("GET / HTTP/1.0", &[], &[]).map(|_| ());
        assert_eq!(old, Err(HandshakeError::NotAnUpgrade));
    }

    #[test]
    fn method_and_target() {
        for method in ["POST", "HEAD", "OPTIONS", "CONNECT", "get"] {
            let got = request(&format!("{method} a:1 HTTP/1.1"), &[], &[]).map(|_| ());
            assert_eq!(got, Err(HandshakeError::Method), "{method}");
        }
        let got = request("GET * HTTP/1.1", &[], &[]).map(|_| ());
        assert_eq!(got, Err(HandshakeError::Target(TargetError::Form)));
    }

    #[test]
    fn one_host_that_is_a_host_and_agrees_with_the_target() {
        check(&["Host"], &[], HandshakeError::HostMissing);
        check(
            &[],
            &["Host: server.example.com"],
            HandshakeError::HostTwice,
        );
        for host in ["", "a, b", "a b", "u@a", "a/b", "a:0", "a:b"] {
            check(
                &["Host"],
                &[&format!("Host: {host}")],
                HandshakeError::HostInvalid,
            );
        }
        let absolute =
            |target: &str| request(&format!("GET {target} HTTP/1.1"), &[], &[]).map(|_| ());
        assert_eq!(absolute("ws://server.example.com/chat"), Ok(()));
        assert_eq!(absolute("http://SERVER.example.com"), Ok(()));
        for other in [
            "ws://other.example.com/",
            "http://169.254.169.254/",
            "ws://server.example.com:81/",
        ] {
            assert_eq!(absolute(other), Err(HandshakeError::HostDiffers), "{other}");
        }
    }

    #[test]
    fn whatever_announces_a_body() {
        for with in [
            "Content-Length: 1",
            "Content-Length: +0",
            "Content-Length: 0x0",
            "Content-Length: 00",
            "Content-Length: 0, 0",
            "Content-Length:",
            "Content-Length: -1",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding:",
            "Transfer-Encoding: xchunked",
            "Transfer_Encoding: chunked",
            "Content_Length: 5",
            "Expect: 100-continue",
        ] {
            check(&[], &[with], HandshakeError::Body);
        }
        check(
            &[],
            &["Content-Length: 0", "Content-Length: 0"],
            HandshakeError::Body,
        );
    }

    #[test]
    fn connection_may_not_name_what_the_handshake_needs() {
        for name in [
            "host",
            "Origin",
            "COOKIE",
            "authorization",
            "Sec-WebSocket-Key",
            "sec-websocket-protocol",
        ] {
            let expected =
                HandshakeError::ConnectionNames(HeaderName::from_bytes(name.as_bytes()).unwrap());
            check(
                &["Connection"],
                &[&format!("Connection: Upgrade, {name}")],
                expected,
            );
        }
    }

    #[test]
    fn version_key_origin_and_subprotocol() {
        check(&["Sec-WebSocket-Version"], &[], HandshakeError::Version);
        check(
            &["Sec-WebSocket-Version"],
            &["Sec-WebSocket-Version: 8"],
            HandshakeError::Version,
        );
        check(
            &["Sec-WebSocket-Version"],
            &["Sec-WebSocket-Version: 1337"],
            HandshakeError::Version,
        );
        check(&["Sec-WebSocket-Key"], &[], HandshakeError::Key);
        check(&[], &[KEY], HandshakeError::Key);
        for key in [
            "",
            "x",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "AAAAAAAAAAAAAAAAAAAAAAA=",
        ] {
            check(
                &["Sec-WebSocket-Key"],
                &[&format!("Sec-WebSocket-Key: {key}")],
                HandshakeError::Key,
            );
        }
        check(
            &[],
            &["Origin: http://a.com", "Origin: http://a.com"],
            HandshakeError::OriginTwice,
        );
        check(
            &[],
            &["Sec-WebSocket-Protocol: a b"],
            HandshakeError::Subprotocol,
        );
    }
}
