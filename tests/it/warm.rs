//! Warm tunnels of a whole gateway: from the file to the record, and at its end.

use std::future::pending;

use tokio::time::timeout;

use super::config::LEAST;
use crate::support::backend::echo_backend;
use crate::support::client::{handshake, open};
use crate::support::gateway::{Builder, gateway};
use crate::support::process::field;
use crate::support::proxy::{OK, proxy_that_says};
use crate::support::script::Script;
use crate::support::started::started;
use crate::support::{PATIENCE, eventually};

/// A route to a server inside, through a proxy to which so many tunnels are kept.
fn keeping(count: usize, proxy: &Script) -> Builder {
    gateway()
        .via(proxy.address)
        .route("/*", "ws://chat.internal")
        .section(&format!("[egress.egress0]\nwarm = {count}"))
}

#[tokio::test]
async fn the_record_of_a_session_says_whether_its_tunnel_was_open_before() {
    for (count, expected) in [(0, "false"), (2, "true")] {
        let far = echo_backend().await;
        let proxy = proxy_that_says(OK, far.address).await;
        let log = "[log]\nlevel = \"throughway=debug\"";
        let gateway = started(keeping(count, &proxy).section(log));
        gateway.logs(count, "tunnel opened ahead").await;
        let (mut client, _) = open(gateway.address, &handshake("/")).await;
        client.send(b"echo").await;
        assert_eq!(client.exactly(4).await, b"echo");
        drop(client);
        let record = &gateway.logs(1, "\"session ended\"").await[0];
        assert_eq!(field(record, "warm"), expected);
        assert_eq!(field(record, "egress"), "egress0");
    }
}

#[tokio::test]
async fn a_drain_ends_tunnels_at_once_and_they_are_no_sessions() {
    let far = echo_backend().await;
    let proxy = proxy_that_says(OK, far.address).await;
    let running = keeping(3, &proxy).drain("1h").run();
    eventually("three tunnels", || far.connections() == 3).await;
    assert_eq!(running.gateway.sessions(), 0);
    let drained = timeout(PATIENCE, running.gateway.drain(pending())).await;
    drained.expect("nothing else is left");
    eventually("they are ended", || proxy.ended() == 3).await;
    assert_eq!(proxy.connections(), 3);
}

/// The file with these keys of `corp`, beside one hop or `via`, has one fault that says `words`.
#[track_caller]
fn check(keys: &str, words: &[&str]) {
    let home = super::config::Home::new();
    let text = format!(
        "{LEAST}egress = 'corp'\n[[egress.a.hop]]\nurl = 'http://a:1'\n[egress.corp]\n{keys}\n"
    );
    let printed = home.faults(&text);
    for word in words.iter().chain(&["1 error in"]) {
        assert!(printed.contains(word), "{word:?} about {keys}:\n{printed}");
    }
}

#[test]
fn warm_where_it_makes_no_sense_is_a_fault_that_says_where_to_write_it() {
    const HOP: &str = "\n[[egress.corp.hop]]\nurl = 'http://b:1'";
    check(
        "via = ['a']\nwarm = 2",
        &[
            "`warm` in an egress with `via`",
            "in each egress that `via` names",
        ],
    );
    check(
        "pac = 'http://p/x.pac'\nwarm = 2",
        &["`warm` in an egress with `pac`", "when it is asked"],
    );
    check(
        "via = ['a']\nwarm_max_age = '30s'",
        &["`warm_max_age` in an egress with `via`"],
    );
    for (keys, words) in [
        (
            "warm_max_age = '30s'",
            &["`warm_max_age` without `warm`", "opens two tunnels"][..],
        ),
        (
            "warm = 2\nwarm_max_age = '2s'",
            &["too short", "found 2s", "at least 5s"],
        ),
        ("warm = 65", &["`warm` is out of bounds", "from 0 to 64"]),
        ("warm = true", &["`warm` has the wrong type"]),
    ] {
        check(&format!("{keys}{HOP}"), words);
    }
}
