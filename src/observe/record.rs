//! One record for each request that got no session, and what all records say of a request.
//!
//! Every text from outside is written as a quoted, escaped string, so that an event is one line
//! whatever a client puts into its path. The query is left out: tokens live there.

use std::net::IpAddr;
use std::time::Duration;

/// Who asked for what: the part that a refusal and a session share.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<Text = String> {
    /// The listener.
    pub listener: Text,
    /// The client's address, once trusted proxies were listened to.
    pub client: Option<IpAddr>,
    /// The authority asked for.
    pub host: Text,
    /// The path without its query.
    pub path: Text,
    /// The page's origin; empty without one.
    pub origin: Text,
    /// The route; empty until there is one.
    pub route: Text,
    /// The backend; empty until there is one.
    pub backend: Text,
}

/// Where a session went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Way<Text = String> {
    /// The backend server's URL.
    pub server: Text,
    /// The egress, or `direct`.
    pub egress: Text,
    /// Whether its tunnel was open before the request came.
    pub warm: bool,
    /// The subprotocol agreed on; empty without one.
    pub subprotocol: Text,
}

/// Why a request was refused, beyond what its client is told.
#[derive(Debug, Clone, Default)]
pub struct Why {
    /// The proxy at which its dial failed, counted from 1; `None` at a server, and without a dial.
    pub hop: Option<usize>,
    /// The step of the dial that failed; empty without a dial.
    pub step: &'static str,
    /// In words, for whoever runs the gateway.
    pub detail: String,
}

/// An event about a request: whose it was and what it wanted, then the fields of its own.
macro_rules! event {
    ($level:ident, $request:ident, $message:literal, $($field:tt)*) => {
        tracing::$level!(
            listener = $request.listener,
            client = $crate::observe::record::client($request.client),
            route = $request.route,
            backend = $request.backend,
            host = $request.host,
            origin = $request.origin,
            path = $request.path,
            $($field)*
            $message,
        )
    };
}
pub(super) use event;

/// Says what was learned of the path of one leg, and how often it is pinged from now on.
pub fn path(route: &str, leg: &str, egress: &str, every: Duration, learned: &str) {
    tracing::info!(
        route,
        leg,
        egress,
        ping_every_ms = millis(every),
        "{learned}"
    );
}

/// Writes the record of a refusal. A 5xx is ours to look at, anything else the client's.
pub fn refused(request: &Request, status: u16, reason: &'static str, why: &Why) {
    let hop = why.hop.map(|number| number.to_string()).unwrap_or_default();
    let Why { step, detail, .. } = why;
    if status >= 500 {
        event!(
            warn,
            request,
            "request refused",
            status,
            reason,
            hop,
            step,
            detail,
        );
    } else {
        event!(
            info,
            request,
            "request refused",
            status,
            reason,
            hop,
            step,
            detail,
        );
    }
}

/// Writes the record of a client that left before it had an answer.
pub fn gone(request: &Request, detail: &str) {
    tracing::debug!(
        listener = request.listener,
        client = client(request.client),
        detail,
        "client gone before its answer",
    );
}

/// Writes the record of a backend's own answer that was handed on.
pub fn declined(request: &Request, way: &Way, status: u16, truncated: bool) {
    event!(
        info,
        request,
        "backend declined the upgrade",
        server = way.server,
        egress = way.egress,
        status,
        truncated,
    );
}

impl Why {
    /// Nothing was dialled.
    pub fn undialled(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..Self::default()
        }
    }
}

pub(super) fn client(address: Option<IpAddr>) -> String {
    address.map(|ip| ip.to_string()).unwrap_or_default()
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
