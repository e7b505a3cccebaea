//! Is this 101 the answer to our handshake (RFC 6455 §4.1, "If the response ...")?
//!
//! Knows nothing of where the answer came from, nor of what follows it.

use std::fmt;

use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_PROTOCOL, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Version};

use super::accept::accept_for;
use crate::wire::fields::{self, Twice};
use crate::wire::list;

/// What is wrong with a 101.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerError {
    /// Not HTTP/1.1, the only version that has a 101.
    Version,
    /// `Upgrade` is not the one token `websocket`.
    Upgrade,
    /// `Connection` has no token `upgrade`.
    Connection,
    /// No `Sec-WebSocket-Accept`.
    AcceptMissing,
    /// More than one.
    AcceptTwice,
    /// One that answers another key, or none.
    AcceptWrong,
    /// More than one `Sec-WebSocket-Protocol`.
    SubprotocolTwice,
    /// A subprotocol that was not offered.
    SubprotocolNotOffered,
    /// An extension that was not offered.
    ExtensionNotOffered,
    /// A 101 has no body (RFC 9110 §8.6, RFC 9112 §6.1), yet this one announces one.
    Body,
}

/// Holds a 101 against the request it answers; the subprotocol the backend chose, if any.
pub fn check_answer(
    version: Version,
    headers: &HeaderMap,
    key: &str,
    offered_subprotocols: &[String],
    offered_extensions: &[String],
) -> Result<Option<String>, AnswerError> {
    if version != Version::HTTP_11 {
        return Err(AnswerError::Version);
    }
    check_no_body(headers)?;
    check_tokens(headers)?;
    check_accept(headers, key)?;
    check_extensions(headers, offered_extensions)?;
    check_subprotocol(headers, offered_subprotocols)
}

fn check_no_body(headers: &HeaderMap) -> Result<(), AnswerError> {
    // `Content-Length: 0` is forbidden too, but announces nothing, and older servers send it.
    let announces = headers.contains_key(TRANSFER_ENCODING)
        || headers.get_all(CONTENT_LENGTH).iter().any(|v| v != "0");
    if announces {
        return Err(AnswerError::Body);
    }
    Ok(())
}

fn check_tokens(headers: &HeaderMap) -> Result<(), AnswerError> {
    let upgrade = list::all_elements(headers, &UPGRADE).ok_or(AnswerError::Upgrade)?;
    match upgrade.as_slice() {
        [token] if token.eq_ignore_ascii_case("websocket") => {}
        _ => return Err(AnswerError::Upgrade),
    }
    let connection = list::all_elements(headers, &CONNECTION).ok_or(AnswerError::Connection)?;
    if !connection.iter().any(|t| t.eq_ignore_ascii_case("upgrade")) {
        return Err(AnswerError::Connection);
    }
    Ok(())
}

fn check_accept(headers: &HeaderMap, key: &str) -> Result<(), AnswerError> {
    let accept = fields::single(headers, &SEC_WEBSOCKET_ACCEPT)
        .map_err(|Twice| AnswerError::AcceptTwice)?
        .ok_or(AnswerError::AcceptMissing)?;
    if accept != accept_for(key).as_bytes() {
        return Err(AnswerError::AcceptWrong);
    }
    Ok(())
}

fn check_extensions(headers: &HeaderMap, offered: &[String]) -> Result<(), AnswerError> {
    let chosen = list::all_elements(headers, &SEC_WEBSOCKET_EXTENSIONS)
        .ok_or(AnswerError::ExtensionNotOffered)?;
    for extension in chosen {
        // RFC 6455 §9.1: extension-token *( ";" extension-param ).
        let name = extension.split(';').next().unwrap_or(extension).trim();
        if !offered.iter().any(|o| o.eq_ignore_ascii_case(name)) {
            return Err(AnswerError::ExtensionNotOffered);
        }
    }
    Ok(())
}

fn check_subprotocol(
    headers: &HeaderMap,
    offered: &[String],
) -> Result<Option<String>, AnswerError> {
    let chosen = fields::single(headers, &SEC_WEBSOCKET_PROTOCOL)
        .map_err(|Twice| AnswerError::SubprotocolTwice)?;
    let Some(chosen) = chosen else {
        return Ok(None);
    };
    // RFC 6455 §4.1: case-sensitive, unlike every other token here.
    let found = offered.iter().find(|o| o.as_bytes() == chosen);
    found
        .map(|o| Some(o.clone()))
        .ok_or(AnswerError::SubprotocolNotOffered)
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "it is not HTTP/1.1",
            Self::Upgrade => "Upgrade is not websocket",
            Self::Connection => "Connection has no token upgrade",
            Self::AcceptMissing => "Sec-WebSocket-Accept is missing",
            Self::AcceptTwice => "Sec-WebSocket-Accept came more than once",
            Self::AcceptWrong => "Sec-WebSocket-Accept does not answer our key",
            Self::SubprotocolTwice => "Sec-WebSocket-Protocol came more than once",
            Self::SubprotocolNotOffered => "its subprotocol was not offered",
            Self::ExtensionNotOffered => "an extension was not offered",
            Self::Body => "it announces a body",
        })
    }
}

impl std::error::Error for AnswerError {}

#[cfg(test)]
mod tests {
    use super::*;
    use AnswerError::{
        AcceptMissing, AcceptTwice, AcceptWrong, Body, Connection, ExtensionNotOffered,
        SubprotocolNotOffered, SubprotocolTwice, Upgrade,
    };
    use http::HeaderValue;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const GOOD: &str = "Upgrade: websocket\nConnection: Upgrade\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n";

    fn answer(text: &str) -> Result<Option<String>, AnswerError> {
        let mut headers = HeaderMap::new();
        for line in text.lines() {
            let (name, value) = line.split_once(':').expect("a test's line has a colon");
            let value = HeaderValue::from_str(value.trim()).expect("a test's value is a value");
            headers.append(name.parse::<http::HeaderName>().expect("a name"), value);
        }
        let offered = ["chat.v2".to_owned(), "chat.v1".to_owned()];
        let extensions = ["permessage-deflate".to_owned()];
        check_answer(Version::HTTP_11, &headers, KEY, &offered, &extensions)
    }

    fn check(text: &str, expected: Result<Option<&str>, AnswerError>) {
        let expected = expected.map(|s| s.map(str::to_owned));
        assert_eq!(answer(text), expected, "{text}");
    }

    #[test]
    fn what_is_an_answer() {
        check(GOOD, Ok(None));
        let and = |more: &str| format!("{GOOD}{more}");
        check(&and("Sec-WebSocket-Protocol: chat.v1"), Ok(Some("chat.v1")));
        check(
            &and("Sec-WebSocket-Extensions: Permessage-Deflate; x=\"a,b\""),
            Ok(None),
        );
        check(&and("Content-Length: 0"), Ok(None));
        check(&GOOD.replace("websocket", "WebSocket"), Ok(None));
        check(
            &GOOD.replace(": Upgrade", ": keep-alive, uPgrade"),
            Ok(None),
        );
        check(
            &GOOD.replace(": Upgrade", ": keep-alive\nConnection: upgrade"),
            Ok(None),
        );
    }

    #[test]
    fn what_is_none() {
        let and = |more: &str| format!("{GOOD}{more}");
        check(&GOOD.replace(": websocket", ": h2c"), Err(Upgrade));
        check(
            &GOOD.replace(": websocket", ": websocket, h2c"),
            Err(Upgrade),
        );
        check(&and("Upgrade: h2c"), Err(Upgrade));
        check(&GOOD.replace("Upgrade: websocket\n", ""), Err(Upgrade));
        check(&GOOD.replace(": Upgrade", ": keep-alive"), Err(Connection));
        check(&GOOD.replace(": Upgrade", ": no-upgrade"), Err(Connection));
        check(&GOOD.replace("Connection: Upgrade\n", ""), Err(Connection));
        check(
            "Upgrade: websocket\nConnection: Upgrade",
            Err(AcceptMissing),
        );
        check(&GOOD.replace("xOo=", "xOo"), Err(AcceptWrong));
        check(&GOOD.replace("s3pP", "S3PP"), Err(AcceptWrong));
        check(
            &and("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            Err(AcceptTwice),
        );
        check(
            &and("Sec-WebSocket-Protocol: other"),
            Err(SubprotocolNotOffered),
        );
        check(
            &and("Sec-WebSocket-Protocol: CHAT.v1"),
            Err(SubprotocolNotOffered),
        );
        check(
            &and("Sec-WebSocket-Protocol: chat.v1, chat.v2"),
            Err(SubprotocolNotOffered),
        );
        let twice = "Sec-WebSocket-Protocol: chat.v1\nSec-WebSocket-Protocol: chat.v1";
        check(&and(twice), Err(SubprotocolTwice));
        check(
            &and("Sec-WebSocket-Extensions: x-evil"),
            Err(ExtensionNotOffered),
        );
        let second = "Sec-WebSocket-Extensions: permessage-deflate, x-evil";
        check(&and(second), Err(ExtensionNotOffered));
        check(&and("Content-Length: 5"), Err(Body));
        check(&and("Transfer-Encoding: chunked"), Err(Body));
    }

    #[test]
    fn only_http_1_1_has_a_101() {
        for version in [Version::HTTP_10, Version::HTTP_2] {
            let verdict = check_answer(version, &HeaderMap::new(), KEY, &[], &[]);
            assert_eq!(verdict, Err(AnswerError::Version));
        }
    }
}
