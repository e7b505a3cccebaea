//! What a route does with its sessions: `limits`, `frames`, `record`, and that `opaque` is asked for
//! nothing that only frames could tell.
//!
//! Rates and pings have files of their own.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::policy::limits::{Frames, Records, SessionLimits};

use super::fault::Fault;
use super::field::Field;
use super::reader::Section;
use super::schema;
use super::value::show_size;

/// A session in which neither side says anything for this long is most likely forgotten.
const IDLE: Duration = Duration::from_secs(5 * 60);

/// Of a frame or a message. More is no limit to anybody.
const PAYLOAD_BYTES: RangeInclusive<usize> = 1..=1 << 40;

/// A record for each session and second would be the log's whole content.
const RECORD_EVERY_MIN: Duration = Duration::from_secs(10);

pub(super) fn lower(route: Section<'_>) -> SessionLimits {
    let section = route.section("limits", &schema::ROUTE_LIMITS);
    let field = |key| section.and_then(|s| s.field(key));
    let time = |key| field(key).and_then(Field::duration_or_none);
    let size = |key| field(key).and_then(|f| f.size_or_none(PAYLOAD_BYTES));
    let (frame, message) = (size("frame_bytes"), size("message_bytes"));
    if let (Some(Some(frame)), Some(Some(message))) = (frame, message)
        && frame > message
    {
        let span = field("frame_bytes").map_or(route.span(), |f| f.span());
        let fault = Fault::at(span, "`frame_bytes` is more than `message_bytes`");
        let fault = fault
            .found(show_size(frame))
            .expected(format!("at most {}", show_size(message)));
        let help = "a frame is part of one message; leave `frame_bytes` out";
        route.cx.report(fault.help(help));
    }
    let bytes = |size: Option<Option<usize>>| size.flatten().map(|size| size as u64);
    SessionLimits {
        idle: time("idle").unwrap_or(Some(IDLE)),
        session: time("session").unwrap_or(None),
        frame_bytes: bytes(frame),
        message_bytes: bytes(message),
    }
}

/// `backend_pings`: whether the backend that the route leads to is pinged.
pub(super) fn frames(route: Section<'_>, backend_pings: bool) -> Frames {
    let choices = [
        ("observe", Frames::Observe),
        ("validate", Frames::Validate),
        ("opaque", Frames::Opaque),
    ];
    let frames = route.choice("frames", &choices);
    match frames {
        Frames::Observe | Frames::Validate => {}
        Frames::Opaque => check_opaque(route, backend_pings),
    }
    frames
}

fn check_opaque(route: Section<'_>, backend_pings: bool) {
    let cx = route.cx;
    let limits = route.field("limits").filter(Field::is_table);
    let limits = limits.and_then(|f| f.section(&schema::ROUTE_LIMITS));
    let limits = ["frame_bytes", "message_bytes"].map(|key| limits.and_then(|l| l.field(key)));
    let own = [route.field("rate"), route.field("ping")];
    let asks = limits.into_iter().chain(own).flatten();
    for field in asks.filter(|field| !field.is("none") && !field.is("off")) {
        let message = format!("`{}` and frames = \"opaque\" in one route", field.key);
        let help = "an opaque session is bytes: nobody sees where a frame or a message begins; \
                    leave one of them out, or write frames = \"observe\"";
        cx.report(Fault::at(field.key_span(), message).help(help));
    }
    if let Some(field) = route.field("frames").filter(|_| backend_pings) {
        let message = "frames = \"opaque\", and the backend has `ping`";
        let help = "a Ping can only be sent where a frame ends, which nobody sees in an opaque \
                    session; give this route a backend of its own without `ping`";
        cx.report(Fault::at(field.span(), message).help(help));
    }
}

pub(super) fn records(route: Section<'_>) -> Records {
    let Some(section) = route.section("record", &schema::ROUTE_RECORD) else {
        return Records::default();
    };
    let field = section.field("every");
    let every = field.and_then(Field::duration_or_none).flatten();
    if let Some(field) = field.filter(|_| every.is_some_and(|e| e < RECORD_EVERY_MIN)) {
        let fault = Fault::at(field.span(), "`every` is too short for a record");
        section.cx.report(fault.expected("at least 10s"));
    }
    Records {
        start: section.flag("start", false),
        every,
    }
}
