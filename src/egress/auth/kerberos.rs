//! What Negotiate needs of Kerberos: a service's name, and someone who makes tokens for it.
//!
//! Knows neither tickets nor where they come from: that is the [`Mechanism`]'s, the system's or a
//! test's.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::wire::authority::Host;

/// Tokens being made at once in one name. They are made in no time, or wait for the same KDC.
const AT_ONCE_MAX: usize = 4;

/// Makes tokens for one identity. Every call may wait for a key distribution centre, and blocks its
/// thread meanwhile.
pub trait Mechanism: fmt::Debug + Send + Sync {
    /// A new context towards `service`, as in `HTTP/proxy.corp.example`, whose tokens are good in
    /// the channel with this binding alone (RFC 5056), if there is one. Says nothing yet.
    fn begin(&self, service: &str, binding: Option<&[u8]>) -> Result<Box<dyn Exchange>, NoToken>;

    /// Where the file says that its keys are, for people.
    fn keys(&self) -> Option<String> {
        None
    }
}

/// One security context, from our side.
pub trait Exchange: fmt::Debug + Send {
    /// What to say next, after the other side has said `heard`; empty if nothing is left.
    fn step(&mut self, heard: Option<&[u8]>) -> Result<Vec<u8>, NoToken>;
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoToken {
    /// What it is for lack of.
    pub lack: Lack,
    /// In words that fit on a line.
    pub why: String,
}

/// What a token is not made for lack of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// A ticket that has not ended, of the user.
    Ticket,
    /// A key of the user in the keytab.
    Key,
    /// The right password.
    Password,
    /// A user whom the KDC knows.
    User,
    /// A service that the KDC knows.
    Service,
    /// A KDC that answers.
    Kdc,
    /// A clock that is right.
    Clock,
    /// Something else.
    Other,
}

/// How a proxy is told by Kerberos.
#[derive(Debug, Clone)]
pub struct Kerberos {
    /// The proxy's service principal, where it is not made of the proxy's host.
    pub spn: Option<String>,
    /// The user's realm, where the file names it; else the system has a default.
    pub realm: Option<String>,
    /// Whose tokens.
    pub mechanism: Arc<dyn Mechanism>,
    /// Places for those that are being made.
    pub(super) places: Arc<Semaphore>,
}

impl Kerberos {
    /// By the tokens of `mechanism`, for the proxy's `spn` or for its host in `realm`.
    pub fn by(mechanism: Arc<dyn Mechanism>, spn: Option<String>, realm: Option<String>) -> Self {
        Self {
            spn,
            realm,
            mechanism,
            places: Arc::new(Semaphore::new(AT_ONCE_MAX)),
        }
    }

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
        f.write_str(&self.why)
    }
}
