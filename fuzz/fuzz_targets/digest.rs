//! A Digest challenge and our answer to it: the first line of the data is a challenge, the second
//! a `Proxy-Authentication-Info`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use throughway::wire::authority::Host;
use throughway::wire::challenge::{self, Challenge};
use throughway::wire::connect::request::Request as Connect;
use throughway::wire::digest::{self, Asked};
use throughway_fuzz::text;

const USER: &str = "J\u{e4} \"\\";
const PASSWORD: &str = "correct horse";

fuzz_target!(|data: &[u8]| {
    let Some(text) = text(data) else {
        return;
    };
    let (line, info) = text.split_once('\n').unwrap_or((text, ""));
    let challenges = challenge::parse([line]);
    let Ok(asked) = Asked::strongest(&challenges) else {
        return;
    };
    let nonce = check(&asked, &challenges);
    let Some(next) = digest::next_nonce(info) else {
        return;
    };
    assert!(!next.is_empty());
    let is_control = next.bytes().any(|b| b.is_ascii_control());
    let renewed = asked.with_nonce(next.clone());
    assert_eq!(renewed.is_none(), is_control, "{next:?}");
    if let Some(renewed) = renewed {
        assert!(!renewed.is_stale());
        assert_eq!(param(&answered(&renewed), "nonce"), next);
        assert!(next == nonce || renewed != asked);
    }
});

/// The answer says what was asked, on one line. Returns the nonce.
fn check(asked: &Asked, challenges: &[Challenge]) -> String {
    let given = answered(asked);
    let is_asked = |challenge: &&Challenge| {
        ["realm", "nonce", "opaque", "algorithm"]
            .into_iter()
            .all(|name| param(challenge, name) == param(&given, name))
    };
    let mut digests = challenges.iter().filter(|c| c.asks_for("digest"));
    assert!(digests.any(|c| is_asked(&c)), "{given:?}");
    let is_hash = |text: &str| text.len() >= 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    assert!(is_hash(&param(&given, "response")), "{given:?}");
    param(&given, "nonce")
}

/// The answer, read as the challenge whose grammar it has (RFC 9110 §11.4).
fn answered(asked: &Asked) -> Challenge {
    let request = digest::Request {
        method: "CONNECT",
        uri: "chat.test:443",
        nc: 1,
        cnonce: "c",
    };
    let answer = digest::answer(asked, USER, PASSWORD, &request);
    let connect = Connect::to(&Host::Name("chat.test".to_owned()), 443);
    let connect = connect.and_then(|c| c.header("Proxy-Authorization", &answer.value));
    assert!(
        connect.is_ok(),
        "{:?} does not stay on its line",
        *answer.value
    );
    assert!(!answer.value.contains(PASSWORD));
    let [given] = challenge::parse([answer.value.as_str()])
        .try_into()
        .expect("one answer");
    given
}

fn param(challenge: &Challenge, name: &str) -> String {
    challenge.param(name).unwrap_or_default().to_owned()
}
