//! 407: who is told what, when, and how often.

use throughway::egress::{Fault, Way};

use crate::support::backend::echo_backend;
use crate::support::dialling::{
    TOKEN, assert_echoes, backend_by, by, egress, failed, known_at, linked, server_inside,
};
use crate::support::proxy::{
    ASKS_AND_CLOSES, ASKS_AND_STAYS, OK, proxy, proxy_by_turns, proxy_that_refuses,
    proxy_that_says, say,
};
use crate::support::script::{Act, Script};

fn times(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

/// The first connection plays `first`, all others open the tunnel.
async fn asks_once(first: Vec<Act>, backend: &Script) -> Script {
    let then = vec![Act::Head, say(OK), Act::Tunnel(backend.address)];
    proxy_by_turns(vec![first, then]).await
}

#[tokio::test]
async fn a_hop_that_asked_once_is_told_at_once_next_time() {
    let backend = echo_backend().await;
    let proxy = asks_once(vec![Act::Head, say(ASKS_AND_CLOSES)], &backend).await;
    let dialled = by(vec![known_at(proxy.address)]);
    assert_echoes(linked(&dialled).await).await;
    assert_echoes(linked(&dialled).await).await;
    assert_eq!(proxy.connections(), 3);
    assert!(proxy.heard(2).contains(TOKEN));
}

#[tokio::test]
async fn a_hop_that_does_not_ask_is_not_told() {
    let backend = echo_backend().await;
    let proxy = proxy_that_says(OK, backend.address).await;
    assert_echoes(linked(&by(vec![known_at(proxy.address)])).await).await;
    assert!(!proxy.heard(0).contains("Authorization"));
}

async fn fails(hops: Vec<throughway::egress::Hop>, expected: &str) {
    let error = failed(&by(hops)).await;
    assert!(error.to_string().ends_with(expected), "{error}");
    assert_eq!(error.reason(), "proxy_auth");
    assert_eq!(error.fault(), Fault::Hop(1));
    assert_eq!(error.outside(), "The backend could not be reached.");
}

#[tokio::test]
async fn rejected_credentials_end_the_dial_at_once() {
    let expected = ": credentials rejected by basic; asks for Basic";
    let on_one = proxy(vec![
        Act::Head,
        say(ASKS_AND_STAYS),
        Act::Head,
        say(ASKS_AND_STAYS),
        Act::Stall,
    ])
    .await;
    fails(vec![known_at(on_one.address)], expected).await;
    assert_eq!(
        (on_one.connections(), times(&on_one.heard_in_all(), TOKEN)),
        (1, 1)
    );

    let on_two = proxy_that_refuses(ASKS_AND_CLOSES).await;
    fails(vec![known_at(on_two.address)], expected).await;
    assert_eq!(
        (on_two.connections(), times(&on_two.heard_in_all(), TOKEN)),
        (2, 1)
    );
}

#[tokio::test]
async fn rejected_credentials_are_not_tried_again_for_the_next_server() {
    let proxy = proxy_that_refuses(ASKS_AND_CLOSES).await;
    let way = Way::Through(std::sync::Arc::new(egress(vec![known_at(proxy.address)])));
    let servers = vec![server_inside(), server_inside(), server_inside()];
    let error = failed(&backend_by(servers, way)).await;
    assert_eq!(error.reason(), "proxy_auth");
    assert_eq!(times(&proxy.heard_in_all(), TOKEN), 1);
}
