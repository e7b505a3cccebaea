//! Rules 16 to 21: what a proxy is told when it asks who we are.

use std::sync::Arc;

use throughway::egress::{Hop, Scheme};

use crate::egress::digest::{BASIC, auto, locked, locked_and_closing, only, rejected, told};
use crate::egress::negotiate::{
    ASKS, ONLY as NEGOTIATE, asks_with, opens_with, ticket_at, told as told_tokens,
};
use crate::egress::ntlm::{TYPES, breaks_off, ntlm_at, passes, told as told_types, verifier};
use crate::support::backend::echo_backend;
use crate::support::dialling::{TOKEN, assert_echoes, by, failed, hop, hop_with, known_at, linked};
use crate::support::digest::{asks, closing, lock};
use crate::support::kerberos::{GO_ON, PROOF, Tickets};
use crate::support::ntlm::ASKS_NTLM;
use crate::support::proxy::{
    ASKS_AND_CLOSES, ASKS_AND_STAYS, OK, proxy, proxy_by_turns, proxy_that_refuses, say,
};
use crate::support::script::{Act, Script};

fn times(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

/// The first connection plays `first`, all others open the tunnel.
async fn asks_once(first: Vec<Act>, backend: &Script) -> Script {
    let then = vec![Act::Head, say(OK), Act::Tunnel(backend.address)];
    proxy_by_turns(vec![first, then]).await
}

fn stays(from: &str, to: &str) -> Act {
    say(&ASKS_AND_STAYS.replace(from, to))
}

#[tokio::test]
async fn rule_16_a_407_is_answered_on_its_connection_where_that_is_sound_and_else_on_a_new_one() {
    let backend = echo_backend().await;
    let body = "Content-Length: 5\r\n\r\nwho??";
    let chunked = "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nwho??\r\n0\r\n\r\n";
    let single_bytes = ASKS_AND_STAYS.replace(body, chunked).into_bytes();
    let kept_by_1_0 = ASKS_AND_STAYS
        .replace("HTTP/1.1", "HTTP/1.0")
        .replace("Content", "Proxy-Connection: keep-alive\r\nContent");
    for asks in [
        say(ASKS_AND_STAYS),
        stays(body, chunked),
        Act::Dribble(single_bytes, 1),
        say(&kept_by_1_0),
        stays("5\r\n\r\nwho??", "0\r\n\r\n"),
    ] {
        let tunnel = Act::Tunnel(backend.address);
        let proxy = proxy(vec![Act::Head, asks, Act::Head, say(OK), tunnel]).await;
        assert_echoes(linked(&by(vec![known_at(proxy.address)])).await).await;
        assert_eq!(proxy.connections(), 1);
        let heard = proxy.heard(0);
        let (first, second) = heard.split_once("\r\n\r\n").unwrap();
        assert!(!first.contains("Proxy-Authorization"), "{first}");
        let told = format!("Proxy-Authorization: Basic {TOKEN}\r\n");
        assert!(second.contains(&told), "{second}");
        assert_eq!(times(&heard, TOKEN), 1);
    }
    let head = Act::Head;
    for first in [
        vec![head.clone(), say(ASKS_AND_CLOSES)],
        // It says that it closes, and does not.
        vec![head.clone(), say(ASKS_AND_CLOSES), Act::Stall],
        // It does not say where its body ends.
        vec![head.clone(), stays("Content-Length: 5\r\n", ""), Act::Stall],
        vec![head.clone(), stays("HTTP/1.1", "HTTP/1.0"), Act::Stall],
        vec![
            head.clone(),
            stays("Content-L", "Proxy-Connection: close\r\nContent-L"),
            Act::Stall,
        ],
        // More than its body.
        vec![
            head.clone(),
            stays("who??", "who??HTTP/1.1 200 OK\r\n\r\n"),
            Act::Stall,
        ],
        // A body that breaks off, is none, or is longer than is worth reading.
        vec![head.clone(), stays("who??", "wh")],
        vec![
            head.clone(),
            stays("Content-Length: 5", "Transfer-Encoding: chunked"),
            Act::Stall,
        ],
        vec![
            head.clone(),
            stays("Length: 5", "Length: 99999999"),
            Act::Repeat(vec![b'x'; 4096]),
        ],
        // It closes without a word once it was told.
        vec![head.clone(), say(ASKS_AND_STAYS)],
        vec![head.clone(), say(ASKS_AND_STAYS), head, Act::Reset],
    ] {
        let proxy = asks_once(first, &backend).await;
        assert_echoes(linked(&by(vec![known_at(proxy.address)])).await).await;
        assert_eq!(proxy.connections(), 2);
        let unasked = proxy.heard(0);
        assert!(!unasked.split("\r\n\r\n").next().unwrap().contains(TOKEN));
        let told = format!("Proxy-Authorization: Basic {TOKEN}\r\n");
        assert!(proxy.heard(1).contains(&told));
    }
}

/// Tells nothing; how the error ends.
async fn tells_nothing(asks: &str, hop: Hop, proxy: &Script, expected: &str) {
    let error = failed(&by(vec![hop])).await;
    assert!(error.to_string().ends_with(expected), "{error}");
    assert_eq!(error.reason(), "proxy_auth");
    assert!(!proxy.heard_in_all().contains("uthorization"), "{asks}");
}

#[tokio::test]
async fn rule_17_the_strongest_challenge_is_answered_first_each_once_and_none_with_nothing() {
    let backend = echo_backend().await;
    // One line with several, quoted commas in between, in any case of letters.
    let line = "Negotiate, Newest realm=\"Basic, x\", nonce=y, bASIC realm";
    let one_line = ASKS_AND_CLOSES.replace("Basic realm", line);
    let proxy = asks_once(vec![Act::Head, say(&one_line)], &backend).await;
    assert_echoes(linked(&by(vec![known_at(proxy.address)])).await).await;
    assert!(proxy.heard(1).contains(&format!("Basic {TOKEN}\r\n")));
    // Several lines, the weakest first: Digest, then Basic where that was rejected, then no more.
    let both = asks(&[BASIC, &lock("n1").challenge()]);
    let asked = vec![Act::Head, say(&both)];
    let opens = vec![Act::Head, say(OK), Act::Tunnel(backend.address)];
    let in_one = [asked.clone(), asked.clone(), opens].concat();
    let proxy = proxy_by_turns(vec![in_one]).await;
    assert_echoes(linked(&auto(&proxy)).await).await;
    assert_eq!((told(&proxy), times(&proxy.heard_in_all(), TOKEN)), (2, 1));
    let never = [asked.clone(), asked.clone(), asked, vec![Act::Stall]].concat();
    for scripts in [vec![never], vec![vec![Act::Head, say(&closing(&both))]]] {
        let proxy = proxy_by_turns(scripts).await;
        rejected(&auto(&proxy), "by digest, then basic").await;
        assert_eq!((told(&proxy), times(&proxy.heard_in_all(), TOKEN)), (2, 1));
    }
    // What cannot be answered is told, and answered with nothing.
    let knows = "credentials are configured for auto (digest, ntlm or basic)";
    let several = asks(&["Mutual", "Bearer"]);
    for (asks, expected) in [
        (several, format!(": asks for Mutual, Bearer; {knows}")),
        (asks(&[]), format!(": asks for nothing it names; {knows}")),
    ] {
        let proxy = proxy_that_refuses(&asks).await;
        tells_nothing(&asks, known_at(proxy.address), &proxy, &expected).await;
    }
    let proxy = proxy_that_refuses(ASKS_AND_STAYS).await;
    let expected = ": asks for Basic; no credentials are configured";
    tells_nothing(ASKS_AND_STAYS, hop(proxy.address), &proxy, expected).await;
}

#[tokio::test]
async fn rule_18_ntlm_is_three_legs_on_one_connection_and_begun_anew_once() {
    let backend = echo_backend().await;
    let verifier = Arc::new(verifier());
    let kept = proxy(passes(&verifier, &backend)).await;
    assert_echoes(linked(&by(vec![ntlm_at(&kept)])).await).await;
    assert_eq!(verifier.verdicts(), [Ok(())]);
    assert_eq!((kept.connections(), told_types(&kept)), (1, [1, 0, 1]));
    let heard = kept.heard(0);
    assert_eq!(times(&heard, "Proxy-Connection: Keep-Alive\r\n"), 3);
    let unasked = heard.split("\r\n\r\n").next().unwrap();
    assert!(!unasked.contains("uthorization"));
    assert!(!backend.heard_in_all().contains("NTLM"));
    for first in breaks_off(&verifier) {
        // Lost once.
        let then = [verifier.legs(), vec![Act::Tunnel(backend.address)]].concat();
        let once = proxy_by_turns(vec![first.clone(), then]).await;
        assert_echoes(linked(&by(vec![ntlm_at(&once)])).await).await;
        assert_eq!(once.connections(), 2);
        assert!(once.heard(1).contains(TYPES[0]), "from Type 1");
        // And each time.
        let second = first[2..].to_vec();
        let asks = vec![Act::Head, say(ASKS_NTLM), Act::Stall];
        let always = proxy_by_turns(vec![first, second, asks]).await;
        let error = failed(&by(vec![ntlm_at(&always)])).await;
        let expected = ": asks for NTLM; the proxy closes mid-NTLM";
        assert!(error.to_string().ends_with(expected), "{error}");
        assert_eq!(always.connections(), 3);
        assert!(!always.heard(2).contains("uthorization"));
    }
}

#[tokio::test]
async fn rule_19_negotiate_asks_for_the_proxys_service_in_as_many_legs_and_checks_its_proof() {
    let backend = echo_backend().await;
    let tunnel = Act::Tunnel(backend.address);
    let own_name = ("HTTP/p.corp.test", "CORP.TEST");
    for (spn, realm, expected) in [
        (None, None, "HTTP/127.0.0.1"),
        (None, Some("CORP.TEST"), "HTTP/127.0.0.1@CORP.TEST"),
        (Some(own_name.0), Some(own_name.1), own_name.0),
    ] {
        let proxy = proxy(vec![
            Act::Head,
            say(ASKS),
            Act::Head,
            say(OK),
            tunnel.clone(),
        ])
        .await;
        let tickets = Arc::new(Tickets::default());
        let auth = tickets.auth_as(NEGOTIATE, spn, realm);
        let hop = hop_with(proxy.address, "", "");
        assert_echoes(linked(&by(vec![Hop { auth, ..hop }])).await).await;
        assert_eq!(tickets.services(), [expected]);
    }
    // Two legs, and a proof at the end that holds, or does not.
    let legs = vec![Act::Head, say(ASKS), Act::Head, asks_with(GO_ON), Act::Head];
    for (header, proof, holds) in [
        ("Proxy-Authenticate", PROOF, true),
        ("Proxy-Authentication-Info", PROOF, true),
        ("Proxy-Authenticate", b"another's", false),
        ("Proxy-Authentication-Info", b"another's", false),
    ] {
        let opens = vec![opens_with(header, proof), tunnel.clone()];
        let proxy = proxy([legs.clone(), opens].concat()).await;
        let tickets = Arc::new(Tickets::default());
        let way = by(vec![ticket_at(proxy.address, &tickets)]);
        if holds {
            assert_echoes(linked(&way).await).await;
            assert_eq!(tickets.heard(), [GO_ON, PROOF]);
        } else {
            let error = failed(&way).await.to_string();
            let expected = ": its proof of who it is does not hold: the token was modified";
            assert!(error.ends_with(expected), "{error}");
        }
        assert_eq!(proxy.connections(), 1);
        assert_eq!(told_tokens(&proxy), ["-", "token 1.1", "token 1.2"]);
    }
}

#[tokio::test]
async fn rule_20_digest_is_over_connect_and_host_and_port_and_a_stale_nonce_is_replaced_once() {
    let backend = echo_backend().await;
    // The lock opens to nothing but the digest of this method and this target.
    for algorithm in [
        "MD5",
        "MD5-sess",
        "SHA-256",
        "SHA-256-sess",
        "SHA-512-256",
        "SHA-512-256-sess",
        "",
    ] {
        let proxy = locked(&lock("n1").by(algorithm), &backend).await;
        assert_echoes(linked(&only(&proxy, Scheme::Digest)).await).await;
        assert_eq!((proxy.connections(), told(&proxy)), (1, 1), "{algorithm}");
        assert!(proxy.heard(0).contains("uri=\"chat.internal:9000\""));

        let proxy = locked_and_closing(&lock("n1").by(algorithm), &backend).await;
        assert_echoes(linked(&only(&proxy, Scheme::Digest)).await).await;
        assert_eq!((proxy.connections(), told(&proxy)), (2, 1), "{algorithm}");
    }
    let (old, new) = (lock("n1"), lock("n2"));
    let legs = |last: Vec<Act>| {
        let stale = vec![Act::Head, say(&old.asks()), Act::Head, say(&new.stale())];
        [stale, vec![Act::Head], last].concat()
    };
    let fresh = legs(vec![new.opens(OK), Act::Tunnel(backend.address)]);
    let proxy = proxy_by_turns(vec![fresh]).await;
    assert_echoes(linked(&only(&proxy, Scheme::Digest)).await).await;
    assert_eq!((proxy.connections(), told(&proxy)), (1, 2));
    let always = legs(vec![say(&lock("n3").stale()), Act::Stall]);
    let proxy = proxy_by_turns(vec![always]).await;
    rejected(&only(&proxy, Scheme::Digest), "by digest").await;
    assert_eq!((proxy.connections(), told(&proxy)), (1, 2));
}

#[tokio::test]
async fn rule_21_basic_is_utf_8_and_an_empty_password_is_one() {
    let backend = echo_backend().await;
    for (user, password, token) in [
        ("user", "", "dXNlcjo="),
        ("j\u{fc}rg", "s\u{e9}same", "asO8cmc6c8Opc2FtZQ=="),
        ("CORP\\alice", "a:b", "Q09SUFxhbGljZTphOmI="),
    ] {
        let proxy = asks_once(vec![Act::Head, say(ASKS_AND_CLOSES)], &backend).await;
        let dialled = by(vec![hop_with(proxy.address, user, password)]);
        assert_echoes(linked(&dialled).await).await;
        let told = format!("Proxy-Authorization: Basic {token}\r\n");
        assert!(proxy.heard(1).contains(&told), "{user}");
    }
}
