//! What somebody speaks, by the first bytes he says: for telling a proxy of the wrong kind from one
//! that talks nonsense.
//!
//! A guess for people, which nothing is decided by. Knows no scheme that was configured.

use std::fmt;

/// A protocol that gives itself away at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// A status line.
    Http,
    /// An alert or a handshake record.
    Tls,
    /// The answer to a greeting.
    Socks5,
    /// A reply to a request.
    Socks4,
}

impl Speaks {
    /// What `bytes` begin like; a beginning that is cut short counts for what it begins.
    pub fn by(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [] => None,
            // RFC 8446 §5.1: ContentType alert or handshake, then a legacy version of 3.x.
            [0x15 | 0x16] | [0x15 | 0x16, 0x03, ..] => Some(Self::Tls),
            // RFC 1928 §3: VER.
            [0x05, ..] => Some(Self::Socks5),
            // SOCKS4: VN is 0 in a reply, CD is 90 to 93.
            [0x00, 90..=93, ..] => Some(Self::Socks4),
            _ => begins_http(bytes).then_some(Self::Http),
        }
    }
}

fn begins_http(bytes: &[u8]) -> bool {
    let mut pairs = bytes.iter().zip(b"HTTP/");
    pairs.all(|(byte, expected)| byte == expected)
}

impl fmt::Display for Speaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::Tls => "TLS",
            Self::Socks5 => "SOCKS5",
            Self::Socks4 => "SOCKS4",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_is_known_by_its_first_bytes() {
        let check = |bytes: &[u8], expected| {
            assert_eq!(Speaks::by(bytes), expected, "{}", bytes.escape_ascii());
        };
        check(b"", None);
        check(b"HTTP/1.1 400 Bad Request\r\n", Some(Speaks::Http));
        check(b"H", Some(Speaks::Http));
        check(b"HELO", None);
        check(b"\x15\x03\x03\0\x02\x02\x46", Some(Speaks::Tls));
        check(b"\x16\x03\x01", Some(Speaks::Tls));
        check(b"\x15", Some(Speaks::Tls));
        check(b"\x15\x00", None);
        check(b"\x05\xff", Some(Speaks::Socks5));
        check(b"\x05", Some(Speaks::Socks5));
        check(b"\0\x5b\0\0\0\0\0\0", Some(Speaks::Socks4));
        check(b"\0", None);
        check(b"SSH-2.0-x\r\n", None);
    }
}
