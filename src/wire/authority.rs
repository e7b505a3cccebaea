//! `host[:port]`, as in `Host`, a request target and an Origin (RFC 3986 §3.2, RFC 9110 §7.2).
//!
//! One parse, one canonical form: routing, the Origin check and the log all compare what is made
//! here. Names are ASCII; an internationalised name comes as its A-label.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest DNS name in text form (RFC 1035 §2.3.4).
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// A host: a name in lower case without a trailing dot, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name, lower case.
    Name(String),
    /// An IPv4 or IPv6 literal.
    Ip(IpAddr),
}

/// A host and, where it was written, a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Authority {
    /// The host.
    pub host: Host,
    /// The port as written; `None` means the scheme's default.
    pub port: Option<u16>,
}

/// The text is not a `host[:port]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAuthority;

impl Host {
    /// Parses a name, an IPv4 literal or a bracketed IPv6 literal.
    pub fn parse(text: &str) -> Result<Self, NotAnAuthority> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(NotAnAuthority)?;
            let ip: Ipv6Addr = inner.parse().map_err(|_| NotAnAuthority)?;
            return Ok(Self::Ip(ip.into()));
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Ip(ip.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if !is_name(name) {
            return Err(NotAnAuthority);
        }
        Ok(Self::Name(name.to_ascii_lowercase()))
    }

    /// The name, where the host is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Ip(_) => None,
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_BYTES_MAX
            // The underscore is no host name's (RFC 952), but containers and services carry it.
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    // A name that ends in a number would be read as an IPv4 address by a browser (WHATWG URL
    // §3.5: `0x7f.1`, `2130706433`), so it must not pass for a name here.
    let ends_in_number = || {
        let last = name.rsplit('.').next().unwrap_or(name);
        let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
        last.bytes().all(|b| b.is_ascii_digit())
            || hex.is_some_and(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label) && !ends_in_number()
}

impl Authority {
    /// Parses `host`, `host:port`, `[v6]` or `[v6]:port`. No user information, no empty port, no
    /// white space; port 0 is no port.
    pub fn parse(text: &str) -> Result<Self, NotAnAuthority> {
        let (host, port) = match text.rfind(':') {
            Some(colon) if !text[colon..].contains(']') => {
                (&text[..colon], Some(&text[colon + 1..]))
            }
            _ => (text, None),
        };
        Ok(Self {
            host: Host::parse(host)?,
            port: port.map(parse_port).transpose()?,
        })
    }

    /// The port, or `default` where none was written.
    pub fn port_or(&self, default: u16) -> u16 {
        self.port.unwrap_or(default)
    }
}

fn parse_port(text: &str) -> Result<u16, NotAnAuthority> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NotAnAuthority);
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(NotAnAuthority),
        Ok(port) => Ok(port),
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => self.host.fmt(f),
        }
    }
}

impl fmt::Display for NotAnAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a host, or a host and a port")
    }
}

impl std::error::Error for NotAnAuthority {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let parsed = Authority::parse(text).ok().map(|a| a.to_string());
        assert_eq!(parsed.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn one_canonical_form() {
        check("chat.example.com", Some("chat.example.com"));
        check("Chat.EXAMPLE.com:8443", Some("chat.example.com:8443"));
        check("chat.example.com.", Some("chat.example.com"));
        check("10.0.0.1:80", Some("10.0.0.1:80"));
        check("[2001:DB8::1]:443", Some("[2001:db8::1]:443"));
        check("[::1]", Some("[::1]"));
        check("my_service:9000", Some("my_service:9000"));
        check("xn--bcher-kva.example", Some("xn--bcher-kva.example"));
    }

    #[test]
    fn what_is_no_authority() {
        for text in [
            "",
            ":80",
            "host:",
            "host:0",
            "host:65536",
            "host:+80",
            "host: 80",
            "a b",
            "a,b",
            "user@host",
            "host/path",
            "host?q",
            "host#f",
            "host\\x",
            "::1",
            "[::1",
            "::1]",
            "[host]",
            "[127.0.0.1]",
            "[::1]x",
            "[::1%25eth0]",
            "a..b",
            ".a",
            "bücher.example",
            "0x7f.1",
            "2130706433",
            "127.1",
            "1.2.3.256",
            "host:80:90",
            "a\0b",
            "*",
        ] {
            check(text, None);
        }
        check(&"a".repeat(64), None);
        check(&"a.".repeat(127).repeat(2), None);
    }
}
