//! The request target of a GET (RFC 9112 §3.2): origin-form, or absolute-form as old clients and
//! clients behind proxies send it.
//!
//! Two forms of the path are kept: as it came, which is what a backend gets, and percent-decoded,
//! which is what routes are matched against, so that `/%61dmin` cannot walk past a route for
//! `/admin`. A target that a backend might resolve to another path is refused.

use std::borrow::Cow;
use std::fmt;

use super::authority::Authority;

/// A parsed target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Present in absolute-form.
    pub authority: Option<Authority>,
    /// Path and query as they came; begins with `/`.
    pub path_and_query: String,
    /// The path alone, percent-decoded.
    pub path: String,
}

/// Why a target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetError {
    /// Neither origin-form nor absolute-form with a scheme that leads to a WebSocket.
    Form,
    /// A byte that no URI holds: white space, a control, `#`, `\`, or anything beyond ASCII.
    Byte,
    /// A `%` without two hexadecimal digits, or one that hides a NUL or a `\`.
    Escape,
    /// A `.` or `..` segment, plain or escaped, or a path that begins with `//`.
    Segments,
}

impl Target {
    /// Parses the target of a request line.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        if !text.bytes().all(is_uri_byte) {
            return Err(TargetError::Byte);
        }
        let (authority, path_and_query) = split_form(text)?;
        let raw = path_and_query.split('?').next().unwrap_or_default();
        let path = decode(raw)?;
        if path.starts_with("//") || path.split('/').any(is_dot_segment) {
            return Err(TargetError::Segments);
        }
        Ok(Self {
            authority,
            path: path.into_owned(),
            path_and_query: path_and_query.into_owned(),
        })
    }
}

fn split_form(text: &str) -> Result<(Option<Authority>, Cow<'_, str>), TargetError> {
    if text.starts_with('/') {
        return Ok((None, Cow::Borrowed(text)));
    }
    let (scheme, rest) = text.split_once("://").ok_or(TargetError::Form)?;
    if !["ws", "wss", "http", "https"]
        .iter()
        .any(|s| scheme.eq_ignore_ascii_case(s))
    {
        return Err(TargetError::Form);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let authority = Authority::parse(authority).map_err(|_| TargetError::Form)?;
    let path_and_query = match rest.starts_with('/') {
        true => Cow::Borrowed(rest),
        // RFC 9112 §3.2.1: an empty path is sent on as "/".
        false => Cow::Owned(format!("/{rest}")),
    };
    Ok((Some(authority), path_and_query))
}

/// RFC 3986 §2, and beside it the four that browsers send unescaped in a query.
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\' | b'<' | b'>' | b'"' | b'`')
}

/// RFC 3986 §5.2.4; with a parameter behind it (`..;x`) some servers still take it for one.
fn is_dot_segment(segment: &str) -> bool {
    let name = segment.split(';').next().unwrap_or_default();
    matches!(name, "." | "..")
}

fn decode(raw: &str) -> Result<Cow<'_, str>, TargetError> {
    if !raw.contains('%') {
        return Ok(Cow::Borrowed(raw));
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (hex(rest.next()), hex(rest.next())) else {
            return Err(TargetError::Escape);
        };
        match high << 4 | low {
            0 | b'\\' => return Err(TargetError::Escape),
            byte => decoded.push(byte),
        }
    }
    // A path that is no UTF-8 can still match a prefix; its raw form is what goes on.
    Ok(Cow::Owned(String::from_utf8_lossy(&decoded).into_owned()))
}

fn hex(digit: Option<u8>) -> Option<u8> {
    let value = char::from(digit?).to_digit(16)?;
    u8::try_from(value).ok()
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "the request target is neither a path nor a ws, wss, http or https URL",
            Self::Byte => "the request target holds a byte that no URL holds",
            Self::Escape => "the request target holds an invalid percent-escape",
            Self::Segments => "the request target holds a dot segment or begins with two slashes",
        })
    }
}

impl std::error::Error for TargetError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(Option<&str>, &str, &str), TargetError>) {
        let parsed = Target::parse(text);
        let parsed = parsed.map(|t| (t.authority.map(|a| a.to_string()), t.path_and_query, t.path));
        let expected = expected.map(|(a, r, p)| (a.map(str::to_owned), r.to_owned(), p.to_owned()));
        assert_eq!(parsed, expected, "{text:?}");
    }

    #[test]
    fn the_two_forms() {
        check("/", Ok((None, "/", "/")));
        check(
            "/ws/a?token=%2e#".trim_end_matches('#'),
            Ok((None, "/ws/a?token=%2e", "/ws/a")),
        );
        check("ws://a.com/x?y", Ok((Some("a.com"), "/x?y", "/x")));
        check("WSS://A.com:443", Ok((Some("a.com:443"), "/", "/")));
        check("http://[::1]:80?q", Ok((Some("[::1]:80"), "/?q", "/")));
        check("/a?b?c{|}^", Ok((None, "/a?b?c{|}^", "/a")));
        check("/a//b", Ok((None, "/a//b", "/a//b")));
    }

    #[test]
    fn routes_see_the_decoded_path_and_backends_the_raw_one() {
        check("/%61dmin", Ok((None, "/%61dmin", "/admin")));
        check("/a%2Fb", Ok((None, "/a%2Fb", "/a/b")));
        check("/caf%C3%A9", Ok((None, "/caf%C3%A9", "/café")));
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "",
            "*",
            "a.com:443",
            "ftp://a.com/",
            "ws:/a",
            "ws:///x",
            "ws://u@a.com/",
        ] {
            check(text, Err(TargetError::Form));
        }
        for text in ["/a b", "/a#b", "/a\\b", "/é", "/a\"b", "/<x>", "/a\u{7f}"] {
            check(text, Err(TargetError::Byte));
        }
        for text in ["/%", "/%4", "/%zz", "/%00", "/%5c", "/%+1"] {
            check(text, Err(TargetError::Escape));
        }
        for text in [
            "/..",
            "/a/../b",
            "/./a",
            "/a/%2e%2E/b",
            "/a/..;/b",
            "//a.com/x",
            "/%2f",
            "/a%2f..",
        ] {
            check(text, Err(TargetError::Segments));
        }
    }
}
