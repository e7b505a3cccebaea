//! Negotiate towards scripted proxies, with tokens that a test makes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use throughway::egress::{Backend, Choice, Hop, HopTimeouts, Scheme, TlsTo, Way};
use throughway::net::tls;

use crate::support::backend::echo_backend;
use crate::support::certs::dev_certificate;
use crate::support::dialling::{
    TOKEN, assert_echoes, backend_by, by, egress, failed, hop_with, known_at, linked, server_inside,
};
use crate::support::kerberos::{GO_ON, PROOF, Tickets};
use crate::support::proxy::{OK, proxy, proxy_by_turns, say};
use crate::support::script::{Act, Script};

pub(crate) const ONLY: Choice = Choice::Only(Scheme::Negotiate);
pub(crate) const ASKS: &str =
    "HTTP/1.1 407 Who\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n";
const ASKS_BOTH: &str = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Negotiate\r\n\
                         Proxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n";

pub(crate) fn ticket_at(address: SocketAddr, tickets: &Arc<Tickets>) -> Hop {
    Hop {
        auth: tickets.auth(ONLY),
        ..hop_with(address, "", "")
    }
}

fn auto_at(address: SocketAddr, tickets: &Arc<Tickets>) -> Hop {
    Hop {
        auth: tickets.auth(Choice::Auto),
        ..known_at(address)
    }
}

pub(crate) fn asks_with(token: &[u8]) -> Act {
    let token = format!("Negotiate {}\r\n", STANDARD.encode(token));
    say(&ASKS.replace("Negotiate\r\n", &token))
}

pub(crate) fn opens_with(header: &str, token: &[u8]) -> Act {
    let line = format!("{header}: Negotiate {}\r\n\r\n", STANDARD.encode(token));
    say(&OK.replace("\r\n\r\n", &format!("\r\n{line}")))
}

/// The tokens that a proxy was told, one a CONNECT; `-` where it was told nothing.
pub(crate) fn told(proxy: &Script) -> Vec<String> {
    let heard = proxy.heard_in_all();
    let requests = heard.split("CONNECT ").skip(1);
    let begins = "Proxy-Authorization: Negotiate ";
    let token = |request: &str| {
        let token = request.lines().find_map(|l| l.strip_prefix(begins));
        token.map_or("-".to_owned(), |token| {
            String::from_utf8(STANDARD.decode(token).unwrap()).unwrap()
        })
    };
    requests.map(token).collect()
}

#[tokio::test]
async fn a_proxy_that_asks_gets_a_token_and_after_that_a_fresh_one_unasked() {
    let backend = echo_backend().await;
    let tunnel = Act::Tunnel(backend.address);
    let asked = vec![Act::Head, say(ASKS), Act::Head, say(OK), tunnel.clone()];
    let unasked = vec![Act::Head, say(OK), tunnel];
    let proxy = proxy_by_turns(vec![asked, unasked]).await;
    let tickets = Arc::new(Tickets::default());
    let way = by(vec![ticket_at(proxy.address, &tickets)]);
    for _ in 0..3 {
        assert_echoes(linked(&way).await).await;
    }
    assert_eq!(told(&proxy), ["-", "token 1.1", "token 2.1", "token 3.1"]);
    assert_eq!(tickets.services(), ["HTTP/127.0.0.1"; 3]);
    assert!(!backend.heard_in_all().contains("uthorization"));
}

#[tokio::test]
async fn a_proxy_that_closes_gets_its_token_on_a_new_connection() {
    let backend = echo_backend().await;
    let closes = ASKS.replace("Content-Length: 0", "Connection: close");
    let opens = vec![Act::Head, say(OK), Act::Tunnel(backend.address)];
    let proxy = proxy_by_turns(vec![vec![Act::Head, say(&closes)], opens]).await;
    let tickets = Arc::new(Tickets::default());
    let way = by(vec![ticket_at(proxy.address, &tickets)]);
    assert_echoes(linked(&way).await).await;
    assert_eq!(told(&proxy), ["-", "token 1.1"]);
}

async fn check_failed(script: Vec<Act>, tickets: &Arc<Tickets>, expected: &str) -> Script {
    let proxy = proxy(script).await;
    let way = by(vec![ticket_at(proxy.address, tickets)]);
    let error = failed(&way).await.to_string();
    assert!(error.ends_with(expected), "{error}");
    proxy
}

#[tokio::test]
async fn what_fails_is_told_in_words() {
    let tickets = Arc::new(Tickets::default());
    let asks = || vec![Act::Head, say(ASKS)];
    let then = |act: Act| [asks(), vec![Act::Head, act]].concat();
    let no_ticket = ": asks for Negotiate; no Kerberos token for HTTP/127.0.0.1: \
                     the ticket has expired";
    check_failed(asks(), &Tickets::none(), no_ticket).await;
    let rejected = ": credentials rejected by negotiate; asks for Negotiate";
    let proxy = check_failed(then(say(ASKS)), &tickets, rejected).await;
    assert_eq!(told(&proxy).len(), 2);
    // It is satisfied with us, and asks all the same.
    let proof = then(asks_with(PROOF));
    let expected = ": asks for Negotiate; the token is rejected";
    check_failed(proof, &tickets, expected).await;
    let no_token = say(&ASKS.replace("Negotiate", "Negotiate A"));
    let expected = ": asks for Negotiate; its Negotiate token is not one";
    check_failed(then(no_token), &tickets, expected).await;
    let endless: Vec<Act> = std::iter::repeat_n([Act::Head, asks_with(GO_ON)], 9)
        .flatten()
        .collect();
    let expected = ": asks for Negotiate; it asks for more than 4 Negotiate tokens";
    let proxy = check_failed([asks(), endless].concat(), &tickets, expected).await;
    assert_eq!(told(&proxy).len(), 5);
    let basic = say(&ASKS.replace("Negotiate", "Basic realm=x"));
    let expected = ": asks for Basic; credentials are configured for negotiate";
    check_failed(vec![Act::Head, basic], &tickets, expected).await;
}

#[tokio::test]
async fn a_proxy_that_closes_between_its_legs_is_tried_once_more() {
    let asks = vec![Act::Head, say(ASKS)];
    let midway = vec![Act::Head, asks_with(GO_ON), Act::Head];
    let proxy = proxy_by_turns(vec![[asks, midway.clone()].concat(), midway]).await;
    let tickets = Arc::new(Tickets::default());
    let way = by(vec![ticket_at(proxy.address, &tickets)]);
    let error = failed(&way).await.to_string();
    assert!(error.contains("Negotiate"), "{error}");
    assert_eq!(tickets.services().len(), 2);
}

#[tokio::test]
async fn auto_takes_a_ticket_first_and_the_password_where_there_is_none() {
    let backend = echo_backend().await;
    let tunnel = Act::Tunnel(backend.address);
    let script = vec![Act::Head, say(ASKS_BOTH), Act::Head, say(OK), tunnel];
    let first = proxy(script.clone()).await;
    let tickets = Arc::new(Tickets::default());
    assert_echoes(linked(&by(vec![auto_at(first.address, &tickets)])).await).await;
    assert_eq!(told(&first), ["-", "token 1.1"]);
    assert!(!first.heard_in_all().contains(TOKEN));

    let second = proxy(script).await;
    let way = by(vec![auto_at(second.address, &Tickets::none())]);
    assert_echoes(linked(&way).await).await;
    assert!(second.heard_in_all().contains(TOKEN));
    assert_eq!(second.connections(), 1);
}

#[tokio::test]
async fn a_ticket_that_ends_later_is_asked_about_and_then_told_by_password() {
    let backend = echo_backend().await;
    let tunnel = Act::Tunnel(backend.address);
    let asks = vec![Act::Head, say(ASKS_BOTH), Act::Head, say(OK), tunnel];
    let proxy = proxy(asks).await;
    let tickets = Arc::new(Tickets::default());
    let way = by(vec![auto_at(proxy.address, &tickets)]);
    assert_echoes(linked(&way).await).await;
    tickets.lose();
    assert_echoes(linked(&way).await).await;
    assert_eq!(told(&proxy), ["-", "token 1.1", "-", "-"]);
    assert_eq!(proxy.heard_in_all().matches(TOKEN).count(), 1);
}

fn impatient(hop: Hop) -> Backend {
    let mut egress = egress(vec![hop]);
    egress.timeouts = HopTimeouts {
        reply: Duration::from_millis(100),
        ..egress.timeouts
    };
    backend_by(vec![server_inside()], Way::Through(Arc::new(egress)))
}

#[tokio::test]
async fn a_kdc_that_does_not_answer_holds_a_dial_no_longer_than_a_reply_may() {
    let (answers, waits) = channel();
    let tickets = Tickets::that_wait_for(waits);
    let proxy = proxy(vec![Act::Head, say(ASKS), Act::Stall]).await;
    let error = failed(&impatient(ticket_at(proxy.address, &tickets))).await;
    let error = error.to_string();
    let expected = ": asks for Negotiate; no Kerberos token in time: no KDC answered";
    assert!(error.ends_with(expected), "{error}");
    drop(answers);
}

#[tokio::test]
async fn a_kdc_that_does_not_answer_leaves_other_hops_their_tokens() {
    let backend = echo_backend().await;
    let (answers, waits) = channel();
    let stuck = Tickets::that_wait_for(waits);
    let asks = vec![Act::Head, say(ASKS), Act::Stall];
    let silent = proxy(asks).await;
    let way = impatient(ticket_at(silent.address, &stuck));
    // More than all the tokens that may be made at once.
    join_all((0..40).map(|_| failed(&way))).await;

    let tunnel = Act::Tunnel(backend.address);
    let proxy = proxy(vec![Act::Head, say(ASKS), Act::Head, say(OK), tunnel]).await;
    let tickets = Arc::new(Tickets::default());
    let way = by(vec![ticket_at(proxy.address, &tickets)]);
    assert_echoes(linked(&way).await).await;
    drop(answers);
}

#[tokio::test]
async fn over_tls_a_token_is_bound_to_the_proxys_certificate() {
    let backend = echo_backend().await;
    let cert = dev_certificate(&["proxy.test"]);
    let tunnel = Act::Tunnel(backend.address);
    let script = vec![Act::Head, say(ASKS), Act::Head, say(OK), tunnel];
    let proxy = Script::play(vec![script], Some(cert.acceptor())).await;
    let tickets = Arc::new(Tickets::default());
    let to = TlsTo {
        config: tls::client(cert.roots(), None).unwrap(),
        name: "proxy.test".try_into().unwrap(),
    };
    let hop = Hop {
        tls: Some(to),
        ..ticket_at(proxy.address, &tickets)
    };
    assert_echoes(linked(&by(vec![hop])).await).await;
    // The certificate is signed with P-256 and SHA-256.
    let hash = digest(&SHA256, &cert.chain_der[0]);
    let bound = [b"tls-server-end-point:", hash.as_ref()].concat();
    assert_eq!(tickets.bindings(), [Some(bound)]);
}

#[tokio::test]
async fn without_tls_to_the_proxy_itself_a_token_is_bound_to_nothing() {
    let backend = echo_backend().await;
    let asks = vec![Act::Head, say(ASKS), Act::Head, say(OK)];
    let inner = proxy([asks, vec![Act::Tunnel(backend.address)]].concat()).await;
    let cert = dev_certificate(&["proxy.test"]);
    let opens = vec![Act::Head, say(OK), Act::Tunnel(inner.address)];
    let outer = Script::play(vec![opens], Some(cert.acceptor())).await;
    let to = TlsTo {
        config: tls::client(cert.roots(), None).unwrap(),
        name: "proxy.test".try_into().unwrap(),
    };
    let first = Hop {
        tls: Some(to),
        ..known_at(outer.address)
    };
    let tickets = Arc::new(Tickets::default());
    let way = by(vec![first, ticket_at(inner.address, &tickets)]);
    assert_echoes(linked(&way).await).await;
    assert_eq!(tickets.bindings(), [None]);
}

#[tokio::test]
async fn a_token_that_a_proxy_prints_is_masked() {
    let token = STANDARD.encode("token 1.1");
    let body = format!("you said {token}");
    let reply = format!(
        "HTTP/1.1 403 No\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let proxy = proxy(vec![Act::Head, say(ASKS), Act::Head, say(&reply)]).await;
    let tickets = Arc::new(Tickets::default());
    let error = failed(&by(vec![ticket_at(proxy.address, &tickets)])).await;
    let error = error.to_string();
    assert!(error.contains("you said ***"), "{error}");
    assert!(!error.contains(&token), "{error}");
}
