//! The log of the program: one event a line, whatever a client sends, and never a secret.
//!
//! Runs the binary, because a process has one log.

use serde_json::{Map, Value};

use crate::support::backend::{answer, backend, echo_backend, good_101};
use crate::support::certs::dev_certificate;
use crate::support::client::{Client, Handshake, ask, handshake, open};
use crate::support::gateway::{Builder, gateway};
use crate::support::process::Process;
use crate::support::proxy::{OK, proxy_that_says, say};
use crate::support::script::Act;

/// The program with this configuration, at this level; the builder keeps its folder.
fn started(builder: Builder, level: &str) -> (Builder, Process) {
    let file = builder.dir().join("throughway.toml");
    std::fs::write(&file, builder.toml()).unwrap();
    let process = Process::start(&file, &[("THROUGHWAY_LOG", level)]);
    (builder, process)
}

/// A line of the log as one JSON object, and nothing but.
fn event(line: &str) -> Map<String, Value> {
    match serde_json::from_str(line) {
        Ok(Value::Object(event)) => event,
        other => panic!("{line:?} is no event: {other:?}"),
    }
}

/// The events with this message, once there are so many.
fn events(process: &Process, message: &str, count: usize) -> Vec<Map<String, Value>> {
    let is_meant = |event: &Map<String, Value>| event["message"] == message;
    let start = std::time::Instant::now();
    loop {
        let lines = process.log();
        let events: Vec<_> = lines.iter().map(|l| event(l)).filter(is_meant).collect();
        if events.len() >= count {
            assert_eq!(events.len(), count, "{events:#?}");
            return events;
        }
        let is_late = start.elapsed() > crate::support::PATIENCE;
        assert!(!is_late, "not {count} x {message:?} in {lines:#?}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// What somebody sends who wants to write a log line of their own, or colour it, or end its
/// string.
fn poisonous() -> Vec<Vec<u8>> {
    let escapes = "%0d%0a%1b%5b31m%22%27%7f%c2%85%e2%80%ae%e2%80%a8%ff";
    let path = handshake(&format!("/{escapes}"));
    let raw = |line: &[u8]| {
        let head = handshake("/nowhere").bytes();
        let before = head.strip_suffix(b"\r\n").unwrap();
        [before, line, b"\r\n\r\n"].concat()
    };
    let mut requests = vec![path.bytes(), path.clone().with("User-Agent: \"'\\").bytes()];
    for text in [
        &b"\"\\\",\"level\":\"ERROR\""[..],
        b"a\tb",
        b"\x1b[31mred",
        b"a\0b",
        b"a\r\nINFO forged: line",
        b"a\nINFO forged: line",
        b"a\rINFO forged: line",
        b"\xff\xfe\xc3\x28",
        "\u{202e}\u{2028}\u{85}".as_bytes(),
    ] {
        for name in [
            "Origin: ",
            "User-Agent: ",
            "Sec-WebSocket-Protocol: ",
            "Host: ",
            "X-A: ",
        ] {
            requests.push(raw(&[name.as_bytes(), text].concat()));
        }
        requests.push([b"GET /", text, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    }
    requests
}

/// The first message of TLS, with this as the name asked for, which need not be a name.
fn client_hello(sni: &[u8]) -> Vec<u8> {
    let short = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
    let sized = |body: &[u8]| [&short(body.len())[..], body].concat();
    let name = [&b"\x00"[..], &sized(sni)].concat();
    let server_name = [&b"\x00\x00"[..], &sized(&sized(&name))].concat();
    let body = [
        &b"\x03\x03"[..],
        &[7; 32],
        b"\x00",
        b"\x00\x02\x13\x01",
        b"\x01\x00",
        &sized(&server_name),
    ]
    .concat();
    let message = [&b"\x01\x00"[..], &sized(&body)].concat();
    [&b"\x16\x03\x01"[..], &sized(&message)].concat()
}

async fn poison(plain: &Process, tls: &Process) -> usize {
    let requests = poisonous();
    for request in &requests {
        let answer = ask(plain.address, request).await;
        assert!((400..500).contains(&answer.status), "{}", answer.head);
    }
    for sni in [&b"a\r\nINFO forged: line"[..], b"\x1b[31m\"", b"\xff\0"] {
        let mut client = Client::connect(tls.address).await;
        client.send(&client_hello(sni)).await;
        client.rest().await;
    }
    requests.len()
}

/// The gateway to be poisoned, in the clear and over TLS.
fn pair() -> [(Builder, Process); 2] {
    let keys = "origins = [\"https://chat.test\"]";
    let route = |b: Builder| b.keys(keys).route("/ws", "ws://127.0.0.1:9");
    let cert = dev_certificate(&["chat.test"]);
    [route(gateway()), route(gateway().tls(&cert))].map(|b| started(b, "debug"))
}

/// A proxy that wrote the name a client asked for into its log as it came let clients write lines
/// of that log.
#[tokio::test(flavor = "multi_thread")]
async fn f1_an_event_is_one_line_of_json() {
    let [(_a, plain), (_b, tls)] = pair();
    let count = poison(&plain, &tls).await;
    let refused = events(&plain, "request refused", count);
    assert!(refused.iter().all(|event| event["level"] == "INFO"));
    let path = "/\r\n\u{1b}[31m\"'\u{7f}\u{85}\u{202e}\u{2028}\u{fffd}";
    assert_eq!(refused[0]["path"], path);
    tls.line_with("client gone before its answer");
    for line in plain.log().iter().chain(&tls.log()) {
        event(line);
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(!line.contains(['\u{202e}', '\u{2028}']), "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_an_event_is_one_line_of_text() {
    let config = "[log]\nformat = \"text\"";
    let keys = "origins = [\"https://chat.test\"]";
    let builder = gateway().keys(keys).route("/ws", "ws://127.0.0.1:9");
    let (_keep, process) = started(builder.section(config), "debug");
    let requests = poisonous();
    for request in &requests {
        ask(process.address, request).await;
    }
    let is_refusal = |line: &String| line.contains("request refused");
    crate::support::eventually("all the refusals", || {
        process.log().iter().filter(|l| is_refusal(l)).count() == requests.len()
    })
    .await;
    for line in process.log() {
        assert!(line.starts_with("20") && line.contains("Z "), "{line:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(!line.contains(['\u{202e}', '\u{2028}']), "{line:?}");
    }
}

/// Tokens live in queries, cookies and credentials; none of them is for the log, at any level.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_a_client_is_never_logged() {
    let good = echo_backend().await;
    let refusing = backend(vec![
        Act::Head,
        say("HTTP/1.1 401 No\r\nX: SECRET\r\n\r\nSECRET"),
    ])
    .await;
    let broken = backend(vec![Act::Head, say("SECRET\r\n\r\n")]).await;
    let builder = gateway()
        .keys("origins = [\"https://chat.test\"]")
        .route("/ws", format!("ws://{}", good.address))
        .route("/refusing", format!("ws://{}", refusing.address))
        .route("/closed", "ws://127.0.0.1:9");
    let builder = builder.route("/broken", format!("ws://{}", broken.address));
    let (_keep, process) = started(builder, "trace");
    let secret = |path: &str| {
        handshake(&format!("{path}?token=SECRET"))
            .with("Cookie: SECRET")
            .with("Authorization: Bearer SECRET")
            .with("Sec-WebSocket-Extensions: x; y=SECRET")
            .with("Referer: https://chat.test/?SECRET")
    };
    let (mut client, _) = open(process.address, &secret("/ws")).await;
    client.send(b"SECRET").await;
    client.exactly(6).await;
    drop(client);
    let evil = secret("/ws").with("Origin: https://evil.test");
    let absolute = secret("/ws").line("GET ws://other.test/ws?SECRET HTTP/1.1");
    let broken_head = secret("/ws").with("X-A : SECRET");
    for (request, status) in [
        (secret("/refusing"), 401),
        (secret("/closed"), 502),
        (secret("/broken"), 502),
        (secret("/nowhere"), 404),
        (evil, 403),
        (absolute, 400),
        (broken_head, 400),
        (secret("/ws").without("Upgrade"), 426),
        (secret("/ws/.."), 400),
    ] {
        assert_eq!(ask(process.address, &request.bytes()).await.status, status);
    }
    events(&process, "session ended", 1);
    events(&process, "request refused", 8);
    events(&process, "backend declined the upgrade", 1);
    let log = process.log().join("\n");
    assert!(!log.contains("SECRET") && !log.contains("token="), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_logged_with_its_reason() {
    let bad = backend(vec![Act::Head, say("HTTP/1.1 101 Yes\r\n\r\n"), Act::Stall]).await;
    let builder = gateway()
        .keys("origins = [\"https://chat.test\"]\nmissing_origin = \"deny\"")
        .route("/ws", format!("ws://{}", bad.address));
    let (_keep, process) = started(builder, "info");
    let sound = handshake("/ws").with("Origin: https://chat.test");
    let table = [
        (sound.clone().line("POST /ws HTTP/1.1"), 405, "method"),
        (sound.clone().without("Upgrade"), 426, "not_an_upgrade"),
        (
            sound.clone().replacing("Sec-WebSocket-Version: 8"),
            426,
            "version",
        ),
        (sound.clone().replacing("Sec-WebSocket-Key: a"), 400, "key"),
        (sound.clone().with("Content-Length: 1"), 400, "body"),
        (sound.clone().with("X-A : b"), 400, "bad_header"),
        (sound.clone().with("X-A: b\nX-B: c"), 400, "bad_line"),
        (
            sound.clone().with("Origin: https://chat.test"),
            400,
            "bad_origin",
        ),
        (
            sound.clone().line("GET /a/../ws HTTP/1.1"),
            400,
            "bad_target",
        ),
        (sound.clone().line("GET /nowhere HTTP/1.1"), 404, "no_route"),
        (sound.clone().without("Origin"), 403, "origin_missing"),
        (
            sound.clone().replacing("Origin: x"),
            403,
            "origin_malformed",
        ),
        (
            sound.clone().replacing("Origin: https://x.test"),
            403,
            "origin_refused",
        ),
        (sound.clone(), 502, "answer_invalid"),
    ];
    for (request, status, _) in &table {
        assert_eq!(ask(process.address, &request.bytes()).await.status, *status);
    }
    let refused = events(&process, "request refused", table.len());
    for (event, (_, status, reason)) in refused.iter().zip(&table) {
        let step = if *status >= 500 { "upgrade" } else { "" };
        assert_eq!((&event["hop"], &event["step"]), (&"".into(), &step.into()));
        assert_eq!(
            (&event["status"], &event["reason"]),
            (&(*status).into(), &(*reason).into())
        );
        assert!(!event["detail"].as_str().unwrap().is_empty());
        assert_eq!(event["client"], "127.0.0.1");
        assert_eq!(event["listener"], "public");
        let level = if *status >= 500 { "WARN" } else { "INFO" };
        assert_eq!(event["level"], level);
    }
    let last = refused.last().unwrap();
    let fields: Vec<&str> = last.keys().map(String::as_str).collect();
    let known = [
        "backend",
        "client",
        "detail",
        "hop",
        "host",
        "level",
        "listener",
        "message",
        "origin",
        "path",
        "reason",
        "route",
        "status",
        "step",
        "target",
        "timestamp",
    ];
    assert_eq!(fields, known);
    assert_eq!(last["path"], "/ws");
    assert_eq!(last["origin"], "https://chat.test");
    assert_eq!(last["route"], "backend0");
    let server = format!("server ws://{}: ", bad.address);
    assert!(last["detail"].as_str().unwrap().starts_with(&server));
}

async fn a_session(process: &Process, request: &Handshake) -> Map<String, Value> {
    let (mut client, _) = open(process.address, request).await;
    client.send(b"twelve bytes").await;
    client.exactly(12).await;
    drop(client);
    events(process, "session ended", 1).remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_leaves_one_record_that_says_it_all() {
    let chosen = answer(|head| good_101(head, "Sec-WebSocket-Protocol: chat.v1\r\n", ""));
    let backend = backend(vec![Act::Head, chosen, Act::Echo]).await;
    let url = format!("ws://{}", backend.address);
    let proxy = proxy_that_says(OK, backend.address).await;
    let request = handshake("/ws?token=a")
        .replacing("Host: Chat.test:8080")
        .with("Origin: https://chat.test")
        .with("Sec-WebSocket-Protocol: chat.v2, chat.v1");
    let direct = gateway().route("/ws", &url);
    let through = gateway()
        .via(proxy.address)
        .route("/ws", "ws://backend.test/");
    for (builder, server, egress) in [
        (direct, url.as_str(), "direct"),
        (through, "ws://backend.test/", "egress0"),
    ] {
        let (_keep, process) = started(builder, "info");
        let mut record = a_session(&process, &request).await;
        for (field, expected) in [
            ("level", "INFO"),
            ("listener", "public"),
            ("client", "127.0.0.1"),
            ("route", "backend0"),
            ("backend", "backend0"),
            ("server", server),
            ("egress", egress),
            ("host", "chat.test:8080"),
            ("origin", "https://chat.test"),
            ("path", "/ws"),
            ("subprotocol", "chat.v1"),
            ("ended_by", "client"),
            ("why", "closed"),
        ] {
            let value = record.remove(field);
            assert_eq!(value, Some(expected.into()), "{field}");
        }
        assert_eq!(record.remove("bytes_to_backend"), Some(12.into()));
        assert_eq!(record.remove("bytes_to_client"), Some(12.into()));
        assert!(record.remove("duration_ms").unwrap().is_u64());
        assert_eq!(record.remove("warm"), Some(false.into()));
        let rest: Vec<&String> = record.keys().collect();
        assert_eq!(rest, ["message", "target", "timestamp"]);
    }
}
