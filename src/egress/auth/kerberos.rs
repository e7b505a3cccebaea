//! What Negotiate needs of Kerberos: a service's name, and someone who makes tokens for it.
//!
//! Knows neither tickets nor where they come from: that is the [`Mechanism`]'s, the system's or a
//! test's.

use std::fmt;
use std::sync::Arc;

use crate::wire::authority::Host;

/// Makes tokens for one identity. Every call may wait for a key distribution centre, and blocks its
/// thread meanwhile.
pub trait Mechanism: fmt::Debug + Send + Sync {
    /// A new context towards `service`, as in `HTTP/proxy.corp.example`. Says nothing yet.
    fn begin(&self, service: &str) -> Result<Box<dyn Exchange>, NoToken>;
}

/// One security context, from our side.
pub trait Exchange: fmt::Debug + Send {
    /// What to say next, after the other side has said `heard`; empty if nothing is left.
    fn step(&mut self, heard: Option<&[u8]>) -> Result<Vec<u8>, NoToken>;
}

/// Why there is no token, in words that fit on a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoToken(pub String);

/// How a proxy is told by Kerberos.
#[derive(Debug, Clone)]
pub struct Kerberos {
    /// The proxy's service principal, where it is not made of the proxy's host.
    pub spn: Option<String>,
    /// The user's realm, where the file names it; else the system has a default.
    pub realm: Option<String>,
    /// Whose tokens.
    pub mechanism: Arc<dyn Mechanism>,
}

impl Kerberos {
    /// The principal of `proxy`: its host as configured, whatever DNS says of it.
    pub(super) fn service(&self, proxy: &Host) -> String {
        match (&self.spn, &self.realm) {
            (Some(spn), _) => spn.clone(),
            (None, Some(realm)) => format!("HTTP/{proxy}@{realm}"),
            (None, None) => format!("HTTP/{proxy}"),
        }
    }
}

impl fmt::Display for NoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
