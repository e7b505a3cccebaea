//! One record for each session that ended and for each request that was refused.
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

/// What a session's record will say of its beginning. It is kept for as long as the session lasts,
/// so it is one allocation instead of ten: where each text ends, then the texts themselves.
#[derive(Debug)]
pub struct Begun(Box<[u8]>);

/// The client's address and [`WARM`] among them.
const TEXTS: usize = 11;
/// Stands for a tunnel that was open before.
const WARM: &str = "warm";
/// Of the place where one ends, in the machine's own order.
const END_BYTES: usize = size_of::<u32>();

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
            client = client($request.client),
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

impl Begun {
    /// Packs them up.
    pub fn new(request: &Request, way: &Way) -> Self {
        let texts: [&str; TEXTS] = [
            &client(request.client),
            &request.listener,
            &request.host,
            &request.path,
            &request.origin,
            &request.route,
            &request.backend,
            &way.server,
            &way.egress,
            if way.warm { WARM } else { "" },
            &way.subprotocol,
        ];
        let mut end = 0;
        let ends = texts.map(|text| {
            end += text.len();
            u32::try_from(end).unwrap_or(u32::MAX).to_ne_bytes()
        });
        Self(
            [ends.as_flattened(), texts.concat().as_bytes()]
                .concat()
                .into(),
        )
    }

    /// What it said, as it was.
    pub fn unpack(&self) -> (Request<&str>, Way<&str>) {
        let (ends, texts) = self.0.split_at(TEXTS * END_BYTES);
        let mut ends = ends.as_chunks().0.iter();
        let mut begin = 0;
        let mut next = || {
            let end = ends
                .next()
                .map_or(0, |end| u32::from_ne_bytes(*end) as usize);
            let text = texts.get(begin..end).unwrap_or_default();
            begin = end;
            std::str::from_utf8(text).unwrap_or_default()
        };
        let client = next().parse().ok();
        let request = Request {
            listener: next(),
            client,
            host: next(),
            path: next(),
            origin: next(),
            route: next(),
            backend: next(),
        };
        let way = Way {
            server: next(),
            egress: next(),
            warm: next() == WARM,
            subprotocol: next(),
        };
        (request, way)
    }
}

/// Writes the record of a session.
pub fn session(begun: &Begun, end: &End) {
    let (request, way) = begun.unpack();
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

fn client(address: Option<IpAddr>) -> String {
    address.map(|ip| ip.to_string()).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_out_again_empty_texts_and_all() {
        let request = Request {
            listener: "public".to_owned(),
            client: Some([192, 0, 2, 1].into()),
            path: "/café".to_owned(),
            backend: "chat".to_owned(),
            ..Request::default()
        };
        let way = Way {
            egress: "direct".to_owned(),
            warm: true,
            ..Way::default()
        };
        let begun = Begun::new(&request, &way);
        let (unpacked, unpacked_way) = begun.unpack();
        assert_eq!(unpacked.client, request.client);
        assert!(unpacked_way.warm);
        let texts = [
            (unpacked.listener, "public"),
            (unpacked.host, ""),
            (unpacked.path, "/café"),
            (unpacked.origin, ""),
            (unpacked.route, ""),
            (unpacked.backend, "chat"),
            (unpacked_way.server, ""),
            (unpacked_way.egress, "direct"),
            (unpacked_way.subprotocol, ""),
        ];
        for (text, expected) in texts {
            assert_eq!(text, expected);
        }
        assert_eq!(begun.0.len(), TEXTS * END_BYTES + "192.0.2.1".len() + 26);
    }
}
