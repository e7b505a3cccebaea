//! One session, one record; one refusal, one record: right in every field.

use std::sync::Arc;
use std::time::Duration;

use throughway::wire::ws::frame::Opcode;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use crate::log::{event, is_documented};
use crate::support::backend::{backend, good_101};
use crate::support::certs::dev_certificate;
use crate::support::client::{Client, ask, handshake, open};
use crate::support::ends::{Carried, Ends, Street, hear, last_words, say};
use crate::support::gateway::gateway;
use crate::support::process::field;
use crate::support::proxy::{OK, proxy_that_says};
use crate::support::script::{Act, Script};
use crate::support::spoken::{closing, masked, plain};
use crate::support::started::started;

const ENDED: &str = "\"session ended\"";

#[track_caller]
fn check(line: &str, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(field(line, name), *value, "{name} in {line}");
    }
}

#[tokio::test]
async fn a_session_leaves_one_record_with_everything_about_it() {
    // What is glued to the 101 counts.
    let greets = Act::Answer(Arc::new(|head| {
        let chosen = "Sec-WebSocket-Protocol: chat.v2\r\n";
        let greeting = plain(Opcode::Text, b"first words");
        [good_101(head, chosen, "").into_bytes(), greeting].concat()
    }));
    let backend = backend(vec![Act::Head, greets, Act::Echo]).await;
    let proxy = proxy_that_says(OK, backend.address).await;
    let mut gateway = started(
        gateway()
            .via(proxy.address)
            .route("/*", "ws://chat.internal"),
    );
    let request = handshake("/room/7?token=secret")
        .with("Origin: https://chat.test")
        .with("Sec-WebSocket-Protocol: chat.v1, chat.v2");
    let (mut client, _) = open(gateway.address, &request).await;
    assert_eq!(client.exactly(13).await, b"\x81\x0bfirst words");
    let (begins, goes_on) = (b"\x01\x84\0\0\0\0half", b"\x80\x83\0\0\0\0way");
    let close = masked(Opcode::Close, &closing(4000, b"enough"));
    for said in [&begins[..], &masked(Opcode::Ping, b"?"), goes_on, &close] {
        client.send(said).await;
        assert_eq!(client.exactly(said.len()).await, said, "echoed");
    }
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.rest().await, b"");
    let record = &gateway.logs(1, ENDED).await[0];
    check(
        record,
        &[
            ("level", "INFO"),
            ("listener", "public"),
            ("client", "127.0.0.1"),
            ("route", "backend0"),
            ("backend", "backend0"),
            ("server", "ws://chat.internal"),
            ("egress", "egress0"),
            ("host", "chat.test"),
            ("origin", "https://chat.test"),
            ("path", "/room/7"),
            ("subprotocol", "chat.v2"),
            ("bytes_to_backend", "40"),
            ("bytes_to_client", "53"),
            ("messages_to_backend", "1"),
            ("messages_to_client", "2"),
            ("message_bytes_max_to_backend", "7"),
            ("message_bytes_max_to_client", "11"),
            (
                "frames_to_backend",
                "text 1, continuation 1, ping 1, close 1",
            ),
            (
                "frames_to_client",
                "text 2, continuation 1, ping 1, close 1",
            ),
            (
                "payload_to_backend",
                "text 4, continuation 3, ping 1, close 8",
            ),
            (
                "payload_to_client",
                "text 15, continuation 3, ping 1, close 8",
            ),
            ("client_pings", ""),
            ("backend_pings", ""),
            ("client_close", "4000"),
            ("client_close_reason", "enough"),
            ("client_told", "passed"),
            ("backend_close", "4000"),
            ("backend_told", "passed"),
            ("ended_by", "client"),
            ("why", "closed"),
            ("detail", ""),
        ],
    );
    let phases = phases(record);
    let names: Vec<&str> = phases.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "head",
        "decide",
        "hop1 connect",
        "hop1 tunnel",
        "upgrade",
        "answer",
    ];
    assert_eq!(names, expected, "{record}");
    assert!(!gateway.log().concat().contains("secret"), "the query");
    only(&gateway.whole_log().await, ENDED);
}

/// The parts of the way to the 101, each with its milliseconds.
fn phases(record: &str) -> Vec<(String, f64)> {
    let phases = field(record, "phases");
    let phase = |phase: &str| {
        let (name, millis) = phase.strip_suffix(" ms").unwrap().rsplit_once(' ').unwrap();
        (name.to_owned(), millis.parse().unwrap())
    };
    phases.split(", ").map(phase).collect()
}

/// One line about a client, and it is this one.
#[track_caller]
fn only(log: &[String], message: &str) {
    let records: Vec<_> = log.iter().filter(|l| l.contains("\"client\":")).collect();
    assert_eq!(records.len(), 1, "{records:#?}");
    assert!(records[0].contains(message), "{records:#?}");
}

// Under TLS the bytes that count are the session's, not the records around them.
#[tokio::test]
async fn bytes_are_counted_each_way_as_the_other_side_gets_them() {
    for carried in [Carried::Plain, Carried::Tls] {
        let mut street = Street::new(carried, carried, "").await;
        let Ends {
            mut client,
            mut backend,
        } = street.open().await;
        say(&mut client, &[b'c'; 12_345]).await;
        hear(&mut backend, 12_345).await;
        say(&mut backend, &[b'b'; 67_890]).await;
        backend.shutdown().await.unwrap();
        assert_eq!(last_words(&mut client).await.len(), 67_890);
        client.shutdown().await.unwrap();
        let record = &street.gateway.logs(1, ENDED).await[0];
        check(
            record,
            &[
                ("bytes_to_backend", "12345"),
                ("bytes_to_client", "67890"),
                ("messages_to_backend", "0"),
                ("message_bytes_max_to_client", "0"),
                ("frames_to_client", ""),
                ("payload_to_client", ""),
                ("client_close", "0"),
                ("client_told", ""),
                ("ended_by", "backend"),
                ("why", "closed"),
                ("egress", "direct"),
            ],
        );
        only(&street.gateway.whole_log().await, ENDED);
    }
}

#[tokio::test]
async fn the_way_to_the_101_is_told_part_by_part() {
    // A server that is slow to answer, behind TLS on both legs.
    let cert = dev_certificate(&["localhost"]);
    let slowly = Act::Answer(Arc::new(|head| {
        std::thread::sleep(Duration::from_millis(50));
        good_101(head, "", "").into_bytes()
    }));
    let script = vec![vec![Act::Head, slowly, Act::Echo]];
    let backend = Script::play(script, Some(cert.acceptor())).await;
    let server = format!("wss://localhost:{}", backend.address.port());
    let builder = gateway().tls(&cert);
    let gateway = started(builder.route_to("/", &[server], "tls = { ca = \"ca.pem\" }"));
    let mut client = Client::connect_tls(gateway.address, &cert).await;
    client.send(&handshake("/").bytes()).await;
    assert_eq!(client.head().await.status, 101);
    drop(client);
    let record = &gateway.logs(1, ENDED).await[0];
    let phases = phases(record);
    let names: Vec<&str> = phases.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "client_tls",
        "head",
        "decide",
        "resolve",
        "connect",
        "tls",
        "upgrade",
        "answer",
    ];
    assert_eq!(names, expected, "{record}");
    let upgrade = phases[6].1;
    let all: f64 = field(record, "ms_to_101").parse().unwrap();
    assert!(upgrade >= 50.0 && all >= upgrade.floor(), "{record}");
}

#[tokio::test]
async fn a_side_that_takes_nothing_is_told_with_its_time() {
    const STALL: Duration = Duration::from_millis(400);
    for carried in [Carried::Plain, Carried::Tls] {
        let street = Street::of_frames(carried, Carried::Plain, "").await;
        let ends = street.open().await;
        let (mut client, mut backend) = (ends.client, ends.backend);
        // More than all buffers on the way hold together.
        let message = plain(Opcode::Binary, &vec![0; 64 * 1024 * 1024]);
        let pouring = async {
            say(&mut backend, &message).await;
            say(&mut backend, &plain(Opcode::Close, b"")).await;
            last_words(&mut backend).await;
        };
        let reading = async {
            sleep(STALL).await;
            hear(&mut client, message.len() + 2).await;
            say(&mut client, &masked(Opcode::Close, b"")).await;
            client.shutdown().await.unwrap();
        };
        tokio::join!(pouring, reading);
        drop((client, backend));
        let record = &street.gateway.logs(1, ENDED).await[0];
        check(record, &[("stall_to_backend_ms", "0")]);
        let stall: u128 = field(record, "stall_to_client_ms").parse().unwrap();
        assert!((200..5000).contains(&stall), "{record}");
    }
}

#[tokio::test]
async fn pings_are_told_with_the_time_of_their_answers() {
    let keys = "ping = { every = \"1s\", timeout = \"900ms\" }";
    let street = Street::of_frames(Carried::Plain, Carried::Plain, keys).await;
    let Ends {
        mut client,
        mut backend,
    } = street.open().await;
    let ping = hear(&mut client, 2 + 12).await;
    assert_eq!(ping[..2], *b"\x89\x0c");
    say(&mut client, &masked(Opcode::Pong, &ping[2..])).await;
    say(&mut client, &masked(Opcode::Close, b"")).await;
    hear(&mut backend, 6).await;
    say(&mut backend, &plain(Opcode::Close, b"")).await;
    drop((client, backend));
    let record = &street.gateway.logs(1, ENDED).await[0];
    let pings = field(record, "client_pings");
    assert!(
        pings.starts_with("count 1, min ") && pings.contains(" ms, max "),
        "{record}"
    );
    // Neither the Ping nor its answer is the client's or the backend's word.
    let expected = [("backend_pings", ""), ("frames_to_backend", "close 1")];
    check(record, &expected);
}

#[tokio::test]
async fn a_session_that_is_asked_to_tells_of_its_beginning_and_that_it_goes_on() {
    let keys = "record = { start = true, every = \"10s\" }";
    let mut street = Street::of_frames(Carried::Plain, Carried::Plain, keys).await;
    let ends = street.open().await;
    let (mut client, mut backend) = (ends.client, ends.backend);
    let began = &street.gateway.logs(1, "\"session began\"").await[0];
    check(
        began,
        &[
            ("route", "backend0"),
            ("egress", "direct"),
            ("warm", "false"),
        ],
    );
    assert!(field(began, "phases").contains("upgrade "), "{began}");
    say(&mut client, &masked(Opcode::Text, b"hello")).await;
    hear(&mut backend, 11).await;
    // The shortest time that can be asked for.
    sleep(Duration::from_secs(10)).await;
    let goes_on = &street.gateway.logs(1, "\"session goes on\"").await[0];
    let expected = [
        ("client", "127.0.0.1"),
        ("bytes_to_backend", "11"),
        ("messages_to_backend", "1"),
        ("frames_to_backend", "text 1"),
        ("payload_to_backend", "text 5"),
    ];
    check(goes_on, &expected);
    is_documented(&event(goes_on), 3);
    let age: u64 = field(goes_on, "duration_ms").parse().unwrap();
    assert!((10_000..15_000).contains(&age), "{goes_on}");
    drop((client, backend));
    let log = street.gateway.whole_log().await;
    let records = log.iter().filter(|line| line.contains("\"client\":"));
    assert_eq!(records.count(), 3, "{log:#?}");
}

#[tokio::test]
async fn a_refusal_leaves_one_record_with_its_reason() {
    let mut gateway = started(
        gateway()
            .keys("origins = [\"https://chat.test\"]")
            .route("/", "ws://127.0.0.1:9"),
    );
    let request = handshake("/?token=secret").with("Origin: https://evil.test");
    assert_eq!(ask(gateway.address, &request.bytes()).await.status, 403);
    let record = &gateway.logs(1, "\"request refused\"").await[0];
    check(
        record,
        &[
            ("level", "INFO"),
            ("status", "403"),
            ("reason", "origin_refused"),
            ("client", "127.0.0.1"),
            ("host", "chat.test"),
            ("origin", "https://evil.test"),
            ("path", "/"),
        ],
    );
    assert!(!gateway.log().concat().contains("secret"), "the query");
    only(&gateway.whole_log().await, "\"request refused\"");
}

#[tokio::test]
async fn an_answer_of_the_backend_that_is_handed_on_leaves_one_record() {
    let no = "HTTP/1.1 401 Who\r\nContent-Length: 2\r\n\r\nno";
    let declines = backend(vec![Act::Head, Act::Say(no.into())]).await;
    let server = format!("ws://{}", declines.address);
    let mut gateway = started(gateway().route("/", &server));
    let answer = ask(gateway.address, &handshake("/").bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (401, "no"));
    let message = "\"backend declined the upgrade\"";
    let record = &gateway.logs(1, message).await[0];
    let expected = [
        ("status", "401"),
        ("server", server.as_str()),
        ("truncated", "false"),
    ];
    check(record, &expected);
    only(&gateway.whole_log().await, message);
}
