//! What a client offers, what the backend hears of it, and what is told of its choice: subprotocols
//! that a route requires, renames or takes out, and compression that it passes or refuses.

use crate::support::backend::{answer, backend, good_101};
use crate::support::client::{Answer, Handshake, ask, handshake, open};
use crate::support::gateway::{Running, gateway};
use crate::support::process::field;
use crate::support::script::{Act, Script};
use crate::support::started::started;

const RULES: &str = "origins = 'any'
subprotocols = { require = ['v2', 'v1'], map = { v2 = 'v2.in' }, strip = ['debug'] }";

/// A backend that adds these lines to its 101, and a gateway whose route has these keys.
async fn street(keys: &str, lines: &'static str) -> (Running, Script) {
    let good = answer(move |head| good_101(head, lines, ""));
    let backend = backend(vec![Act::Head, good, Act::Stall]).await;
    let server = format!("ws://{}", backend.address);
    let running = gateway().keys(keys).route("/", server).run();
    (running, backend)
}

fn offering(lines: &[&str]) -> Handshake {
    lines
        .iter()
        .fold(handshake("/"), |handshake, line| handshake.with(line))
}

/// The lines of this field that the backend heard.
fn heard<'h>(head: &'h str, name: &str) -> Vec<&'h str> {
    head.lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .collect()
}

const PROTOCOL: &str = "sec-websocket-protocol";
const EXTENSIONS: &str = "sec-websocket-extensions";

#[tokio::test]
async fn the_backend_hears_its_own_names_and_the_client_the_choice_by_its_own() {
    for (offered, told, line, choice) in [
        (
            "debug, v2, x",
            &["v2.in, x"][..],
            "Sec-WebSocket-Protocol: v2.in\r\n",
            "v2",
        ),
        (
            "v1,v2",
            &["v1, v2.in"],
            "Sec-WebSocket-Protocol: v1\r\n",
            "v1",
        ),
        (
            "v2.in, v2",
            &["v2.in"],
            "Sec-WebSocket-Protocol: v2.in\r\n",
            "v2",
        ),
    ] {
        let (running, backend) = street(RULES, line).await;
        let request = offering(&[&format!("Sec-WebSocket-Protocol: {offered}")]);
        let (_client, answer) = open(running.address, &request).await;
        assert_eq!(answer.header(PROTOCOL), Some(choice), "{}", answer.head);
        assert_eq!(heard(&backend.heard(0), PROTOCOL), told, "{offered}");
    }
}

async fn is_refused(running: &Running, offer: &str, status: u16) -> Answer {
    let answer = ask(running.address, &offering(&[offer]).bytes()).await;
    assert_eq!(answer.status, status, "{offer}: {}", answer.head);
    answer
}

#[tokio::test]
async fn a_client_that_offers_none_of_those_required_is_refused_before_the_dial() {
    let (running, backend) = street(RULES, "").await;
    for offer in [
        "X-Nothing: 1",
        "Sec-WebSocket-Protocol: x",
        "Sec-WebSocket-Protocol: V2",
        "Sec-WebSocket-Protocol: v2.in",
        "Sec-WebSocket-Protocol: debug",
    ] {
        let answer = is_refused(&running, offer, 400).await;
        assert!(answer.body.contains("Offer a subprotocol"), "{answer:?}");
    }
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn a_page_that_may_not_connect_is_told_so_whatever_it_offers() {
    let keys = RULES.replace("origins = 'any'", "origins = ['https://a.test']");
    let (running, _backend) = street(&keys, "").await;
    is_refused(&running, "Origin: https://evil.test", 403).await;
}

#[tokio::test]
async fn a_backend_that_chooses_none_of_those_required_has_no_valid_101() {
    for line in [
        "",
        "Sec-WebSocket-Protocol: x\r\n",
        // The client's name is none that the backend was offered.
        "Sec-WebSocket-Protocol: v2\r\n",
        // Taken out, so not offered either.
        "Sec-WebSocket-Protocol: debug\r\n",
    ] {
        let (running, _backend) = street(RULES, line).await;
        is_refused(&running, "Sec-WebSocket-Protocol: v2, x, debug", 502).await;
    }
}

#[tokio::test]
async fn a_route_that_requires_nothing_takes_no_choice_for_an_answer() {
    let keys = "origins = 'any'\nsubprotocols = { map = { v2 = 'v2.in' } }";
    let (running, backend) = street(keys, "").await;
    let request = offering(&["Sec-WebSocket-Protocol: v2"]);
    let (_client, answer) = open(running.address, &request).await;
    assert_eq!(answer.header(PROTOCOL), None);
    assert_eq!(heard(&backend.heard(0), PROTOCOL), ["v2.in"]);
}

#[tokio::test]
async fn records_name_the_choice_and_what_is_required_as_the_client_does() {
    let good = answer(|head| good_101(head, "Sec-WebSocket-Protocol: v2.in\r\n", ""));
    let backend = backend(vec![Act::Head, good]).await;
    let server = format!("ws://{}", backend.address);
    let gateway = started(gateway().keys(RULES).route("/", server));
    let request = offering(&["Sec-WebSocket-Protocol: v2"]);
    drop(open(gateway.address, &request).await);
    let record = &gateway.logs(1, "\"session ended\"").await[0];
    assert_eq!(field(record, "subprotocol"), "v2");
    ask(gateway.address, &handshake("/").bytes()).await;
    let record = &gateway.logs(1, "\"request refused\"").await[0];
    assert_eq!(field(record, "reason"), "subprotocol_required");
    let detail = "route backend0: needs one of the subprotocols v2, v1";
    assert_eq!(field(record, "detail"), detail);
}

const DEFLATE: &str =
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-a; b";
const AGREED: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n";

#[tokio::test]
async fn compression_is_passed_through_as_it_is_negotiated() {
    for keys in ["origins = 'any'", "origins = 'any'\ncompression = 'pass'"] {
        let (running, backend) = street(keys, AGREED).await;
        let (_client, answer) = open(running.address, &offering(&[DEFLATE])).await;
        let (_, offered) = DEFLATE.split_once(": ").unwrap();
        assert_eq!(heard(&backend.heard(0), EXTENSIONS), [offered]);
        let agreed = "permessage-deflate; server_no_context_takeover";
        assert_eq!(answer.header(EXTENSIONS), Some(agreed));
    }
}

#[tokio::test]
async fn with_compression_off_no_offer_of_it_reaches_the_backend() {
    let off = "origins = 'any'\ncompression = 'off'";
    let old = "Sec-WebSocket-Extensions: x-webkit-deflate-frame";
    for (lines, told) in [
        (&[DEFLATE][..], &["x-a; b"][..]),
        (&[DEFLATE, old], &["x-a; b"]),
        (&[old], &[]),
        (&["Sec-WebSocket-Extensions: x-c;d"], &["x-c;d"]),
    ] {
        let (running, backend) = street(off, "").await;
        let (_client, answer) = open(running.address, &offering(lines)).await;
        assert_eq!(answer.header(EXTENSIONS), None);
        assert_eq!(heard(&backend.heard(0), EXTENSIONS), told, "{lines:?}");
    }
}

#[tokio::test]
async fn a_backend_that_agrees_to_compression_it_was_not_offered_has_no_valid_101() {
    let (running, _backend) = street("origins = 'any'\ncompression = 'off'", AGREED).await;
    is_refused(&running, DEFLATE, 502).await;
}
