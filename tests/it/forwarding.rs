//! What goes on: the request as its backend gets it, and the backend's word as its client gets it.
//!
//! Knows nothing of who may ask.

use crate::support::backend::{answer, backend, echo_backend, good_101};
use crate::support::client::{ACCEPT, Answer, Client, Handshake, ask, handshake, open};
use crate::support::gateway::{Running, gateway};
use crate::support::proxy::say;
use crate::support::script::{Act, Script};

/// The head that the backend of a fresh gateway gets for `request`.
async fn heard(keys: &str, listener: &str, request: &Handshake) -> String {
    let backend = echo_backend().await;
    let gateway = gateway()
        .listener(listener)
        .keys(&format!("origins = \"any\"\n{keys}"))
        .route("/*", format!("ws://{}/base", backend.address))
        .run();
    open(gateway.address, request).await;
    backend.heard(0)
}

/// The values of a header in a head, in order.
fn all<'h>(head: &'h str, name: &str) -> Vec<&'h str> {
    let lines = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "));
    lines
        .filter(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect()
}

/// Fails unless the head has exactly this value for each of these names.
fn has(head: &str, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(all(head, name), [*value], "{name} in {head}");
    }
}

/// Fails if the head has any of these names.
fn lacks(head: &str, names: &[&str]) {
    for name in names {
        assert!(all(head, name).is_empty(), "{name} in {head}");
    }
}

#[tokio::test]
async fn what_a_backend_sees_byte_for_byte() {
    let request = handshake("/a%20b/c?d=e&f")
        .with("Origin: https://chat.test")
        .with("Cookie: a=b; c=\"d\"")
        .with("Sec-WebSocket-Protocol: chat.v2,chat.v1")
        .with("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
        .with("User-Agent: test/1.0");
    let expected = "GET /base/a%20b/c?d=e&f HTTP/1.1\r\n\
         host: chat.test\r\n\
         connection: Upgrade\r\n\
         cookie: a=b; c=\"d\"\r\n\
         forwarded: for=127.0.0.1;host=chat.test;proto=http\r\n\
         origin: https://chat.test\r\n\
         sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-protocol: chat.v2,chat.v1\r\n\
         sec-websocket-version: 13\r\n\
         upgrade: websocket\r\n\
         user-agent: test/1.0\r\n\
         via: 1.1 throughway\r\n\
         x-forwarded-for: 127.0.0.1\r\n\
         x-forwarded-host: chat.test\r\n\
         x-forwarded-proto: http\r\n";
    let head = heard("", "", &request).await;
    let (first, rest) = head
        .strip_suffix("\r\n\r\n")
        .unwrap()
        .split_once("\r\nhost")
        .unwrap();
    let mut lines: Vec<&str> = rest.split("\r\n").skip(1).collect();
    // The order of fields of different names means nothing (RFC 9110 §5.3), but for Host's.
    lines.sort_unstable();
    let host = rest.split("\r\n").next().unwrap();
    let sorted = format!("{first}\r\nhost{host}\r\n{}\r\n", lines.join("\r\n"));
    assert_eq!(sorted, expected);
}

const SPOOF: [&str; 12] = [
    "X-Forwarded-For: 6.6.6.6",
    "x-forwarded-for: 7.7.7.7",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: evil.test",
    "X-Forwarded-Port: 666",
    "X-Real-IP: 6.6.6.6",
    "Forwarded: for=6.6.6.6;proto=https",
    "X_Forwarded_For: 6.6.6.6",
    "X.Forwarded.For: 6.6.6.6",
    "x_forwarded-Proto: https",
    "X_Real_IP: 6.6.6.6",
    "Via: 1.0 other",
];

fn spoof() -> Handshake {
    SPOOF.iter().fold(handshake("/"), |h, line| h.with(line))
}

/// Proxies have believed these headers from anyone with a private address, and passed on spellings
/// that a framework folds into the real ones.
#[tokio::test]
async fn d1_a_client_cannot_say_who_it_is() {
    for listener in ["", "trusted_proxies = [\"10.0.0.0/8\"]"] {
        let head = heard("", listener, &spoof()).await;
        has(
            &head,
            &[
                ("x-forwarded-for", "127.0.0.1"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", "chat.test"),
                ("forwarded", "for=127.0.0.1;host=chat.test;proto=http"),
            ],
        );
        assert_eq!(all(&head, "via"), ["1.0 other", "1.1 throughway"]);
        assert!(
            !head.contains("6.6.6.6") && !head.contains("7.7.7.7"),
            "{head}"
        );
        assert!(!head.contains('_') && !head.contains("evil"), "{head}");
    }
}

#[tokio::test]
async fn d1_a_trusted_proxy_can_and_is_added_to() {
    let head = heard("", "trusted_proxies = [\"127.0.0.1\"]", &spoof()).await;
    has(
        &head,
        &[
            ("x-forwarded-for", "6.6.6.6, 7.7.7.7, 127.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.test"),
            ("x-real-ip", "6.6.6.6"),
        ],
    );
    assert!(all(&head, "forwarded")[0].starts_with("for=6.6.6.6;proto=https, for=127.0.0.1;"));
    // Look-alikes are nobody's to send.
    lacks(
        &head,
        &[
            "x_forwarded_for",
            "x.forwarded.for",
            "x_forwarded-proto",
            "x_real_ip",
        ],
    );
}

/// A client that names our headers in Connection has had proxies remove them after setting them,
/// on upgrades even where ordinary requests were safe.
#[tokio::test]
async fn d2_connection_takes_out_the_clients_headers_and_never_ours() {
    for connection in [
        "Upgrade, X-Forwarded-For, X-Forwarded-Host, x-forwarded-proto, forwarded, x-real-ip, via",
        "upgrade,x-forwarded-for,X-FORWARDED-HOST , x-forwarded-proto,Forwarded,x-real-ip,VIA",
    ] {
        let request = spoof()
            .replacing(&format!("Connection: {connection}"))
            .with("Connection: x-token, Keep-Alive")
            .with("X-Token: secret")
            .with("X-Stays: yes")
            .with("Keep-Alive: timeout=5")
            .with("TE: trailers")
            .with("Trailer: X-A")
            .with("Proxy-Authorization: Basic dTpw")
            .with("Proxy-Connection: keep-alive")
            .with("Proxy-Anything: else");
        let head = heard("", "", &request).await;
        has(
            &head,
            &[
                ("x-forwarded-for", "127.0.0.1"),
                ("x-forwarded-host", "chat.test"),
                ("x-forwarded-proto", "http"),
                ("forwarded", "for=127.0.0.1;host=chat.test;proto=http"),
                ("via", "1.1 throughway"),
                ("connection", "Upgrade"),
                ("upgrade", "websocket"),
                ("x-stays", "yes"),
            ],
        );
        lacks(
            &head,
            &["x-token", "x-real-ip", "keep-alive", "te", "trailer"],
        );
        assert!(!head.to_ascii_lowercase().contains("proxy-"), "{head}");
    }
}

/// A proxy cleaned ordinary answers and returned early for a 101, so what was meant for one hop
/// went to the client.
#[tokio::test]
async fn d3_a_101_is_cleaned_like_any_answer() {
    let lines = "Connection: Foo, keep-alive\r\nFoo: 1\r\nKeep-Alive: timeout=5\r\n\
                 Proxy-Authenticate: Basic\r\nProxy-Status: x\r\nTE: trailers\r\nTrailer: a\r\n\
                 Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nAlt-Svc: h3\r\nX-Own: 1\r\n\
                 Content-Length: 0\r\n";
    let good = answer(move |head| good_101(head, lines, ""));
    let backend = backend(vec![Act::Head, good, Act::Stall]).await;
    let gateway = gateway()
        .route("/*", format!("ws://{}", backend.address))
        .run();
    let (_, answer) = open(gateway.address, &handshake("/")).await;
    has(
        &answer.head,
        &[
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-accept", ACCEPT),
            ("x-own", "1"),
            ("alt-svc", "h3"),
        ],
    );
    assert_eq!(all(&answer.head, "set-cookie"), ["a=b", "c=d"]);
    let gone = [
        "foo",
        "keep-alive",
        "proxy-authenticate",
        "proxy-status",
        "te",
        "trailer",
    ];
    lacks(&answer.head, &gone);
    lacks(&answer.head, &["content-length"]);
}

#[tokio::test]
async fn a_route_keeps_or_replaces_the_host() {
    let host = |head: &str| all(head, "host")[0].to_owned();
    assert_eq!(host(&heard("", "", &handshake("/")).await), "chat.test");
    let with_port = handshake("/").replacing("Host: Chat.TEST:8443");
    assert_eq!(host(&heard("", "", &with_port).await), "chat.test:8443");
    let replaced = heard("preserve_host = false", "", &with_port).await;
    assert!(host(&replaced).starts_with("127.0.0.1:"), "{replaced}");
    has(&replaced, &[("x-forwarded-host", "chat.test:8443")]);
}

#[tokio::test]
async fn a_route_strips_its_prefix_and_sets_and_removes_headers() {
    let keys = "strip_prefix = \"/ws\"\nremove_headers = [\"Cookie\", \"X-B\", \"via\"]\n\
                set_headers = { X-A = \"route\", X-New = \"1\" }";
    let request = |path: &str| {
        handshake(path)
            .with("X-A: client")
            .with("x-a: again")
            .with("X-B: client")
            .with("Cookie: a=b")
    };
    for (path, line) in [
        ("/ws/a?b", "GET /base/a?b HTTP/1.1"),
        ("/ws", "GET /base/ HTTP/1.1"),
        ("/ws?b", "GET /base/?b HTTP/1.1"),
        ("/wsx", "GET /base/wsx HTTP/1.1"),
        ("/a/ws", "GET /base/a/ws HTTP/1.1"),
    ] {
        let head = heard(keys, "", &request(path)).await;
        assert_eq!(head.lines().next(), Some(line));
        has(
            &head,
            &[("x-a", "route"), ("x-new", "1"), ("via", "1.1 throughway")],
        );
        has(&head, &[("x-forwarded-for", "127.0.0.1")]);
        lacks(&head, &["x-b", "cookie"]);
    }
}

async fn answering(text: &str) -> (Script, Running) {
    let backend = backend(vec![Act::Head, say(text)]).await;
    let gateway = gateway()
        .route("/*", format!("ws://{}", backend.address))
        .run();
    (backend, gateway)
}

async fn handed_on(text: &str) -> Answer {
    let (_backend, gateway) = answering(text).await;
    let answer = ask(gateway.address, &handshake("/").bytes()).await;
    has(&answer.head, &[("connection", "close")]);
    lacks(
        &answer.head,
        &["transfer-encoding", "upgrade", "keep-alive"],
    );
    answer
}

#[tokio::test]
async fn a_backends_refusal_is_handed_on_as_it_is() {
    let answer = handed_on(
        "HTTP/1.1 401 Who Are You\r\nWWW-Authenticate: Basic realm=\"chat\"\r\n\
         WWW-Authenticate: Bearer\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\
         Content-Type: application/json\r\nContent-Length: 13\r\nKeep-Alive: timeout=5\r\n\
         Connection: X-Hop\r\nX-Hop: 1\r\nProxy-Authenticate: NTLM\r\n\r\n{\"who\":\"you\"}",
    )
    .await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (401, "{\"who\":\"you\"}")
    );
    has(
        &answer.head,
        &[
            ("content-type", "application/json"),
            ("content-length", "13"),
        ],
    );
    let challenges = ["Basic realm=\"chat\"", "Bearer"];
    assert_eq!(all(&answer.head, "www-authenticate"), challenges);
    assert_eq!(all(&answer.head, "set-cookie"), ["a=b", "c=d"]);
    lacks(&answer.head, &["x-hop", "proxy-authenticate"]);
}

#[tokio::test]
async fn a_refusal_is_handed_on_whatever_frames_its_body() {
    // (answer, status, body)
    let table = [
        (
            "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n",
            403,
            "abcde",
        ),
        ("HTTP/1.1 404 No\r\n\r\nuntil the end", 404, "until the end"),
        (
            "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\nRetry-After: 7\r\n\r\n",
            429,
            "",
        ),
        (
            "HTTP/1.1 302 There\r\nLocation: https://x.test/\r\nContent-Length: 0\r\n\r\n",
            302,
            "",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", 304, ""),
        (
            "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno and more",
            500,
            "no",
        ),
        ("HTTP/1.1 599 \r\nContent-Length: 2\r\n\r\nno", 599, "no"),
        (
            "HTTP/1.0 404 Not Found\r\n\r\nan old server",
            404,
            "an old server",
        ),
    ];
    for (text, status, body) in table {
        let answer = handed_on(text).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, body),
            "{text}"
        );
        let length = body.len().to_string();
        let expected = (!matches!(status, 204 | 304)).then_some(length.as_str());
        assert_eq!(answer.header("content-length"), expected, "{text}");
    }
}

#[tokio::test]
async fn a_refusals_body_is_whole_up_to_64_kib_and_cut_beyond() {
    let max = 64 * 1024;
    for n in [max - 1, max, max + 1, 3 * max] {
        let body = "b".repeat(n);
        for framing in [
            format!("Content-Length: {n}\r\n\r\n{body}"),
            format!("Transfer-Encoding: chunked\r\n\r\n{n:x}\r\n{body}\r\n0\r\n\r\n"),
            format!("\r\n{body}"),
        ] {
            let answer = handed_on(&format!("HTTP/1.1 403 No\r\n{framing}")).await;
            assert_eq!(answer.body.len(), n.min(max));
            // A length would call the piece the whole.
            let length = (n <= max).then(|| n.to_string());
            assert_eq!(answer.header("content-length"), length.as_deref(), "{n}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_no_http_1_1_is_a_502() {
    let switch = format!(
        "101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    );
    for text in [
        format!("HTTP/1.0 {switch}"),
        format!("HTTP/2.0 {switch}"),
        format!("HTTP/1.1 0{switch}"),
        format!("ICY {switch}"),
        "<html>hello, this is HTTP/0.9</html>\r\n\r\n".to_owned(),
        "\x15\x03\x01\x00\x02\x02\x50".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nA b: c\r\n\r\n".to_owned(),
        "HTTP/1.1 2000 OK\r\n\r\n".to_owned(),
        String::new(),
    ] {
        let (_backend, gateway) = answering(&text).await;
        let mut client = Client::connect(gateway.address).await;
        client.send(&handshake("/").bytes()).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 502, "{text:?}");
        assert!(answer.body.starts_with("The backend "), "{}", answer.body);
    }
}
