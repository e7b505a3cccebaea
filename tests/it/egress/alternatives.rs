//! Several chains for one egress: which is tried, which is put aside, and who finds out whether it
//! is back.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use throughway::egress::{
    Alternatives, Backend, Egress, Hop, HopTimeouts, Order, Server, Steps, Way, dial,
};
use throughway::policy::health::Health;
use throughway::policy::no_proxy::NoProxy;
use throughway::policy::pool::RoundRobin;

use super::servers::nobody;
use crate::support::backend::echo_backend;
use crate::support::dialling::{
    assert_echoes, backend_by, egress, failed, hop, known_at, linked, request, server, server_at,
    server_inside,
};
use crate::support::eventually;
use crate::support::proxy::{
    ASKS_AND_CLOSES, OK, proxy, proxy_by_turns, proxy_that_refuses, proxy_that_says, say,
};
use crate::support::script::{Act, Script};

const RETRY_AFTER: Duration = Duration::from_secs(30);

fn chain(name: &str, hops: Vec<Hop>) -> Egress {
    Egress {
        name: name.to_owned(),
        ..egress(hops)
    }
}

pub(crate) fn to(name: &str, proxy: SocketAddr) -> Egress {
    chain(name, vec![hop(proxy)])
}

pub(crate) fn corp(chains: Vec<Egress>) -> Alternatives {
    Alternatives {
        name: "corp".to_owned(),
        no_proxy: NoProxy::default(),
        health: Arc::new(Mutex::new(Health::new(chains.len(), RETRY_AFTER))),
        chains: chains.into_iter().map(Arc::new).collect(),
        ends_direct: false,
        order: Order::Failover,
        turn: RoundRobin::default(),
    }
}

pub(crate) fn by(alternatives: Alternatives) -> Backend {
    by_to(vec![server_inside()], alternatives)
}

fn by_to(servers: Vec<Server>, alternatives: Alternatives) -> Backend {
    backend_by(servers, Way::Among(Arc::new(alternatives)))
}

/// The clock goes on by so much at once; nothing may be in flight.
async fn later(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

/// Opens tunnels to an echo.
pub(crate) async fn good() -> (Script, Script) {
    let far = echo_backend().await;
    let proxy = proxy_that_says(OK, far.address).await;
    (proxy, far)
}

/// The way that a session takes, and that it carries.
pub(crate) async fn way(backend: &Backend) -> String {
    let link = linked(backend).await;
    let way = link.egress.clone();
    assert_echoes(link).await;
    way
}

#[tokio::test]
async fn sessions_take_the_first_chain_and_their_record_names_it() {
    let ((a, _x), (b, _y)) = (good().await, good().await);
    let backend = by(corp(vec![to("a", a.address), to("b", b.address)]));
    for _ in 0..3 {
        assert_eq!(way(&backend).await, "corp/a");
    }
    assert_eq!((a.connections(), b.connections()), (3, 0));
}

#[tokio::test]
async fn in_turns_the_chains_carry_equally_many() {
    let ((a, _x), (b, _y), (c, _z)) = (good().await, good().await, good().await);
    let chains = vec![to("a", a.address), to("b", b.address), to("c", c.address)];
    let backend = by(Alternatives {
        order: Order::RoundRobin,
        ..corp(chains)
    });
    for _ in 0..6 {
        way(&backend).await;
    }
    let spread = (a.connections(), b.connections(), c.connections());
    assert_eq!(spread, (2, 2, 2));
}

/// A session fails over from this chain, and the next one does not ask its proxy again.
async fn is_put_aside(dead: Egress) {
    let (b, _far) = good().await;
    let name = format!("{dead:?}");
    let alternatives = Arc::new(corp(vec![dead, to("b", b.address)]));
    let backend = backend_by(vec![server_inside()], Way::Among(alternatives.clone()));
    assert_eq!(way(&backend).await, "corp/b", "{name}");
    let health = alternatives.health.lock().unwrap();
    assert!(health.why_aside(0).is_some(), "{name}");
    assert!(health.why_aside(1).is_none(), "{name}");
}

fn hurried(chain: Egress) -> Egress {
    let short = Duration::from_millis(200);
    Egress {
        timeouts: HopTimeouts {
            tls: short,
            reply: short,
            ..HopTimeouts::default()
        },
        ..chain
    }
}

#[tokio::test]
async fn a_chain_whose_proxy_cannot_be_reached_is_put_aside() {
    is_put_aside(to("a", nobody().await)).await;
    let nameless = Hop {
        host: crate::support::dialling::host("no-such-proxy.invalid"),
        ..hop(nobody().await)
    };
    is_put_aside(chain("a", vec![nameless])).await;
    for script in [
        vec![],
        vec![Act::Head],
        vec![Act::Head, Act::Reset],
        vec![Act::Head, say("HTTP/1.1 200")],
        vec![say("220 smtp.corp.example\r\n"), Act::Stall],
        vec![Act::Stall],
    ] {
        let dead = proxy(script).await;
        is_put_aside(hurried(to("a", dead.address))).await;
    }
    let plain = proxy(vec![Act::Stall]).await;
    let secure = Hop {
        tls: Some(super::tls::trusting_nobody("proxy.corp.example")),
        ..hop(plain.address)
    };
    is_put_aside(hurried(chain("a", vec![secure]))).await;
}

#[tokio::test]
async fn a_chain_whose_second_proxy_cannot_be_reached_is_put_aside() {
    for status in [502, 503, 504] {
        let first = proxy_that_refuses(&format!("HTTP/1.1 {status} No\r\n\r\n")).await;
        let hops = vec![hop(first.address), hop(nobody().await)];
        is_put_aside(chain("a", hops)).await;
    }
    let second = proxy(vec![Act::Head]).await;
    let first = proxy_that_says(OK, second.address).await;
    let hops = vec![hop(first.address), hop(second.address)];
    is_put_aside(chain("a", hops)).await;
}

#[tokio::test]
async fn what_is_aside_is_left_alone_until_its_time_is_over_and_comes_back_when_it_answers() {
    let (b, far) = good().await;
    let opens = vec![Act::Head, say(OK), Act::Tunnel(far.address)];
    let a = proxy_by_turns(vec![vec![Act::Head], vec![Act::Head], opens]).await;
    let backend = by(corp(vec![to("a", a.address), to("b", b.address)]));
    for _ in 0..3 {
        assert_eq!(way(&backend).await, "corp/b");
    }
    assert_eq!(a.connections(), 1);
    // The probe fails, and the chain is aside for another while.
    later(RETRY_AFTER).await;
    for _ in 0..3 {
        assert_eq!(way(&backend).await, "corp/b");
    }
    assert_eq!(a.connections(), 2);
    later(RETRY_AFTER).await;
    for _ in 0..3 {
        assert_eq!(way(&backend).await, "corp/a");
    }
}

#[tokio::test]
async fn one_session_probes_while_the_others_go_on_without_it() {
    let (b, far) = good().await;
    let opens = vec![Act::Head, say(OK), Act::Tunnel(far.address)];
    let stalls = vec![Act::Head, Act::Stall];
    let a = proxy_by_turns(vec![vec![Act::Head], stalls, opens]).await;
    let chains = vec![to("a", a.address), to("b", b.address)];
    let backend = Arc::new(by(corp(chains)));
    assert_eq!(way(&backend).await, "corp/b");
    later(RETRY_AFTER).await;
    let probing = backend.clone();
    let probe = tokio::spawn(async move { dial(&probing, &request(), &Steps::deaf()).await });
    eventually("the probe", || a.connections() == 2).await;
    for _ in 0..3 {
        assert_eq!(way(&backend).await, "corp/b");
    }
    assert_eq!(a.connections(), 2);
    // Its client leaves before it has told anything: the next session finds out.
    probe.abort();
    assert!(probe.await.unwrap_err().is_cancelled());
    for _ in 0..2 {
        assert_eq!(way(&backend).await, "corp/a");
    }
}

#[tokio::test]
async fn a_password_that_one_chain_rejects_is_told_to_no_other_for_any_server() {
    let a = proxy_that_refuses(ASKS_AND_CLOSES).await;
    let (b, _far) = good().await;
    let chains = vec![
        chain("a", vec![known_at(a.address)]),
        chain("b", vec![known_at(b.address)]),
    ];
    let servers = vec![server_inside(), server("other.internal", 1, None)];
    let error = failed(&by_to(servers, corp(chains))).await;
    assert_eq!(error.reason(), "proxy_auth");
    assert_eq!((a.connections(), b.connections()), (2, 0));
}

#[tokio::test]
async fn what_a_proxy_says_of_the_server_goes_to_the_next_chain_and_puts_none_aside() {
    for status in [502, 503, 504] {
        let a = proxy_that_refuses(&format!("HTTP/1.1 {status} No\r\n\r\n")).await;
        let (b, _far) = good().await;
        let backend = by(corp(vec![to("a", a.address), to("b", b.address)]));
        for n in 1..=2 {
            assert_eq!(way(&backend).await, "corp/b");
            assert_eq!(a.connections(), n, "{status}");
        }
    }
}

#[tokio::test]
async fn a_server_that_no_chain_reaches_just_now_is_asked_for_again() {
    let far = echo_backend().await;
    let busy = vec![Act::Head, say("HTTP/1.1 503 Busy\r\n\r\n")];
    let opens = vec![Act::Head, say(OK), Act::Tunnel(far.address)];
    let b = proxy_by_turns(vec![busy, opens]).await;
    let backend = by(corp(vec![to("a", nobody().await), to("b", b.address)]));
    assert_eq!(way(&backend).await, "corp/b");
    assert_eq!(b.connections(), 2);
}

#[tokio::test]
async fn direct_is_the_last_and_only_if_it_is_written() {
    let far = echo_backend().await;
    let (dead, (b, _y)) = (nobody().await, good().await);
    let straight = |chains| Alternatives {
        ends_direct: true,
        ..corp(chains)
    };
    let servers = || vec![server_at(far.address)];
    let backend = by_to(servers(), straight(vec![to("a", dead), to("b", b.address)]));
    assert_eq!(way(&backend).await, "corp/b");
    let backend = by_to(servers(), straight(vec![to("a", dead)]));
    for _ in 0..2 {
        assert_eq!(way(&backend).await, "direct");
    }
    let error = failed(&by_to(servers(), corp(vec![to("a", dead)]))).await;
    assert_eq!(error.reason(), "tcp");
}

#[tokio::test]
async fn where_the_straight_way_is_barred_a_chain_that_is_aside_is_tried_rather_than_none() {
    let far = echo_backend().await;
    let opens = vec![Act::Head, say(OK), Act::Tunnel(far.address)];
    let a = proxy_by_turns(vec![vec![Act::Head], opens]).await;
    let barred = server_at(nobody().await);
    let alternatives = Alternatives {
        ends_direct: true,
        ..corp(vec![to("a", a.address)])
    };
    let backend = by_to(vec![barred], alternatives);
    let error = failed(&backend).await;
    assert!(error.to_string().contains("connection refused"), "{error}");
    assert_eq!(a.connections(), 1);
    assert_eq!(way(&backend).await, "corp/a");
}

#[tokio::test]
async fn when_all_are_dead_the_error_names_every_chain() {
    let (a, b) = (nobody().await, nobody().await);
    let backend = by(corp(vec![to("a", a), to("b", b)]));
    let at = |name: &str, proxy: SocketAddr| {
        format!("corp/{name}, hop 1 of 1 (http {proxy}): connect to {proxy}: connection refused")
    };
    let server = "server ws://chat.internal:9000 by ";
    let error = failed(&backend).await;
    let expected = format!("{server}{}; {server}{}", at("a", a), at("b", b));
    assert_eq!(error.to_string(), expected);
    assert!(error.retry_safe());
    // From now on the one that has been aside the longest is tried, and the other one told of.
    let aside = |name: &str, proxy| at(name, proxy).replacen(", ", " is aside: ", 1);
    for (tried, told) in [(("a", a), ("b", b)), (("b", b), ("a", a))] {
        let (tried, told) = (at(tried.0, tried.1), aside(told.0, told.1));
        let error = failed(&backend).await;
        assert_eq!(error.to_string(), format!("{server}{tried}; {told}"));
    }
}

#[tokio::test]
async fn of_chains_that_are_all_aside_one_that_is_back_carries_the_session() {
    let far = echo_backend().await;
    let opens = vec![Act::Head, say(OK), Act::Tunnel(far.address)];
    let a = proxy_by_turns(vec![vec![Act::Head], opens]).await;
    let backend = by(corp(vec![to("a", a.address), to("b", nobody().await)]));
    failed(&backend).await;
    assert_eq!(way(&backend).await, "corp/a");
}

#[tokio::test]
async fn a_dead_chain_is_tried_for_one_server_and_not_for_the_next() {
    let far = echo_backend().await;
    let dead = proxy(vec![Act::Head]).await;
    let refuses = vec![Act::Head, say("HTTP/1.1 403 No\r\n\r\n")];
    let opens = vec![Act::Head, say(OK), Act::Tunnel(far.address)];
    let b = proxy_by_turns(vec![refuses, opens]).await;
    let servers = vec![server("a.internal", 1, None), server("b.internal", 2, None)];
    let chains = vec![to("a", dead.address), to("b", b.address)];
    let link = linked(&by_to(servers, corp(chains))).await;
    assert_eq!(
        (link.server.as_str(), link.egress.as_str()),
        ("ws://b.internal:2", "corp/b")
    );
    assert_eq!(dead.connections(), 1);
}

#[tokio::test]
async fn who_goes_direct_is_the_egresss_own_list_and_not_a_chains() {
    let far = echo_backend().await;
    let everything = || NoProxy::parse(&["*"]).unwrap();
    let (a, _x) = good().await;
    let servers = || vec![server_at(far.address)];
    let outer = Alternatives {
        no_proxy: everything(),
        ..corp(vec![to("a", a.address)])
    };
    assert_eq!(way(&by_to(servers(), outer)).await, "direct");
    let inner = Egress {
        no_proxy: everything(),
        ..to("a", a.address)
    };
    assert_eq!(way(&by_to(servers(), corp(vec![inner]))).await, "corp/a");
}

#[tokio::test]
async fn the_end_of_a_dial_that_others_have_spent_says_nothing_of_a_chain() {
    let (a, b) = (proxy(vec![Act::Stall]).await, proxy(vec![Act::Stall]).await);
    let mut first = to("a", a.address);
    first.timeouts.reply = Duration::from_millis(400);
    let alternatives = Arc::new(corp(vec![first, to("b", b.address)]));
    let mut backend = backend_by(vec![server_inside()], Way::Among(alternatives.clone()));
    backend.timeouts.total = Duration::from_millis(600);
    assert!(failed(&backend).await.timed_out());
    let is_aside = |n| alternatives.health.lock().unwrap().why_aside(n).is_some();
    assert_eq!((is_aside(0), is_aside(1)), (true, false));
    // A dial of its own does, though its end is the same.
    assert!(failed(&backend).await.timed_out());
    assert!(is_aside(1));
}
