//! A way out that depends on a server's scheme, as the environment's variables have it.
//!
//! Knows what was found and where; the looking was somebody else's.

use std::fmt;
use std::sync::Arc;

use super::params::Egress;

/// One proxy for `ws://` servers and one for `wss://` servers; `None`: straight.
#[derive(Debug)]
pub struct ByScheme {
    /// For `ws://`.
    pub ws: Option<Found>,
    /// For `wss://`.
    pub wss: Option<Found>,
}

/// An egress that no section of the file describes.
#[derive(Debug)]
pub struct Found {
    /// Where it was found: the name of a variable, or whose settings.
    pub source: &'static str,
    /// The egress itself.
    pub egress: Arc<Egress>,
}

impl ByScheme {
    /// Whether there is a proxy for either.
    pub fn names_any(&self) -> bool {
        self.ws.is_some() || self.wss.is_some()
    }

    /// The one for a server, by whether it speaks TLS.
    pub(super) fn egress(&self, is_tls: bool) -> Option<&Egress> {
        let found = if is_tls { &self.wss } else { &self.ws };
        found.as_ref().map(|found| found.egress.as_ref())
    }
}

impl fmt::Display for Found {
    /// The hops and where they were found, without what the proxies are told.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for hop in &self.egress.hops {
            write!(f, "{hop} ")?;
        }
        write!(f, "from {}", self.source)
    }
}
