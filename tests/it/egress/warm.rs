//! Tunnels that are opened before a session needs them: who gets one, what becomes of it, and who
//! goes without.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use throughway::egress::{
    Alternatives, Backend, Choice, Egress, Hop, Order, Server, ServerAddress, TlsTo, Warm, Way,
    warm,
};
use throughway::policy::health::Health;
use throughway::policy::no_proxy::NoProxy;
use throughway::policy::pool::RoundRobin;
use tokio::task::JoinSet;

use super::tls::{identity, inside, tls_backend};
use crate::support::backend::echo_backend;
use crate::support::dialling::{
    PASSWORD, TOKEN, assert_echoes, backend_by, egress, failed, hop, hop_by, hop_with, known_at,
    linked, server, server_at, server_inside,
};
use crate::support::digest::lock;
use crate::support::eventually;
use crate::support::proxy::{ASKS_AND_CLOSES, OK, proxy, proxy_by_turns, proxy_that_says, say};
use crate::support::script::{Act, Script};
use crate::support::socks::{GRANTED, GREETING, NO_AUTH, bytes, socks5h};

const AGE_MAX: Duration = Duration::from_secs(50);

/// An egress that keeps so many tunnels.
fn keeping(count: usize, hops: Vec<Hop>) -> Arc<Egress> {
    Arc::new(Egress {
        warm: Some(Warm::new(count, AGE_MAX)),
        ..egress(hops)
    })
}

fn through(egress: &Arc<Egress>, servers: Vec<Server>) -> Backend {
    backend_by(servers, Way::Through(egress.clone()))
}

/// The keepers at work, for as long as this lives.
fn keep(backends: &[Backend]) -> JoinSet<()> {
    let mut all = JoinSet::new();
    for keeper in warm::keepers(backends) {
        all.spawn(keeper.run());
    }
    all
}

async fn ready(egress: &Egress, count: usize) {
    let warm = egress.warm.as_ref().unwrap();
    eventually(&format!("{count} tunnels ready"), || warm.ready() == count).await;
}

/// How often each connection was asked for a session.
fn asked(proxy: &Script) -> Vec<usize> {
    let all = 0..proxy.connections();
    all.map(|n| proxy.heard(n).matches("GET ").count())
        .collect()
}

#[tokio::test]
async fn a_session_gets_a_tunnel_that_was_open_before_it_came_and_another_is_opened() {
    let far = echo_backend().await;
    let proxy = proxy_that_says(OK, far.address).await;
    let egress = keeping(2, vec![hop(proxy.address)]);
    let backend = through(&egress, vec![server_inside()]);
    let _keepers = keep(std::slice::from_ref(&backend));
    ready(&egress, 2).await;
    assert_eq!((proxy.connections(), asked(&proxy)), (2, vec![0, 0]));
    let link = linked(&backend).await;
    assert!(link.warm);
    assert_echoes(link).await;
    assert_eq!(asked(&proxy)[..2].iter().sum::<usize>(), 1);
    ready(&egress, 2).await;
    assert_eq!(proxy.connections(), 3);
}

#[tokio::test]
async fn each_tunnel_carries_one_session() {
    let far = echo_backend().await;
    let proxy = proxy_that_says(OK, far.address).await;
    let egress = keeping(1, vec![hop(proxy.address)]);
    let backend = through(&egress, vec![server_inside()]);
    let _keepers = keep(std::slice::from_ref(&backend));
    for _ in 0..4 {
        ready(&egress, 1).await;
        let link = linked(&backend).await;
        assert!(link.warm);
        assert_echoes(link).await;
    }
    ready(&egress, 1).await;
    assert_eq!(asked(&proxy), [1, 1, 1, 1, 0]);
    assert_eq!(proxy.heard_in_all().matches("CONNECT ").count(), 5);
}

#[tokio::test]
async fn sessions_that_find_none_open_their_own() {
    let far = echo_backend().await;
    let proxy = proxy_that_says(OK, far.address).await;
    let egress = keeping(1, vec![hop(proxy.address)]);
    let backend = through(&egress, vec![server_inside()]);
    // Nobody keeps anything yet: as for a probe.
    let link = linked(&backend).await;
    assert!(!link.warm);
    assert_echoes(link).await;
    let _keepers = keep(std::slice::from_ref(&backend));
    ready(&egress, 1).await;
    let (one, other) = tokio::join!(linked(&backend), linked(&backend));
    assert_eq!(
        [one.warm, other.warm].iter().filter(|warm| **warm).count(),
        1
    );
    assert_echoes(one).await;
    assert_echoes(other).await;
}

#[tokio::test]
async fn a_tunnel_that_ended_is_thrown_away_and_the_session_opens_its_own() {
    let far = echo_backend().await;
    // Ends as soon as the tunnel is open.
    let ends = vec![Act::Head, say(OK)];
    let good = vec![Act::Head, say(OK), Act::Tunnel(far.address)];
    let proxy = proxy_by_turns(vec![ends, good]).await;
    let egress = keeping(1, vec![hop(proxy.address)]);
    let backend = through(&egress, vec![server_inside()]);
    let _keepers = keep(std::slice::from_ref(&backend));
    eventually("the proxy ended it", || proxy.ended() == 1).await;
    let link = linked(&backend).await;
    assert!(!link.warm);
    assert_echoes(link).await;
}

/// Opens a tunnel, takes one byte of what goes into it, and breaks it.
fn breaks() -> Vec<Act> {
    vec![Act::Head, say(OK), Act::Read(1), Act::Reset]
}

#[tokio::test]
async fn a_tunnel_that_breaks_before_the_request_left_is_replaced_within_the_session() {
    let identity = identity("chat.internal");
    let far = tls_backend(&identity).await;
    let good = vec![Act::Head, say(OK), Act::Tunnel(far.address)];
    let proxy = proxy_by_turns(vec![breaks(), good]).await;
    let egress = keeping(1, vec![hop(proxy.address)]);
    let backend = through(&egress, vec![inside(&identity.to)]);
    let _keepers = keep(std::slice::from_ref(&backend));
    ready(&egress, 1).await;
    let link = linked(&backend).await;
    // The first byte of a handshake went into the first tunnel (RFC 8446 §5.1).
    assert!(proxy.heard(0).ends_with("\r\n\r\n\x16"));
    assert!(!link.warm);
    assert_echoes(link).await;
}

#[tokio::test]
async fn no_request_is_sent_a_second_time_once_a_byte_of_it_left() {
    let far = echo_backend().await;
    let good = vec![Act::Head, say(OK), Act::Tunnel(far.address)];
    let proxy = proxy_by_turns(vec![breaks(), good]).await;
    let egress = keeping(1, vec![hop(proxy.address)]);
    let backend = through(&egress, vec![server_inside()]);
    let _keepers = keep(std::slice::from_ref(&backend));
    ready(&egress, 1).await;
    let error = failed(&backend).await;
    assert!(!error.retry_safe(), "{error}");
    assert_eq!(error.reason(), "lost");
    // Another one is opened, and nobody asks in it.
    ready(&egress, 1).await;
    assert_eq!(far.heard_in_all(), "");
}

#[tokio::test]
async fn a_tunnel_that_a_certificate_condemns_is_not_replaced() {
    let identity = identity("chat.internal");
    let far = tls_backend(&identity).await;
    let proxy = proxy_that_says(OK, far.address).await;
    let egress = keeping(1, vec![hop(proxy.address)]);
    let other = TlsTo {
        name: "other.internal".try_into().unwrap(),
        ..identity.to.clone()
    };
    let backend = through(&egress, vec![inside(&other)]);
    let _keepers = keep(std::slice::from_ref(&backend));
    ready(&egress, 1).await;
    let error = failed(&backend).await;
    assert_eq!(error.reason(), "tls", "{error}");
    // The second one is the keeper's.
    ready(&egress, 1).await;
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn a_tunnel_through_a_proxy_over_tls_waits_as_well() {
    let identity = identity("proxy.corp.example");
    let far = echo_backend().await;
    let script = vec![Act::Head, say(OK), Act::Tunnel(far.address)];
    let proxy = Script::play(vec![script], Some(identity.acceptor.clone())).await;
    let over_tls = Hop {
        tls: Some(identity.to.clone()),
        ..hop(proxy.address)
    };
    let egress = keeping(2, vec![over_tls]);
    let backend = through(&egress, vec![server_inside()]);
    let _keepers = keep(std::slice::from_ref(&backend));
    for _ in 0..4 {
        ready(&egress, 2).await;
        let link = linked(&backend).await;
        assert!(link.warm);
        assert_echoes(link).await;
    }
}

#[tokio::test]
async fn a_tunnel_through_socks_waits_as_well() {
    let far = echo_backend().await;
    let script = vec![
        Act::Read(GREETING.len()),
        bytes(NO_AUTH),
        Act::Read(4 + 1 + "chat.internal".len() + 2),
        bytes(GRANTED),
        Act::Tunnel(far.address),
    ];
    let proxy = proxy(script).await;
    let egress = keeping(1, vec![socks5h(proxy.address)]);
    let backend = through(&egress, vec![server_inside()]);
    let _keepers = keep(std::slice::from_ref(&backend));
    ready(&egress, 1).await;
    let link = linked(&backend).await;
    assert!(link.warm);
    assert_echoes(link).await;
}

#[tokio::test]
async fn tunnels_end_with_their_keeper() {
    let far = echo_backend().await;
    let proxy = proxy_that_says(OK, far.address).await;
    let egress = keeping(2, vec![hop(proxy.address)]);
    let backend = through(&egress, vec![server_inside()]);
    let keepers = keep(std::slice::from_ref(&backend));
    ready(&egress, 2).await;
    drop(keepers);
    eventually("both are ended", || proxy.ended() == 2).await;
    ready(&egress, 0).await;
    let link = linked(&backend).await;
    assert!(!link.warm);
    assert_echoes(link).await;
}

#[tokio::test]
async fn digest_is_told_ahead() {
    let far = echo_backend().await;
    let lock = lock("n1");
    let (opens, tunnel) = (lock.opens(OK), Act::Tunnel(far.address));
    let asks = vec![Act::Head, say(&lock.asks()), Act::Head];
    let first = [asks, vec![opens.clone(), tunnel.clone()]].concat();
    let proxy = proxy_by_turns(vec![first, vec![Act::Head, opens, tunnel]]).await;
    let egress = keeping(2, vec![hop_by(proxy.address, Choice::Auto)]);
    let backend = through(&egress, vec![server_inside()]);
    let _keepers = keep(std::slice::from_ref(&backend));
    ready(&egress, 2).await;
    assert_eq!(proxy.heard(0).matches(": Digest ").count(), 1);
    assert_eq!(proxy.heard(1).matches(": Digest ").count(), 1);
    let link = linked(&backend).await;
    assert!(link.warm);
    assert_echoes(link).await;
}

#[tokio::test]
async fn another_identity_never_gets_a_tunnel() {
    let far = echo_backend().await;
    let asks = vec![Act::Head, say(ASKS_AND_CLOSES)];
    let good = vec![Act::Head, say(OK), Act::Tunnel(far.address)];
    let proxy = proxy_by_turns(vec![asks, good]).await;
    let alice = keeping(1, vec![known_at(proxy.address)]);
    let mallory = keeping(1, vec![hop_with(proxy.address, "mallory", "pass")]);
    let backends = [&alice, &mallory].map(|egress| through(egress, vec![server_inside()]));
    let _keepers = keep(&backends[..1]);
    ready(&alice, 1).await;
    let link = linked(&backends[1]).await;
    assert!(!link.warm);
    assert_echoes(link).await;
    assert_eq!(alice.warm.as_ref().unwrap().ready(), 1);
    let link = linked(&backends[0]).await;
    assert!(link.warm);
    assert_echoes(link).await;
    for n in 0..proxy.connections() {
        let heard = proxy.heard(n);
        let is_alices = heard.contains(TOKEN);
        assert_eq!(is_alices && heard.contains("GET "), n == 1, "{n}: {heard}");
        assert!(!heard.contains(PASSWORD));
    }
}

#[tokio::test]
async fn rejected_credentials_are_told_once_and_not_again_before_a_session_was_let_in() {
    let far = echo_backend().await;
    let asks = || vec![Act::Head, say(ASKS_AND_CLOSES)];
    let good = vec![Act::Head, say(OK), Act::Tunnel(far.address)];
    let proxy = proxy_by_turns(vec![asks(), asks(), asks(), good]).await;
    let egress = keeping(2, vec![known_at(proxy.address)]);
    let servers = ["a.internal", "b.internal", "c.internal"].map(|name| server(name, 80, None));
    let backend = through(&egress, servers.into());
    let _keepers = keep(std::slice::from_ref(&backend));
    eventually("the password is rejected", || proxy.ended() == 2).await;
    // The clock goes on by a night at once.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(8 * 3600)).await;
    tokio::time::resume();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(proxy.connections(), 2);
    let link = linked(&backend).await;
    assert!(!link.warm);
    assert_echoes(link).await;
    ready(&egress, 6).await;
}

#[tokio::test]
async fn a_chain_among_several_keeps_its_own_and_the_record_names_it() {
    let far = echo_backend().await;
    let proxy = proxy_that_says(OK, far.address).await;
    let chain = keeping(1, vec![hop(proxy.address)]);
    let chain = Arc::new(Egress {
        name: "a".to_owned(),
        ..Arc::into_inner(chain).unwrap()
    });
    let several = Alternatives {
        name: "corp".to_owned(),
        no_proxy: NoProxy::default(),
        health: Arc::new(Mutex::new(Health::new(1, Duration::from_secs(30)))),
        chains: vec![chain.clone()],
        ends_direct: false,
        order: Order::Failover,
        turn: RoundRobin::default(),
    };
    let backend = backend_by(vec![server_inside()], Way::Among(Arc::new(several)));
    let _keepers = keep(std::slice::from_ref(&backend));
    ready(&chain, 1).await;
    let link = linked(&backend).await;
    assert_eq!((link.egress.as_str(), link.warm), ("corp/a", true));
    assert_echoes(link).await;
}

#[tokio::test]
async fn there_is_one_keeper_for_each_server_behind_the_proxies_and_none_for_others() {
    let egress = Arc::new(Egress {
        no_proxy: NoProxy::parse(&["d.internal"]).unwrap(),
        warm: Some(Warm::new(1, AGE_MAX)),
        ..egress(vec![hop(([127, 0, 0, 1], 9).into())])
    });
    let unix = Server {
        address: ServerAddress::Unix("/nowhere".into()),
        ..server_inside()
    };
    let local = server_at(([127, 0, 0, 1], 9000).into());
    let let_past = server("d.internal", 80, None);
    let (a, b) = (
        server("a.internal", 80, None),
        server("b.internal", 80, None),
    );
    let again = through(&egress, vec![server("a.internal", 80, None)]);
    let straight = backend_by(vec![server("c.internal", 80, None)], Way::Direct);
    let all = [
        through(&egress, vec![a, b, unix, local, let_past]),
        again,
        straight,
    ];
    assert_eq!(warm::keepers(&all).len(), 2);
    let cold = through(&Arc::new(self::egress(Vec::new())), vec![server_inside()]);
    assert_eq!(warm::keepers(&[cold]).len(), 0);
}
