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
use super::extensions::Extensions;
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
    /// None of the subprotocols of which one is required.
    SubprotocolRequired,
    /// An extension that was not offered.
    ExtensionNotOffered,
    /// A 101 has no body (RFC 9110 §8.6, RFC 9112 §6.1), yet this one announces one.
    Body,
}

/// What a 101 must answer to.
#[derive(Debug, Clone, Copy)]
pub struct Offered<'a> {
    /// The `Sec-WebSocket-Key`.
    pub key: &'a str,
    /// The subprotocols.
    pub subprotocols: &'a [String],
    /// Those of them of which one must be chosen; empty: none need be.
    pub required: &'a [String],
    /// The names of the extensions.
    pub extensions: &'a [String],
}

/// What a 101 that holds agrees on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agreed {
    /// The subprotocol that was chosen, if any.
    pub subprotocol: Option<String>,
    /// The extensions that were.
    pub extensions: Extensions,
}

/// Holds a 101 against the request it answers.
pub fn check_answer(
    version: Version,
    headers: &HeaderMap,
    offered: &Offered<'_>,
) -> Result<Agreed, AnswerError> {
    if version != Version::HTTP_11 {
        return Err(AnswerError::Version);
    }
    check_no_body(headers)?;
    check_tokens(headers)?;
    check_accept(headers, offered.key)?;
    check_extensions(headers, offered.extensions)?;
    let subprotocol = check_subprotocol(headers, offered.subprotocols)?;
    check_required(subprotocol.as_ref(), offered.required)?;
    Ok(Agreed {
        subprotocol,
        extensions: Extensions::agreed(headers),
    })
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

fn check_required(chosen: Option<&String>, required: &[String]) -> Result<(), AnswerError> {
    let is_one = chosen.is_some_and(|chosen| required.contains(chosen));
    match required.is_empty() || is_one {
        true => Ok(()),
        false => Err(AnswerError::SubprotocolRequired),
    }
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
            Self::SubprotocolRequired => {
                "it chose none of the subprotocols that the route requires"
            }
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
        SubprotocolNotOffered, SubprotocolRequired, SubprotocolTwice, Upgrade,
    };
    use http::HeaderValue;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const GOOD: &str = "Upgrade: websocket\nConnection: Upgrade\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n";

    fn answer(text: &str, required: &[&str]) -> Result<Agreed, AnswerError> {
        let mut headers = HeaderMap::new();
        for line in text.lines() {
            let (name, value) = line.split_once(':').expect("a test's line has a colon");
            let value = HeaderValue::from_str(value.trim()).expect("a test's value is a value");
            headers.append(name.parse::<http::HeaderName>().expect("a name"), value);
        }
        let offered = ["chat.v2".to_owned(), "chat.v1".to_owned()];
        let extensions = ["permessage-deflate".to_owned()];
        let required: Vec<String> = required.iter().map(|&r| r.to_owned()).collect();
        let offered = Offered {
            key: KEY,
            subprotocols: &offered,
            required: &required,
            extensions: &extensions,
        };
        check_answer(Version::HTTP_11, &headers, &offered)
    }

    fn check(text: &str, expected: Result<Option<&str>, AnswerError>) {
        let expected = expected.map(|s| s.map(str::to_owned));
        let chosen = answer(text, &[]).map(|agreed| agreed.subprotocol);
        assert_eq!(chosen, expected, "{text}");
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
            let offered = Offered {
                key: KEY,
                subprotocols: &[],
                required: &[],
                extensions: &[],
            };
            let verdict = check_answer(version, &HeaderMap::new(), &offered);
            assert_eq!(verdict, Err(AnswerError::Version));
        }
    }

    #[test]
    fn one_of_those_that_are_required_is_chosen() {
        let check = |chosen: &str, required: &[&str], expected: Option<AnswerError>| {
            let text = format!("{GOOD}{chosen}");
            let error = answer(&text, required).err();
            assert_eq!(error, expected, "{chosen:?} of {required:?}");
        };
        let v1 = "Sec-WebSocket-Protocol: chat.v1";
        check("", &[], None);
        check(v1, &["chat.v1"], None);
        check(v1, &["chat.v2", "chat.v1"], None);
        check(v1, &["chat.v2"], Some(SubprotocolRequired));
        check("", &["chat.v2"], Some(SubprotocolRequired));
    }

    #[test]
    fn compression_that_was_agreed_on_is_told() {
        let deflate = |text: &str| answer(text, &[]).map(|agreed| agreed.extensions.deflate);
        assert_eq!(deflate(GOOD), Ok(false));
        let with = format!("{GOOD}Sec-WebSocket-Extensions: Permessage-Deflate ; a=\"b,c\"");
        assert_eq!(deflate(&with), Ok(true));
    }
}
