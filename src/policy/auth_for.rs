//! Which proxies may be told credentials, where somebody else names the proxies.
//!
//! Stricter than `no_proxy`: a name is that name alone. Knows no credentials.

use crate::wire::authority::{Authority, Host};

/// A list of proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthFor(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    host: Named,
    /// `None`: any.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    Exactly(Host),
    /// Any name below this one, which has no dot in front.
    Below(String),
}

impl AuthFor {
    /// Adds `host`, `host:port`, `.suffix` or `.suffix:port`. `false` where it is none.
    pub fn add(&mut self, text: &str) -> bool {
        let (is_suffix, rest) = match text.strip_prefix('.') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let Ok(Authority { host, port }) = Authority::parse(rest) else {
            return false;
        };
        let host = match (is_suffix, host) {
            (false, host) => Named::Exactly(host),
            (true, Host::Name(name)) => Named::Below(name),
            (true, Host::Ip(_)) => return false,
        };
        self.0.push(Entry { host, port });
        true
    }

    /// Whether the proxy at `host:port` may be told.
    pub fn holds(&self, host: &Host, port: u16) -> bool {
        let is = |entry: &Entry| entry.host.is(host) && entry.port.is_none_or(|p| p == port);
        self.0.iter().any(is)
    }
}

impl Named {
    fn is(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exactly(named), host) => named == host,
            (Self::Below(parent), Host::Name(name)) => name
                .strip_suffix(parent.as_str())
                .is_some_and(|rest| rest.ends_with('.') && rest.len() > 1),
            (Self::Below(_), Host::Ip(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entry: &str, proxy: &str, expected: bool) {
        let mut list = AuthFor::default();
        assert!(list.add(entry), "{entry}");
        let proxy = Authority::parse(proxy).expect("an authority");
        let holds = list.holds(&proxy.host, proxy.port.unwrap_or(80));
        assert_eq!(holds, expected, "{entry} {proxy}");
    }

    #[test]
    fn a_name_is_that_name_and_a_suffix_what_is_below_it() {
        check("proxy.corp.example", "proxy.corp.example:3128", true);
        check("Proxy.corp.example", "proxy.CORP.example:3128", true);
        check("proxy.corp.example:3128", "proxy.corp.example:3128", true);
        check("proxy.corp.example:3128", "proxy.corp.example:3129", false);
        check("proxy.corp.example", "a.proxy.corp.example", false);
        check("proxy.corp.example", "xproxy.corp.example", false);
        check(".corp.example", "proxy.corp.example:1", true);
        check(".corp.example", "a.b.corp.example:1", true);
        check(".corp.example:3128", "proxy.corp.example:1", false);
        check(".corp.example", "corp.example", false);
        check(".corp.example", "evilcorp.example", false);
        check(".corp.example", "corp.example.evil.test", false);
        check("10.0.0.1", "10.0.0.1:1", true);
        check("10.0.0.1", "10.0.0.11:1", false);
        check(".0.0.1.example", "10.0.0.1:1", false);
        check("[::1]:8080", "[::1]:8080", true);
    }

    #[test]
    fn what_is_no_host_is_none() {
        for text in [
            "",
            ".",
            "*",
            "a:0",
            "a b",
            ".10.0.0.1",
            "http://a",
            "..a",
            "u@a",
        ] {
            assert!(!AuthFor::default().add(text), "{text}");
        }
    }
}
