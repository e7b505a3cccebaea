//! The URLs of servers and proxies: a scheme, a host, a port, and for a server a path.
//!
//! Knows no defaults and no schemes; each caller says which it takes.

use crate::wire::authority::{Authority, Host};

/// A URL, cut into its parts.
pub(super) struct Url<'a> {
    /// As it was written, in lower case.
    pub(super) scheme: String,
    /// What follows the scheme and its colon.
    pub(super) rest: &'a str,
}

/// What follows `scheme://`.
pub(super) struct Target<'a> {
    pub(super) host: Host,
    pub(super) port: Option<u16>,
    /// Empty, or with its leading slash.
    pub(super) path: &'a str,
}

/// Why a URL is none that we take.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotAUrl {
    Userinfo,
    Query,
    Host,
}

impl<'a> Url<'a> {
    /// `None` without a scheme: `localhost:9000` has a port, not a scheme.
    pub(super) fn split(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let is_scheme = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) || !rest.starts_with('/') {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        Some(Self { scheme, rest })
    }

    pub(super) fn target(&self) -> Result<Target<'a>, NotAUrl> {
        let rest = self.rest.strip_prefix("//").ok_or(NotAUrl::Host)?;
        // Anything before an `@` may be a password with any character in it.
        if rest.contains('@') {
            return Err(NotAUrl::Userinfo);
        }
        if rest.contains(['?', '#']) {
            return Err(NotAUrl::Query);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let authority = Authority::parse(authority).map_err(|_| NotAUrl::Host)?;
        Ok(Target {
            host: authority.host,
            port: authority.port,
            path,
        })
    }
}

impl NotAUrl {
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Userinfo => "it holds a user or a password",
            Self::Query => "it holds a query or a fragment",
            Self::Host => "it holds no valid host and port",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Result<&str, NotAUrl>>) {
        let parsed = Url::split(text).map(|url| {
            let target = url.target()?;
            let port = target.port.map_or(String::new(), |p| format!(" {p}"));
            Ok(format!(
                "{} {}{port} {}",
                url.scheme, target.host, target.path
            ))
        });
        assert_eq!(parsed, expected.map(|r| r.map(str::to_owned)), "{text:?}");
    }

    #[test]
    fn a_url_falls_into_its_parts() {
        check("ws://a.test", Some(Ok("ws a.test ")));
        check("WSS://A.test:9000/b/c/", Some(Ok("wss a.test 9000 /b/c/")));
        check("http://[::1]:3128/", Some(Ok("http [::1] 3128 /")));
        check("ws://u:p@a.test", Some(Err(NotAUrl::Userinfo)));
        check("ws://u:p/w@a.test", Some(Err(NotAUrl::Userinfo)));
        check("ws://a.test/?q", Some(Err(NotAUrl::Query)));
        check("ws://a.test#f", Some(Err(NotAUrl::Query)));
        check("ws://", Some(Err(NotAUrl::Host)));
        check("ws:/a.test", Some(Err(NotAUrl::Host)));
        check("ws://a.test:0", Some(Err(NotAUrl::Host)));
        check("ws://a b", Some(Err(NotAUrl::Host)));
        check("localhost:9000", None);
        check("a.test", None);
        check("://a", None);
        check("", None);
    }
}
