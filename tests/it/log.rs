//! The log of the program: one event a line, whatever a client sends, and never a secret.
//!
//! Runs the binary, because a process has one log.

use serde_json::{Map, Value};
use throughway::wire::ws::frame::Opcode;
use tokio::io::AsyncWriteExt;

use crate::support::backend::{answer, backend, echo_backend, good_101};
use crate::support::certs::dev_certificate;
use crate::support::client::{Client, Handshake, ask, handshake, open};
use crate::support::gateway::{Builder, gateway};
use crate::support::process::Process;
use crate::support::proxy::{OK, proxy_that_says, say};
use crate::support::script::{Act, Script};
use crate::support::spoken::{closing, masked};

/// The program with this configuration, at this level; the builder keeps its folder.
fn started(builder: Builder, level: &str) -> (Builder, Process) {
    let file = builder.dir().join("throughway.toml");
    std::fs::write(&file, builder.toml()).unwrap();
    let process = Process::start(&file, &[("THROUGHWAY_LOG", level)]);
    (builder, process)
}

/// A line of the log as one JSON object, and nothing but.
pub(crate) fn event(line: &str) -> Map<String, Value> {
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

/// The reasons of Closes by which the same is tried.
const REASONS: [&[u8]; 4] = [
    b"a\r\nINFO forged: line",
    b"\",\"level\":\"ERROR\",\"x\":\"\x1b[31mred\0\x7f",
    "\u{202e}\u{2028}\u{85}\u{9b}".as_bytes(),
    b"\xff\xfe\xc3\x28",
];

/// Sessions that are ended for such reasons, by both sides: the backend says what it hears.
async fn poison_ends(process: &Process) {
    for reason in REASONS {
        let (mut client, _) = open(process.address, &handshake("/ends")).await;
        let close = masked(Opcode::Close, &closing(4000, reason));
        client.send(&close).await;
        assert_eq!(client.exactly(close.len()).await, close);
        client.stream.shutdown().await.unwrap();
        client.rest().await;
    }
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
fn pair(backend: &Script) -> [(Builder, Process); 2] {
    let keys = "origins = [\"https://chat.test\"]";
    let server = format!("ws://{}", backend.address);
    let route = |b: Builder| {
        let builder = b.keys(keys).route("/ws", "ws://127.0.0.1:9");
        builder.route("/ends", &server)
    };
    let cert = dev_certificate(&["chat.test"]);
    [route(gateway()), route(gateway().tls(&cert))].map(|b| started(b, "debug"))
}

/// A proxy that wrote the name a client asked for into its log as it came let clients write lines
/// of that log.
#[tokio::test(flavor = "multi_thread")]
async fn f1_an_event_is_one_line_of_json() {
    let [(_a, plain), (_b, tls)] = pair(&echo_backend().await);
    let count = poison(&plain, &tls).await;
    poison_ends(&plain).await;
    let refused = events(&plain, "request refused", count);
    assert!(refused.iter().all(|event| event["level"] == "INFO"));
    let path = "/\r\n\u{1b}[31m\"'\u{7f}\u{85}\u{202e}\u{2028}\u{fffd}";
    assert_eq!(refused[0]["path"], path);
    tls.line_with("client gone before its answer");
    let ended = events(&plain, "session ended", REASONS.len());
    for (event, reason) in ended.iter().zip(REASONS) {
        let reason = String::from_utf8_lossy(reason).into_owned();
        assert_eq!(event["client_close_reason"], reason);
        assert_eq!(event["backend_close_reason"], reason);
    }
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
    let backend = echo_backend().await;
    let builder = gateway().keys(keys).route("/ws", "ws://127.0.0.1:9");
    let builder = builder.route("/ends", format!("ws://{}", backend.address));
    let (_keep, process) = started(builder.section(config), "debug");
    let requests = poisonous();
    for request in &requests {
        ask(process.address, request).await;
    }
    poison_ends(&process).await;
    let records = |text: &str| {
        let lines = process.log();
        lines.iter().filter(|line| line.contains(text)).count()
    };
    crate::support::eventually("all the refusals and ends", || {
        records("request refused") == requests.len() && records("session ended") == REASONS.len()
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

/// A message each way, the second the echo of the first, and then Closes.
async fn a_session(process: &Process, request: &Handshake) -> Map<String, Value> {
    let (mut client, _) = open(process.address, request).await;
    let close = masked(Opcode::Close, &closing(1000, b""));
    for said in [masked(Opcode::Text, b"twelve bytes"), close] {
        client.send(&said).await;
        client.exactly(said.len()).await;
    }
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
            ("frames_to_backend", "text 1, close 1"),
            ("frames_to_client", "text 1, close 1"),
            ("payload_to_backend", "text 12, close 2"),
            ("payload_to_client", "text 12, close 2"),
            ("client_pings", ""),
            ("backend_pings", ""),
            ("client_close_reason", ""),
            ("client_told", "passed"),
            ("backend_close_reason", ""),
            ("backend_told", "passed"),
            ("ended_by", "client"),
            ("why", "closed"),
            ("detail", ""),
        ] {
            let value = record.remove(field);
            assert_eq!(value, Some(expected.into()), "{field}");
        }
        for (field, expected) in [
            ("bytes_to_backend", 26),
            ("bytes_to_client", 26),
            ("messages_to_backend", 1),
            ("messages_to_client", 1),
            ("message_bytes_max_to_backend", 12),
            ("message_bytes_max_to_client", 12),
            ("client_close", 1000),
            ("backend_close", 1000),
        ] {
            assert_eq!(record.remove(field), Some(expected.into()), "{field}");
        }
        for field in [
            "duration_ms",
            "ms_to_101",
            "stall_to_backend_ms",
            "stall_to_client_ms",
        ] {
            assert!(record.remove(field).unwrap().is_u64(), "{field}");
        }
        assert!(record.remove("phases").unwrap().is_string());
        assert_eq!(record.remove("warm"), Some(false.into()));
        let rest: Vec<&String> = record.keys().collect();
        assert_eq!(rest, ["message", "target", "timestamp"]);
    }
}

/// The fields that the documentation's table of the log ticks in this column.
fn documented(column: usize) -> Vec<&'static str> {
    let document = include_str!("../../docs/configuration.md");
    let (_, log) = document.split_once("\n## The log\n").unwrap();
    let rows = log
        .lines()
        .skip_while(|line| !line.starts_with("| field |"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let mut fields: Vec<&str> = rows
        .map(|row| row.split('|').collect::<Vec<_>>())
        .filter(|cells| cells[column].trim() == "yes")
        .flat_map(|cells| cells[1].split('`').skip(1).step_by(2))
        .collect();
    fields.sort_unstable();
    fields
}

/// Fails unless the fields of `event` are those of this column.
#[track_caller]
pub(crate) fn is_documented(event: &Map<String, Value>, column: usize) {
    let beside = ["level", "message", "target", "timestamp"];
    let fields = event.keys().map(String::as_str);
    let fields: Vec<&str> = fields.filter(|field| !beside.contains(field)).collect();
    assert_eq!(fields, documented(column), "{event:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_of_a_record_is_documented_and_no_other() {
    let backend = echo_backend().await;
    let builder = gateway()
        .keys("origins = \"any\"\nrecord = { start = true }")
        .route("/ws", format!("ws://{}", backend.address));
    let (_keep, process) = started(builder, "info");
    let ended = a_session(&process, &handshake("/ws")).await;
    ask(process.address, &handshake("/nowhere").bytes()).await;
    is_documented(&events(&process, "session began", 1)[0], 2);
    is_documented(&ended, 4);
    is_documented(&events(&process, "request refused", 1)[0], 5);
}
