//! A gateway that itself lacks what one more connection needs: its client is told to come again, and
//! its log says what to raise.

use crate::support::backend::echo_backend;
use crate::support::client::{Client, ask, handshake, open};
use crate::support::eventually;
use crate::support::gateway::gateway;
use crate::support::process::field;
use crate::support::started::{Started, started_with_descriptors};

const DESCRIPTORS: usize = 48;

/// How many of the descriptors it may have it has. Whoever started it may have left it others, with
/// higher numbers.
fn taken(gateway: &Started) -> usize {
    let listed = std::fs::read_dir(format!("/proc/{}/fd", gateway.id())).unwrap();
    let numbers = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    numbers
        .filter(|n| n.parse::<usize>().unwrap() < DESCRIPTORS)
        .count()
}

// A dial without a descriptor was a 502 once, and the backend's operator was called.
#[tokio::test]
async fn a_dial_without_a_descriptor_is_503_with_retry_after_and_the_log_says_what_to_raise() {
    let backend = echo_backend().await;
    let mut gateway = started_with_descriptors(
        gateway()
            .section("[limits]\nhandshake = \"60s\"")
            .route("/", format!("ws://{}", backend.address)),
        DESCRIPTORS,
    );
    // Each idle client takes one descriptor, until one is left: for the client that asks.
    let mut idle = Vec::new();
    while taken(&gateway) < DESCRIPTORS - 1 {
        let before = taken(&gateway);
        idle.push(Client::connect(gateway.address).await);
        eventually("it is accepted", || taken(&gateway) > before).await;
    }
    let answer = ask(gateway.address, &handshake("/").bytes()).await;
    assert_eq!(answer.status, 503, "{}", answer.head);
    assert_eq!(answer.header("Retry-After"), Some("5"));
    assert_eq!(
        answer.body,
        "This gateway cannot open another connection just now; try again in a moment.\n"
    );
    assert_eq!(backend.connections(), 0);
    let record = gateway.logs(1, "request refused").await.remove(0);
    assert_eq!(field(&record, "reason"), "shortage");
    assert_eq!(field(&record, "step"), "connect");
    assert_eq!(
        field(&record, "detail"),
        format!(
            "server ws://{0}: connect to {0}: this process has no file descriptor left: raise the \
             limit of open files (LimitNOFILE in a unit, ulimit -n)",
            backend.address
        )
    );
    drop(idle);
    eventually("there is room again", || taken(&gateway) < DESCRIPTORS - 2).await;
    drop(open(gateway.address, &handshake("/")).await);
    assert!(gateway.try_ended().is_none());
}
