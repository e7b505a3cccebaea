//! K4: backends and proxies that do everything wrong. The client gets the honest status within
//! the deadline, the log one record, and nobody the same request twice.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use crate::support::backend::{answer, backend, echo_backend, good_101};
use crate::support::client::{Answer, ask, handshake, open};
use crate::support::ends::{Carried, Ends, Street, hear, last_words, reset, say as tell};
use crate::support::eventually;
use crate::support::gateway::{Builder, gateway};
use crate::support::process::field;
use crate::support::proxy::say;
use crate::support::script::Act;
use crate::support::started::{Started, started};

/// Short, so that a deadline is reached within a test; far from what a loopback needs.
const BACKEND_TIMEOUTS: &str =
    "timeouts = { connect = \"500ms\", tls = \"500ms\", upgrade = \"500ms\", total = \"2s\" }";
const PROXY_TIMEOUTS: &str = "timeouts = { connect = \"500ms\", reply = \"500ms\" }";
/// `total`, and what a busy machine adds.
const PATIENCE_OF_A_CLIENT: Duration = Duration::from_secs(4);
const REFUSED: &str = "\"request refused\"";

fn to(builder: Builder, path: &str, servers: &[SocketAddr]) -> Builder {
    let urls: Vec<String> = servers.iter().map(|s| format!("ws://{s}")).collect();
    builder.route_to(path, &urls, BACKEND_TIMEOUTS)
}

/// Asks for `path`, which must be answered in time.
async fn asked(gateway: &Started, path: &str) -> Answer {
    let request = handshake(path).bytes();
    let answer = ask(gateway.address, &request);
    let answer = timeout(PATIENCE_OF_A_CLIENT, answer).await;
    answer.unwrap_or_else(|_| panic!("no answer for {path} in time"))
}

/// An answer with this status, and a record of it with this reason.
async fn check(gateway: &Started, path: &str, status: u16, reason: &str) {
    let answer = asked(gateway, path).await;
    assert_eq!(answer.status, status, "{path}: {}", answer.head);
    assert_eq!(answer.header("Connection"), Some("close"), "{path}");
    let path = format!("\"path\":\"{path}\"");
    let record = &gateway.logs(1, &path).await[0];
    assert!(record.contains(REFUSED), "{record}");
    assert_eq!(field(record, "status"), status.to_string(), "{record}");
    assert_eq!(field(record, "reason"), reason, "{record}");
}

/// An address that refuses.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// An address that does not even answer a SYN: a listener with a full queue. It is one as long as
/// the sockets live.
async fn void() -> (SocketAddr, Vec<Socket>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut sockets = vec![listener];
    for _ in 0..4 {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        filler.set_nonblocking(true).unwrap();
        // It is under way, which non-blocking sockets report as an error.
        drop(filler.connect(&address));
        sockets.push(filler);
    }
    (address.as_socket().unwrap(), sockets)
}

/// What is at an address.
enum At {
    /// A server with this script.
    Script(Vec<Act>),
    Nobody,
    Void,
}

/// A path, what is at the other end, and the status and the reason that come of it.
type Case = (&'static str, At, u16, &'static str);

/// Runs all cases through one gateway, whose route for each `route` makes.
async fn check_all<const N: usize>(
    cases: [Case; N],
    route: impl Fn(Builder, &str, SocketAddr) -> Builder,
) {
    let (void, _sockets) = void().await;
    let mut builder = gateway();
    let mut expected = Vec::new();
    for (path, at, status, reason) in cases {
        let (address, script) = match at {
            At::Nobody => (nobody().await, None),
            At::Void => (void, None),
            At::Script(acts) => {
                let script = backend(acts).await;
                (script.address, Some(script))
            }
        };
        builder = route(builder, path, address);
        expected.push((path, script, status, reason));
    }
    let mut gateway = started(builder);
    let before = gateway.descriptors();
    for (path, script, status, reason) in expected {
        check(&gateway, path, status, reason).await;
        let connections = script.map_or(1, |script| script.connections());
        assert_eq!(connections, 1, "{path}: the request went out once");
    }
    eventually("nothing is left open", || gateway.descriptors() == before).await;
    let log = gateway.whole_log().await;
    let records = log.iter().filter(|line| line.contains("\"client\":"));
    assert_eq!(records.count(), N, "one record each: {log:#?}");
}

// --- backends ----------------------------------------------------------------------------------

#[tokio::test]
async fn k4_whatever_a_backend_does_its_client_gets_an_honest_status_and_the_log_one_record() {
    use At::{Nobody, Script, Void};
    let says = |text| Script(vec![Act::Head, say(text), Act::Stall]);
    let goes_on = |text, more: &str| {
        let more = Act::Repeat(more.repeat(500).into_bytes());
        Script(vec![Act::Head, say(text), more])
    };
    let with_version = |version: &'static str| {
        let switch = answer(move |head| good_101(head, "", "").replace("HTTP/1.1", version));
        Script(vec![Act::Head, switch, Act::Stall])
    };
    let begun = "HTTP/1.1 101 Switching Protocols\r\n";
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let cases: [Case; 12] = [
        ("/refuses", Nobody, 502, "tcp"),
        ("/void", Void, 504, "timeout"),
        ("/resets", Script(vec![Act::Head, Act::Reset]), 502, "lost"),
        ("/closes", Script(vec![Act::Head]), 502, "lost"),
        ("/silent", Script(vec![Act::Stall]), 504, "timeout"),
        ("/half", says("HTTP/1.1 101 Switching Pro"), 504, "timeout"),
        (
            "/garbage",
            says("SSH-2.0-OpenSSH_9.9\r\n"),
            502,
            "answer_invalid",
        ),
        (
            "/line",
            goes_on(begun, "X-More: more"),
            502,
            "answer_invalid",
        ),
        (
            "/lines",
            goes_on(begun, "X-More: more\r\n"),
            502,
            "answer_invalid",
        ),
        ("/hints", goes_on("", hint), 502, "answer_invalid"),
        ("/old", with_version("HTTP/1.0"), 502, "answer_invalid"),
        ("/new", with_version("HTTP/2.0"), 502, "answer_invalid"),
    ];
    check_all(cases, |builder, path, address| {
        to(builder, path, &[address])
    })
    .await;
}

#[tokio::test]
async fn k4_a_101_in_segments_of_one_byte_is_a_101() {
    let whole = good_101(
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "",
        "first words",
    );
    let dribbles = backend(vec![
        Act::Head,
        Act::Dribble(whole.into_bytes(), 1),
        Act::Echo,
    ])
    .await;
    let gateway = started(to(gateway(), "/", &[dribbles.address]));
    let (mut client, _) = open(gateway.address, &handshake("/")).await;
    assert_eq!(client.exactly(11).await, b"first words");
    client.send(b"echo").await;
    assert_eq!(client.exactly(4).await, b"echo");
}

// A gateway that reads on for as long as a backend sends holds what it reads.
#[tokio::test]
async fn k4_a_head_without_an_end_costs_neither_time_nor_memory() {
    let head = say("HTTP/1.1 101 Switching Protocols\r\nX-More: ");
    let endless = backend(vec![Act::Head, head, Act::Repeat(vec![b'x'; 64 * 1024])]).await;
    let gateway = started(to(gateway(), "/", &[endless.address]));
    asked(&gateway, "/").await;
    let before = gateway.resident_bytes();
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(asked(&gateway, "/").await.status, 502);
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < 4 * 1024 * 1024, "{grown} bytes");
}

// --- several servers ---------------------------------------------------------------------------

#[tokio::test]
async fn servers_take_turns_and_one_that_is_not_there_is_passed_over() {
    let (one, two) = (echo_backend().await, echo_backend().await);
    let servers = [one.address, nobody().await, two.address];
    let gateway = started(to(gateway(), "/", &servers));
    for _ in 0..6 {
        open(gateway.address, &handshake("/")).await;
    }
    // Each begins twice, and the second's turns go to the third.
    assert_eq!((one.connections(), two.connections()), (2, 4));
    let skipped = gateway.logs(2, "\"server skipped\"").await;
    assert_eq!(skipped.len(), 2);
    assert!(skipped[0].contains(&servers[1].to_string()), "{skipped:?}");
    assert!(gateway.lines_with(REFUSED).is_empty());
}

// A request that may have arrived must not arrive twice: it may have had an effect.
#[tokio::test]
async fn k4_no_second_server_is_asked_once_the_first_may_have_heard() {
    let resets = [(); 2].map(|()| backend(vec![Act::Head, Act::Reset]));
    let [one, two] = resets;
    let (one, two) = (one.await, two.await);
    let gateway = started(to(gateway(), "/", &[one.address, two.address]));
    for asks in 1..=4 {
        assert_eq!(asked(&gateway, "/").await.status, 502);
        assert_eq!(one.connections() + two.connections(), asks);
    }
    assert_eq!((one.connections(), two.connections()), (2, 2));
}

#[tokio::test]
async fn every_server_out_of_time_is_504_and_anything_else_among_them_502() {
    let ((void_a, _a), (void_b, _b)) = (void().await, void().await);
    let builder = to(gateway(), "/late", &[void_a, void_b]);
    let gateway = started(to(builder, "/mixed", &[void_a, nobody().await]));
    check(&gateway, "/late", 504, "timeout").await;
    let answer = asked(&gateway, "/mixed").await;
    assert_eq!(answer.status, 502);
    let record = &gateway.logs(1, "\"path\":\"/mixed\"").await[0];
    let detail = field(record, "detail");
    assert!(
        detail.contains(&void_a.to_string()) && detail.contains("refused"),
        "{detail}"
    );
}

// --- proxies -----------------------------------------------------------------------------------

#[tokio::test]
async fn k4_whatever_a_proxy_does_its_client_gets_an_honest_status_and_the_log_one_record() {
    use At::{Nobody, Script, Void};
    let says = |text| Script(vec![Act::Head, say(text), Act::Stall]);
    let goes_on = |text, more: &str| {
        let more = Act::Repeat(more.repeat(500).into_bytes());
        Script(vec![Act::Head, say(text), more])
    };
    let begun = "HTTP/1.1 200 OK\r\n";
    let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let cases: [Case; 10] = [
        ("/refuses", Nobody, 502, "tcp"),
        ("/void", Void, 504, "timeout"),
        (
            "/resets",
            Script(vec![Act::Head, Act::Reset]),
            502,
            "proxy_reply",
        ),
        ("/closes", Script(vec![Act::Head]), 502, "proxy_reply"),
        ("/silent", Script(vec![Act::Stall]), 504, "timeout"),
        ("/line", goes_on(begun, "X-More: more"), 502, "proxy_reply"),
        (
            "/lines",
            goes_on(begun, "X-More: more\r\n"),
            502,
            "proxy_reply",
        ),
        ("/hints", goes_on("", hint), 502, "proxy_reply"),
        (
            "/version",
            says("HTTP/2.0 200 OK\r\n\r\n"),
            502,
            "proxy_reply",
        ),
        (
            "/switches",
            says("HTTP/1.1 101 Go\r\n\r\n"),
            502,
            "proxy_reply",
        ),
    ];
    check_all(cases, through).await;
}

/// A route by the proxy at `address`.
fn through(builder: Builder, path: &str, address: SocketAddr) -> Builder {
    let egress = format!("egress{}", builder.toml().matches("[[egress").count());
    builder
        .via(address)
        .route_to(path, &["ws://chat.internal".to_owned()], BACKEND_TIMEOUTS)
        .section(&format!("[egress.{egress}]\n{PROXY_TIMEOUTS}"))
}

// --- K2 ----------------------------------------------------------------------------------------

#[tokio::test]
async fn k2_a_session_that_ends_in_an_error_leaves_the_others_and_the_listener_alive() {
    let street = Street::new(Carried::Tls, Carried::Plain, "").await;
    let mut other = street.open().await;
    for n in 1..=20 {
        let Ends { client, backend } = street.open().await;
        let (lost, mut left) = match n % 2 {
            0 => (client, backend),
            _ => (backend, client),
        };
        reset(&lost);
        drop(lost);
        assert_eq!(last_words(&mut left).await, b"");
        drop(left);
        street.gateway.logs(n, "\"why\":\"reset\"").await;
        tell(&mut other.client, b"still here").await;
        assert_eq!(hear(&mut other.backend, 10).await, b"still here");
    }
    street.open().await;
}
