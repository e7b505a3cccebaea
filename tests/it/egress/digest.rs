//! Digest towards a proxy that checks it by itself, and what `auto` makes of several schemes.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join_all;
use throughway::egress::{Backend, Choice, Credentials, Hop, Scheme, Secret};

use crate::support::backend::echo_backend;
use crate::support::dialling::{
    PASSWORD, TOKEN, USER, assert_echoes, by, failed, hop_by, hop_with, known_at, linked,
};
use crate::support::digest::{Lock, answer_in, asks, closing, lock};
use crate::support::proxy::{OK, proxy_by_turns, say};
use crate::support::script::{Act, Script};

pub(crate) const BASIC: &str = "Basic realm=\"corp\"";

fn times(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

/// How often a proxy was told anything.
pub(crate) fn told(proxy: &Script) -> usize {
    times(&proxy.heard_in_all(), "Proxy-Authorization: ")
}

/// The heads on one connection that carry an answer by Digest.
fn answers(heard: &str) -> Vec<String> {
    let heads = heard.split_inclusive("\r\n\r\n");
    let answers = heads.filter(|h| h.starts_with("CONNECT") && h.contains(": Digest "));
    answers.map(str::to_owned).collect()
}

/// The tests' user, by this scheme alone.
pub(crate) fn only(proxy: &Script, scheme: Scheme) -> Backend {
    by(vec![hop_by(proxy.address, Choice::Only(scheme))])
}

pub(crate) fn auto(proxy: &Script) -> Backend {
    by(vec![known_at(proxy.address)])
}

/// A proxy with a lock: asks, is answered on the same connection, opens. Later connections must
/// bring the answer with them.
pub(crate) async fn locked(lock: &Lock, backend: &Script) -> Script {
    let (opens, tunnel) = (lock.opens(OK), Act::Tunnel(backend.address));
    let first = vec![
        Act::Head,
        say(&lock.asks()),
        Act::Head,
        opens.clone(),
        tunnel.clone(),
    ];
    proxy_by_turns(vec![first, vec![Act::Head, opens, tunnel]]).await
}

/// The first connection asks and closes, each that follows is to bring the answer with it.
pub(crate) async fn locked_and_closing(lock: &Lock, backend: &Script) -> Script {
    let first = vec![Act::Head, say(&closing(&lock.asks()))];
    let then = vec![Act::Head, lock.opens(OK), Act::Tunnel(backend.address)];
    proxy_by_turns(vec![first, then]).await
}

#[tokio::test]
async fn old_proxies_odd_realms_and_odd_users_are_answered() {
    let backend = echo_backend().await;
    let odd = "CORP\\al\"ice";
    let foreign = "J\u{e4}s\u{f8}n Doe";
    for (lock, user) in [
        (lock("n1").legacy(), USER),
        (lock("n1").realm("a \"quoted\", \\odd realm="), USER),
        (lock("n1").hides_user(), USER),
        (lock("n1").by("SHA-512-256").hides_user(), foreign),
        (lock("n1").user(odd), odd),
        (lock("n1").user(foreign), foreign),
    ] {
        let lock = lock.user(user);
        let proxy = locked(&lock, &backend).await;
        let dialled = by(vec![hop_with(proxy.address, user, PASSWORD)]);
        assert_echoes(linked(&dialled).await).await;
        assert_eq!(told(&proxy), 1, "{}", lock.challenge());
    }
}

#[tokio::test]
async fn the_second_session_is_let_in_without_a_407() {
    let backend = echo_backend().await;
    for lock in [lock("n1"), lock("n1").by("SHA-256-sess")] {
        let proxy = locked(&lock, &backend).await;
        let dialled = only(&proxy, Scheme::Digest);
        for connections in 1..=3 {
            assert_echoes(linked(&dialled).await).await;
            assert_eq!(proxy.connections(), connections);
        }
        assert_eq!(told(&proxy), 3);
        let third = &answers(&proxy.heard(2))[0];
        assert_eq!(answer_in(third).unwrap()["nc"], "00000003");
    }
    let proxy = locked(&lock("n1").legacy(), &backend).await;
    let dialled = auto(&proxy);
    assert_echoes(linked(&dialled).await).await;
    assert_echoes(linked(&dialled).await).await;
    assert_eq!((proxy.connections(), told(&proxy)), (2, 2));
}

#[tokio::test]
async fn dials_at_the_same_time_never_use_the_same_count() {
    let backend = echo_backend().await;
    let proxy = locked(&lock("n1"), &backend).await;
    let dialled = Arc::new(auto(&proxy));
    assert_echoes(linked(&dialled).await).await;
    let dials = (0..20).map(|_| async { assert_echoes(linked(&dialled).await).await });
    join_all(dials).await;
    // No 407 in between, and the lock has seen to it that none was used twice.
    assert_eq!((proxy.connections(), told(&proxy)), (21, 21));
    let counts: HashSet<String> = (0..21)
        .flat_map(|n| answers(&proxy.heard(n)))
        .map(|head| answer_in(&head).unwrap()["nc"].clone())
        .collect();
    let expected = (1..=21).map(|n| format!("{n:08x}")).collect();
    assert_eq!(counts, expected);
}

#[tokio::test]
async fn a_remembered_nonce_that_is_refused_is_replaced_once() {
    let backend = echo_backend().await;
    let (old, new) = (lock("n1"), lock("n2"));
    let tunnel = Act::Tunnel(backend.address);
    let first = vec![
        Act::Head,
        say(&old.asks()),
        Act::Head,
        old.opens(OK),
        tunnel.clone(),
    ];
    // Some say `stale`, some only ask again; some close.
    for refusal in [new.stale(), new.asks(), closing(&new.stale())] {
        let opens = vec![Act::Head, new.opens(OK), tunnel.clone()];
        let second = [vec![Act::Head, say(&refusal)], opens.clone()].concat();
        let proxy = proxy_by_turns(vec![first.clone(), second, opens]).await;
        let dialled = only(&proxy, Scheme::Digest);
        assert_echoes(linked(&dialled).await).await;
        assert_echoes(linked(&dialled).await).await;
        assert_eq!(told(&proxy), 3);
        let connections = proxy.connections();
        // The new one is remembered in its turn.
        assert_echoes(linked(&dialled).await).await;
        assert_eq!((proxy.connections(), told(&proxy)), (connections + 1, 4));
        old.forget();
        new.forget();
    }

    let never = vec![
        Act::Head,
        say(&new.asks()),
        Act::Head,
        say(&lock("n3").asks()),
        Act::Stall,
    ];
    let proxy = proxy_by_turns(vec![first, never]).await;
    let dialled = only(&proxy, Scheme::Digest);
    assert_echoes(linked(&dialled).await).await;
    rejected(&dialled, "by digest").await;
    assert_eq!((proxy.connections(), told(&proxy)), (2, 3));
}

#[tokio::test]
async fn the_nonce_that_a_proxy_names_for_the_next_time_is_used_then() {
    const NEXT: &str = "HTTP/1.1 200 OK\r\nProxy-Authentication-Info: qop=auth, nc=00000001, \
                        nextnonce=\"n2\"\r\n\r\n";
    let backend = echo_backend().await;
    let (old, new) = (lock("n1"), lock("n2"));
    let tunnel = Act::Tunnel(backend.address);
    let first = vec![
        Act::Head,
        say(&old.asks()),
        Act::Head,
        old.opens(NEXT),
        tunnel.clone(),
    ];
    let proxy = proxy_by_turns(vec![first, vec![Act::Head, new.opens(OK), tunnel]]).await;
    let dialled = auto(&proxy);
    for _ in 0..3 {
        assert_echoes(linked(&dialled).await).await;
    }
    assert_eq!((proxy.connections(), told(&proxy)), (3, 3));
    let second = &answers(&proxy.heard(1))[0];
    assert_eq!(answer_in(second).unwrap()["nc"], "00000001");
}

/// That the credentials are rejected by these schemes.
pub(crate) async fn rejected(dialled: &Backend, by: &str) {
    let error = failed(dialled).await;
    let text = error.to_string();
    assert!(
        text.contains(&format!(": credentials rejected {by}; asks for ")),
        "{text}"
    );
    assert_eq!(error.reason(), "proxy_auth");
}

#[tokio::test]
async fn a_wrong_password_is_told_once_and_ends_the_dial() {
    for refusal in [
        lock("n1").asks(),
        lock("n2").asks(),
        closing(&lock("n2").asks()),
    ] {
        let script = vec![
            Act::Head,
            say(&lock("n1").asks()),
            Act::Head,
            say(&refusal),
            Act::Stall,
        ];
        let proxy = proxy_by_turns(vec![script]).await;
        rejected(&only(&proxy, Scheme::Digest), "by digest").await;
        assert_eq!((proxy.connections(), told(&proxy)), (1, 1));
    }
    let proxy = proxy_by_turns(vec![vec![Act::Head, say(&closing(&lock("n1").asks()))]]).await;
    rejected(&auto(&proxy), "by digest").await;
    assert_eq!((proxy.connections(), told(&proxy)), (2, 1));
}

#[tokio::test]
async fn auto_answers_the_strongest_that_is_offered() {
    let backend = echo_backend().await;
    let (weak, strong) = (lock("n1"), lock("n2").by("SHA-256"));
    for offers in [
        [BASIC, &weak.challenge(), &strong.challenge()],
        [&strong.challenge(), &weak.challenge(), BASIC],
        ["Negotiate", &strong.challenge(), BASIC],
    ] {
        let script = vec![
            Act::Head,
            say(&asks(&offers)),
            Act::Head,
            strong.opens(OK),
            Act::Tunnel(backend.address),
        ];
        let proxy = proxy_by_turns(vec![script]).await;
        assert_echoes(linked(&auto(&proxy)).await).await;
        assert_eq!(told(&proxy), 1);
        assert!(!proxy.heard_in_all().contains(TOKEN));
        strong.forget();
    }
}

#[tokio::test]
async fn auto_goes_on_to_basic_where_digest_cannot_be_answered_and_keeps_to_it() {
    let backend = echo_backend().await;
    let tunnel = Act::Tunnel(backend.address);
    for digest in [
        "Digest realm=x, nonce=n, algorithm=SHA-512, qop=auth",
        "Digest realm=x, nonce=n, qop=\"auth-int\"",
        "Digest realm=x",
    ] {
        let opens = vec![Act::Head, say(OK), tunnel.clone()];
        for offers in [asks(&[digest, BASIC]), closing(&asks(&[BASIC, digest]))] {
            let asks = vec![Act::Head, say(&offers)];
            let first = match offers.contains("close") {
                true => asks,
                false => [asks, opens.clone()].concat(),
            };
            let proxy = proxy_by_turns(vec![first, opens.clone()]).await;
            let dialled = auto(&proxy);
            assert_echoes(linked(&dialled).await).await;
            let connections = proxy.connections();
            assert_echoes(linked(&dialled).await).await;
            assert_eq!(proxy.connections(), connections + 1);
            let token = times(&proxy.heard_in_all(), &format!("Basic {TOKEN}"));
            assert_eq!((told(&proxy), token), (2, 2));
        }
    }
}

#[tokio::test]
async fn auto_goes_on_to_basic_where_digest_is_rejected_and_tries_each_once() {
    let backend = echo_backend().await;
    let both = asks(&[&lock("n1").challenge(), BASIC]);
    let asked = vec![Act::Head, say(&both)];
    let opens = vec![Act::Head, say(OK), Act::Tunnel(backend.address)];
    let in_one = [asked.clone(), asked.clone(), opens.clone()].concat();
    let closes = vec![Act::Head, say(&closing(&both))];
    for scripts in [
        vec![in_one, opens.clone()],
        vec![closes.clone(), closes.clone(), opens.clone()],
    ] {
        let proxy = proxy_by_turns(scripts).await;
        let dialled = auto(&proxy);
        assert_echoes(linked(&dialled).await).await;
        assert_eq!(told(&proxy), 2);
        assert_eq!(times(&proxy.heard_in_all(), TOKEN), 1);
        // What let us pass is what is remembered.
        assert_echoes(linked(&dialled).await).await;
        assert_eq!(told(&proxy), 3);
        assert_eq!(times(&proxy.heard_in_all(), TOKEN), 2);
    }

    let never = [asked.clone(), asked.clone(), asked, vec![Act::Stall]].concat();
    for scripts in [vec![never], vec![closes]] {
        let proxy = proxy_by_turns(scripts).await;
        rejected(&auto(&proxy), "by digest, then basic").await;
        assert_eq!(told(&proxy), 2);
        assert_eq!(times(&proxy.heard_in_all(), TOKEN), 1);
    }
}

#[tokio::test]
async fn a_scheme_that_was_chosen_is_never_left_for_another() {
    let check = async |offers: &[&str], scheme, expected: &str, tellings: usize| {
        let asked = vec![Act::Head, say(&asks(offers))];
        let proxy = proxy_by_turns(vec![[asked.clone(), asked, vec![Act::Stall]].concat()]).await;
        let error = failed(&only(&proxy, scheme)).await.to_string();
        assert!(error.ends_with(expected), "{error}");
        assert_eq!(told(&proxy), tellings, "{error}");
    };
    let md5 = lock("n1").challenge();
    let sha3 = "Digest nonce=n, algorithm=SHA3, qop=\"auth\"";
    let integral = "Digest nonce=n, qop=\"auth-int\"";
    let (basic, digest) = (Scheme::Basic, Scheme::Digest);
    let named = "Digest algorithm=MD5 qop=auth-int,auth";
    let expected = ": asks for Basic, NTLM; credentials are configured for digest";
    check(&[BASIC, "NTLM"], digest, expected, 0).await;
    let expected = format!(": asks for {named}; credentials are configured for basic");
    check(&[&md5], basic, &expected, 0).await;
    let expected = ": asks for Digest algorithm=SHA3 qop=auth, Basic; \
                    no Digest algorithm of it is supported";
    check(&[sha3, BASIC], digest, expected, 0).await;
    let expected = ": asks for Digest qop=auth-int, Basic; no Digest qop of it is supported";
    check(&[integral, BASIC], digest, expected, 0).await;
    let expected = format!(": credentials rejected by digest; asks for {named}, Basic");
    check(&[&md5, BASIC], digest, &expected, 1).await;
    let expected = format!(": credentials rejected by basic; asks for {named}, Basic");
    check(&[&md5, BASIC], basic, &expected, 1).await;
}

#[tokio::test]
async fn remembered_basic_that_is_refused_is_not_told_again() {
    let backend = echo_backend().await;
    let (lock, tunnel) = (lock("n1"), Act::Tunnel(backend.address));
    let asks_basic = vec![Act::Head, say(&asks(&[BASIC]))];
    let opens = vec![Act::Head, say(OK), tunnel.clone()];
    let first = [asks_basic.clone(), opens].concat();

    let proxy = proxy_by_turns(vec![first.clone(), asks_basic, first.clone()]).await;
    let dialled = auto(&proxy);
    assert_echoes(linked(&dialled).await).await;
    rejected(&dialled, "by basic").await;
    assert_eq!((proxy.connections(), told(&proxy)), (2, 2));
    // What was refused is forgotten: the next dial tells nothing before it is asked.
    assert_echoes(linked(&dialled).await).await;
    assert_eq!((proxy.connections(), told(&proxy)), (3, 3));
    let begins = proxy.heard(2);
    let begins = begins.split("\r\n\r\n").next().unwrap();
    assert!(!begins.contains("Authorization"), "{begins}");

    // Not even where the proxy has learnt something better in the meantime.
    let better = vec![
        Act::Head,
        say(&lock.asks()),
        Act::Head,
        lock.opens(OK),
        tunnel,
    ];
    let proxy = proxy_by_turns(vec![first, better]).await;
    let dialled = auto(&proxy);
    assert_echoes(linked(&dialled).await).await;
    assert_echoes(linked(&dialled).await).await;
    assert_eq!(times(&proxy.heard_in_all(), TOKEN), 2);
    assert_eq!((proxy.connections(), told(&proxy)), (2, 3));
}

#[tokio::test]
async fn each_hop_of_a_chain_has_its_own_dialogue() {
    let backend = echo_backend().await;
    let (near, far) = (lock("near"), lock("far").user("bob"));
    let second = locked_and_closing(&far, &backend).await;
    let tunnel = Act::Tunnel(second.address);
    let opens = vec![Act::Head, near.opens(OK), tunnel];
    let asks = vec![Act::Head, say(&near.asks())];
    let first = proxy_by_turns(vec![[asks, opens.clone()].concat(), opens]).await;
    let bob = |hop: Hop| Hop {
        credentials: Some(Credentials {
            user: Secret::new("bob".to_owned()),
            password: Secret::new(PASSWORD.to_owned()),
        }),
        ..hop
    };
    let hops = vec![known_at(first.address), bob(known_at(second.address))];
    let dialled = by(hops);
    assert_echoes(linked(&dialled).await).await;
    assert_eq!((first.connections(), second.connections()), (2, 2));
    assert_echoes(linked(&dialled).await).await;
    assert_eq!((first.connections(), second.connections()), (3, 3));
    assert!(!second.heard_in_all().contains(USER));
    assert!(!backend.heard_in_all().contains("uthorization"));
}

#[tokio::test]
async fn what_a_proxy_prints_of_an_answer_is_masked() {
    let prints = Act::Answer(Arc::new(|head: &str| {
        let line = head.lines().find(|l| l.contains("Digest ")).unwrap();
        let given = answer_in(head).unwrap();
        format!(
            "HTTP/1.1 403 {} said {}\r\nVia: {}\r\n\r\n{line}",
            given["username"], given["response"], given["cnonce"]
        )
        .into_bytes()
    }));
    for (lock, user) in [
        (lock("n1"), USER),
        (lock("n1").hides_user(), USER),
        (lock("n1"), "CORP\\alice"),
    ] {
        let script = vec![Act::Head, say(&lock.asks()), Act::Head, prints.clone()];
        let proxy = proxy_by_turns(vec![script]).await;
        let hop = hop_with(proxy.address, user, PASSWORD);
        let error = failed(&by(vec![hop])).await.to_string();
        assert!(
            error.contains("refused: 403 *** said *** (via: "),
            "{error}"
        );
        assert!(
            error.contains("Digest username=\\\"***\\\", realm="),
            "{error}"
        );
        let given = answer_in(&answers(&proxy.heard(0))[0]).unwrap();
        assert!(!error.contains(&given["response"]), "{error}");
        assert!(!error.contains(&given["username"]), "{error}");
    }
}
