//! SOCKS5: what is sent, what each answer means, and what is no answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use throughway::egress::{Backend, Fact, Fault, Hop, HopTimeouts, Steps, Way, dial};

use crate::support::backend::{answer, echo_backend, good_101};
use crate::support::dialling::{
    PASSWORD, assert_echoes, backend_by, by, by_to, egress, failed, hop, linked, request, server,
    server_inside,
};
use crate::support::proxy::{proxy, proxy_by_turns};
use crate::support::script::{Act, Script};
use crate::support::socks::{
    CONNECT_INSIDE, GRANTED, GREETING, GREETING_WITH_PASSWORD, LOGGED_IN, LOGIN, NO_AUTH,
    WANTS_PASSWORD, bytes, connect, connect_to, guarded_door, known_socks5h, open_door,
    socks_proxy, socks5, socks5h,
};

/// To the server inside, whose CONNECT has this length.
const INSIDE: usize = CONNECT_INSIDE.len();

// --- what is sent ------------------------------------------------------------------------------

#[tokio::test]
async fn a_proxy_that_resolves_gets_the_name_and_nothing_before_it_asked() {
    let backend = echo_backend().await;
    let proxy = socks_proxy(INSIDE, backend.address).await;
    let link = linked(&by(vec![socks5h(proxy.address)])).await;
    assert_eq!(link.egress, "corp");
    assert_echoes(link).await;
    let heard = proxy.heard_bytes(0);
    let sent = [GREETING, CONNECT_INSIDE, b"GET /ws?room=1 HTTP/1.1\r\n"].concat();
    assert_eq!(heard[..sent.len()], sent);
    assert!(backend.heard(0).starts_with("GET /ws?room=1 HTTP/1.1\r\n"));

    for script in [
        vec![Act::Read(GREETING.len()), Act::Stall],
        open_door(INSIDE, b"", Act::Stall),
    ] {
        let so_far: &[&[u8]] = match script.len() {
            2 => &[GREETING],
            _ => &[GREETING, CONNECT_INSIDE],
        };
        let proxy = Script::play(vec![script], None).await;
        let mut backend = by(vec![socks5h(proxy.address)]);
        backend.timeouts.total = Duration::from_millis(200);
        assert!(failed(&backend).await.timed_out());
        assert_eq!(proxy.heard_bytes(0), so_far.concat());
    }
}

#[tokio::test]
async fn an_address_goes_as_an_address_whoever_resolves() {
    let v4 = connect(1, &[10, 1, 2, 3], 9000);
    let mut octets = [0; 16];
    (octets[0], octets[1], octets[15]) = (0x20, 0x01, 1);
    let v6 = connect(4, &octets, 9000);
    let backend = echo_backend().await;
    for (name, expected) in [("10.1.2.3", v4), ("[2001::1]", v6)] {
        for hop in [socks5, socks5h] {
            let proxy = socks_proxy(expected.len(), backend.address).await;
            let to = server(name, 9000, None);
            assert_echoes(linked(&by_to(to, vec![hop(proxy.address)])).await).await;
            let sent = [GREETING, &expected].concat();
            assert_eq!(proxy.heard_bytes(0)[..sent.len()], sent);
        }
    }
}

/// Whether it is of IPv4 or IPv6 is this machine's to say.
async fn first_of_localhost() -> SocketAddr {
    let mut found = tokio::net::lookup_host(("localhost", 9000)).await.unwrap();
    found.next().unwrap()
}

#[tokio::test]
async fn a_name_that_is_resolved_here_goes_as_its_address() {
    let backend = echo_backend().await;
    let expected = connect_to(first_of_localhost().await);
    let proxy = socks_proxy(expected.len(), backend.address).await;
    let to = server("localhost", 9000, None);
    assert_echoes(linked(&by_to(to, vec![socks5(proxy.address)])).await).await;
    let heard = proxy.heard_bytes(0);
    assert!(heard[GREETING.len()..].starts_with(&expected));
}

#[tokio::test]
async fn a_name_that_has_no_address_here_is_asked_of_no_proxy() {
    let proxy = proxy(vec![Act::Stall]).await;
    let to = server("no-such-host.invalid", 80, None);
    let error = failed(&by_to(to, vec![socks5(proxy.address)])).await;
    let expected = format!(
        "hop 1 of 1 (socks5 {}): resolve no-such-host.invalid: ",
        proxy.address
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!((error.reason(), error.fault()), ("dns", Fault::Hop(1)));
    assert!(proxy.heard_bytes(0).is_empty());
}

// --- credentials -------------------------------------------------------------------------------

#[tokio::test]
async fn credentials_are_sent_to_a_proxy_that_chose_them_once_and_nowhere_else() {
    let backend = echo_backend().await;
    let script = guarded_door(INSIDE, GRANTED, Act::Tunnel(backend.address));
    let proxy = Script::play(vec![script], None).await;
    assert_echoes(linked(&by(vec![known_socks5h(proxy.address)])).await).await;
    let sent = [GREETING_WITH_PASSWORD, LOGIN, CONNECT_INSIDE].concat();
    assert_eq!(proxy.heard_bytes(0)[..sent.len()], sent);
    assert_eq!(proxy.heard(0).matches(PASSWORD).count(), 1);
    assert!(!backend.heard(0).contains(PASSWORD));
}

#[tokio::test]
async fn credentials_are_kept_from_a_proxy_that_did_not_choose_them() {
    let backend = echo_backend().await;
    let proxy = proxy(vec![
        Act::Read(GREETING_WITH_PASSWORD.len()),
        bytes(NO_AUTH),
        Act::Read(INSIDE),
        bytes(GRANTED),
        Act::Tunnel(backend.address),
    ])
    .await;
    assert_echoes(linked(&by(vec![known_socks5h(proxy.address)])).await).await;
    let sent = [GREETING_WITH_PASSWORD, CONNECT_INSIDE].concat();
    assert_eq!(proxy.heard_bytes(0)[..sent.len()], sent);
    assert!(!proxy.heard(0).contains(PASSWORD));
}

#[tokio::test]
async fn each_proxy_of_a_chain_gets_its_own_credentials() {
    let backend = echo_backend().await;
    let script = guarded_door(INSIDE, GRANTED, Act::Tunnel(backend.address));
    let second = Script::play(vec![script], None).await;
    let connect = connect_to(second.address);
    // Without the tunnel's bytes, which hold what the second is told.
    let first = Script::play(
        vec![open_door(
            connect.len(),
            GRANTED,
            Act::Tunnel(second.address),
        )],
        None,
    )
    .await;
    let hops = vec![socks5h(first.address), known_socks5h(second.address)];
    assert_echoes(linked(&by(hops)).await).await;
    let own = [GREETING, &connect].concat();
    assert_eq!(first.heard_bytes(0)[..own.len()], own);
    assert_eq!(second.heard(0).matches(PASSWORD).count(), 1);
}

/// Two servers behind a proxy of this script: it is asked once, for its answer holds for both.
async fn is_told_once(hop: fn(SocketAddr) -> Hop, script: Vec<Act>, expected: &str) {
    let proxy = proxy(script).await;
    let way = Way::Through(Arc::new(egress(vec![hop(proxy.address)])));
    let error = failed(&backend_by(vec![server_inside(), server_inside()], way)).await;
    let expected = format!("hop 1 of 1 (socks5h {}): {expected}", proxy.address);
    assert_eq!(error.to_string(), expected);
    assert_eq!(
        (error.reason(), error.fault()),
        ("proxy_auth", Fault::Hop(1))
    );
    assert_eq!(proxy.connections(), 1, "{expected}");
}

#[tokio::test]
async fn what_a_proxy_has_against_us_is_named_and_asked_once() {
    let greeted = |with: &[u8], reply: &[u8]| vec![Act::Read(with.len()), bytes(reply)];
    let told = |then: Vec<Act>| {
        let mut script = greeted(GREETING_WITH_PASSWORD, WANTS_PASSWORD);
        script.push(Act::Read(LOGIN.len()));
        script.extend(then);
        script
    };
    is_told_once(
        socks5h,
        greeted(GREETING, b"\x05\xff"),
        "SOCKS5 greeting: lets nobody in without authentication; no credentials are configured",
    )
    .await;
    is_told_once(
        known_socks5h,
        greeted(GREETING_WITH_PASSWORD, b"\x05\xff"),
        "SOCKS5 greeting: takes neither user and password nor no authentication; \
         it may want GSSAPI",
    )
    .await;
    let rejected = "SOCKS5 authentication: credentials rejected";
    for status in [1, 2, 0xff] {
        is_told_once(known_socks5h, told(vec![bytes(&[1, status])]), rejected).await;
    }
    let closed = "SOCKS5 authentication: \
                  the proxy closed the connection once it had the credentials";
    is_told_once(known_socks5h, told(vec![]), closed).await;
    is_told_once(known_socks5h, told(vec![Act::Reset]), closed).await;
}

#[tokio::test]
async fn each_step_is_told_as_it_happens() {
    let backend = echo_backend().await;
    let script = guarded_door(INSIDE, GRANTED, Act::Tunnel(backend.address));
    let proxy = Script::play(vec![script], None).await;
    let (to, mut facts) = tokio::sync::mpsc::unbounded_channel();
    let way = by(vec![known_socks5h(proxy.address)]);
    dial(&way, &request(), &Steps::to(to)).await.unwrap();
    let mut steps = Vec::new();
    while let Ok(fact) = facts.try_recv() {
        if let Fact::Began { step, .. } = fact {
            steps.push(step.to_string());
        }
    }
    let expected = [
        &format!("connect to {}", proxy.address),
        "SOCKS5 greeting",
        "SOCKS5 authentication",
        "CONNECT chat.internal:9000",
        "upgrade",
    ];
    assert_eq!(steps, expected);
}

// --- refusals ----------------------------------------------------------------------------------

#[tokio::test]
async fn every_refusal_is_told_in_words_and_asked_again_only_where_it_may_pass() {
    let backend = echo_backend().await;
    for (code, words, asked) in [
        (1, "general SOCKS server failure", 2),
        (2, "connection not allowed by ruleset", 1),
        (3, "network unreachable", 2),
        (4, "host unreachable", 2),
        (5, "connection refused", 2),
        (6, "TTL expired", 2),
        (7, "command not supported", 1),
        (8, "address type not supported", 1),
        (9, "unassigned reply code 0x09", 1),
    ] {
        let refusal = [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
        // Whole, or cut off behind its code.
        for refusal in [&refusal[..], &refusal[..2]] {
            let refuses = open_door(INSIDE, refusal, Act::Read(0));
            let opens = open_door(INSIDE, GRANTED, Act::Tunnel(backend.address));
            let proxy = proxy_by_turns(vec![refuses, opens]).await;
            let by_proxy = by(vec![socks5h(proxy.address)]);
            match asked {
                2 => assert_echoes(linked(&by_proxy).await).await,
                _ => {
                    let error = failed(&by_proxy).await;
                    let expected = format!(
                        "hop 1 of 1 (socks5h {}): CONNECT chat.internal:9000 refused: {words}",
                        proxy.address
                    );
                    assert_eq!(error.to_string(), expected);
                    assert_eq!(error.reason(), "proxy_refused");
                    assert_eq!(error.outside(), "The backend could not be reached.");
                    assert!(error.retry_safe() && !error.timed_out());
                }
            }
            assert_eq!(proxy.connections(), asked, "{words}");
        }
    }
}

#[tokio::test]
async fn a_refusal_of_what_was_resolved_here_names_address_and_name() {
    let first = first_of_localhost().await;
    let script = open_door(connect_to(first).len(), b"\x05\x02", Act::Read(0));
    let proxy = proxy(script).await;
    let to = server("localhost", 9000, None);
    let error = failed(&by_to(to, vec![socks5(proxy.address)])).await;
    let expected = format!(
        "hop 1 of 1 (socks5 {}): CONNECT {first} (localhost) refused: \
         connection not allowed by ruleset",
        proxy.address
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(proxy.connections(), 1, "a ruleset was walked around");
}

// --- what is no answer -------------------------------------------------------------------------

/// The script, after which the proxy closes, opens nothing; how the error ends.
async fn fails(hop: fn(SocketAddr) -> Hop, script: Vec<Act>, expected: &str) {
    let proxy = proxy(script).await;
    let error = failed(&by(vec![hop(proxy.address)])).await;
    let expected = format!("hop 1 of 1 (socks5h {}): {expected}", proxy.address);
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.reason(), "proxy_reply", "{expected}");
    assert_eq!(error.fault(), Fault::Hop(1));
    assert!(error.retry_safe());
    assert_eq!(proxy.connections(), 1, "{expected} was tried again");
}

#[tokio::test]
async fn what_is_no_socks_proxy_is_named_with_its_first_bytes() {
    let greeted = |reply: &[u8]| vec![Act::Read(GREETING.len()), bytes(reply)];
    let http = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    let expected = "it speaks HTTP, not SOCKS5: \"HTTP/1.1 400 Bad Request\\r\\n\\r\\n\"";
    fails(
        socks5h,
        greeted(http),
        &format!("SOCKS5 greeting: {expected}"),
    )
    .await;
    let connected = open_door(INSIDE, http, Act::Read(0));
    let step = "CONNECT chat.internal:9000";
    fails(socks5h, connected, &format!("{step}: {expected}")).await;
    let socks4 = greeted(b"\0\x5b\0\0\0\0\0\0");
    let expected =
        "SOCKS5 greeting: it speaks SOCKS4, not SOCKS5: \"\\x00[\\x00\\x00\\x00\\x00\\x00\\x00\"";
    fails(socks5h, socks4, expected).await;
    let long = [b"\x1b".as_slice(), &[b'x'; 200]].concat();
    let expected = format!(
        "SOCKS5 greeting: not a SOCKS5 proxy: \"\\x1b{}\"",
        "x".repeat(63)
    );
    fails(socks5h, greeted(&long), &expected).await;
}

#[tokio::test]
async fn what_no_socks5_proxy_says_is_named() {
    let greeted = |reply: &[u8]| vec![Act::Read(GREETING.len()), bytes(reply)];
    let method = |code: &str| {
        format!(
            "SOCKS5 greeting: it chose method {code}, which was not offered: \"\\x05\\{}\"",
            &code[1..]
        )
    };
    fails(socks5h, greeted(&[5, 2]), &method("0x02")).await;
    fails(socks5h, greeted(&[5, 1]), &method("0x01")).await;
    let told = |reply: &[u8]| {
        vec![
            Act::Read(GREETING_WITH_PASSWORD.len()),
            bytes(WANTS_PASSWORD),
            Act::Read(LOGIN.len()),
            bytes(reply),
        ]
    };
    let version = "SOCKS5 authentication: its answer to the credentials has version 5, not 1: \
                   \"\\x05\\x00\"";
    fails(known_socks5h, told(&[5, 0]), version).await;
    let connected = |reply: &[u8]| open_door(INSIDE, reply, Act::Read(0));
    let reserved = "CONNECT chat.internal:9000: the reserved byte of its reply is 0x01, not 0: \
                    \"\\x05\\x00\\x01\"";
    fails(socks5h, connected(&[5, 0, 1]), reserved).await;
    let kind = "CONNECT chat.internal:9000: its reply has the unknown address type 0x02: \
                \"\\x05\\x00\\x00\\x02\"";
    fails(socks5h, connected(&[5, 0, 0, 2]), kind).await;
}

#[tokio::test]
async fn credentials_that_come_back_are_masked() {
    let echo = format!("user alice, password {PASSWORD}");
    let script = guarded_door(INSIDE, echo.as_bytes(), Act::Read(0));
    let expected = "CONNECT chat.internal:9000: not a SOCKS5 proxy: \"user ***, password ***\"";
    fails(known_socks5h, script, expected).await;
}

#[tokio::test]
async fn a_proxy_that_closes_early_is_named_with_the_step() {
    let nothing = "the proxy closed the connection without a reply";
    let part = |n| format!("the proxy closed the connection {n} bytes into its reply");
    let greeting = |end: &str| format!("SOCKS5 greeting: {end}");
    let tunnel = |end: &str| format!("CONNECT chat.internal:9000: {end}");
    let read = Act::Read(GREETING.len());
    fails(socks5h, vec![read.clone()], &greeting(nothing)).await;
    fails(socks5h, vec![read.clone(), Act::Reset], &greeting(nothing)).await;
    fails(socks5h, vec![read, bytes(&[5])], &greeting(&part(1))).await;
    let connected = |reply: &[u8]| open_door(INSIDE, reply, Act::Read(0));
    fails(socks5h, connected(b""), &tunnel(nothing)).await;
    for cut in 1..GRANTED.len() {
        fails(socks5h, connected(&GRANTED[..cut]), &tunnel(&part(cut))).await;
    }
}

// --- splits, tails and time --------------------------------------------------------------------

#[tokio::test]
async fn answers_of_single_bytes_open_the_tunnel() {
    let backend = echo_backend().await;
    let granted = [
        GRANTED.to_vec(),
        b"\x05\0\0\x03\x09chat.test\x04\x38".to_vec(),
        [b"\x05\0\0\x04".as_slice(), &[0; 18]].concat(),
    ];
    for reply in granted {
        let dribble = |bytes: &[u8]| Act::Dribble(bytes.to_vec(), 1);
        let proxy = proxy(vec![
            Act::Read(GREETING_WITH_PASSWORD.len()),
            dribble(WANTS_PASSWORD),
            Act::Read(LOGIN.len()),
            dribble(LOGGED_IN),
            Act::Read(INSIDE),
            dribble(&reply),
            Act::Tunnel(backend.address),
        ])
        .await;
        assert_echoes(linked(&by(vec![known_socks5h(proxy.address)])).await).await;
    }
}

#[tokio::test]
async fn bytes_glued_to_the_last_reply_belong_to_the_tunnel() {
    // The beginning of the backend's answer rides with the reply; the rest comes once the request
    // is there.
    let glued = [GRANTED, b"HTTP/1.1 101 Switch"].concat();
    let rest = answer(|head| good_101(head, "", "tail").replacen("HTTP/1.1 101 Switch", "", 1));
    let mut script = open_door(INSIDE, &glued, Act::Head);
    script.extend([rest, Act::Echo]);
    let proxy = proxy(script).await;
    let link = linked(&by(vec![socks5h(proxy.address)])).await;
    assert_eq!(&link.tail[..], b"tail");
    assert_echoes(link).await;
}

#[tokio::test]
async fn bytes_glued_to_an_earlier_reply_are_no_answer_to_what_was_not_asked() {
    let ahead = |n| format!("{n} bytes came ahead of our request");
    let glued = [NO_AUTH, GRANTED].concat();
    let script = vec![Act::Read(GREETING.len()), bytes(&glued)];
    fails(socks5h, script, &format!("SOCKS5 greeting: {}", ahead(10))).await;
    let script = vec![
        Act::Read(GREETING_WITH_PASSWORD.len()),
        bytes(&[WANTS_PASSWORD, LOGGED_IN].concat()),
    ];
    let expected = format!("SOCKS5 greeting: {}", ahead(2));
    fails(known_socks5h, script, &expected).await;
    let script = vec![
        Act::Read(GREETING_WITH_PASSWORD.len()),
        bytes(WANTS_PASSWORD),
        Act::Read(LOGIN.len()),
        bytes(&[LOGGED_IN, GRANTED].concat()),
    ];
    let expected = format!("SOCKS5 authentication: {}", ahead(10));
    fails(known_socks5h, script, &expected).await;
}

#[tokio::test]
async fn bytes_glued_to_the_last_reply_are_no_reply_of_the_next_hop() {
    for next in [hop, socks5h] {
        let glued = [GRANTED, NO_AUTH].concat();
        let proxy = Script::play(vec![open_door(10, &glued, Act::Stall)], None).await;
        let error = failed(&by(vec![socks5h(proxy.address), next(proxy.address)])).await;
        let text = error.to_string();
        assert!(
            text.ends_with("2 bytes came ahead of our request"),
            "{error}"
        );
        assert_eq!(error.fault(), Fault::Hop(2));
    }
}

/// A short deadline for the reply and the usual ones for the rest.
fn with_reply_in(hops: Vec<Hop>, reply: Duration) -> Backend {
    let mut egress = egress(hops);
    egress.timeouts = HopTimeouts {
        reply,
        ..HopTimeouts::default()
    };
    backend_by(vec![server_inside()], Way::Through(Arc::new(egress)))
}

#[tokio::test]
async fn a_step_that_gets_no_answer_costs_the_deadline_and_is_named() {
    let told = vec![
        Act::Read(GREETING_WITH_PASSWORD.len()),
        bytes(WANTS_PASSWORD),
        Act::Stall,
    ];
    for (hop, script, step) in [
        (
            socks5h as fn(SocketAddr) -> Hop,
            vec![Act::Stall],
            "SOCKS5 greeting: timed out; an HTTP proxy would be silent, too",
        ),
        (known_socks5h, told, "SOCKS5 authentication: timed out"),
        (
            socks5h,
            open_door(INSIDE, &GRANTED[..9], Act::Stall),
            "CONNECT chat.internal:9000: timed out",
        ),
    ] {
        let proxy = proxy(script).await;
        let start = std::time::Instant::now();
        let backend = with_reply_in(vec![hop(proxy.address)], Duration::from_millis(200));
        let error = failed(&backend).await;
        let expected = format!("hop 1 of 1 (socks5h {}): {step}", proxy.address);
        assert_eq!(error.to_string(), expected);
        assert!(error.timed_out() && error.reason() == "timeout");
        assert!(start.elapsed() < Duration::from_secs(3));
    }
}
