//! NTLM against a proxy that really verifies: three legs, one connection, one attempt.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use throughway::egress::{Auth, Choice, Hop, Membership, Scheme, TlsTo};
use throughway::net::tls;

use crate::support::backend::echo_backend;
use crate::support::certs::{DevCert, dev_certificate};
use crate::support::dialling::{
    PASSWORD, TOKEN, USER, assert_echoes, by, failed, hop_by, hop_with, known_at, linked,
};
use crate::support::ntlm::{ASKS_NTLM, KEY_EXCHANGE, Verifier, authorization, binding};
use crate::support::proxy::{ASKS_AND_STAYS, OK, proxy, proxy_by_turns, say};
use crate::support::script::{Act, Script};

const ONLY: Choice = Choice::Only(Scheme::Ntlm);
/// What a Type 1, 2 or 3 begins with in base64.
pub(crate) const TYPES: [&str; 3] = ["TlRMTVNTUAAB", "TlRMTVNTUAAC", "TlRMTVNTUAAD"];

pub(crate) fn verifier() -> Verifier {
    Verifier::new(USER, PASSWORD)
}

pub(crate) fn ntlm_at(proxy: &Script) -> Hop {
    hop_by(proxy.address, ONLY)
}

/// Asks, goes through the legs, and opens a tunnel to `backend`.
pub(crate) fn passes(verifier: &Arc<Verifier>, backend: &Script) -> Vec<Act> {
    let asks = vec![Act::Head, say(ASKS_NTLM)];
    let tunnel = vec![Act::Tunnel(backend.address)];
    [asks, verifier.legs(), tunnel].concat()
}

fn times(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

/// How often each type was told.
pub(crate) fn told(proxy: &Script) -> [usize; 3] {
    TYPES.map(|begins| times(&proxy.heard_in_all(), begins))
}

#[tokio::test]
async fn domain_and_workstation_are_told_as_they_are_written() {
    let backend = echo_backend().await;
    let verifier = Arc::new(Verifier {
        domain: "Corp",
        workstation: "gateway-1",
        user: "j\u{fc}rg",
        ..verifier()
    });
    let proxy = proxy(passes(&verifier, &backend)).await;
    let membership = Membership {
        domain: "Corp".to_owned(),
        workstation: "gateway-1".to_owned(),
    };
    let hop = Hop {
        auth: Auth::by(ONLY).within(membership),
        ..hop_with(proxy.address, "j\u{fc}rg", PASSWORD)
    };
    assert_echoes(linked(&by(vec![hop])).await).await;
    assert_eq!(verifier.verdicts(), [Ok(())]);
}

#[tokio::test]
async fn a_user_of_the_environment_may_bring_the_domain_along() {
    let backend = echo_backend().await;
    let verifier = Arc::new(Verifier {
        domain: "Corp",
        ..verifier()
    });
    let proxy = proxy(passes(&verifier, &backend)).await;
    let hop = hop_with(proxy.address, "Corp\\alice", PASSWORD);
    assert_echoes(linked(&by(vec![hop])).await).await;
    assert_eq!(verifier.verdicts(), [Ok(())]);
}

#[tokio::test]
async fn a_proxy_that_wants_a_key_exchange_gets_one() {
    let backend = echo_backend().await;
    let verifier = Arc::new(Verifier {
        flags: KEY_EXCHANGE,
        ..verifier()
    });
    let proxy = proxy(passes(&verifier, &backend)).await;
    assert_echoes(linked(&by(vec![ntlm_at(&proxy)])).await).await;
    assert_eq!(verifier.verdicts(), [Ok(())]);
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_no_more() {
    let verifier = Arc::new(Verifier::new(USER, "another word"));
    let asks = vec![Act::Head, say(ASKS_NTLM)];
    let proxy = proxy([asks, verifier.legs(), vec![Act::Stall]].concat()).await;
    let error = failed(&by(vec![ntlm_at(&proxy)])).await;
    assert!(
        error
            .to_string()
            .ends_with(": credentials rejected by ntlm; asks for NTLM"),
        "{error}"
    );
    assert_eq!(error.reason(), "proxy_auth");
    assert_eq!(verifier.verdicts(), [Err("another password".to_owned())]);
    assert_eq!((proxy.connections(), told(&proxy)), (1, [1, 0, 1]));
}

#[tokio::test]
async fn another_challenge_after_the_proof_is_a_rejection() {
    let verifier = Arc::new(verifier());
    let challenge = || verifier.challenges("Content-Length: 0\r\n\r\n");
    // It would challenge Type 3 only if it took it for a Type 1; so the last one comes from here.
    let last = Act::Say(
        b"HTTP/1.1 407 Who\r\nProxy-Authenticate: NTLM TlRMTVNTUAACAAAA\r\n\
                         Content-Length: 0\r\n\r\n"
            .to_vec(),
    );
    let script = vec![
        Act::Head,
        say(ASKS_NTLM),
        Act::Head,
        challenge(),
        Act::Head,
        last,
    ];
    let proxy = proxy([script, vec![Act::Stall]].concat()).await;
    let error = failed(&by(vec![ntlm_at(&proxy)])).await.to_string();
    assert!(error.contains("credentials rejected by ntlm"), "{error}");
    assert_eq!((proxy.connections(), told(&proxy)), (1, [1, 0, 1]));
}

#[tokio::test]
async fn a_407_that_closes_before_the_first_leg_costs_a_connection_and_nothing_else() {
    let backend = echo_backend().await;
    let verifier = Arc::new(verifier());
    let closes = ASKS_NTLM.replace("keep-alive", "close");
    let then = [verifier.legs(), vec![Act::Tunnel(backend.address)]].concat();
    let proxy = proxy_by_turns(vec![vec![Act::Head, say(&closes)], then]).await;
    assert_echoes(linked(&by(vec![ntlm_at(&proxy)])).await).await;
    assert_eq!((proxy.connections(), told(&proxy)), (2, [1, 0, 1]));
}

/// The first connections break off in each of these ways, the one after them does not.
pub(crate) fn breaks_off(verifier: &Arc<Verifier>) -> Vec<Vec<Act>> {
    let asks = vec![Act::Head, say(ASKS_NTLM)];
    let challenge = |rest| vec![Act::Head, verifier.challenges(rest)];
    vec![
        // With the challenge: it says so, or does not say where its body ends.
        [
            asks.clone(),
            challenge("Connection: close\r\nContent-Length: 0\r\n\r\n"),
        ]
        .concat(),
        [asks.clone(), challenge("\r\n")].concat(),
        // Behind the challenge, or with the proof in its hands.
        [asks.clone(), challenge("Content-Length: 0\r\n\r\n")].concat(),
        [
            asks,
            challenge("Content-Length: 0\r\n\r\n"),
            vec![Act::Head],
        ]
        .concat(),
    ]
}

#[tokio::test]
async fn chunked_bodies_between_the_legs_are_read_past() {
    let backend = echo_backend().await;
    let verifier = Arc::new(verifier());
    let body = "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nwho??\r\n0\r\n\r\n";
    let asks = ASKS_NTLM.replace("Content-Length: 5\r\n\r\nwho??", body);
    let script = vec![
        Act::Head,
        Act::Dribble(asks.into_bytes(), 1),
        Act::Head,
        verifier.challenges("Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nwho??\r\n0\r\n\r\n"),
        Act::Head,
        verifier.judges(),
        Act::Tunnel(backend.address),
    ];
    let proxy = proxy(script).await;
    assert_echoes(linked(&by(vec![ntlm_at(&proxy)])).await).await;
    assert_eq!(
        (proxy.connections(), verifier.verdicts()),
        (1, vec![Ok(())])
    );
}

#[tokio::test]
async fn what_is_no_challenge_ends_it_and_says_why() {
    for (challenge, expected) in [
        ("NTLM", "it does not answer NTLM with a challenge"),
        ("Negotiate", "it does not answer NTLM with a challenge"),
        ("NTLM T===", "its NTLM challenge is not base64"),
        (
            "NTLM TlRMTVNTUAACAAAA",
            "its NTLM challenge cannot be read: it ends too early",
        ),
    ] {
        let reply = ASKS_NTLM.replace("NTLM", challenge);
        let script = vec![
            Act::Head,
            say(ASKS_NTLM),
            Act::Head,
            say(&reply),
            Act::Stall,
        ];
        let proxy = proxy(script).await;
        let error = failed(&by(vec![ntlm_at(&proxy)])).await.to_string();
        assert!(error.ends_with(expected), "{error}");
        assert_eq!((proxy.connections(), told(&proxy)), (1, [1, 0, 0]));
    }
}

#[tokio::test]
async fn a_hop_that_took_ntlm_is_offered_it_at_once_next_time() {
    let backend = echo_backend().await;
    let verifier = Arc::new(verifier());
    let at_once = [verifier.legs(), vec![Act::Tunnel(backend.address)]].concat();
    let proxy = proxy_by_turns(vec![passes(&verifier, &backend), at_once]).await;
    let dialled = by(vec![ntlm_at(&proxy)]);
    for _ in 0..3 {
        assert_echoes(linked(&dialled).await).await;
    }
    // Each session has a connection of its own, and proves it anew.
    assert_eq!((proxy.connections(), told(&proxy)), (3, [3, 0, 3]));
    let proofs: Vec<String> = (0..3).map(|n| proof(&proxy.heard(n))).collect();
    assert_ne!(proofs[0], proofs[1]);
    assert_ne!(proofs[1], proofs[2]);
}

#[tokio::test]
async fn a_hop_that_took_ntlm_and_now_wants_basic_is_told_by_basic() {
    let backend = echo_backend().await;
    let verifier = Arc::new(verifier());
    let tunnel = Act::Tunnel(backend.address);
    let basic = vec![Act::Head, say(ASKS_AND_STAYS), Act::Head, say(OK), tunnel];
    let proxy = proxy_by_turns(vec![passes(&verifier, &backend), basic]).await;
    let dialled = by(vec![known_at(proxy.address)]);
    assert_echoes(linked(&dialled).await).await;
    assert_echoes(linked(&dialled).await).await;
    assert_eq!((proxy.connections(), told(&proxy)), (2, [2, 0, 1]));
    assert_eq!(times(&proxy.heard(1), TOKEN), 1);
}

/// The Type 3 of a connection, in base64.
fn proof(heard: &str) -> String {
    let heads = heard.split("\r\n\r\n");
    let mut with = heads.filter(|head| head.contains(TYPES[2]));
    STANDARD.encode(authorization(with.next().unwrap()))
}

/// A proxy behind TLS, and a hop that trusts it.
async fn behind_tls(cert: &DevCert, script: Vec<Act>) -> (Script, Hop) {
    let proxy = Script::play(vec![script], Some(cert.acceptor())).await;
    let to = TlsTo {
        config: tls::client(cert.roots(), None).unwrap(),
        name: "proxy.test".try_into().unwrap(),
    };
    let hop = Hop {
        tls: Some(to),
        ..ntlm_at(&proxy)
    };
    (proxy, hop)
}

#[tokio::test]
async fn over_tls_the_proof_is_bound_to_the_proxys_certificate() {
    let backend = echo_backend().await;
    let cert = dev_certificate(&["proxy.test"]);
    // The certificate is signed with P-256 and SHA-256.
    let hash = digest(&SHA256, &cert.chain_der[0]);
    let verifier = Arc::new(Verifier {
        binding: binding(hash.as_ref()),
        ..verifier()
    });
    let (_proxy, hop) = behind_tls(&cert, passes(&verifier, &backend)).await;
    assert_echoes(linked(&by(vec![hop])).await).await;
    assert_eq!(verifier.verdicts(), [Ok(())]);
}

#[tokio::test]
async fn a_plain_proxy_behind_one_with_tls_is_bound_to_nothing() {
    let backend = echo_backend().await;
    let inner = Arc::new(verifier());
    let second = proxy(passes(&inner, &backend)).await;
    let cert = dev_certificate(&["proxy.test"]);
    let opens = vec![Act::Head, say(OK), Act::Tunnel(second.address)];
    let (_first, first_hop) = behind_tls(&cert, opens).await;
    assert_echoes(linked(&by(vec![first_hop, ntlm_at(&second)])).await).await;
    assert_eq!(inner.verdicts(), [Ok(())]);
}

/// Asks for Negotiate and goes through NTLM's legs there.
fn passes_in_negotiate(verifier: &Arc<Verifier>, backend: &Script) -> Vec<Act> {
    let asks = vec![Act::Head, say(&ASKS_NTLM.replace("NTLM", verifier.scheme))];
    let tunnel = vec![Act::Tunnel(backend.address)];
    [asks, verifier.legs(), tunnel].concat()
}

fn verifier_in_negotiate(password: &'static str) -> Arc<Verifier> {
    Arc::new(Verifier {
        scheme: "Negotiate",
        ..Verifier::new(USER, password)
    })
}

#[tokio::test]
async fn a_proxy_that_offers_negotiate_alone_is_told_ntlm_there() {
    for choice in [ONLY, Choice::Auto] {
        let backend = echo_backend().await;
        let verifier = verifier_in_negotiate(PASSWORD);
        let asked = passes_in_negotiate(&verifier, &backend);
        let unasked = [verifier.legs(), vec![Act::Tunnel(backend.address)]].concat();
        let proxy = proxy_by_turns(vec![asked, unasked]).await;
        let way = by(vec![hop_by(proxy.address, choice)]);
        assert_echoes(linked(&way).await).await;
        assert_echoes(linked(&way).await).await;
        assert_eq!(verifier.verdicts(), [Ok(()), Ok(())]);
        let heard = proxy.heard_in_all();
        assert_eq!((proxy.connections(), told(&proxy)), (2, [2, 0, 2]));
        assert_eq!(times(&heard, "Authorization: Negotiate TlRM"), 4);
    }
}

#[tokio::test]
async fn a_wrong_password_in_negotiate_is_told_once() {
    let backend = echo_backend().await;
    let verifier = verifier_in_negotiate("another word");
    let proxy = proxy(passes_in_negotiate(&verifier, &backend)).await;
    let error = failed(&by(vec![hop_by(proxy.address, Choice::Auto)])).await;
    let expected = ": credentials rejected by ntlm; asks for Negotiate";
    assert!(error.to_string().ends_with(expected), "{error}");
    assert_eq!((proxy.connections(), told(&proxy)), (1, [1, 0, 1]));
}

#[tokio::test]
async fn in_auto_what_is_offered_by_its_own_name_comes_before_ntlm_in_negotiate() {
    let asks = ASKS_NTLM.replace(
        "NTLM\r\n",
        "Negotiate\r\nProxy-Authenticate: Basic realm=x\r\n",
    );
    let backend = echo_backend().await;
    let tunnel = Act::Tunnel(backend.address);
    let proxy = proxy(vec![Act::Head, say(&asks), Act::Head, say(OK), tunnel]).await;
    assert_echoes(linked(&by(vec![known_at(proxy.address)])).await).await;
    assert_eq!(told(&proxy), [0, 0, 0]);
    assert_eq!(times(&proxy.heard_in_all(), TOKEN), 1);
}

#[tokio::test]
async fn a_proxy_that_takes_tickets_alone_is_said_to() {
    let asks = ASKS_NTLM.replace("NTLM", "Negotiate");
    let proxy = proxy(vec![Act::Head, say(&asks), Act::Head, say(&asks)]).await;
    let error = failed(&by(vec![hop_by(proxy.address, Choice::Auto)])).await;
    let expected = ": asks for Negotiate; it takes a ticket of Kerberos and no NTLM there";
    assert!(error.to_string().ends_with(expected), "{error}");
    assert_eq!(told(&proxy), [1, 0, 0]);
}

#[tokio::test]
async fn auto_takes_ntlm_before_basic_and_basic_after_it() {
    let asks = ASKS_NTLM.replace("NTLM\r\n", "NTLM\r\nProxy-Authenticate: Basic realm=x\r\n");
    let backend = echo_backend().await;
    let right = Arc::new(verifier());
    let script = vec![Act::Head, say(&asks)];
    let tunnel = vec![Act::Tunnel(backend.address)];
    let first = proxy([script.clone(), right.legs(), tunnel.clone()].concat()).await;
    assert_echoes(linked(&by(vec![known_at(first.address)])).await).await;
    assert!(!first.heard_in_all().contains(TOKEN));

    // The proxy has another password for NTLM; each scheme is tried once.
    let wrong = Arc::new(Verifier::new(USER, "another word"));
    let mut legs = wrong.legs();
    legs.extend([Act::Head, say(OK)]);
    let asks_both = wrong.challenges("Content-Length: 0\r\n\r\n");
    legs[1] = asks_both;
    legs[3] = say(&asks);
    let second = proxy([script, legs, tunnel].concat()).await;
    assert_echoes(linked(&by(vec![known_at(second.address)])).await).await;
    assert_eq!(told(&second), [1, 0, 1]);
    assert_eq!(times(&second.heard_in_all(), TOKEN), 1);
}

#[tokio::test]
async fn ntlm_alone_is_never_answered_with_a_password() {
    let proxy = proxy(vec![Act::Head, say(ASKS_AND_STAYS), Act::Stall]).await;
    let error = failed(&by(vec![ntlm_at(&proxy)])).await.to_string();
    let expected = ": asks for Basic; credentials are configured for ntlm";
    assert!(error.ends_with(expected), "{error}");
    assert!(!proxy.heard_in_all().contains("uthorization"));
}

#[tokio::test]
async fn a_proof_that_a_proxy_prints_is_masked() {
    let verifier = Arc::new(verifier());
    let shows = Act::Answer(Arc::new(|head| {
        let token = STANDARD.encode(authorization(head));
        format!("HTTP/1.1 403 No\r\n\r\n<pre>NTLM {token}</pre>{USER}").into_bytes()
    }));
    let mut legs = verifier.legs();
    legs[3] = shows;
    let asks = vec![Act::Head, say(ASKS_NTLM)];
    let proxy = proxy([asks, legs].concat()).await;
    let error = failed(&by(vec![ntlm_at(&proxy)])).await.to_string();
    assert!(error.contains("<pre>NTLM ***</pre>***"), "{error}");
    assert!(!error.contains(TYPES[2]), "{error}");
}
