//! What a client gets that gets no session, and its record.
//!
//! Knows none of the stages: each hands over what it failed with.

use std::io;

use http::StatusCode;

use super::Opened;
use crate::egress::{Declined, DialError, Fault};
use crate::front::answer::{self, Body};
use crate::front::{Page, ReceiveError};
use crate::net::Stream;
use crate::observe::record;
use crate::plan::Plan;
use crate::policy::{Denied, forward};
use crate::refusal::{self, Refusal};
use crate::wire::ws::handshake::HandshakeError;

/// Why a client gets no session, as what it is told.
pub(super) enum Turn<'p> {
    /// Our own answer, and what the log says beyond it.
    Refused(Refusal, record::Why),
    /// The backend's answer.
    Declined(Box<Declined>),
    /// The page that it asked for.
    Shown(&'p Page),
    /// Nothing: there is nobody left to tell.
    Gone(String),
}

/// No server was reached.
pub(super) fn unreached<'p>(error: &DialError, plan: &Plan) -> Turn<'p> {
    let refusal = match plan.proxy_status {
        true => refusal::of_dial_told(error),
        false => refusal::of_dial(error),
    };
    let hop = match error.fault() {
        Fault::Hop(number) => Some(number),
        Fault::Backend | Fault::Ours => None,
    };
    let why = record::Why {
        hop,
        step: error.step(),
        detail: error.to_string(),
    };
    Turn::Refused(refusal, why)
}

/// Tells a client what it gets instead of a session, and records it.
pub(super) async fn turn_away(
    client: Stream,
    turn: Turn<'_>,
    request: &record::Request,
) -> Option<Opened> {
    let answered = match turn {
        Turn::Refused(refusal, why) => {
            record::refused(request, refusal.status.as_u16(), refusal.reason, &why);
            let body = format!("{}\n", refusal.sentence);
            let body = Body::Whole(body.as_bytes());
            answer::close_with(client, refusal.status, refusal.headers(), body).await
        }
        Turn::Declined(declined) => hand_on(client, *declined, request).await,
        Turn::Shown(page) => {
            let body = Body::Whole(page.html.as_bytes());
            answer::close_with(client, StatusCode::OK, page.headers(), body).await
        }
        Turn::Gone(detail) => {
            record::gone(request, &detail);
            Ok(())
        }
    };
    if let Err(error) = answered {
        record::gone(request, &error.to_string());
    }
    None
}

/// The backend answered, and not with a 101: its word goes on as what it is.
async fn hand_on(client: Stream, declined: Declined, request: &record::Request) -> io::Result<()> {
    let Declined {
        status,
        headers,
        body,
        truncated,
        server,
        egress,
    } = declined;
    let way = record::Way {
        server,
        egress,
        ..record::Way::default()
    };
    record::declined(request, &way, status.as_u16(), truncated);
    let body = match truncated {
        true => Body::Cut(&body),
        false => Body::Whole(&body),
    };
    answer::close_with(client, status, forward::to_client(headers), body).await
}

impl From<ReceiveError> for Turn<'_> {
    fn from(error: ReceiveError) -> Self {
        match refusal::of_receive(&error) {
            Some(refusal) => Self::Refused(refusal, record::Why::undialled(error.to_string())),
            None => Self::Gone(error.to_string()),
        }
    }
}

impl From<HandshakeError> for Turn<'_> {
    fn from(error: HandshakeError) -> Self {
        let why = record::Why::undialled(error.to_string());
        Self::Refused(refusal::of_handshake(&error), why)
    }
}

impl From<Denied> for Turn<'_> {
    fn from(denied: Denied) -> Self {
        let why = record::Why::undialled(denied.to_string());
        Self::Refused(refusal::of_denied(&denied), why)
    }
}
