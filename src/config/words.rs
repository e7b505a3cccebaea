//! What a route does with its sessions, in the words of `check`: a line each.
//!
//! Knows no tables, and says nothing of what is as it is left out but for the limits of time.

use std::time::Duration;

use crate::policy::drain::Drain;
use crate::policy::limits::{Frames, Ping, Records, SessionLimits};
use crate::policy::offers::{Compression, Offers};
use crate::policy::rate::Rate;
use crate::policy::route::Route;

use super::rate;
use super::value::{show_duration, show_size};

/// What becomes of a client's offers.
pub(super) fn offers(route: &Route) -> Vec<String> {
    let Offers {
        compression,
        subprotocols,
    } = &route.offers;
    let mut lines = match (
        route.subprotocols.is_empty(),
        subprotocols.require.is_empty(),
    ) {
        (true, true) => vec!["any subprotocol or none".to_owned()],
        (false, _) => route.subprotocols.clone(),
        (true, false) => Vec::new(),
    };
    if !subprotocols.require.is_empty() {
        lines.push(format!("needs {}", subprotocols.require.join(" or ")));
    }
    let renamed = subprotocols.map.iter();
    lines.extend(renamed.map(|(from, to)| format!("{from} goes on as {to}")));
    let stripped = subprotocols.strip.iter();
    lines.extend(stripped.map(|name| format!("without {name}")));
    match compression {
        Compression::Pass => {}
        Compression::Off => lines.push("no compression".to_owned()),
    }
    lines
}

/// What ends sessions of a route: those of time always, and everything else that is not as it is left out.
pub(super) fn limits(route: &Route) -> Vec<String> {
    let SessionLimits {
        idle,
        session,
        frame_bytes,
        message_bytes,
    } = route.limits;
    let time = |(name, limit)| Some(format!("{name} {}", limit_or_none(limit)));
    let bytes = |(name, limit): (&str, Option<u64>)| {
        let size = usize::try_from(limit?).unwrap_or(usize::MAX);
        Some(format!("{name} {}", show_size(size)))
    };
    let rate = |(name, rate): (&str, Option<Rate>)| Some(format!("{name}: {}", rate::show(&rate?)));
    let times = [("idle", idle), ("session", session)].map(time);
    let sizes = [("frame", frame_bytes), ("message", message_bytes)].map(bytes);
    let rates = [
        ("each session", route.rates.session),
        ("each client", route.rates.client),
    ];
    let frames = match route.frames {
        Frames::Observe => None,
        Frames::Validate => Some("frames validated".to_owned()),
        Frames::Opaque => Some("frames opaque".to_owned()),
    };
    let others = [frames, pings(route.ping), records(route.records)];
    let all = times.into_iter().chain(sizes).chain(rates.map(rate));
    all.chain(others).flatten().collect()
}

/// When a leg is asked for a sign of life.
pub(super) fn pings(ping: Ping) -> Option<String> {
    match ping {
        Ping::Off => None,
        Ping::Auto => Some("pinged as often as its way needs".to_owned()),
        Ping::Every { every, timeout } => {
            let (every, timeout) = (show_duration(every), show_duration(timeout));
            Some(format!("pinged after {every}, dead after {timeout} more"))
        }
    }
}

fn records(records: Records) -> Option<String> {
    let start = records.start.then(|| "at its start".to_owned());
    let every = records.every.map(|e| format!("every {}", show_duration(e)));
    let also: Vec<String> = start.into_iter().chain(every).collect();
    (!also.is_empty()).then(|| format!("recorded {} too", also.join(" and ")))
}

fn limit_or_none(limit: Option<Duration>) -> String {
    limit.map_or_else(|| "none".to_owned(), show_duration)
}

/// How a drain ends sessions.
pub(super) fn drain(drain: Drain) -> String {
    let Drain {
        timeout,
        spread,
        close_code,
    } = drain;
    let told = match spread.is_zero() {
        true => "at once".to_owned(),
        false => format!("over {}", show_duration(spread)),
    };
    let timeout = show_duration(timeout);
    format!("{timeout}, all told {close_code} {told}")
}
