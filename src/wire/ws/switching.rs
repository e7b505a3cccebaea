//! The head of a plain 101 (RFC 9110 §15.2.2), in bytes that keep coming.
//!
//! Takes what nobody could read differently and nothing else: a head with an answer before it, with
//! a bare LF, with a fold or with any other status is not this file's. Does not know whether the 101
//! answers a handshake.

use bytes::BytesMut;
use http::HeaderMap;

use crate::wire::head::{HEADERS_MAX, Scanner, header_map};

/// What all of them begin with.
const STATUS: &[u8] = b"HTTP/1.1 101";

/// Reads one head.
#[derive(Debug, Default)]
pub struct Reader(Scanner);

/// The bytes begin with something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSwitching;

impl Reader {
    /// The fields, once the head is whole: it is taken out of `bytes` then, and nothing behind it is.
    /// `bytes` has everything that has come so far and grows from call to call.
    pub fn read(&mut self, bytes: &mut BytesMut) -> Result<Option<HeaderMap>, NoSwitching> {
        let common = bytes.len().min(STATUS.len());
        if bytes[..common] != STATUS[..common] {
            return Err(NoSwitching);
        }
        let Some(end) = self.0.scan(bytes).map_err(|_| NoSwitching)? else {
            return Ok(None);
        };
        let headers = parse(&bytes[..end])?;
        drop(bytes.split_to(end));
        Ok(Some(headers))
    }
}

fn parse(head: &[u8]) -> Result<HeaderMap, NoSwitching> {
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut slots);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(n)) if n == head.len() && parsed.code == Some(101) => {
            header_map(parsed.headers).map_err(|_| NoSwitching)
        }
        Ok(_) | Err(_) => Err(NoSwitching),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX-A: 1\r\n\r\n";

    #[test]
    fn a_head_is_whole_at_its_last_byte_and_its_tail_is_left() {
        let all = format!("{HEAD}\x01\0\r\n\r\n");
        for piece in [1, 2, 7, HEAD.len() - 1, HEAD.len(), all.len()] {
            let (mut reader, mut bytes) = (Reader::default(), BytesMut::new());
            let mut pieces = all.as_bytes().chunks(piece);
            let mut come = 0;
            let headers = pieces.by_ref().find_map(|piece| {
                bytes.extend_from_slice(piece);
                come += piece.len();
                reader.read(&mut bytes).expect("a 101")
            });
            let headers = headers.expect("a whole one");
            assert!((HEAD.len()..HEAD.len() + piece).contains(&come), "{piece}");
            assert_eq!(bytes, all.as_bytes()[HEAD.len()..come], "{piece}");
            assert_eq!(
                (&headers["upgrade"], headers.len()),
                (&"websocket".parse().unwrap(), 2)
            );
        }
    }

    #[test]
    fn whatever_else_it_is_it_is_left_whole() {
        for text in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.0 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 1010 Switching Protocols\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\n\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: web\r\n socket\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade : websocket\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "h",
        ] {
            let mut bytes = BytesMut::from(text);
            let read = Reader::default().read(&mut bytes);
            assert_eq!(read, Err(NoSwitching), "{text:?}");
            assert_eq!(bytes, text);
        }
    }

    #[test]
    fn a_hundred_fields_and_no_more() {
        let with = |fields: usize| {
            let fields = "A: 1\r\n".repeat(fields);
            let mut bytes = BytesMut::from(format!("HTTP/1.1 101 \r\n{fields}\r\n").as_str());
            Reader::default()
                .read(&mut bytes)
                .map(|read| read.map(|headers| headers.len()))
        };
        assert_eq!(with(HEADERS_MAX), Ok(Some(HEADERS_MAX)));
        assert_eq!(with(HEADERS_MAX + 1), Err(NoSwitching));
    }
}
