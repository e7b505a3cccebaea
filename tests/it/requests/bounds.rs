//! Requests that are too large or too slow.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Both, is_a_refusal};
use crate::support::certs::dev_certificate;
use crate::support::client::{Answer, Client, handshake, open};
use crate::support::eventually;
use crate::support::gateway::{Builder, gateway};

/// Sends until the answer is complete or the connection is lost; the answer, and how much was
/// taken of the request.
async fn flood(client: Client, request: Vec<u8>) -> (Answer, usize) {
    let (mut read, mut write) = tokio::io::split(client.stream);
    let sending = tokio::spawn(async move {
        let mut sent = 0;
        for piece in request.chunks(64 * 1024) {
            if write.write_all(piece).await.is_err() {
                break;
            }
            sent += piece.len();
        }
        sent
    });
    let mut all = Vec::new();
    // A reset is how a gateway ends that has heard enough.
    read.read_to_end(&mut all).await.ok();
    let text = String::from_utf8(all).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    let answer = Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    };
    (answer, sending.await.unwrap())
}

/// Servers have held, or parsed over and over, whatever size of head a client cared to send.
#[tokio::test]
async fn g3_a_head_that_is_too_large_is_refused_early() {
    let both = Both::new().await;
    let header = |n: usize| handshake("/ws").with(&format!("X-A: {}", "a".repeat(n)));
    let many = |n: usize| (0..n).fold(handshake("/ws"), |h, i| h.with(&format!("X-{i}: a")));
    let requests = [
        handshake(&format!("/ws?{}", "a".repeat(64 * 1024))),
        header(16 * 1024),
        header(1024 * 1024),
        header(20_000_000),
        many(96),
        many(10_000),
    ];
    for request in requests {
        for client in [both.plain().await, both.tls().await] {
            let bytes = request.bytes();
            let total = bytes.len();
            let start = Instant::now();
            let (answer, sent) = flood(client, bytes).await;
            assert_eq!(answer.status, 431, "{total} bytes");
            is_a_refusal(&answer);
            assert!(start.elapsed() < Duration::from_secs(5), "{total} bytes");
            assert!(sent < 10_000_000, "{sent} of {total} bytes were taken");
        }
    }
    both.refuses(&header(17_000).bytes(), 431, None).await;
    both.refuses(&many(96).bytes(), 431, None).await;
    assert_eq!(both.backend.connections(), 0);
    // One fewer of each is welcome.
    open(both.plain.address, &many(95)).await;
    open(both.plain.address, &header(16_000)).await;
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_is_a_408() {
    let cert = dev_certificate(&["chat.test"]);
    let hurried = |b: Builder| {
        b.section("[limits]\nhandshake = \"200ms\"")
            .route("/ws", "ws://127.0.0.1:9")
            .run()
    };
    let (plain, tls) = (hurried(gateway()), hurried(gateway().tls(&cert)));
    let head = handshake("/ws").bytes();
    for part in [&[], &head[..3], &head[..head.len() - 1]] {
        for mut client in [
            Client::connect(plain.address).await,
            Client::connect_tls(tls.address, &cert).await,
        ] {
            client.send(part).await;
            let answer = client.answer().await;
            assert_eq!(answer.status, 408);
            is_a_refusal(&answer);
        }
    }
    // The deadline is for the whole head: a byte now and then does not move it.
    let mut slow = Client::connect(plain.address).await;
    let start = Instant::now();
    for byte in head {
        let sent = slow.stream.write_all(&[byte]).await;
        if sent.is_err() || start.elapsed() > Duration::from_secs(1) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(slow.head().await.status, 408);
}

#[tokio::test]
async fn a_tls_handshake_that_does_not_come_in_time_is_cut() {
    let cert = dev_certificate(&["chat.test"]);
    let gateway = gateway()
        .tls(&cert)
        .section("[limits]\nhandshake = \"200ms\"")
        .route("/ws", "ws://127.0.0.1:9")
        .run();
    // Nothing, and the beginning of a record that never ends.
    for part in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut client = Client::connect(gateway.address).await;
        client.send(part).await;
        assert_eq!(client.rest().await, b"");
    }
    eventually("their places to come back", || {
        gateway.gateway.sessions() == 0
    })
    .await;
}
