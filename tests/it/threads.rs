//! The street on one thread and on several: it is the same street, and sessions spread.

use std::time::Duration;

use futures_util::future::join_all;
use throughway::config;
use throughway::lifecycle::{self, Gateway};

use crate::support::backend::echo_backend;
use crate::support::client::{Client, ask, handshake, open};
use crate::support::eventually;
use crate::support::gateway::{Builder, Running, gateway};
use crate::support::script::Script;
use crate::support::started::started;

/// Fewer than, as many as, and more than this machine is likely to have cores.
const COUNTS: [usize; 3] = [1, 2, 7];

fn to_echo(backend: &Script, threads: usize) -> Builder {
    let server = format!("ws://{}", backend.address);
    gateway().threads(threads).route("/", server)
}

async fn echo(client: &mut Client, words: &[u8]) {
    client.send(words).await;
    assert_eq!(client.exactly(words.len()).await, words);
}

/// So many sessions, each of which was heard once.
async fn sessions(gateway: &Running, n: usize) -> Vec<Client> {
    let opening = (0..n).map(|i| async move {
        let (mut client, answer) = open(gateway.address, &handshake("/")).await;
        assert_eq!(answer.status, 101);
        echo(&mut client, format!("I am {i}").as_bytes()).await;
        client
    });
    join_all(opening).await
}

#[tokio::test]
async fn long_sessions_spread_over_the_threads_and_go_on_side_by_side() {
    for threads in COUNTS {
        let backend = echo_backend().await;
        let gateway = to_echo(&backend, threads).run();
        let mut clients = Vec::new();
        // One after the other: of two that come at once, each thread may think itself the emptier.
        for _ in 0..4 * threads {
            clients.extend(sessions(&gateway, 1).await);
        }
        assert_eq!(gateway.gateway.spread(), vec![4; threads]);
        for client in &mut clients {
            echo(client, b"still here").await;
        }
        drop(clients);
        eventually("every place is given back", || {
            gateway.gateway.spread() == vec![0; threads]
        })
        .await;
    }
}

#[tokio::test]
async fn a_crowd_that_comes_at_once_is_served_whole_and_spreads_all_the_same() {
    let backend = echo_backend().await;
    let gateway = to_echo(&backend, 4).run();
    let clients = sessions(&gateway, 200).await;
    let spread = gateway.gateway.spread();
    assert_eq!(spread.iter().sum::<usize>(), clients.len());
    assert!(spread.iter().all(|n| (40..=60).contains(n)), "{spread:?}");
}

#[tokio::test]
async fn a_limit_is_the_processs_and_not_a_threads() {
    let backend = echo_backend().await;
    let gateway = to_echo(&backend, 3).section("[limits]\nconnections = 4");
    let gateway = gateway.run();
    let clients = sessions(&gateway, 4).await;
    for _ in 0..6 {
        let answer = ask(gateway.address, &handshake("/").bytes()).await;
        assert_eq!(answer.status, 503);
    }
    drop(clients);
}

#[tokio::test]
async fn idle_and_age_limits_hold_on_every_thread() {
    for keys in ["idle = \"200ms\"", "session = \"200ms\""] {
        let backend = echo_backend().await;
        let keys = format!("origins = \"any\"\nlimits = {{ {keys} }}");
        let server = format!("ws://{}", backend.address);
        let gateway = gateway().threads(3).keys(&keys).route("/", server).run();
        let ends = sessions(&gateway, 9).await.into_iter();
        let ends = ends.map(|mut client| async move { client.rest().await });
        assert_eq!(join_all(ends).await, vec![b""; 9]);
    }
}

#[tokio::test]
async fn a_drain_waits_for_the_sessions_of_every_thread_and_then_cuts_them() {
    for threads in COUNTS {
        let backend = echo_backend().await;
        let gateway = to_echo(&backend, threads).drain("1h").run();
        let mut clients = sessions(&gateway, 2 * threads).await;
        let (hurry, hurried) = tokio::sync::oneshot::channel();
        let draining = gateway.gateway.drain(async { hurried.await.unwrap() });
        let meanwhile = async {
            for client in &mut clients {
                echo(client, b"while it drains").await;
            }
            hurry.send(()).unwrap();
            for client in &mut clients {
                assert_eq!(client.rest().await, b"");
            }
        };
        tokio::join!(draining, meanwhile);
    }
}

#[tokio::test]
async fn a_gateway_that_is_dropped_takes_its_threads_and_sessions_along() {
    let backend = echo_backend().await;
    let gateway = to_echo(&backend, 3).run();
    let mut clients = sessions(&gateway, 6).await;
    drop(gateway);
    for client in &mut clients {
        assert_eq!(client.rest().await, b"");
    }
}

#[tokio::test]
async fn a_second_gateway_at_the_same_address_is_told_that_it_is_taken() {
    let backend = echo_backend().await;
    let first = started(to_echo(&backend, 2));
    for threads in [1, 2] {
        let second = to_echo(&backend, threads);
        let text = second.toml();
        let text = text.replace("127.0.0.1:0", &first.address.to_string());
        let error = start(&text, &second).unwrap_err();
        assert!(error.ends_with("another process listens there"), "{error}");
    }
    // And the first has not noticed.
    let (mut client, _) = open(first.address, &handshake("/")).await;
    echo(&mut client, b"still here").await;
}

fn start(text: &str, builder: &Builder) -> Result<Gateway, String> {
    let path = builder.dir().join("throughway.toml");
    let plan = config::parse(text, &path, &|_| None).unwrap();
    lifecycle::start(plan).map_err(|error| error.to_string())
}

#[tokio::test]
async fn without_a_word_there_is_a_thread_for_each_core() {
    let backend = echo_backend().await;
    let server = format!("ws://{}", backend.address);
    let gateway = gateway().route("/", server).run();
    let cores = std::thread::available_parallelism().unwrap();
    assert_eq!(gateway.gateway.spread().len(), usize::from(cores));
    tokio::time::timeout(Duration::from_secs(5), sessions(&gateway, 1))
        .await
        .expect("it serves");
}
