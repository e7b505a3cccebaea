//! The bytes of a CONNECT request, built so that no value can end its own line.
//!
//! Knows no credentials: an authorization is one more value to it, but one it never prints.

use std::fmt;

use zeroize::Zeroizing;

use crate::wire::authority::Host;

/// A CONNECT request in the making.
pub struct Request {
    /// Wiped when dropped: it may hold an authorization.
    head: Zeroizing<Vec<u8>>,
}

/// A value that would not stay on its line, or in its place on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsendable {
    /// The host holds something that no host has.
    Target,
    /// The value of the named header holds CR, LF, NUL or another control character.
    Header(&'static str),
}

/// What is asked for, in every version of HTTP: host and port, and nothing else in between.
pub fn target(host: &Host, port: u16) -> Result<String, Unsendable> {
    let target = format!("{host}:{port}");
    match target.bytes().all(belongs_to_authority) {
        true => Ok(target),
        false => Err(Unsendable::Target),
    }
}

impl Request {
    /// A request for a tunnel to `host`, which the proxy resolves. The port is always written,
    /// here and in `Host` (RFC 9112 §3.2.3).
    pub fn to(host: &Host, port: u16) -> Result<Self, Unsendable> {
        let target = target(host, port)?;
        let mut head = Zeroizing::new(Vec::with_capacity(512));
        head.extend_from_slice(b"CONNECT ");
        head.extend_from_slice(target.as_bytes());
        head.extend_from_slice(b" HTTP/1.1\r\n");
        Self { head }.header("Host", &target)
    }

    /// Adds a header line.
    pub fn header(mut self, name: &'static str, value: &str) -> Result<Self, Unsendable> {
        // Controls but for the tab, which RFC 9110 §5.5 allows and nothing of ours needs.
        if value.bytes().any(|b| b.is_ascii_control()) {
            return Err(Unsendable::Header(name));
        }
        for part in [name, ": ", value, "\r\n"] {
            self.head.extend_from_slice(part.as_bytes());
        }
        Ok(self)
    }

    /// The finished bytes.
    pub fn finish(mut self) -> Zeroizing<Vec<u8>> {
        self.head.extend_from_slice(b"\r\n");
        self.head
    }
}

// What remains of the authority's characters (RFC 3986 §3.2) once user information is no part of
// it: no space, no `@`, no `/`, no `?`, no `#`, nothing outside ASCII.
fn belongs_to_authority(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte)
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target => f.write_str("the target is not a host and a port"),
            Self::Header(name) => write!(f, "the value of {name} would break its line"),
        }
    }
}

impl std::error::Error for Unsendable {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: Host, port: u16, expected: &str) {
        let bytes = Request::to(&host, port).expect("sendable").finish();
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
    }

    #[test]
    fn the_target_is_always_host_and_port() {
        let name = Host::Name("chat.internal".to_owned());
        check(
            name,
            443,
            "CONNECT chat.internal:443 HTTP/1.1\r\nHost: chat.internal:443\r\n\r\n",
        );
        let v6 = Host::parse("[2001:db8::1]").expect("an address");
        check(
            v6,
            80,
            "CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n",
        );
    }

    #[test]
    fn nothing_gets_off_its_line() {
        for name in [
            "a b",
            "a\r\nX: y",
            "a\n",
            "a\0",
            "u@a",
            "a/b",
            "a?b",
            "a#b",
            "\u{e9}",
        ] {
            let refused = Request::to(&Host::Name(name.to_owned()), 80).err();
            assert_eq!(refused, Some(Unsendable::Target), "{name:?}");
        }
        for value in ["a\rb", "a\nb", "a\r\nX: y", "a\0b", "a\x1bb"] {
            let request = Request::to(&Host::Name("a".to_owned()), 80).expect("sendable");
            let refused = request.header("User-Agent", value).err();
            assert_eq!(refused, Some(Unsendable::Header("User-Agent")), "{value:?}");
        }
    }
}
