//! Answers of the backend that are no 101.
//!
//! Knows a status and its headers, and not the body: what is written there is for browsers.

use http::StatusCode;
use http::header::LOCATION;

use super::{Exit, Verdict};
use crate::cli::way::scene::Scene;
use crate::egress::Declined;

/// A redirection's target beyond this is not shown.
const LOCATION_BYTES_MAX: usize = 200;

/// What an answer other than 101 means.
pub(in crate::cli) fn of_answer(
    declined: &Declined,
    origin: Option<&str>,
    scene: &Scene,
) -> Verdict {
    let status = declined.status;
    let unavailable = matches!(status.as_u16(), 408 | 429 | 502..=504);
    let (reason, exit) = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ("backend_refused", Exit::Refused),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => ("proxy_auth", Exit::Refused),
        _ if unavailable => ("backend_unavailable", Exit::TryAgain),
        _ if status == StatusCode::UPGRADE_REQUIRED || status.is_success() => {
            ("upgrade_removed", Exit::Unreachable)
        }
        _ => ("backend_declined", Exit::Unreachable),
    };
    let (cause, remedy) = answered(declined, origin, scene);
    Verdict {
        reason,
        exit,
        cause,
        remedy: remedy.to_owned(),
    }
}

fn answered(declined: &Declined, origin: Option<&str>, scene: &Scene) -> (String, &'static str) {
    let status = declined.status;
    match (status.as_u16(), origin) {
        (426, _) => (
            "the Upgrade header did not arrive: something between removed it".to_owned(),
            scene.unread(),
        ),
        (200..=299, _) => (
            format!(
                "the Upgrade header did not arrive: something between removed it, or this path \
                 is no WebSocket's ({status})"
            ),
            scene.unread(),
        ),
        (300..=399, _) => (
            format!("the backend sends elsewhere{}", location(declined)),
            "open that URL instead: no WebSocket client follows a redirection",
        ),
        (400, _) => (
            "the backend calls the handshake invalid, as it does when something between changed it"
                .to_owned(),
            scene.unread(),
        ),
        (401, _) => (
            "the backend asks for credentials".to_owned(),
            "the way is open, and a client with its token gets through: connect sends one by --header",
        ),
        (403, Some(origin)) => (
            format!("the backend refuses, probably Origin {origin}"),
            "allow this origin at the backend, or give another by --origin",
        ),
        (403, None) => (
            "the backend refuses, as many do without an Origin".to_owned(),
            "give the page's origin by --origin",
        ),
        (404, _) => (
            "nothing is at this path".to_owned(),
            "check the path of the URL",
        ),
        (407, _) => (
            "a proxy that was not named stands between and asks for credentials".to_owned(),
            "name it by --egress or --proxy",
        ),
        (408 | 429 | 502..=504, _) => (
            format!("the backend is not to be had just now ({status})"),
            "try again in a moment; if it stays, look at what stands before the backend",
        ),
        (500..=599, _) => (
            format!("the backend failed ({status})"),
            "look at the backend's log",
        ),
        _ => (
            format!("the backend declined ({status})"),
            "look at the backend's log, and check the path of the URL",
        ),
    }
}

fn location(declined: &Declined) -> String {
    let Some(location) = declined.headers.get(LOCATION) else {
        return String::new();
    };
    let bytes = location.as_bytes();
    let shown = bytes.get(..LOCATION_BYTES_MAX).unwrap_or(bytes);
    format!(", to {}", shown.escape_ascii())
}
