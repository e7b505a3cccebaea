//! Which pages may open a WebSocket here: the defence against cross-site hijacking
//! (RFC 6455 §10.2).
//!
//! Exact comparison of scheme, host and port after one parse. There is no substring, no suffix
//! without its dot and no regular expression to get wrong.

use crate::wire::authority::{Authority, Host};
use crate::wire::origin::{NotAnOrigin, Origin, default_port};

/// What a route asks of the `Origin` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// The page's scheme, host and port are those of the request.
    Same,
    /// Every page, and pages without an origin of their own. Must be written out.
    Any,
    /// One of these.
    Listed {
        /// The allowed origins.
        patterns: Vec<OriginPattern>,
        /// Answer the 101 with `Access-Control-Allow-Origin` and `-Allow-Credentials`.
        expose: bool,
    },
}

/// What a route does with a request that carries no `Origin`: every browser sends one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingOrigin {
    /// Let clients that are not browsers in.
    #[default]
    Allow,
    /// Refuse them.
    Deny,
}

/// One entry of an origins list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginPattern {
    /// `null`, when it is listed as such.
    Null,
    /// `https://chat.example.com[:port]`.
    Exact(Origin),
    /// `https://*.example.com[:port]`: exactly one label in place of the `*`.
    Wildcard {
        /// Lower case.
        scheme: String,
        /// What follows the `*.`, lower case.
        parent: String,
        /// `None` when it is the scheme's default.
        port: Option<u16>,
    },
}

/// Why an origin was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginDenied {
    /// No `Origin`, and the route wants one.
    Missing,
    /// Not an origin at all.
    Malformed,
    /// An origin, and not one of the allowed.
    NotAllowed(Origin),
}

/// Why an origin was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted<'o> {
    /// There is none, and the route does not mind.
    Without,
    /// The route takes every page.
    Any,
    /// It is that of the request.
    Same,
    /// The first entry of the list that it matches.
    Listed {
        /// The entry.
        pattern: &'o OriginPattern,
        /// The origin to expose on the 101, where the route wants that.
        expose: Option<Origin>,
    },
}

impl OriginPattern {
    /// Parses one entry of a list.
    pub fn parse(text: &str) -> Result<Self, NotAnOrigin> {
        let Some((scheme, rest)) = text.split_once("://*.") else {
            return Ok(match Origin::parse(text)? {
                Origin::Null => Self::Null,
                exact @ Origin::Tuple { .. } => Self::Exact(exact),
            });
        };
        // What stands behind the star must be an origin of its own, and a name.
        let Origin::Tuple { scheme, authority } = Origin::parse(&format!("{scheme}://{rest}"))?
        else {
            return Err(NotAnOrigin);
        };
        let Host::Name(parent) = authority.host else {
            return Err(NotAnOrigin);
        };
        Ok(Self::Wildcard {
            scheme,
            parent,
            port: authority.port,
        })
    }

    fn matches(&self, origin: &Origin) -> bool {
        match (self, origin) {
            (Self::Null, Origin::Null) => true,
            (Self::Exact(exact), origin) => exact == origin,
            (
                Self::Wildcard {
                    scheme,
                    parent,
                    port,
                },
                Origin::Tuple {
                    scheme: theirs,
                    authority,
                },
            ) => {
                let one_label_above = || {
                    let (_, rest) = authority.host.name()?.split_once('.')?;
                    (rest == parent).then_some(())
                };
                scheme == theirs && *port == authority.port && one_label_above().is_some()
            }
            (Self::Null, Origin::Tuple { .. }) | (Self::Wildcard { .. }, Origin::Null) => false,
        }
    }
}

impl Origins {
    /// Decides on the value of the one `Origin` header. `scheme` (`http` or `https`) and
    /// `authority` are those of the request.
    ///
    /// `Ok` holds the origin to expose on the 101, where the route wants that.
    pub fn decide(
        &self,
        origin: Option<&str>,
        missing: MissingOrigin,
        scheme: &str,
        authority: &Authority,
    ) -> Result<Option<Origin>, OriginDenied> {
        let admitted = self.weigh(origin, missing, scheme, authority)?;
        Ok(match admitted {
            Admitted::Listed { expose, .. } => expose,
            Admitted::Without | Admitted::Any | Admitted::Same => None,
        })
    }

    /// The same, with the reason for a yes.
    pub fn weigh(
        &self,
        origin: Option<&str>,
        missing: MissingOrigin,
        scheme: &str,
        authority: &Authority,
    ) -> Result<Admitted<'_>, OriginDenied> {
        let Some(text) = origin else {
            return match missing {
                MissingOrigin::Allow => Ok(Admitted::Without),
                MissingOrigin::Deny => Err(OriginDenied::Missing),
            };
        };
        if *self == Self::Any {
            return Ok(Admitted::Any);
        }
        let origin = Origin::parse(text).map_err(|NotAnOrigin| OriginDenied::Malformed)?;
        match self {
            Self::Any => Ok(Admitted::Any),
            Self::Same if origin == of_request(scheme, authority) => Ok(Admitted::Same),
            Self::Same => Err(OriginDenied::NotAllowed(origin)),
            Self::Listed { patterns, expose } => {
                match patterns.iter().find(|p| p.matches(&origin)) {
                    None => Err(OriginDenied::NotAllowed(origin)),
                    Some(pattern) => Ok(Admitted::Listed {
                        pattern,
                        expose: expose.then_some(origin),
                    }),
                }
            }
        }
    }
}

impl std::fmt::Display for OriginDenied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("the request has no origin and the route wants one"),
            Self::Malformed => f.write_str("the origin is malformed"),
            Self::NotAllowed(origin) => write!(f, "origin {origin} is not allowed"),
        }
    }
}

impl std::fmt::Display for OriginPattern {
    /// As in the file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Exact(origin) => origin.fmt(f),
            Self::Wildcard {
                scheme,
                parent,
                port,
            } => {
                write!(f, "{scheme}://*.{parent}")?;
                match port {
                    Some(port) => write!(f, ":{port}"),
                    None => Ok(()),
                }
            }
        }
    }
}

fn of_request(scheme: &str, authority: &Authority) -> Origin {
    let port = authority.port.filter(|p| Some(*p) != default_port(scheme));
    Origin::Tuple {
        scheme: scheme.to_owned(),
        authority: Authority {
            host: authority.host.clone(),
            port,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(patterns: &[&str]) -> Origins {
        Origins::Listed {
            patterns: patterns
                .iter()
                .map(|p| OriginPattern::parse(p).unwrap())
                .collect(),
            expose: false,
        }
    }

    fn allows(origins: &Origins, origin: &str) -> bool {
        let authority = Authority::parse("chat.example.com:8443").unwrap();
        origins
            .decide(Some(origin), MissingOrigin::Deny, "https", &authority)
            .is_ok()
    }

    #[test]
    fn exact_origins() {
        let origins = listed(&["https://a.com", "https://b.com:8443", "http://[::1]:3000"]);
        for origin in [
            "https://a.com",
            "https://A.COM",
            "https://a.com:443",
            "https://a.com.",
            "https://b.com:8443",
            "http://[::1]:3000",
        ] {
            assert!(allows(&origins, origin), "{origin}");
        }
        for origin in [
            "http://a.com",
            "https://a.com:444",
            "https://b.com",
            "https://a.com.evil",
            "https://evila.com",
            "https://x.a.com",
            "https://a.com@evil",
            "https://a.com/",
            "null",
            "",
            "https://eviл-a.com",
            "https://xn--a-zlb.com",
        ] {
            assert!(!allows(&origins, origin), "{origin}");
        }
    }

    #[test]
    fn a_wildcard_is_exactly_one_label() {
        let origins = listed(&["https://*.example.com"]);
        assert!(allows(&origins, "https://a.example.com"));
        assert!(allows(&origins, "https://A.Example.com:443"));
        for origin in [
            "https://example.com",
            "https://a.b.example.com",
            "https://evilexample.com",
            "http://a.example.com",
            "https://a.example.com:8443",
            "https://.example.com",
            "null",
        ] {
            assert!(!allows(&origins, origin), "{origin}");
        }
        assert!(allows(&listed(&["http://*.test:81"]), "http://a.test:81"));
        assert!(!allows(&listed(&["http://*.test:81"]), "http://a.test"));
    }

    #[test]
    fn same_is_the_request_own_scheme_host_and_port() {
        assert!(allows(&Origins::Same, "https://chat.example.com:8443"));
        for origin in [
            "https://chat.example.com",
            "http://chat.example.com:8443",
            "https://example.com:8443",
            "null",
        ] {
            assert!(!allows(&Origins::Same, origin), "{origin}");
        }
        let default_port = Authority::parse("a.com:443").unwrap();
        let same = Origins::Same.decide(
            Some("https://a.com"),
            MissingOrigin::Deny,
            "https",
            &default_port,
        );
        assert_eq!(same, Ok(None));
    }

    #[test]
    fn null_only_where_listed_and_any_only_where_written() {
        assert!(allows(&listed(&["null"]), "null"));
        assert!(allows(&Origins::Any, "null"));
        assert!(allows(&Origins::Any, "https://anything.test"));
    }

    #[test]
    fn a_missing_origin_is_its_own_question() {
        let authority = Authority::parse("a.com").unwrap();
        let decide = |missing| Origins::Same.decide(None, missing, "https", &authority);
        assert_eq!(decide(MissingOrigin::Allow), Ok(None));
        assert_eq!(decide(MissingOrigin::Deny), Err(OriginDenied::Missing));
    }

    #[test]
    fn patterns_that_are_none() {
        for text in [
            "",
            "*",
            "https://*",
            "https://*.",
            "https://a.*.com",
            "https://*a.com",
            "a.com",
            "https://a.com/",
            "https://*.10.0.0.1",
        ] {
            assert!(OriginPattern::parse(text).is_err(), "{text}");
        }
    }
}
