//! 407: who is told what, when, and how often.

use throughway::egress::{Fault, Way};

use crate::support::backend::echo_backend;
use crate::support::dialling::{
    PASSWORD, TOKEN, USER, assert_echoes, backend_by, by, egress, failed, hop, hop_with, known_at,
    linked, server_inside,
};
use crate::support::proxy::{
    ASKS_AND_CLOSES, ASKS_AND_STAYS, OK, proxy, proxy_by_turns, proxy_that_refuses,
    proxy_that_says, say,
};
use crate::support::script::{Act, Script};

fn times(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[tokio::test]
async fn a_407_that_stays_open_is_answered_on_its_connection() {
    let backend = echo_backend().await;
    for asks in [
        ASKS_AND_STAYS.to_owned(),
        ASKS_AND_STAYS.replace(
            "Content-Length: 5\r\n\r\nwho??",
            "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nwho??\r\n0\r\n\r\n",
        ),
        ASKS_AND_STAYS
            .replace("HTTP/1.1", "HTTP/1.0")
            .replace("Content", "Proxy-Connection: keep-alive\r\nContent"),
        ASKS_AND_STAYS.replace("5\r\n\r\nwho??", "0\r\n\r\n"),
    ] {
        let tunnel = Act::Tunnel(backend.address);
        let proxy = proxy(vec![Act::Head, say(&asks), Act::Head, say(OK), tunnel]).await;
        assert_echoes(linked(&by(vec![known_at(proxy.address)])).await).await;
        assert_eq!(proxy.connections(), 1, "{asks}");
        let heard = proxy.heard(0);
        let (first, second) = heard.split_once("\r\n\r\n").unwrap();
        assert!(!first.contains("Proxy-Authorization"), "{first}");
        assert!(
            second.contains(&format!("Proxy-Authorization: Basic {TOKEN}\r\n")),
            "{second}"
        );
        assert_eq!(times(&heard, TOKEN), 1);
    }
}

#[tokio::test]
async fn a_407_body_that_comes_in_single_bytes_is_read_past() {
    let backend = echo_backend().await;
    let asks = ASKS_AND_STAYS.replace(
        "Content-Length: 5\r\n\r\nwho??",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nwho??\r\n0\r\n\r\n",
    );
    let tunnel = Act::Tunnel(backend.address);
    let script = vec![
        Act::Head,
        Act::Dribble(asks.into_bytes(), 1),
        Act::Head,
        say(OK),
        tunnel,
    ];
    let proxy = proxy(script).await;
    assert_echoes(linked(&by(vec![known_at(proxy.address)])).await).await;
    assert_eq!(proxy.connections(), 1);
}

/// The first connection plays `first`, all others open the tunnel.
async fn asks_once(first: Vec<Act>, backend: &Script) -> Script {
    let then = vec![Act::Head, say(OK), Act::Tunnel(backend.address)];
    proxy_by_turns(vec![first, then]).await
}

#[tokio::test]
async fn a_407_that_closes_is_answered_by_reconnecting() {
    let backend = echo_backend().await;
    let stays = |from: &str, to: &str| say(&ASKS_AND_STAYS.replace(from, to));
    for first in [
        vec![Act::Head, say(ASKS_AND_CLOSES)],
        // It says that it closes, and does not.
        vec![Act::Head, say(ASKS_AND_CLOSES), Act::Stall],
        // It does not say where its body ends.
        vec![Act::Head, stays("Content-Length: 5\r\n", ""), Act::Stall],
        vec![Act::Head, stays("HTTP/1.1", "HTTP/1.0"), Act::Stall],
        vec![
            Act::Head,
            stays("Content-L", "Proxy-Connection: close\r\nContent-L"),
            Act::Stall,
        ],
        // More than its body.
        vec![
            Act::Head,
            stays("who??", "who??HTTP/1.1 200 OK\r\n\r\n"),
            Act::Stall,
        ],
        // A body that breaks off, is none, or is longer than is worth reading.
        vec![Act::Head, stays("who??", "wh")],
        vec![
            Act::Head,
            stays("Content-Length: 5", "Transfer-Encoding: chunked"),
            Act::Stall,
        ],
        vec![
            Act::Head,
            stays("Length: 5", "Length: 99999999"),
            Act::Repeat(vec![b'x'; 4096]),
        ],
        // It closes without a word once it was told.
        vec![Act::Head, say(ASKS_AND_STAYS)],
        vec![Act::Head, say(ASKS_AND_STAYS), Act::Head, Act::Reset],
    ] {
        let proxy = asks_once(first, &backend).await;
        assert_echoes(linked(&by(vec![known_at(proxy.address)])).await).await;
        assert_eq!(proxy.connections(), 2);
        assert!(
            !proxy
                .heard(0)
                .split("\r\n\r\n")
                .next()
                .unwrap()
                .contains(TOKEN)
        );
        assert!(
            proxy
                .heard(1)
                .contains(&format!("Proxy-Authorization: Basic {TOKEN}\r\n"))
        );
    }
}

#[tokio::test]
async fn an_endless_407_body_is_given_up_after_256_kib_and_not_only_after_its_time() {
    let backend = echo_backend().await;
    let asks = ASKS_AND_STAYS.replace("Length: 5", "Length: 999999999999");
    let endless = vec![Act::Head, say(&asks), Act::Repeat(vec![b'x'; 4096])];
    let proxy = asks_once(endless, &backend).await;
    let start = std::time::Instant::now();
    assert_echoes(linked(&by(vec![known_at(proxy.address)])).await).await;
    // The time alone would be two seconds.
    assert!(start.elapsed() < std::time::Duration::from_millis(1500));
}

#[tokio::test]
async fn a_hop_that_asked_once_is_told_at_once_next_time() {
    let backend = echo_backend().await;
    let proxy = asks_once(vec![Act::Head, say(ASKS_AND_CLOSES)], &backend).await;
    let dialled = by(vec![known_at(proxy.address)]);
    assert_echoes(linked(&dialled).await).await;
    assert_echoes(linked(&dialled).await).await;
    assert_eq!(proxy.connections(), 3);
    assert!(proxy.heard(2).contains(TOKEN));
}

#[tokio::test]
async fn a_hop_that_does_not_ask_is_not_told() {
    let backend = echo_backend().await;
    let proxy = proxy_that_says(OK, backend.address).await;
    assert_echoes(linked(&by(vec![known_at(proxy.address)])).await).await;
    assert!(!proxy.heard(0).contains("Authorization"));
}

async fn fails(hops: Vec<throughway::egress::Hop>, expected: &str) {
    let error = failed(&by(hops)).await;
    assert!(error.to_string().ends_with(expected), "{error}");
    assert_eq!(error.reason(), "proxy_auth");
    assert_eq!(error.fault(), Fault::Hop(1));
    assert_eq!(error.outside(), "The backend could not be reached.");
}

#[tokio::test]
async fn rejected_credentials_end_the_dial_at_once() {
    let expected = ": credentials rejected by basic; asks for Basic";
    let on_one = proxy(vec![
        Act::Head,
        say(ASKS_AND_STAYS),
        Act::Head,
        say(ASKS_AND_STAYS),
        Act::Stall,
    ])
    .await;
    fails(vec![known_at(on_one.address)], expected).await;
    assert_eq!(
        (on_one.connections(), times(&on_one.heard_in_all(), TOKEN)),
        (1, 1)
    );

    let on_two = proxy_that_refuses(ASKS_AND_CLOSES).await;
    fails(vec![known_at(on_two.address)], expected).await;
    assert_eq!(
        (on_two.connections(), times(&on_two.heard_in_all(), TOKEN)),
        (2, 1)
    );
}

#[tokio::test]
async fn rejected_credentials_are_not_tried_again_for_the_next_server() {
    let proxy = proxy_that_refuses(ASKS_AND_CLOSES).await;
    let way = Way::Through(std::sync::Arc::new(egress(vec![known_at(proxy.address)])));
    let servers = vec![server_inside(), server_inside(), server_inside()];
    let error = failed(&backend_by(servers, way)).await;
    assert_eq!(error.reason(), "proxy_auth");
    assert_eq!(times(&proxy.heard_in_all(), TOKEN), 1);
}

#[tokio::test]
async fn a_proxy_that_closes_each_time_after_it_was_told_ends_the_dial() {
    // 407, told, closes; reconnected, told, closes.
    let first = vec![Act::Head, say(ASKS_AND_STAYS), Act::Head];
    let proxy = proxy_by_turns(vec![first, vec![Act::Head]]).await;
    let error = failed(&by(vec![known_at(proxy.address)])).await;
    assert!(
        error
            .to_string()
            .ends_with("closed the connection without a reply"),
        "{error}"
    );
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn what_a_407_offers_is_told_where_we_cannot_answer_it() {
    let asks =
        |challenges: &str| format!("HTTP/1.1 407 Who\r\n{challenges}Content-Length: 0\r\n\r\n");
    let several = asks("Proxy-Authenticate: Negotiate\r\nproxy-authenticate: Bearer\r\n");
    let proxy = proxy_that_refuses(&several).await;
    let expected =
        ": asks for Negotiate, Bearer; credentials are configured for auto (digest, ntlm or basic)";
    fails(vec![known_at(proxy.address)], expected).await;
    assert!(!proxy.heard_in_all().contains(TOKEN));

    let proxy = proxy_that_refuses(&asks("")).await;
    let expected =
        ": asks for nothing it names; credentials are configured for auto (digest, ntlm or basic)";
    fails(vec![known_at(proxy.address)], expected).await;

    let proxy = proxy_that_refuses(&asks("Proxy-Authenticate: Basic realm=x\r\n")).await;
    fails(
        vec![hop(proxy.address)],
        ": asks for Basic; no credentials are configured",
    )
    .await;
}

#[tokio::test]
async fn basic_is_found_among_other_schemes_in_one_line() {
    let backend = echo_backend().await;
    let asks = ASKS_AND_CLOSES.replace(
        "Basic realm",
        "Negotiate, Newest realm=\"Basic, x\", nonce=y, bASIC realm",
    );
    let proxy = asks_once(vec![Act::Head, say(&asks)], &backend).await;
    assert_echoes(linked(&by(vec![known_at(proxy.address)])).await).await;
}

#[tokio::test]
async fn credentials_go_to_their_own_hop_only() {
    let backend = echo_backend().await;
    let second_opens = vec![Act::Head, say(OK), Act::Tunnel(backend.address)];
    let asks = vec![Act::Head, say(ASKS_AND_CLOSES)];
    let second = proxy_by_turns(vec![asks.clone(), second_opens]).await;
    let first_opens = vec![Act::Head, say(OK), Act::Tunnel(second.address)];
    let first = proxy_by_turns(vec![asks, first_opens]).await;

    let hops = vec![
        known_at(first.address),
        hop_with(second.address, "bob", "other word"),
    ];
    assert_echoes(linked(&by(hops)).await).await;

    // `bob:other word`.
    let other = "Ym9iOm90aGVyIHdvcmQ=";
    // The first proxy carries the second's CONNECT through its tunnel, so it is only what the
    // first was asked itself that counts: the head before the tunnel.
    for connection in 1..first.connections() {
        let heard = first.heard(connection);
        let own = heard.split("\r\n\r\n").next().unwrap();
        assert!(own.contains(TOKEN) && !own.contains(other), "{own}");
    }
    assert!(!second.heard_in_all().contains(TOKEN));
    assert_eq!(times(&second.heard_in_all(), other), 1);
    for secret in [TOKEN, other, "uthorization"] {
        assert!(!backend.heard_in_all().contains(secret));
    }
    assert_eq!((first.connections(), second.connections()), (3, 2));
}

#[tokio::test]
async fn credentials_that_a_proxy_prints_are_masked() {
    let shows = format!(
        "HTTP/1.1 403 {USER} is denied\r\nVia: {TOKEN}\r\n\r\n\
         <pre>Proxy-Authorization: Basic {TOKEN}\n{USER}:{PASSWORD}</pre>{}{TOKEN}",
        "x".repeat(170)
    );
    let proxy = proxy(vec![Act::Head, say(ASKS_AND_STAYS), Act::Head, say(&shows)]).await;
    let error = failed(&by(vec![known_at(proxy.address)])).await.to_string();
    let expected = "refused: 403 *** is denied (via: ***; \
                    body: \"<pre>Proxy-Authorization: Basic ***\\n***:***</pre>xxx";
    assert!(error.contains(expected), "{error}");
    assert!(!error.contains(&TOKEN[..4]), "{error}");
}

#[tokio::test]
async fn an_empty_password_is_sent_as_one() {
    let backend = echo_backend().await;
    let proxy = asks_once(vec![Act::Head, say(ASKS_AND_CLOSES)], &backend).await;
    let dialled = by(vec![hop_with(proxy.address, "user", "")]);
    assert_echoes(linked(&dialled).await).await;
    assert!(
        proxy
            .heard(1)
            .contains("Proxy-Authorization: Basic dXNlcjo=\r\n")
    );
}
