//! Which route a request takes: the most specific one that matches.
//!
//! In this order, the first difference decides:
//! 1. host: exact before wildcard before any; of two wildcards the one with more labels;
//! 2. path: exact before prefix; of two prefixes the longer;
//! 3. subprotocols: a route that asks for some before one that does not;
//! 4. the order in the file.

use std::cmp::Reverse;
use std::fmt;

use http::{HeaderName, HeaderValue};

use super::clients::SharedClients;
use super::limits::{Frames, Ping, Records, SessionLimits};
use super::offers::Offers;
use super::origin::{MissingOrigin, Origins};
use super::rate::Rates;
use crate::wire::authority::Host;

/// A route as the configuration gives it.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its name in the file and in every record.
    pub name: String,
    /// The listeners it serves; `None`: all.
    pub listeners: Option<Vec<String>>,
    /// The hosts it serves.
    pub host: HostPattern,
    /// The paths it serves.
    pub path: PathPattern,
    /// Where not empty, the client must offer at least one of these.
    pub subprotocols: Vec<String>,
    /// Which pages may use it.
    pub origins: Origins,
    /// And what to do without an `Origin`.
    pub missing_origin: MissingOrigin,
    /// Index of its backend in the plan.
    pub backend: usize,
    /// What of a client's offers goes on.
    pub offers: Offers,
    /// How closely the frames of its sessions are looked at.
    pub frames: Frames,
    /// What ends its sessions.
    pub limits: SessionLimits,
    /// How fast its clients may talk.
    pub rates: Rates,
    /// Those who talk, where all of a client's sessions are limited together.
    pub clients: Option<SharedClients>,
    /// When its clients are asked for a sign of life.
    pub ping: Ping,
    /// Which records its sessions leave while they run.
    pub records: Records,
    /// How its requests change on the way.
    pub rewrite: Rewrite,
}

/// What a route changes in the request it passes on.
#[derive(Debug, Clone)]
pub struct Rewrite {
    /// Taken from the front of the path, at a segment boundary: `/ws` makes `/` of `/ws` and
    /// `/a` of `/ws/a`, and leaves `/wsx` alone.
    pub strip_prefix: Option<String>,
    /// Set on the request, replacing what the client sent.
    pub set_headers: Vec<(HeaderName, HeaderValue)>,
    /// Taken out of the request.
    pub remove_headers: Vec<HeaderName>,
    /// The backend sees the client's `Host`; otherwise the server's own from its URL.
    pub preserve_host: bool,
}

impl Default for Rewrite {
    fn default() -> Self {
        Self {
            strip_prefix: None,
            set_headers: Vec::new(),
            remove_headers: Vec::new(),
            preserve_host: true,
        }
    }
}

/// A host to match; the port plays no part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// Every host.
    Any,
    /// This one.
    Exact(Host),
    /// `*.example.com`: exactly one label in place of the `*`. Holds what follows the `*.`.
    Wildcard(String),
}

/// A path to match, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPattern {
    /// This one.
    Exact(String),
    /// Everything that begins with this, which ends in `/`: `/ws/*` is `Prefix("/ws/")`.
    Prefix(String),
}

/// What of a request keeps a route from taking it: the first of these that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// It came in by a listener that the route does not serve.
    Listener,
    /// It is for another host.
    Host,
    /// It is for another path.
    Path,
    /// It offers none of the subprotocols that the route wants one of.
    Subprotocols,
}

impl HostPattern {
    fn matches(&self, host: &Host) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact == host,
            Self::Wildcard(parent) => host
                .name()
                .and_then(|name| name.split_once('.'))
                .is_some_and(|(_, rest)| rest == parent),
        }
    }

    pub(super) fn rank(&self) -> (u8, usize) {
        match self {
            Self::Exact(_) => (2, 0),
            Self::Wildcard(parent) => (1, parent.split('.').count()),
            Self::Any => (0, 0),
        }
    }
}

impl PathPattern {
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == path,
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
        }
    }

    pub(super) fn rank(&self) -> (u8, usize) {
        match self {
            Self::Exact(_) => (1, 0),
            Self::Prefix(prefix) => (0, prefix.len()),
        }
    }
}

impl Route {
    fn matches(&self, listener: &str, host: &Host, path: &str, offered: &[String]) -> bool {
        self.mismatch(listener, host, path, offered).is_none()
    }

    /// What keeps the route from taking a request, if anything does.
    pub(super) fn mismatch(
        &self,
        listener: &str,
        host: &Host,
        path: &str,
        offered: &[String],
    ) -> Option<Mismatch> {
        let listens_there = match &self.listeners {
            None => true,
            Some(names) => names.iter().any(|n| n == listener),
        };
        if !listens_there {
            return Some(Mismatch::Listener);
        }
        if !self.host.matches(host) {
            return Some(Mismatch::Host);
        }
        if !self.path.matches(path) {
            return Some(Mismatch::Path);
        }
        let is_offered = |wanted: &String| offered.contains(wanted);
        let has_one = self.subprotocols.is_empty() || self.subprotocols.iter().any(is_offered);
        (!has_one).then_some(Mismatch::Subprotocols)
    }
}

/// All routes, the most specific first.
#[derive(Debug, Default)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// Sorts once, so that a request takes the first that matches.
    pub fn new(mut routes: Vec<Route>) -> Self {
        routes.sort_by_key(|r| Reverse((r.host.rank(), r.path.rank(), !r.subprotocols.is_empty())));
        Self(routes)
    }

    /// The route for a request, if any.
    pub fn find(
        &self,
        listener: &str,
        host: &Host,
        path: &str,
        offered: &[String],
    ) -> Option<&Route> {
        self.0
            .iter()
            .find(|r| r.matches(listener, host, path, offered))
    }

    /// In the order in which they are tried.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter()
    }
}

impl fmt::Display for HostPattern {
    /// As in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(host) => host.fmt(f),
            Self::Wildcard(parent) => write!(f, "*.{parent}"),
        }
    }
}

impl fmt::Display for PathPattern {
    /// As in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::policy) fn route(
        name: &str,
        host: &str,
        path: &str,
        subprotocols: &[&str],
    ) -> Route {
        Route {
            name: name.to_owned(),
            listeners: None,
            host: match (host, host.strip_prefix("*.")) {
                ("*", _) => HostPattern::Any,
                (_, Some(parent)) => HostPattern::Wildcard(parent.to_owned()),
                (exact, None) => HostPattern::Exact(Host::parse(exact).unwrap()),
            },
            path: match path.strip_suffix('*') {
                Some(prefix) => PathPattern::Prefix(prefix.to_owned()),
                None => PathPattern::Exact(path.to_owned()),
            },
            subprotocols: subprotocols.iter().map(|&s| s.to_owned()).collect(),
            origins: Origins::Same,
            missing_origin: MissingOrigin::Allow,
            backend: 0,
            offers: Offers::default(),
            frames: Frames::Observe,
            limits: SessionLimits {
                idle: None,
                session: None,
                frame_bytes: None,
                message_bytes: None,
            },
            rates: Rates::default(),
            clients: None,
            ping: Ping::Off,
            records: Records::default(),
            rewrite: Rewrite::default(),
        }
    }

    fn find(routes: &Routes, host: &str, path: &str, offered: &[&str]) -> Option<String> {
        let offered: Vec<String> = offered.iter().map(|&s| s.to_owned()).collect();
        let host = Host::parse(host).unwrap();
        routes
            .find("public", &host, path, &offered)
            .map(|r| r.name.clone())
    }

    #[test]
    fn the_most_specific_route_wins_whatever_the_order_in_the_file() {
        let mut file = vec![
            route("any", "*", "/*", &[]),
            route("any-exact-path", "*", "/a/b", &[]),
            route("wild", "*.example.com", "/*", &[]),
            route("wild-deep", "*.eu.example.com", "/*", &[]),
            route("exact", "chat.example.com", "/*", &[]),
            route("prefix", "chat.example.com", "/a/*", &[]),
            route("longer-prefix", "chat.example.com", "/a/b/*", &[]),
            route("path", "chat.example.com", "/a/b", &[]),
            route("path-v2", "chat.example.com", "/a/b", &["chat.v2"]),
        ];
        let table: &[(&str, &str, &[&str], &str)] = &[
            ("other.test", "/", &[], "any"),
            ("other.test", "/a/b", &[], "any-exact-path"),
            ("10.0.0.1", "/x", &[], "any"),
            ("x.example.com", "/a/b", &[], "wild"),
            ("x.y.example.com", "/", &[], "any"),
            ("example.com", "/", &[], "any"),
            ("x.eu.example.com", "/", &[], "wild-deep"),
            ("chat.example.com", "/", &[], "exact"),
            ("chat.example.com", "/ab", &[], "exact"),
            ("chat.example.com", "/a", &[], "exact"),
            ("chat.example.com", "/a/", &[], "prefix"),
            ("chat.example.com", "/a/c", &[], "prefix"),
            ("chat.example.com", "/a/b/c", &[], "longer-prefix"),
            ("chat.example.com", "/a/b", &[], "path"),
            ("chat.example.com", "/a/b", &["chat.v1"], "path"),
            (
                "chat.example.com",
                "/a/b",
                &["chat.v1", "chat.v2"],
                "path-v2",
            ),
            ("chat.example.com", "/A/B", &[], "exact"),
        ];
        for _ in 0..2 {
            let routes = Routes::new(file.clone());
            for (host, path, offered, expected) in table {
                let found = find(&routes, host, path, offered);
                assert_eq!(
                    found.as_deref(),
                    Some(*expected),
                    "{host}{path} {offered:?}"
                );
            }
            file.reverse();
        }
    }

    #[test]
    fn of_equals_the_first_in_the_file_wins() {
        let routes = Routes::new(vec![
            route("one", "*", "/*", &["a"]),
            route("two", "*", "/*", &["b"]),
        ]);
        assert_eq!(
            find(&routes, "x.test", "/", &["b", "a"]).as_deref(),
            Some("one")
        );
    }

    #[test]
    fn a_route_serves_its_listeners_only() {
        let mut inside = route("inside", "*", "/*", &[]);
        inside.listeners = Some(vec!["internal".to_owned()]);
        assert_eq!(
            find(&Routes::new(vec![inside.clone()]), "x.test", "/", &[]),
            None
        );
        inside.listeners = Some(vec!["internal".to_owned(), "public".to_owned()]);
        assert!(find(&Routes::new(vec![inside]), "x.test", "/", &[]).is_some());
    }
}
