//! The body of a reply that is not 2xx: how long it is (RFC 9112 §6.3), so that it can be read
//! past and the connection used once more.
//!
//! Keeps nothing of the body.

use super::reply::Reply;
use crate::wire::list;

/// Longest chunk-size line, its extensions included.
const CHUNK_LINE_BYTES_MAX: usize = 4096;

/// Reads past one body, fed with whatever a read brings.
#[derive(Debug, PartialEq, Eq)]
pub struct Skip {
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// So many bytes of a body with a length.
    Length(u64),
    /// A chunk-size line: what its digits came to, how many bytes of it were seen, and where in it
    /// we are.
    Size {
        size: u64,
        seen: usize,
        part: Part,
    },
    /// So many bytes of a chunk, its CRLF not counted.
    Chunk(u64),
    /// The line end after a chunk.
    ChunkEnd,
    /// A line after the last chunk, and how many bytes of it were seen.
    Trailer(usize),
    Done,
}

/// The parts of a chunk-size line, its LF not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Digits,
    Blanks,
    Extension,
    Cr,
}

/// A chunk that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadChunk;

impl Skip {
    /// For a reply after which the connection may be used again: it says where its body ends and
    /// does not say that it closes. `None` otherwise.
    pub fn over(reply: &Reply) -> Option<Self> {
        if !keeps_alive(reply) {
            return None;
        }
        let state = match (coding(reply), length(reply)) {
            (Coding::Chunked, Length::Absent) => State::size(),
            (Coding::None, Length::Known(0)) => State::Done,
            (Coding::None, Length::Known(n)) => State::Length(n),
            // Both at once, a coding that is not ours to end, a length that is none, or neither.
            (Coding::Chunked | Coding::None | Coding::Unknown, _) => return None,
        };
        Some(Self { state })
    }

    /// Whether the body has been read to its end.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes bytes from the front of `bytes`; how many of them belonged to the body.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, BadChunk> {
        let mut used = 0;
        while !self.is_done() && used < bytes.len() {
            used += self.step(&bytes[used..])?;
        }
        Ok(used)
    }

    // `bytes` is not empty.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, BadChunk> {
        let byte = bytes.first().copied().unwrap_or_default();
        match &mut self.state {
            State::Length(left) => {
                let taken = take(left, bytes.len());
                if *left == 0 {
                    self.state = State::Done;
                }
                return Ok(taken);
            }
            State::Chunk(left) => {
                let taken = take(left, bytes.len());
                if *left == 0 {
                    self.state = State::ChunkEnd;
                }
                return Ok(taken);
            }
            State::Size { size, seen, part } => {
                if let Some(next) = size_byte(byte, size, seen, part)? {
                    self.state = next;
                }
            }
            State::ChunkEnd => match byte {
                b'\r' => {}
                b'\n' => self.state = State::size(),
                _ => return Err(BadChunk),
            },
            State::Trailer(seen) => match byte {
                b'\n' if *seen == 0 => self.state = State::Done,
                b'\n' => *seen = 0,
                b'\r' => {}
                _ => *seen += 1,
            },
            State::Done => return Ok(0),
        }
        Ok(1)
    }
}

impl State {
    fn size() -> Self {
        Self::Size {
            size: 0,
            seen: 0,
            part: Part::Digits,
        }
    }
}

fn take(left: &mut u64, have: usize) -> usize {
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(have);
    *left -= taken as u64;
    taken
}

// RFC 9112 §7.1: 1*HEXDIG [ chunk-ext ] CRLF, where blanks may stand before an extension.
fn size_byte(
    byte: u8,
    size: &mut u64,
    seen: &mut usize,
    part: &mut Part,
) -> Result<Option<State>, BadChunk> {
    match (byte, *part, (byte as char).to_digit(16)) {
        // A line that begins with anything but a digit has no size.
        (_, _, None) if *seen == 0 => return Err(BadChunk),
        (b'\n', ..) if *size == 0 => return Ok(Some(State::Trailer(0))),
        (b'\n', ..) => return Ok(Some(State::Chunk(*size))),
        (_, Part::Digits, Some(digit)) => {
            let shifted = size.checked_mul(16).ok_or(BadChunk)?;
            *size = shifted + u64::from(digit);
        }
        (b' ' | b'\t', Part::Digits | Part::Blanks, _) => *part = Part::Blanks,
        (b';', Part::Digits | Part::Blanks, _) => *part = Part::Extension,
        (b'\r', Part::Digits | Part::Blanks | Part::Extension, _) => *part = Part::Cr,
        (_, Part::Extension, _) => {}
        (_, Part::Digits | Part::Blanks | Part::Cr, _) => return Err(BadChunk),
    }
    *seen += 1;
    if *seen > CHUNK_LINE_BYTES_MAX {
        return Err(BadChunk);
    }
    Ok(None)
}

// RFC 9112 §9.3, and the `Proxy-Connection` that proxies and their clients made of it.
fn keeps_alive(reply: &Reply) -> bool {
    let has = |token: &str| {
        let values = reply
            .texts("connection")
            .chain(reply.texts("proxy-connection"));
        values
            .flat_map(list::elements)
            .any(|t| t.eq_ignore_ascii_case(token))
    };
    !has("close") && (reply.minor >= 1 || has("keep-alive"))
}

enum Coding {
    None,
    Chunked,
    Unknown,
}

fn coding(reply: &Reply) -> Coding {
    if reply.values("transfer-encoding").next().is_none() {
        return Coding::None;
    }
    let codings: Vec<&str> = reply
        .texts("transfer-encoding")
        .flat_map(list::elements)
        .collect();
    match codings.as_slice() {
        [only] if only.eq_ignore_ascii_case("chunked") => Coding::Chunked,
        _ => Coding::Unknown,
    }
}

enum Length {
    Absent,
    Known(u64),
    Unknown,
}

fn length(reply: &Reply) -> Length {
    let mut values = reply.values("content-length");
    let Some(first) = values.next() else {
        return Length::Absent;
    };
    let text = std::str::from_utf8(first).unwrap_or_default();
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(n) if is_number && values.all(|v| v == first) => Length::Known(n),
        _ => Length::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &str = "HTTP/1.1 407 x\nTransfer-Encoding: chunked\n\n";

    fn skip(head: &str) -> Option<Skip> {
        Skip::over(&Reply::parse(head.as_bytes()).expect("a test's head is a head"))
    }

    /// Feeds `bytes` in two parts, split everywhere, and byte by byte.
    fn check(head: &str, bytes: &[u8], expected: Result<Option<usize>, BadChunk>) {
        for split in 0..=bytes.len() {
            let (a, b) = bytes.split_at(split);
            assert_eq!(
                feed(head, &[a, b]),
                expected,
                "{head:?} {bytes:?} split at {split}"
            );
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(
            feed(head, &single),
            expected,
            "{head:?} {bytes:?} byte by byte"
        );
    }

    /// How many bytes the body took; `None` when it did not end.
    fn feed(head: &str, parts: &[&[u8]]) -> Result<Option<usize>, BadChunk> {
        let mut skip = skip(head).expect("the connection can be used again");
        let mut used = 0;
        for part in parts {
            used += skip.feed(part)?;
        }
        Ok(skip.is_done().then_some(used))
    }

    #[test]
    fn a_length_is_read_past_and_not_further() {
        let head = "HTTP/1.1 407 x\nContent-Length: 5\n\n";
        check(head, b"12345", Ok(Some(5)));
        check(head, b"12345HTTP", Ok(Some(5)));
        check(head, b"1234", Ok(None));
        check(
            "HTTP/1.1 407 x\nContent-Length: 0\n\n",
            b"HTTP",
            Ok(Some(0)),
        );
    }

    #[test]
    fn chunks_are_read_past_and_not_further() {
        check(CHUNKED, b"0\r\n\r\n", Ok(Some(5)));
        check(CHUNKED, b"5\r\n12345\r\n0\r\n\r\nHTTP", Ok(Some(15)));
        check(
            CHUNKED,
            b"A;x=\"y\"\r\n0123456789\r\n000\r\nT: v\r\n\r\nX",
            Ok(Some(34)),
        );
        check(CHUNKED, b"2 \n\r\n\r\n0\n\n", Ok(Some(10)));
        check(CHUNKED, b"5\r\n12345\r\n0\r\n", Ok(None));
    }

    #[test]
    fn a_chunk_that_is_none_ends_it() {
        for bytes in [
            &b"\r\n"[..],
            b"\n",
            b"x\r\n",
            b" 5\r\n",
            b"5x\r\n",
            // Behind the size stands an extension, or nothing.
            b"5 x\r\n",
            b"5 5\r\n",
            b"5\rx\r\n",
            b"5;x\r\r\n",
            b"5\r\n12345x",
            b"10000000000000000\r\n",
            b"-1\r\n",
        ] {
            check(CHUNKED, bytes, Err(BadChunk));
        }
        let long = [b"5;".as_slice(), &[b'x'; CHUNK_LINE_BYTES_MAX]].concat();
        assert_eq!(feed(CHUNKED, &[&long]), Err(BadChunk));
    }

    #[test]
    fn which_connections_can_be_used_again() {
        let check = |head: &str, again: bool| {
            assert_eq!(skip(&format!("{head}\n\n")).is_some(), again, "{head:?}");
        };
        check("HTTP/1.1 407 x\nContent-Length: 5", true);
        check("HTTP/1.1 407 x\nContent-Length: 5\nContent-Length: 5", true);
        check("HTTP/1.1 407 x\nTransfer-Encoding: Chunked", true);
        check(
            "HTTP/1.0 407 x\nContent-Length: 5\nProxy-Connection: Keep-Alive",
            true,
        );
        check("HTTP/1.1 407 x", false);
        check("HTTP/1.0 407 x\nContent-Length: 5", false);
        check(
            "HTTP/1.1 407 x\nContent-Length: 5\nConnection: x, Close",
            false,
        );
        check(
            "HTTP/1.1 407 x\nContent-Length: 5\nProxy-Connection: close",
            false,
        );
        check(
            "HTTP/1.1 407 x\nContent-Length: 5\nContent-Length: 6",
            false,
        );
        check("HTTP/1.1 407 x\nContent-Length: +5", false);
        check(
            "HTTP/1.1 407 x\nContent-Length: 5\nTransfer-Encoding: chunked",
            false,
        );
        check("HTTP/1.1 407 x\nTransfer-Encoding: gzip, chunked", false);
    }
}
