//! Requests that do not become a WebSocket: the status table.
//!
//! Knows nothing of origins, which have a table of their own. Each request is sent in the clear
//! and over TLS, in one piece and a byte at a time; the answer is the same, and no backend hears
//! of it.

mod bounds;
mod syntax;

use tokio::io::AsyncWriteExt;

use crate::support::backend::{backend, echo_backend};
use crate::support::certs::{DevCert, dev_certificate};
use crate::support::client::{Answer, Client, Handshake, ask, handshake, open};
use crate::support::eventually;
use crate::support::far::tcp;
use crate::support::gateway::{Builder, Running, gateway};
use crate::support::proxy::{proxy_that_refuses, say};
use crate::support::script::{Act, Script};

/// One gateway in the clear and one over TLS, before the same backend.
struct Both {
    plain: Running,
    tls: Running,
    cert: DevCert,
    backend: Script,
}

impl Both {
    async fn new() -> Self {
        let backend = echo_backend().await;
        let cert = dev_certificate(&["chat.test"]);
        let route = |b: Builder| b.route("/ws", format!("ws://{}", backend.address)).run();
        Self {
            plain: route(gateway()),
            tls: route(gateway().tls(&cert)),
            cert,
            backend,
        }
    }

    async fn plain(&self) -> Client {
        Client::connect(self.plain.address).await
    }

    async fn tls(&self) -> Client {
        Client::connect_tls(self.tls.address, &self.cert).await
    }

    /// Fails unless the request is refused so, however it comes, and no backend is dialled.
    async fn refuses(&self, request: &[u8], status: u16, header: Option<(&str, &str)>) {
        let answers = [
            ("whole", whole(self.plain().await, request).await),
            ("dribbled", dribbled(self.plain().await, request).await),
            ("whole over TLS", whole(self.tls().await, request).await),
        ];
        let text = String::from_utf8_lossy(request);
        for (way, answer) in answers {
            assert_eq!(answer.status, status, "{way}: {text:?}\n{}", answer.head);
            if let Some((name, value)) = header {
                assert_eq!(answer.header(name), Some(value), "{way}: {text:?}");
            }
            is_a_refusal(&answer);
        }
        assert_eq!(self.backend.connections(), 0, "{text:?}");
    }

    async fn refuses_all(&self, requests: impl IntoIterator<Item = Handshake>, status: u16) {
        for request in requests {
            self.refuses(&request.bytes(), status, None).await;
        }
    }
}

async fn whole(mut client: Client, request: &[u8]) -> Answer {
    client.send(request).await;
    client.answer().await
}

async fn dribbled(mut client: Client, request: &[u8]) -> Answer {
    tcp(&client.stream).set_nodelay(true).unwrap();
    for byte in request {
        // Refused before its end: the answer is there already.
        if client.stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        client.stream.flush().await.ok();
    }
    client.answer().await
}

/// One plain sentence that tells nothing of the inside, with its exact length, on a connection
/// that ends; that it ends is what reading the answer has shown.
fn is_a_refusal(answer: &Answer) {
    let Answer { head, body, .. } = answer;
    assert_eq!(answer.header("connection"), Some("close"), "{head}");
    let length = body.len().to_string();
    assert_eq!(answer.header("content-length"), Some(length.as_str()));
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let sentence = body.strip_suffix('\n').expect("a line");
    assert!(!sentence.contains('\n'), "{sentence}");
    assert!(sentence.starts_with(|c: char| c.is_ascii_uppercase()));
    assert!(
        sentence.ends_with('.') && sentence.len() < 120,
        "{sentence}"
    );
    let inside = [
        "127.0.0.1",
        "backend0",
        "chat.test",
        "proxy",
        "dns",
        "hyper",
        "rustls",
        "hop ",
    ];
    for word in inside {
        assert!(!sentence.contains(word), "{sentence}");
    }
}

#[tokio::test]
async fn the_sound_request_that_the_others_depart_from_gets_its_101() {
    let both = Both::new().await;
    let request = handshake("/ws");
    open(both.plain.address, &request).await;
    let mut tls = both.tls().await;
    tls.send(&request.bytes()).await;
    assert_eq!(tls.head().await.status, 101);
    for harmless in [
        "Content-Length: 0",
        "TE: trailers",
        "Connection: keep-alive",
        "X-Empty:",
    ] {
        open(both.plain.address, &request.clone().with(harmless)).await;
    }
    let absolute = |scheme: &str| format!("GET {scheme}://chat.test/ws?a=b HTTP/1.1");
    for scheme in ["ws", "wss", "http", "HTTPS"] {
        let n = both.backend.connections();
        open(both.plain.address, &request.clone().line(&absolute(scheme))).await;
        assert!(
            both.backend
                .heard(n)
                .starts_with("GET /ws?a=b HTTP/1.1\r\nhost: chat.test\r\n")
        );
    }
}

#[tokio::test]
async fn the_status_table_of_requests() {
    let both = Both::new().await;
    let sound = handshake("/ws");
    let allow = Some(("allow", "GET"));
    for method in [
        "POST", "HEAD", "OPTIONS", "PUT", "get", "CONNECT", "M-SEARCH",
    ] {
        let request = sound.clone().line(&format!("{method} /ws HTTP/1.1"));
        both.refuses(&request.bytes(), 405, allow).await;
    }
    let upgrade = Some(("upgrade", "websocket"));
    for request in [
        sound.clone().without("Upgrade"),
        sound.clone().without("Connection"),
        sound.clone().replacing("Upgrade: websockets"),
        sound.clone().replacing("Upgrade: x-websocket"),
        sound.clone().replacing("Connection: upgraded, no-upgrade"),
        sound.clone().replacing("Connection: keep-alive"),
        sound.clone().line("GET /ws HTTP/1.0"),
    ] {
        both.refuses(&request.bytes(), 426, upgrade).await;
    }
    let version = Some(("sec-websocket-version", "13"));
    for request in [
        sound.clone().without("Sec-WebSocket-Version"),
        sound.clone().replacing("Sec-WebSocket-Version: 8"),
        sound.clone().replacing("Sec-WebSocket-Version: 13, 8"),
        sound.clone().replacing("Sec-WebSocket-Version: 013"),
        sound.clone().with("Sec-WebSocket-Version: 13"),
    ] {
        both.refuses(&request.bytes(), 426, version).await;
    }
    let keys = [
        "",
        "short",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZSE=",
        "?",
    ];
    let keys = keys.map(|key| {
        sound
            .clone()
            .replacing(&format!("Sec-WebSocket-Key: {key}"))
    });
    both.refuses_all(keys, 400).await;
    let without = sound.clone().without("Sec-WebSocket-Key");
    let twice = sound
        .clone()
        .with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
    both.refuses_all([without, twice], 400).await;
    let nowhere = ["/", "/w", "/ws2", "/ws/", "/WS"].map(handshake);
    both.refuses_all(nowhere, 404).await;
}

/// Naming a header in Connection has a proxy take it out: a known way past an authentication that
/// looks at that header.
#[tokio::test]
async fn a_connection_header_names_nothing_that_the_handshake_needs() {
    let both = Both::new().await;
    let needed = [
        "host",
        "Origin",
        "COOKIE",
        "authorization",
        "sec-websocket-key",
    ];
    let names = needed
        .iter()
        .chain(&["Sec-WebSocket-Version", "content-length"]);
    let requests = names.map(|name| {
        let named = format!("Connection: Upgrade, {name}");
        handshake("/ws").replacing(&named).with("Cookie: a=b")
    });
    both.refuses_all(requests, 400).await;
}

/// Answers that are a backend's or a proxy's fault: (path, status).
#[tokio::test]
async fn the_status_table_of_dials() {
    let hang = backend(vec![Act::Head, Act::Stall]).await;
    let garbage = backend(vec![Act::Head, say("what?\r\n\r\n"), Act::Stall]).await;
    let closes = backend(vec![Act::Head]).await;
    let no_tls = backend(vec![Act::Read(1), say("HTTP/1.1 400 No\r\n\r\n")]).await;
    let proxy = proxy_that_refuses("HTTP/1.1 403 Forbidden\r\n\r\n127.0.0.1 says no").await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let short = "timeouts = { upgrade = \"200ms\" }";
    let url = |script: &Script| format!("ws://{}", script.address);
    let dials = |begun: Builder| {
        begun
            .route("/closed", format!("ws://{closed}"))
            .route("/garbage", url(&garbage))
            .route("/closes", url(&closes))
            .route("/no-tls", format!("wss://{}", no_tls.address))
            .route_to("/hang", &[url(&hang)], short)
            .via(proxy.address)
            .route("/proxy", "ws://backend.test")
            .run()
    };
    let silent = dials(gateway());
    let telling = dials(gateway().section("[server]\nproxy_status = true"));
    for (path, status, error) in [
        ("/closed", 502, "connection_refused"),
        ("/garbage", 502, "http_protocol_error"),
        ("/closes", 502, "http_response_incomplete"),
        ("/no-tls", 502, "tls_protocol_error"),
        ("/proxy", 502, "destination_unavailable"),
        ("/hang", 504, "http_response_timeout"),
    ] {
        let told = format!("throughway; error={error}");
        for (gateway, told) in [(&silent, None), (&telling, Some(told.as_str()))] {
            let answer = ask(gateway.address, &handshake(path).bytes()).await;
            assert_eq!(answer.status, status, "{path}");
            assert_eq!(answer.header("proxy-status"), told, "{path}");
            is_a_refusal(&answer);
        }
    }
    let answer = ask(telling.address, &handshake("/nowhere").bytes()).await;
    assert_eq!((answer.status, answer.header("proxy-status")), (404, None));
}

#[tokio::test]
async fn a_request_that_comes_during_a_drain_is_a_503() {
    let running = gateway().route("/ws", "ws://127.0.0.1:9").run();
    let mut client = Client::connect(running.address).await;
    let gateway = running.gateway;
    eventually("the client to be accepted", || gateway.sessions() == 1).await;
    let draining = tokio::spawn(gateway.drain(std::future::pending()));
    tokio::task::yield_now().await;
    client.send(&handshake("/ws").bytes()).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), Some("5"));
    is_a_refusal(&answer);
    drop(client);
    draining.await.unwrap();
}
