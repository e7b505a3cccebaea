//! The `Origin` header (RFC 6454 §7): a scheme, a host and a port, or `null`.

use std::fmt;

use super::authority::Authority;

/// Longest value that is looked at; a real one is under 300 bytes.
const ORIGIN_BYTES_MAX: usize = 512;

/// A parsed origin, in lower case and with its default port left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// `null`: sandboxed frames, `file:` pages, some redirects.
    Null,
    /// `scheme://host[:port]`.
    Tuple {
        /// Lower case, such as `https`.
        scheme: String,
        /// The port is `None` when it is the scheme's default.
        authority: Authority,
    },
}

/// The value is not one origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnOrigin;

impl Origin {
    /// Parses one origin as a browser sends it: no path, no trailing slash, no user information.
    pub fn parse(text: &str) -> Result<Self, NotAnOrigin> {
        if text == "null" {
            return Ok(Self::Null);
        }
        if text.len() > ORIGIN_BYTES_MAX {
            return Err(NotAnOrigin);
        }
        let (scheme, authority) = text.split_once("://").ok_or(NotAnOrigin)?;
        if !is_scheme(scheme) {
            return Err(NotAnOrigin);
        }
        let mut authority = Authority::parse(authority).map_err(|_| NotAnOrigin)?;
        let scheme = scheme.to_ascii_lowercase();
        if authority.port == default_port(&scheme) {
            authority.port = None;
        }
        Ok(Self::Tuple { scheme, authority })
    }
}

/// The port that a scheme implies, where we know it.
pub fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Tuple { scheme, authority } => write!(f, "{scheme}://{authority}"),
        }
    }
}

impl fmt::Display for NotAnOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an origin: scheme://host or scheme://host:port")
    }
}

impl std::error::Error for NotAnOrigin {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let parsed = Origin::parse(text).ok().map(|o| o.to_string());
        assert_eq!(parsed.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn one_canonical_form() {
        check("https://a.com", Some("https://a.com"));
        check("HTTPS://A.com", Some("https://a.com"));
        check("https://a.com:443", Some("https://a.com"));
        check("http://a.com:80", Some("http://a.com"));
        check("https://a.com:80", Some("https://a.com:80"));
        check("https://a.com.", Some("https://a.com"));
        check("http://[::1]:8080", Some("http://[::1]:8080"));
        check("null", Some("null"));
        check(
            "chrome-extension://abcdef",
            Some("chrome-extension://abcdef"),
        );
    }

    #[test]
    fn what_is_no_origin() {
        for text in [
            "",
            "NULL",
            "a.com",
            "https://",
            "https://a.com/",
            "https://a.com@evil.com",
            "https://a.com https://b.com",
            "https://a.com,https://b.com",
            "https://eviл-a.com",
            "https//a.com",
            "://a.com",
            "1http://a.com",
            "https://a.com?x",
            "https://a.com#x",
            "https://a.com:",
            "https://*.a.com",
            "https://a.com\r\n",
        ] {
            check(text, None);
        }
        check(&format!("https://{}.com", "a.".repeat(4096)), None);
    }
}
