//! What the tables of advice are checked by: one scene, one hop, one comparison.
//!
//! Knows none of the sentences.

use super::{REASONS, of_step};
use crate::cli::way::{Scene, Source};
use crate::egress::{Cause, Place, Step};

pub(in crate::cli) fn scene(is_secure: bool, hops: &[&str]) -> Scene {
    Scene {
        url: "wss://chat.internal/x".to_owned(),
        host: "chat.internal".to_owned(),
        is_secure,
        source: Source::Direct,
        hops: hops.iter().map(ToString::to_string).collect(),
        shows_password: false,
    }
}

pub(super) fn hop() -> Place {
    Place::Hop {
        number: 1,
        of: 1,
        name: "http proxy.corp:3128".to_owned(),
    }
}

/// At the server on a straight way (`ws://`), or at the one hop before it (`wss://`).
pub(super) fn check(place: &Place, step: Step, cause: Cause, expected: (&str, u8, &str, &str)) {
    let scene = match place {
        Place::Server => scene(false, &[]),
        Place::Hop { .. } => scene(true, &["http proxy.corp:3128"]),
    };
    let verdict = of_step(place, &step, &cause, &scene);
    let told = (
        verdict.reason,
        verdict.exit.code(),
        verdict.cause.as_str(),
        verdict.remedy.as_str(),
    );
    assert_eq!(told, expected, "{step}: {cause}");
    assert!(REASONS.contains(&told.0), "{}", told.0);
    for sentence in [told.2, told.3] {
        assert!(
            !sentence.ends_with('.') && !sentence.contains('\n'),
            "{sentence}"
        );
    }
}
