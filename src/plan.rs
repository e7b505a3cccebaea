//! The plan: everything a configuration means, and no trace of the file it came from.
//!
//! Immutable and shared by `Arc`: a session holds one from accept to end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::policy::drain::Drain;
use crate::policy::route::Routes;
use crate::{egress, front, listen, observe};

/// More threads than any machine of the day has cores.
pub const THREADS_MAX: usize = 1024;

/// The sum of the rooms' parameters.
#[derive(Debug)]
pub struct Plan {
    /// The listeners, in file order.
    pub listeners: Vec<Arc<listen::Params>>,
    /// What the certificates of the TLS listeners say, in file order.
    pub certificates: Vec<CertificateFacts>,
    /// The routes, the most specific first.
    pub routes: Routes,
    /// The backends, which routes name by index.
    pub backends: Vec<egress::Backend>,
    /// How many threads serve sessions; `None`: one for each core that the process may use.
    pub threads: Option<usize>,
    /// The limits of the whole process.
    pub limits: Limits,
    /// How running sessions are ended after a signal to stop.
    pub drain: Drain,
    /// Whether a 502 or a 504 says in `Proxy-Status` (RFC 9209) what kind of failure it was.
    pub proxy_status: bool,
    /// The log.
    pub log: observe::log::Params,
    /// A page to show at `/`; no configuration file asks for one.
    pub page: Option<front::Page>,
}

/// A certificate as people ask about it; the chain and its key are with the listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The host patterns it is served for.
    pub hosts: Vec<String>,
    /// When it expires.
    pub not_after: SystemTime,
}

/// Limits that hold for the process rather than for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at once, whatever they are doing.
    pub connections: usize,
    /// For the TLS handshake, and again for the request head.
    pub handshake: Duration,
    /// Longest request head, from the method to the empty line.
    pub head_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 50_000,
            handshake: Duration::from_secs(10),
            head_bytes_max: 16 * 1024,
        }
    }
}
