//! Attempts to reach a backend that fail are counted: where, at which step, why.

use std::net::SocketAddr;

use crate::support::backend::echo_backend;
use crate::support::client::{ask, handshake, open};
use crate::support::gateway::{Running, gateway};
use crate::support::process::field;
use crate::support::proxy::proxy_that_refuses;
use crate::support::started::started;

const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\n\r\n";

/// An address that refuses.
fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn counted(running: &Running) -> String {
    running.gateway.dial_failures().totals().to_string()
}

#[tokio::test]
async fn each_attempt_that_fails_is_counted_by_hop_step_and_reason_for_its_own_gateway() {
    let proxy = proxy_that_refuses(FORBIDDEN).await;
    let running = gateway()
        .route("/direct", format!("ws://{}", nobody()))
        .via(proxy.address)
        .route("/far", "ws://chat.internal")
        .via(nobody())
        .route("/dead", "ws://chat.internal")
        .run();
    let other = gateway().route("/", format!("ws://{}", nobody())).run();
    assert_eq!(counted(&running), "");
    for path in ["/direct", "/far", "/dead", "/far", "/nowhere"] {
        ask(running.address, &handshake(path).bytes()).await;
    }
    assert_eq!(
        counted(&running),
        "1 http/connect/tcp, 2 http/tunnel/proxy_refused, 1 server/connect/tcp"
    );
    assert_eq!(counted(&other), "");
}

#[tokio::test]
async fn an_attempt_that_another_made_good_is_counted_too() {
    let backend = echo_backend().await;
    let servers = [nobody(), backend.address].map(|address| format!("ws://{address}"));
    let running = gateway().route_to("/", &servers, "").run();
    drop(open(running.address, &handshake("/")).await);
    assert_eq!(counted(&running), "1 server/connect/tcp");
}

#[tokio::test]
async fn the_last_line_of_a_drain_has_the_totals() {
    let proxy = proxy_that_refuses(FORBIDDEN).await;
    let mut process = started(
        gateway()
            .via(proxy.address)
            .route("/", "ws://chat.internal"),
    );
    for _ in 0..2 {
        ask(process.address, &handshake("/").bytes()).await;
    }
    let log = process.whole_log().await;
    let last = log.last().unwrap();
    assert_eq!(field(last, "message"), "ended");
    assert_eq!(field(last, "dial_failures"), "2");
    assert_eq!(field(last, "by"), "2 http/tunnel/proxy_refused");
}
