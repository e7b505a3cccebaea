//! The head of a proxy's reply to CONNECT.
//!
//! Proxies are older and odder than servers, so this is laxer than the rest of the house: lines
//! may end in LF alone, values may be folded (RFC 9112 §5.2), the version may be 1.0. Nothing is
//! lax about where the head ends. Knows nothing of what a status means for a tunnel.

use std::fmt;

/// Longest reply head, the interim ones before it included.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Enough to tell "HTTP/1.1 " from anything else.
const VERSION: &[u8] = b"HTTP/1.";

/// A parsed head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The digit after `HTTP/1.`.
    pub minor: u8,
    /// Three digits.
    pub status: u16,
    /// The reason phrase, as sent; often empty.
    pub reason: Vec<u8>,
    /// Names in lower case, values trimmed and unfolded.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Not a reply that we can go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyError {
    /// The first bytes are not `HTTP/1.`.
    NotHttp,
    /// They are, but the status line is not `HTTP/1.0` or `HTTP/1.1`, a space and three digits.
    StatusLine,
    /// A NUL in the head.
    Nul,
    /// The head is longer than [`HEAD_BYTES_MAX`].
    TooLong,
}

/// Looks for the end of a head in bytes that keep coming, each looked at once.
#[derive(Debug, Default)]
pub struct HeadEnd {
    scanned: usize,
    /// Where the line being scanned begins.
    line: usize,
}

impl HeadEnd {
    /// The length of the head in `bytes`, the empty line included, once all of it is there.
    /// `bytes` begins with the head and grows from call to call.
    pub fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, ReplyError> {
        let common = bytes.len().min(VERSION.len());
        if bytes[..common] != VERSION[..common] {
            return Err(ReplyError::NotHttp);
        }
        while let Some(&byte) = bytes.get(self.scanned) {
            let at = self.scanned;
            self.scanned += 1;
            match byte {
                0 => return Err(ReplyError::Nul),
                b'\n' if matches!(&bytes[self.line..at], b"" | b"\r") => {
                    return Ok(Some(self.scanned));
                }
                b'\n' => self.line = self.scanned,
                _ => {}
            }
        }
        Ok(None)
    }
}

impl Reply {
    /// Parses a whole head, as [`HeadEnd`] delimits it. A line that is no field is passed over:
    /// where the head ends is settled already, and nothing in such a line is believed, nor in
    /// those that go on with it.
    pub fn parse(head: &[u8]) -> Result<Self, ReplyError> {
        let mut lines = head.split(|&b| b == b'\n').map(without_cr);
        let (minor, status, reason) = parse_status_line(lines.next().unwrap_or_default())?;
        let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
        let mut goes_on = false;
        for line in lines.map(spaced) {
            match line.as_slice() {
                [b' ' | b'\t', more @ ..] if goes_on => unfold(&mut headers, more),
                [b' ' | b'\t', ..] => {}
                line => {
                    let field = parse_field(line);
                    goes_on = field.is_some();
                    headers.extend(field);
                }
            }
        }
        Ok(Self {
            minor,
            status,
            reason: spaced(reason),
            headers,
        })
    }

    /// The values of a header by its name in lower case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = self.headers.iter().filter(move |(n, _)| n == name);
        named.map(|(_, value)| value.as_slice())
    }

    /// The same, those that are text.
    pub fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values(name)
            .filter_map(|v| std::str::from_utf8(v).ok())
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

// RFC 9112 §2.2: a CR without its LF is refused, or read as a space.
fn spaced(line: &[u8]) -> Vec<u8> {
    let space = |&byte: &u8| if byte == b'\r' { b' ' } else { byte };
    line.iter().map(space).collect()
}

// RFC 9112 §4: HTTP-version SP status-code SP [ reason-phrase ]. The second space is often
// forgotten when there is no reason.
fn parse_status_line(line: &[u8]) -> Result<(u8, u16, &[u8]), ReplyError> {
    let rest = line.strip_prefix(VERSION).ok_or(ReplyError::NotHttp)?;
    let [minor @ (b'0' | b'1'), b' ', a, b, c, reason @ ..] = rest else {
        return Err(ReplyError::StatusLine);
    };
    let digits = [a, b, c];
    let reason = match reason {
        [] => reason,
        [b' ', reason @ ..] => reason,
        _ => return Err(ReplyError::StatusLine),
    };
    if !digits.iter().all(|d| d.is_ascii_digit()) || *a == b'0' {
        return Err(ReplyError::StatusLine);
    }
    let status = digits.iter().fold(0, |n, d| n * 10 + u16::from(**d - b'0'));
    Ok((minor - b'0', status, reason))
}

fn parse_field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|&b| b == b':')?;
    let name = std::str::from_utf8(line[..colon].trim_ascii_end()).ok()?;
    if !crate::wire::list::is_token(name) {
        return None;
    }
    let value = line[colon + 1..].trim_ascii().to_vec();
    Some((name.to_ascii_lowercase(), value))
}

// RFC 9112 §5.2: each obs-fold is one or more spaces; RFC 9110 §5.5: none at the ends of a value.
fn unfold(headers: &mut [(String, Vec<u8>)], more: &[u8]) {
    let more = more.trim_ascii();
    let Some((_, value)) = headers.last_mut() else {
        return;
    };
    if !value.is_empty() && !more.is_empty() {
        value.push(b' ');
    }
    value.extend_from_slice(more);
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp => f.write_str("not an HTTP proxy"),
            Self::StatusLine => f.write_str("its status line is not HTTP/1.0 or HTTP/1.1"),
            Self::Nul => f.write_str("its reply holds a NUL"),
            Self::TooLong => write!(f, "its reply head is over {HEAD_BYTES_MAX} bytes"),
        }
    }
}

impl std::error::Error for ReplyError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` up to `first`, then byte by byte, as a socket might.
    fn split_at(bytes: &[u8], first: usize) -> Result<Option<usize>, ReplyError> {
        let mut end = HeadEnd::default();
        for upto in first..=bytes.len() {
            if let Some(found) = end.find(&bytes[..upto])? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn check(text: &str, expected: Result<(u16, &str), ReplyError>) {
        for first in 0..=text.len() {
            let found = split_at(text.as_bytes(), first).and_then(|end| {
                let end = end.expect("the test's head is whole");
                let reply = Reply::parse(&text.as_bytes()[..end])?;
                Ok((reply.status, text[end..].to_owned()))
            });
            let expected = expected.map(|(status, tail)| (status, tail.to_owned()));
            assert_eq!(found, expected, "{text:?} split at {first}");
        }
    }

    #[test]
    fn a_head_ends_at_its_empty_line_however_it_is_split() {
        check("HTTP/1.1 200 OK\r\n\r\n", Ok((200, "")));
        check(
            "HTTP/1.1 200 OK\r\n\r\ntail\r\n\r\n",
            Ok((200, "tail\r\n\r\n")),
        );
        check(
            "HTTP/1.0 200 Connection established\r\nA: b\r\n\r\n\n",
            Ok((200, "\n")),
        );
        check("HTTP/1.1 204\r\n\r\n", Ok((204, "")));
        check("HTTP/1.1 200 \n\n", Ok((200, "")));
        check("HTTP/1.1 200 OK\nA: b\n\r\nx", Ok((200, "x")));
        check("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\nx", Ok((200, "x")));
        check(
            "HTTP/1.1 403 HTTP/1.1 200 OK\r\nX: HTTP/1.1 200 \r\n\r\n",
            Ok((403, "")),
        );
    }

    #[test]
    fn what_is_no_reply() {
        check("SSH-2.0-OpenSSH_9.2\r\n\r\n", Err(ReplyError::NotHttp));
        check("\r\nHTTP/1.1 200 OK\r\n\r\n", Err(ReplyError::NotHttp));
        check("http/1.1 200 OK\r\n\r\n", Err(ReplyError::NotHttp));
        check("HTTP/2 200\r\n\r\n", Err(ReplyError::NotHttp));
        check("HTTP/1.2 200 OK\r\n\r\n", Err(ReplyError::StatusLine));
        check("HTTP/1.1 2000 OK\r\n\r\n", Err(ReplyError::StatusLine));
        check("HTTP/1.1 20 OK\r\n\r\n", Err(ReplyError::StatusLine));
        check("HTTP/1.1 2x0 OK\r\n\r\n", Err(ReplyError::StatusLine));
        check("HTTP/1.1 020 OK\r\n\r\n", Err(ReplyError::StatusLine));
        check("HTTP/1.1  200 OK\r\n\r\n", Err(ReplyError::StatusLine));
        check("HTTP/1.1 200\tOK\r\n\r\n", Err(ReplyError::StatusLine));
        check("HTTP/1.1\r\n\r\n", Err(ReplyError::StatusLine));
        check("HTTP/1.1 200 O\0K\r\n\r\n", Err(ReplyError::Nul));
        check("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", Err(ReplyError::Nul));
    }

    #[test]
    fn a_head_without_its_empty_line_is_not_there_yet() {
        let text = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
        for cut in 0..text.len() {
            assert_eq!(HeadEnd::default().find(&text[..cut]), Ok(None), "{cut}");
        }
    }

    #[test]
    fn values_are_trimmed_and_unfolded_and_broken_lines_passed_over() {
        let head = b"HTTP/1.1 407 No\r\n lost\r\nProxy-Authenticate:Basic\r\n\trealm=\"x\" \r\n\
                     broken\r\nb\xe9d: x\r\nVIA : a\r\nvia: b\r\n\r\n";
        let reply = Reply::parse(head).expect("a reply");
        assert_eq!((reply.minor, reply.status), (1, 407));
        assert_eq!(reply.reason, b"No");
        let asked: Vec<_> = reply.texts("proxy-authenticate").collect();
        assert_eq!(asked, ["Basic realm=\"x\""]);
        assert_eq!(reply.texts("via").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(reply.headers.len(), 3);
    }

    fn fields(lines: &str) -> Vec<(String, String)> {
        let head = format!("HTTP/1.1 407 No\n{lines}\n\n");
        let reply = Reply::parse(head.as_bytes()).expect("a reply");
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let fields = reply.headers.iter();
        fields.map(|(n, v)| (n.clone(), text(v))).collect()
    }

    /// Each had gone on with the last field before it: a line that was passed over could still
    /// change what a proxy asks for.
    #[test]
    fn a_fold_of_a_line_that_is_no_field_is_passed_over_with_it() {
        let is_a = |lines| {
            assert_eq!(
                fields(lines),
                [("a".to_owned(), "b".to_owned())],
                "{lines:?}"
            )
        };
        is_a("A: b\nbroken\n c");
        is_a("A: b\nbro ken: c\n d\n\te");
        is_a(" lost\nA: b");
    }

    /// A fold of nothing had left its space at the end of the value.
    #[test]
    fn a_fold_adds_no_space_where_there_is_nothing_to_part() {
        for lines in ["A: b\n ", "A:\n b", "A:\n \n b\n\t"] {
            assert_eq!(
                fields(lines),
                [("a".to_owned(), "b".to_owned())],
                "{lines:?}"
            );
        }
    }

    /// A CR inside of a line had stayed in the value (RFC 9112 §2.2).
    #[test]
    fn a_cr_that_ends_no_line_is_a_space() {
        assert_eq!(fields("A: b\rc\r\r"), [("a".to_owned(), "b c".to_owned())]);
        assert_eq!(fields("A: b\n\rc"), [("a".to_owned(), "b c".to_owned())]);
        let reply = Reply::parse(b"HTTP/1.1 403 a\rb\r\n\r\n").expect("a reply");
        assert_eq!(reply.reason, b"a b");
    }

    /// A space of Unicode had been trimmed from the end of a name.
    #[test]
    fn a_name_ends_in_no_space_but_those_of_ascii() {
        assert_eq!(
            fields("A\u{a0}: b\nB \t: c"),
            [("b".to_owned(), "c".to_owned())]
        );
    }
}
