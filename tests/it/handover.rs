//! The hand-over from HTTP to WebSocket: no byte before its 101, no connection used twice.
//!
//! Knows nothing of origins and routes: every request here is sound up to what it says too early.

use std::net::SocketAddr;

use crate::support::backend::{backend, echo_backend, good_101};
use crate::support::client::{ACCEPT, Answer, Client, Handshake, KEY, ask, handshake, open};
use crate::support::eventually;
use crate::support::gateway::{Running, gateway};
use crate::support::proxy::{ASKS_AND_CLOSES, ASKS_AND_STAYS, proxy, say};
use crate::support::script::{Act, Script};

/// What a smuggler would like a backend to read.
const SMUGGLED: &str = "GET /admin HTTP/1.1\r\nHost: inside\r\n\r\n";

const LIKE_A_SWITCH: &str = "HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                             Content-Length: 2\r\n\r\nok";
const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";

/// Early bytes: `n` of what a smuggler would send.
fn early(n: usize) -> Vec<u8> {
    SMUGGLED.bytes().cycle().take(n).collect()
}

/// A sound handshake for `/ws` with `n` early bytes in the same write.
fn hasty(n: usize) -> Vec<u8> {
    [handshake("/ws").bytes(), early(n)].concat()
}

/// A backend that answers so and then listens for more until it is left alone.
async fn says(answer: &str) -> Script {
    backend(vec![Act::Head, say(answer), Act::Stall]).await
}

/// A gateway for `/ws` whose patience with the backend is short.
fn in_front_of(backend: SocketAddr) -> Running {
    let servers = [format!("ws://{backend}")];
    let keys = "timeouts = { upgrade = \"300ms\" }";
    gateway().opaque().route_to("/ws", &servers, keys).run()
}

/// Fails unless the backend was sent one request head and not a byte more, on each of so many
/// connections, and all of them are over.
async fn saw_only_heads(backend: &Script, connections: usize) {
    eventually("the gateway's connections to end", || {
        backend.ended() == connections
    })
    .await;
    assert_eq!(backend.connections(), connections);
    for connection in 0..connections {
        let heard = backend.heard(connection);
        assert_eq!(heard.matches("\r\n\r\n").count(), 1, "{heard}");
        assert!(heard.ends_with("\r\n\r\n"), "{heard}");
        assert!(!heard.contains("/admin"), "{heard}");
    }
}

/// A proxy that forwarded a version it did not know, took the connection for a tunnel and let
/// whatever the client sent next through to the backend was an open door to it.
#[tokio::test]
async fn a1_a_fake_upgrade_never_reaches_the_backend_raw() {
    let backend = says("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n").await;
    let gateway = in_front_of(backend.address);
    let fake = handshake("/ws").replacing("Sec-WebSocket-Version: 1337");
    let request = [fake.bytes(), SMUGGLED.into()].concat();
    let answer = ask(gateway.address, &request).await;
    assert_eq!(answer.status, 426);
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    assert_eq!(answer.head.matches("HTTP/1.1").count(), 1);
    assert!(!answer.body.contains("HTTP/1.1"), "{}", answer.body);
    assert_eq!(backend.connections(), 0);
}

/// A proxy that looked for the Upgrade header and not for the status became a tunnel to a backend
/// that still spoke HTTP.
#[tokio::test]
async fn a2_a_200_that_looks_like_a_switch_is_an_answer_and_the_end() {
    let backend = says(LIKE_A_SWITCH).await;
    let gateway = in_front_of(backend.address);
    let mut client = Client::connect(gateway.address).await;
    client.send(&hasty(SMUGGLED.len())).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    assert_eq!(answer.header("upgrade"), None);
    assert_eq!(answer.header("connection"), Some("close"));
    saw_only_heads(&backend, 1).await;
}

/// A proxy that sent what followed the head on at once let a request past its own checks whenever
/// the backend said no.
#[tokio::test]
async fn a3_early_bytes_wait_for_the_101() {
    for n in [1, SMUGGLED.len(), 1000, 4095, 4096] {
        let backend = echo_backend().await;
        let gateway = in_front_of(backend.address);
        let mut client = Client::connect(gateway.address).await;
        client.send(&hasty(n)).await;
        assert_eq!(client.head().await.status, 101, "{n} early bytes");
        assert_eq!(client.exactly(n).await, early(n));
        client.send(b"and then this").await;
        assert_eq!(client.exactly(13).await, b"and then this");
        let heard = backend.heard(0);
        let after_the_head = heard.split_once("\r\n\r\n").unwrap().1.len();
        assert_eq!(after_the_head, n + 13);
    }
}

/// As above: without a 101 they reach nobody, whatever came instead.
#[tokio::test]
async fn a3_early_bytes_die_with_a_refusal() {
    let hang = "";
    for (answer, status) in [(LIKE_A_SWITCH, 200), (FORBIDDEN, 403), (hang, 504)] {
        for n in [1, SMUGGLED.len(), 4096] {
            let backend = says(answer).await;
            let gateway = in_front_of(backend.address);
            let got = ask(gateway.address, &hasty(n)).await;
            assert_eq!(got.status, status, "{n} early bytes: {}", got.head);
            saw_only_heads(&backend, 1).await;
        }
    }
}

/// As above: more of them than a hasty client has are no accident, and cost no dial.
#[tokio::test]
async fn a3_too_many_early_bytes_are_refused_before_any_dial() {
    for answer in [LIKE_A_SWITCH, FORBIDDEN, "", "HTTP/1.1 101 Yes\r\n\r\n"] {
        let backend = says(answer).await;
        let gateway = in_front_of(backend.address);
        for n in [4097, 8192, 20_000, 65_536] {
            let got = ask(gateway.address, &hasty(n)).await;
            assert_eq!(got.status, 400, "{n} early bytes: {}", got.head);
        }
        assert_eq!(backend.connections(), 0);
    }
}

/// A proxy on the way that refuses a CONNECT still speaks HTTP: bytes sent ahead of its 2xx would
/// be its next request, with the gateway's credentials.
#[tokio::test]
async fn a4_early_bytes_wait_for_the_proxys_2xx() {
    let refused = "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n";
    let basic = "auth = { scheme = \"basic\", user = \"u\", password = \"p\" }";
    // What it says each time, our credentials, the client's status, CONNECTs in all.
    let table = [
        (refused, "", 502, 1),
        (ASKS_AND_CLOSES, "", 502, 1),
        (ASKS_AND_STAYS, "", 502, 1),
        (ASKS_AND_STAYS, basic, 502, 2),
        ("", "", 504, 1),
    ];
    for (reply, auth, status, connects) in table {
        let backend = echo_backend().await;
        let asked = std::iter::repeat_n([Act::Head, say(reply)], connects).flatten();
        let proxy = proxy(asked.chain([Act::Stall]).collect()).await;
        let gateway = gateway()
            .via(proxy.address)
            .hop(auth)
            .route("/ws", "ws://backend.test")
            .section("[egress.egress0]\ntimeouts = { reply = \"300ms\" }")
            .run();
        let got = ask(gateway.address, &hasty(SMUGGLED.len())).await;
        assert_eq!(got.status, status, "{reply}");
        eventually("the proxy to be left", || proxy.ended() == 1).await;
        let heard = proxy.heard_in_all();
        let is_connect = |head: &str| head.starts_with("CONNECT ") || head.is_empty();
        assert!(heard.split("\r\n\r\n").all(is_connect), "{heard}");
        assert_eq!(heard.matches("CONNECT ").count(), connects, "{heard}");
        assert_eq!((proxy.connections(), backend.connections()), (1, 0));
    }
}

/// A proxy that put the connection of a failed upgrade back into its pool gave the next user an
/// answer that was meant, or forged, for the one before.
#[tokio::test]
async fn a5_no_connection_to_a_backend_is_used_twice() {
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    for (answer, status) in [
        (LIKE_A_SWITCH, 200),
        (FORBIDDEN, 403),
        ("HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\n\r\n", 502),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("", 504),
    ] {
        let poisoned = match answer {
            "" => String::new(),
            answer => format!("{answer}{poison}"),
        };
        let backend = says(&poisoned).await;
        let gateway = in_front_of(backend.address);
        for _ in 0..3 {
            let got = ask(gateway.address, &handshake("/ws").bytes()).await;
            assert_eq!(got.status, status, "{}", got.head);
            assert!(!got.body.contains("poison"), "{}", got.body);
        }
        saw_only_heads(&backend, 3).await;
    }
}

/// As above, towards the client: what stands behind a request that was answered is never read as
/// another one.
#[tokio::test]
async fn a5_no_connection_of_a_client_is_used_twice() {
    let backend = says(FORBIDDEN).await;
    let gateway = in_front_of(backend.address);
    let sound = handshake("/ws");
    let table = [
        (sound.clone(), 403),
        (sound.clone().replacing("Host: a b"), 400),
        (sound.clone().without("Upgrade"), 426),
        (sound.clone().line("GET /nowhere HTTP/1.1"), 404),
        (sound.clone().with("Connection: keep-alive"), 403),
    ];
    for (request, status) in table {
        let mut client = Client::connect(gateway.address).await;
        client.send(&request.bytes()).await;
        assert_eq!(client.head().await.status, status);
        client.send(&sound.bytes()).await;
        let rest = String::from_utf8(client.rest().await).unwrap();
        assert!(!rest.contains("HTTP/1.1"), "{rest}");
    }
    saw_only_heads(&backend, 2).await;
}

/// The same through a proxy: after a CONNECT its connection is spent, whatever came of it.
#[tokio::test]
async fn a5_no_connection_to_a_proxy_is_used_twice() {
    let backend = says(FORBIDDEN).await;
    let opens = vec![
        Act::Head,
        say(crate::support::proxy::OK),
        Act::Tunnel(backend.address),
    ];
    let refuses = vec![
        Act::Head,
        say("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"),
        Act::Stall,
    ];
    for (script, status) in [(opens, 403), (refuses, 502)] {
        let proxy = proxy(script).await;
        let gateway = gateway()
            .via(proxy.address)
            .route("/ws", "ws://backend.test")
            .run();
        for n in 1..=3 {
            let got = ask(gateway.address, &handshake("/ws").bytes()).await;
            assert_eq!(got.status, status);
            assert_eq!(proxy.connections(), n);
        }
        eventually("every connection to end", || proxy.ended() == 3).await;
    }
}

/// Every 101 that is none: (lines after the status line, with the accept that would be right).
fn malformed_101s() -> Vec<String> {
    let token = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    let accept = format!("Sec-WebSocket-Accept: {ACCEPT}\r\n");
    let good = format!("{token}{accept}");
    let and = |more: &str| format!("{good}{more}\r\n");
    vec![
        String::new(),
        accept.clone(),
        good.replace("websocket", "h2c"),
        good.replace("websocket", "websocket, h2c"),
        good.replace("Connection: Upgrade", "Connection: keep-alive"),
        good.replace("Upgrade: websocket\r\n", ""),
        token.to_owned(),
        format!("{good}{accept}"),
        good.replace(ACCEPT, "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        good.replace(ACCEPT, ""),
        and("Sec-WebSocket-Protocol: other"),
        and("Sec-WebSocket-Protocol: chat.v2, chat.v1"),
        and("Sec-WebSocket-Protocol: chat.v2\r\nSec-WebSocket-Protocol: chat.v2"),
        and("Sec-WebSocket-Extensions: permessage-deflate"),
        and("Transfer-Encoding: chunked"),
        and("Content-Length: 10"),
    ]
}

/// A proxy that took any 101 for a switch could be made a tunnel by whoever could make some
/// server say 101.
#[tokio::test]
async fn a6_a_malformed_101_is_a_502_and_no_tunnel() {
    let offered = handshake("/ws").with("Sec-WebSocket-Protocol: chat.v2, chat.v1");
    for lines in malformed_101s() {
        let answer = format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\nfrom the backend");
        let backend = says(&answer).await;
        let gateway = in_front_of(backend.address);
        let request = [offered.bytes(), SMUGGLED.into()].concat();
        let got = ask(gateway.address, &request).await;
        assert_eq!(got.status, 502, "{lines}");
        assert!(!got.body.contains("from the backend"), "{}", got.body);
        saw_only_heads(&backend, 1).await;
    }
}

/// Where an attacker can make a backend say a real 101, HTTP spoken behind it must not find
/// anybody but that backend, on that one connection.
#[tokio::test]
async fn a7_http_behind_a_real_101_stays_on_its_connection() {
    let backend = echo_backend().await;
    let gateway = in_front_of(backend.address);
    let (mut client, _) = open(gateway.address, &handshake("/ws")).await;
    client.send(SMUGGLED.as_bytes()).await;
    assert_eq!(client.exactly(SMUGGLED.len()).await, SMUGGLED.as_bytes());
    assert_eq!(backend.connections(), 1);
    drop(client);
    eventually("the session to end", || backend.ended() == 1).await;
    let (_client, _) = open(gateway.address, &handshake("/ws")).await;
    assert_eq!(backend.connections(), 2);
    assert!(!backend.heard(1).contains("/admin"));
}

/// What a client gets of a 101 with bytes glued to it that its backend sent in two pieces.
async fn switched(pieces: [&[u8]; 2]) -> (Answer, Vec<u8>) {
    let [first, second] = pieces.map(<[u8]>::to_vec);
    let whole = first.len().max(1);
    let script = vec![
        Act::Head,
        Act::Dribble(first, whole),
        Act::Say(second),
        Act::Echo,
    ];
    let backend = backend(script).await;
    let gateway = in_front_of(backend.address);
    let (mut client, answer) = open(gateway.address, &handshake("/ws")).await;
    client.send(b"ping").await;
    (answer, client.exactly(TAIL.len() + 4).await)
}

const TAIL: &str = "\u{1}a tail\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";

/// Proxies have lost the bytes behind a 101, or taken an interim answer for the final one,
/// depending on how TCP happened to cut the stream.
#[tokio::test]
async fn a8_a_101_is_the_same_at_every_split() {
    let good = good_101(&format!("sec-websocket-key: {KEY}\n"), "X-A: b\r\n", TAIL);
    let good = good.as_bytes();
    let (whole, bytes) = switched([&[], good]).await;
    assert_eq!(bytes, [TAIL.as_bytes(), b"ping"].concat());
    for split in 1..good.len() {
        let (answer, got) = switched([&good[..split], &good[split..]]).await;
        assert_eq!((&answer, &got), (&whole, &bytes), "split at {split}");
    }
}

/// As above, with what may come before it.
#[tokio::test]
async fn a8_interim_answers_before_the_101_are_passed_over() {
    let good = good_101(&format!("sec-websocket-key: {KEY}\n"), "X-A: b\r\n", TAIL);
    let (plain, _) = switched([&[], good.as_bytes()]).await;
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nSet-Cookie: a=b\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 \r\n\r\nHTTP/1.1 199 What\r\n\r\n",
    ] {
        let both = format!("{interim}{good}");
        for split in [
            0,
            1,
            20,
            interim.len() - 1,
            interim.len(),
            interim.len() + 1,
        ] {
            let (first, second) = both.as_bytes().split_at(split);
            let (answer, bytes) = switched([first, second]).await;
            assert_eq!(answer, plain, "{interim}");
            assert_eq!(bytes, [TAIL.as_bytes(), b"ping"].concat());
        }
    }
}

/// A proxy that passed `h2c` on gave its clients a connection of their own to a backend that
/// speaks HTTP/2, past every rule of the proxy.
#[tokio::test]
async fn b1_h2c_never_goes_on() {
    let backend = echo_backend().await;
    let gateway = in_front_of(backend.address);
    let sound = handshake("/ws").with("HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA");
    for upgrade in [
        "h2c",
        "h2c, websockets",
        "websocket/13",
        "web socket",
        "h2c;websocket",
    ] {
        let request = sound.clone().replacing(&format!("Upgrade: {upgrade}"));
        let answer = ask(gateway.address, &request.bytes()).await;
        assert_eq!(answer.status, 426, "{upgrade}");
        assert_eq!(answer.header("upgrade"), Some("websocket"));
    }
    assert_eq!(backend.connections(), 0);
    let named = |request: Handshake| request.replacing("Connection: HTTP2-Settings, Upgrade");
    let both = sound.clone().replacing("Upgrade: websocket, h2c");
    let lines = sound.clone().with("Upgrade: h2c");
    let first = sound.replacing("Upgrade: H2C,WebSocket");
    // Once with its settings named in Connection, as they should be, and once not.
    let requests = [named(both.clone()), named(lines), both, first];
    for (n, request) in requests.into_iter().enumerate() {
        let (_, answer) = open(gateway.address, &request).await;
        assert_eq!(answer.header("upgrade"), Some("websocket"));
        let heard = backend.heard(n).to_ascii_lowercase();
        assert!(!heard.contains("h2c"), "{heard}");
        assert!(!heard.contains("http2-settings"), "{heard}");
        assert_eq!(heard.matches("\r\nupgrade:").count(), 1, "{heard}");
        assert!(heard.contains("\r\nupgrade: websocket\r\n"), "{heard}");
    }
}
