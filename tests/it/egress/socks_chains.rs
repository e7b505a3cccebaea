//! SOCKS5 among other hops: with CONNECT over HTTP in both orders, with TLS in and around it.

use std::sync::Arc;

use throughway::egress::{Fault, Hop, TlsTo, Way};
use tokio_rustls::rustls::pki_types::ServerName;

use crate::support::backend::{answer, backend, echo_backend, good_101};
use crate::support::certs::{DevCert, dev_certificate};
use crate::support::dialling::{
    PASSWORD, assert_echoes, backend_by, by, by_to, egress, failed, hop, linked, server, server_at,
    server_inside,
};
use crate::support::proxy::{OK, proxy_by_turns, proxy_that_says, say};
use crate::support::script::{Act, Script};
use crate::support::socks::{
    CONNECT_INSIDE, GRANTED, GREETING, connect_to, guarded_door, known_socks5h, open_door,
    socks_proxy, socks5, socks5h,
};

/// To the server inside, whose CONNECT has this length.
const INSIDE: usize = CONNECT_INSIDE.len();

#[tokio::test]
async fn connect_goes_through_a_socks_tunnel() {
    let backend = echo_backend().await;
    let second = proxy_that_says(OK, backend.address).await;
    let first = socks_proxy(10, second.address).await;
    let link = linked(&by(vec![socks5h(first.address), hop(second.address)])).await;
    assert_echoes(link).await;
    let own = [GREETING, &connect_to(second.address)].concat();
    assert_eq!(first.heard_bytes(0)[..own.len()], own);
    let expected = "CONNECT chat.internal:9000 HTTP/1.1\r\n";
    assert!(second.heard(0).starts_with(expected));
}

#[tokio::test]
async fn socks_goes_through_a_connect_tunnel() {
    let backend = echo_backend().await;
    let second = socks_proxy(INSIDE, backend.address).await;
    let first = proxy_that_says(OK, second.address).await;
    let link = linked(&by(vec![hop(first.address), socks5h(second.address)])).await;
    assert_echoes(link).await;
    let expected = format!("CONNECT {} HTTP/1.1\r\n", second.address);
    assert!(first.heard(0).starts_with(&expected));
    let own = [GREETING, CONNECT_INSIDE].concat();
    assert_eq!(second.heard_bytes(0)[..own.len()], own);
}

#[tokio::test]
async fn a_refusal_at_the_second_hop_names_the_second_hop() {
    let script = open_door(INSIDE, b"\x05\x02", Act::Read(0));
    let second = Script::play(vec![script], None).await;
    let first = proxy_that_says(OK, second.address).await;
    let error = failed(&by(vec![hop(first.address), socks5h(second.address)])).await;
    let expected = format!(
        "hop 2 of 2 (socks5h {}): CONNECT chat.internal:9000 refused: \
         connection not allowed by ruleset",
        second.address
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.fault(), Fault::Hop(2));
}

fn tls_to(certificate: &DevCert) -> TlsTo {
    TlsTo {
        config: certificate.connector().config().clone(),
        name: ServerName::try_from(certificate.names[0].clone()).unwrap(),
    }
}

#[tokio::test]
async fn a_wss_backend_is_reached_through_socks_then_tls_to_a_proxy_then_socks() {
    let inner = dev_certificate(&["chat.internal"]);
    let outer = dev_certificate(&["proxy.corp.example"]);
    let echoes = vec![Act::Head, answer(|head| good_101(head, "", "")), Act::Echo];
    let backend = Script::play(vec![echoes], Some(inner.acceptor())).await;
    let third = Script::play(
        vec![guarded_door(INSIDE, GRANTED, Act::Tunnel(backend.address))],
        None,
    )
    .await;
    let carries = vec![Act::Head, say(OK), Act::Tunnel(third.address)];
    let second = Script::play(vec![carries], Some(outer.acceptor())).await;
    let first = socks_proxy(10, second.address).await;
    let hops = vec![
        socks5(first.address),
        Hop {
            tls: Some(tls_to(&outer)),
            ..hop(second.address)
        },
        known_socks5h(third.address),
    ];
    let to = server("chat.internal", 9000, Some(tls_to(&inner)));
    assert_echoes(linked(&by_to(to, hops)).await).await;
    // What is inside TLS is not seen from outside of it.
    assert!(!first.heard(0).contains(PASSWORD));
    assert_eq!(third.heard(0).matches(PASSWORD).count(), 1);
    assert!(!third.heard(0).contains("GET /ws"));
    assert!(backend.heard(0).starts_with("GET /ws?room=1 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn bytes_ahead_of_the_tls_handshake_are_never_data() {
    let inner = dev_certificate(&["chat.internal"]);
    let glued = [GRANTED, b"HTTP/1.1 101 Switching"].concat();
    let proxy = Script::play(vec![open_door(INSIDE, &glued, Act::Stall)], None).await;
    let to = server("chat.internal", 9000, Some(tls_to(&inner)));
    let error = failed(&by_to(to, vec![socks5h(proxy.address)])).await;
    let expected = "TLS: the proxy sent 22 bytes ahead of the TLS handshake";
    assert!(error.to_string().ends_with(expected), "{error}");
}

#[tokio::test]
async fn a_server_that_a_socks_proxy_cannot_reach_is_skipped_for_the_next() {
    let alive = echo_backend().await;
    let refuses = open_door(INSIDE, b"\x05\x04", Act::Read(0));
    let opens = open_door(10, GRANTED, Act::Tunnel(alive.address));
    let proxy = proxy_by_turns(vec![refuses, opens]).await;
    let way = Way::Through(Arc::new(egress(vec![socks5h(proxy.address)])));
    let link = linked(&backend_by(
        vec![server_inside(), server_at(alive.address)],
        way,
    ))
    .await;
    assert_eq!(link.server, format!("ws://{}", alive.address));
    assert_echoes(link).await;
}

#[tokio::test]
async fn what_a_backend_sends_first_is_not_lost_behind_a_proxy() {
    let echoes = answer(|head| good_101(head, "", "first frame"));
    let backend = backend(vec![Act::Head, echoes, Act::Echo]).await;
    let proxy = socks_proxy(INSIDE, backend.address).await;
    let link = linked(&by(vec![socks5h(proxy.address)])).await;
    assert_eq!(&link.tail[..], b"first frame");
}
