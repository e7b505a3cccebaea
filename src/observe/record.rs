//! One record for each session that ended and for each request that was refused.
//!
//! Every text from outside is written as a quoted, escaped string, so that an event is one line
//! whatever a client puts into its path. The query is left out: tokens live there.

use std::net::IpAddr;
use std::time::Duration;

/// Who asked for what: the part that a refusal and a session share.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The listener.
    pub listener: String,
    /// The client's address, once trusted proxies were listened to.
    pub client: Option<IpAddr>,
    /// The authority asked for.
    pub host: String,
    /// The path without its query.
    pub path: String,
    /// The page's origin; empty without one.
    pub origin: String,
    /// The route; empty until there is one.
    pub route: String,
    /// The backend; empty until there is one.
    pub backend: String,
}

/// Where a session went.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// The backend server's URL.
    pub server: String,
    /// The egress, or `direct`.
    pub egress: String,
    /// Whether its tunnel was open before the request came.
    pub warm: bool,
    /// The subprotocol agreed on; empty without one.
    pub subprotocol: String,
}

/// How a session went.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// `client`, `backend` or `gateway`.
    pub by: &'static str,
    /// One stable word.
    pub why: &'static str,
    /// From the 101 to the end.
    pub duration: Duration,
    /// Bytes delivered.
    pub to_backend: u64,
    /// Bytes delivered.
    pub to_client: u64,
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
            client = client($request),
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

/// Writes the record of a session.
pub fn session(request: &Request, way: &Way, end: &End) {
    event!(
        info,
        request,
        "session ended",
        server = way.server,
        egress = way.egress,
        warm = way.warm,
        subprotocol = way.subprotocol,
        duration_ms = millis(end.duration),
        bytes_to_backend = end.to_backend,
        bytes_to_client = end.to_client,
        ended_by = end.by,
        why = end.why,
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
        client = client(request),
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

fn client(request: &Request) -> String {
    request.client.map(|ip| ip.to_string()).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
