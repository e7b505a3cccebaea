//! The head of an HTTP/1.1 request: where it ends, and what stands in it (RFC 9112 §2–5).
//!
//! Stricter than the RFC's "may": whatever two parsers could read differently is refused, because
//! a difference between us and a backend is how requests are smuggled. Knows no sockets: bytes come
//! in as they arrived, however split.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

/// More header lines than any browser or backend sends; a limit on what one head can make us hold.
pub const HEADERS_MAX: usize = 100;

/// Fields that we may add to a head on its way, so that its map need not grow for them.
const ADDED: usize = 6;

/// A request head, syntactically sound and not yet judged.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// Any token.
    pub method: Method,
    /// The request target as it stands in the request line.
    pub target: String,
    /// `HTTP/1.0` or `HTTP/1.1`.
    pub version: Version,
    /// All header lines, in order, repeated ones too.
    pub headers: HeaderMap,
}

/// What is wrong with the bytes of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadError {
    /// A LF without its CR (RFC 9112 §2.2 lets a recipient accept it; we do not).
    BareLf,
    /// A CR without its LF.
    BareCr,
    /// A control byte, NUL among them: not HTTP, or TLS sent to a plain port.
    Control,
    /// A line that continues the one before it (RFC 9112 §5.2).
    Fold,
    /// An empty line before the request line.
    EmptyLine,
    /// The request line is not `method SP target SP version`.
    RequestLine,
    /// A header line is not `name: value`; white space before the colon is the usual case.
    HeaderLine,
    /// More than [`HEADERS_MAX`] header lines.
    TooManyHeaders,
}

/// Finds the end of a head in bytes that keep coming, judging each byte once.
#[derive(Debug, Default)]
pub struct Scanner {
    /// Everything before this index is judged and sound.
    judged: usize,
    /// Where the current line begins.
    line: usize,
}

impl Scanner {
    /// Looks at what is new in `bytes`, which is everything that has arrived so far. Returns the
    /// length of the head, its empty line included, once that is there.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        while let Some(&byte) = bytes.get(self.judged) {
            match byte {
                b'\r' => match bytes.get(self.judged + 1) {
                    None => return Ok(None),
                    Some(b'\n') => {
                        let empty = self.line == self.judged;
                        self.judged += 2;
                        self.line = self.judged;
                        if empty {
                            return self.end();
                        }
                    }
                    Some(_) => return Err(HeadError::BareCr),
                },
                b'\n' => return Err(HeadError::BareLf),
                b' ' | b'\t' if self.line == self.judged => return Err(HeadError::Fold),
                b'\t' => self.judged += 1,
                0..=0x1f | 0x7f => return Err(HeadError::Control),
                _ => self.judged += 1,
            }
        }
        Ok(None)
    }

    fn end(&self) -> Result<Option<usize>, HeadError> {
        if self.judged == 2 {
            return Err(HeadError::EmptyLine);
        }
        Ok(Some(self.judged))
    }
}

/// Parses a whole head: what [`Scanner`] found, with its empty line.
pub fn parse_request(head: &[u8]) -> Result<RequestHead, HeadError> {
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut slots);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(n)) if n == head.len() => {}
        Ok(_) => return Err(HeadError::RequestLine),
        Err(error) => return Err(error.into()),
    }
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(HeadError::RequestLine);
    };
    let headers = header_map(parsed.headers)?;
    Ok(RequestHead {
        method: Method::from_bytes(method.as_bytes()).map_err(|_| HeadError::RequestLine)?,
        target: target.to_owned(),
        version: if version == 0 {
            Version::HTTP_10
        } else {
            Version::HTTP_11
        },
        headers,
    })
}

/// The lines of a parsed head, in order.
pub(super) fn header_map(lines: &[httparse::Header<'_>]) -> Result<HeaderMap, HeadError> {
    let mut headers = HeaderMap::with_capacity(lines.len() + ADDED);
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes());
        let value = HeaderValue::from_bytes(line.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(HeadError::HeaderLine);
        };
        headers.append(name, value);
    }
    Ok(headers)
}

impl From<httparse::Error> for HeadError {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooManyHeaders,
            httparse::Error::HeaderName | httparse::Error::HeaderValue => Self::HeaderLine,
            httparse::Error::NewLine
            | httparse::Error::Status
            | httparse::Error::Token
            | httparse::Error::Version => Self::RequestLine,
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BareLf => "a line ends in LF without CR",
            Self::BareCr => "a CR stands without its LF",
            Self::Control => "a control byte stands in the head",
            Self::Fold => "a header line begins with white space",
            Self::EmptyLine => "an empty line stands before the request line",
            Self::RequestLine => "the request line is malformed",
            Self::HeaderLine => "a header line is malformed",
            Self::TooManyHeaders => "too many header lines",
        })
    }
}

impl std::error::Error for HeadError {}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] =
        b"GET /ws?x=1 HTTP/1.1\r\nHost: a.com\r\nX-Empty:\r\nX-Two: 1\r\nx-two: 2\r\n\r\n";

    fn scan_whole(bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        Scanner::default().scan(bytes)
    }

    /// The verdict on a head, whichever of the two stages gives it.
    fn check(head: &[u8], expected: Result<(), HeadError>) {
        let text = String::from_utf8_lossy(head);
        let whole = scan_whole(head).and_then(|end| {
            parse_request(&head[..end.expect("a whole head was given")]).map(|_| ())
        });
        assert_eq!(whole, expected, "{text:?}");
        // One byte at a time: the verdict is the same, and comes no later than the last byte.
        let mut scanner = Scanner::default();
        let by_byte = (1..=head.len()).find_map(|n| scanner.scan(&head[..n]).transpose());
        let by_byte = by_byte
            .expect("a verdict")
            .and_then(|end| parse_request(&head[..end]).map(|_| ()));
        assert_eq!(by_byte, expected, "byte by byte: {text:?}");
    }

    #[test]
    fn the_end_is_the_same_at_every_split() {
        let mut with_tail = GOOD.to_vec();
        with_tail.extend_from_slice(b"\x81\x00\r\n\r\n");
        for split in 0..with_tail.len() {
            let mut scanner = Scanner::default();
            let first = scanner.scan(&with_tail[..split]).unwrap();
            let end = first.or_else(|| scanner.scan(&with_tail).unwrap());
            assert_eq!(end, Some(GOOD.len()), "split at {split}");
        }
    }

    #[test]
    fn what_stands_in_a_head() {
        let head = parse_request(GOOD).unwrap();
        assert_eq!(head.method, Method::GET);
        assert_eq!(head.target, "/ws?x=1");
        assert_eq!(head.version, Version::HTTP_11);
        assert_eq!(head.headers["host"], "a.com");
        assert_eq!(head.headers["x-empty"], "");
        let two: Vec<_> = head.headers.get_all("x-two").iter().collect();
        assert_eq!(two, ["1", "2"]);
    }

    #[test]
    fn what_is_refused() {
        check(GOOD, Ok(()));
        let cases: &[(&[u8], HeadError)] = &[
            (b"GET / HTTP/1.1\nHost: a\n\n", HeadError::BareLf),
            (b"GET / HTTP/1.1\r\nHost: a\n\r\n", HeadError::BareLf),
            (b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", HeadError::BareCr),
            (b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", HeadError::BareCr),
            (b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", HeadError::Control),
            (
                b"GET / HTTP/1.1\r\nHost: a\x0bb\r\n\r\n",
                HeadError::Control,
            ),
            (b"\x16\x03\x01\x02\x00", HeadError::Control),
            (b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", HeadError::Fold),
            (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", HeadError::Fold),
            (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Fold),
            (
                b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                HeadError::EmptyLine,
            ),
            (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", HeadError::HeaderLine),
            (
                b"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n",
                HeadError::HeaderLine,
            ),
            (b"GET / HTTP/1.1\r\n: a\r\n\r\n", HeadError::HeaderLine),
            (b"GET / HTTP/1.1\r\nHost\r\n\r\n", HeadError::HeaderLine),
            (
                b"GET / HTTP/1.1\r\nH\xc3\xb6st: a\r\n\r\n",
                HeadError::HeaderLine,
            ),
            (b"GET /\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            (
                b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
                HeadError::RequestLine,
            ),
            (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            (
                b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
                HeadError::RequestLine,
            ),
            (b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
        ];
        for (head, error) in cases {
            check(head, Err(*error));
        }
    }

    #[test]
    fn a_hundred_header_lines_and_no_more() {
        let with = |n: usize| {
            let lines: String = (0..n).map(|i| format!("x-{i}: 1\r\n")).collect();
            format!("GET / HTTP/1.1\r\n{lines}\r\n").into_bytes()
        };
        check(&with(HEADERS_MAX), Ok(()));
        check(&with(HEADERS_MAX + 1), Err(HeadError::TooManyHeaders));
    }
}
