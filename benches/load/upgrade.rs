//! The opening handshake of both ends, as plain as it can be. Knows no sockets.
//!
//! The key is computed by aws-lc-rs and not by the gateway's own code, so that neither vouches for
//! itself.

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// RFC 6455 §1.3: what is appended to the key before it is hashed.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// RFC 6455 §1.3: the key of its example. Nothing here rests on keys being different.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The answer to it, by the same example.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 64;

/// What a client asks for connection number `connection`. The number is the last part of the path,
/// so that the backend knows which messages to expect.
pub(crate) fn request(host: &str, path: &str, connection: u32) -> Vec<u8> {
    format!(
        "GET {path}{connection} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
    .into_bytes()
}

/// A head up to its empty line, and what came glued to it.
pub(crate) struct Whole {
    pub(crate) head: Vec<u8>,
    pub(crate) tail: Vec<u8>,
}

/// Bytes of a head as they arrive, until it is whole.
#[derive(Debug, Default)]
pub(crate) struct Head(Vec<u8>);

impl Head {
    /// Takes `bytes`; gives the head once it is whole.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Option<Whole>, String> {
        self.0.extend_from_slice(bytes);
        let end = self.0.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let tail = self.0.split_off(end + 4);
            let head = std::mem::take(&mut self.0);
            return Ok(Some(Whole { head, tail }));
        }
        if self.0.len() > HEAD_BYTES_MAX {
            return Err("a head that does not end".to_owned());
        }
        Ok(None)
    }
}

/// Whether `head` is the 101 that [`request`] wants.
pub(crate) fn verify_answer(head: &[u8]) -> Result<(), String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let parsed = answer.parse(head);
    let accept = value(answer.headers, "sec-websocket-accept");
    match (parsed, answer.code, accept) {
        (Ok(_), Some(101), Some(accept)) if accept == ACCEPT.as_bytes() => Ok(()),
        _ => Err(format!(
            "not the 101 that was asked for: {}",
            String::from_utf8_lossy(head).trim_end()
        )),
    }
}

/// What a backend is asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To be a proxy: it stands in for one, and then for the backend behind it.
    Connect,
    /// To speak WebSocket as connection number so and so.
    Upgrade { connection: u32, answer: Vec<u8> },
}

/// The answer to [`Asked::Connect`].
pub(crate) const CONNECTED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

pub(crate) fn read_request(head: &[u8]) -> Result<Asked, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    request
        .parse(head)
        .map_err(|error| format!("not a request: {error}"))?;
    if request.method == Some("CONNECT") {
        return Ok(Asked::Connect);
    }
    let number = request.path.and_then(|path| path.rsplit('/').next());
    let number = number.and_then(|number| number.parse().ok());
    let key = value(request.headers, "sec-websocket-key");
    let (Some(connection), Some(key)) = (number, key) else {
        return Err("a request without its number or its key".to_owned());
    };
    Ok(Asked::Upgrade {
        connection,
        answer: answer(key),
    })
}

fn answer(key: &[u8]) -> Vec<u8> {
    let hashed = [key, GUID.as_bytes()].concat();
    let accept = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &hashed);
    let accept = BASE64_STANDARD.encode(accept);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

fn value<'h>(headers: &[httparse::Header<'h>], name: &str) -> Option<&'h [u8]> {
    let mut fitting = headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
    fitting.next().map(|header| header.value)
}
