//! The syntax that smugglers use: whatever two parsers could read two ways is refused.

use super::Both;
use crate::support::client::handshake;

/// A WebSocket handshake with a body is read as one request by some and as two by others.
#[tokio::test]
async fn b3_whatever_could_announce_a_body_is_refused() {
    let both = Both::new().await;
    let bodies = [
        "Content-Length: 5",
        "Content-Length: +0",
        "Content-Length: 0x0",
        "Content-Length: 1_0",
        "Content-Length: 00",
        "Content-Length: 0, 0",
        "Content-Length:",
        "Content-Length: -1",
        "Content-Length: 99999999999999999999",
        "Content-Length: 0\r\nContent-Length: 0",
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding:",
        "transfer-encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer_Encoding: chunked",
        "Transfer.Encoding: chunked",
        "Content_Length: 5",
        "Expect: 100-continue",
        "Expect: 100-Continue, x",
    ];
    both.refuses_all(bodies.map(|line| handshake("/ws").with(line)), 400)
        .await;
    let old = handshake("/ws").line("GET /ws HTTP/1.0");
    both.refuses_all([old.with("Transfer-Encoding: chunked")], 400)
        .await;
}

/// Lines that end in one way for us and in another for a backend are two requests in one.
#[tokio::test]
async fn b4_lines_that_could_be_read_two_ways_are_refused() {
    let both = Both::new().await;
    let bad = [
        "X-A: b\nX-C: d",
        "X-A: b\rX-C: d",
        "X-A: b\r\r\nX-C: d",
        "X-A: b\n",
        "X-A: b\0c",
        "X-A: b\x0bc",
        "X-A: b\x7fc",
        "X-A: b\x1b[31m",
        "X-A : b",
        "X-A\t: b",
        "X-A: b\r\n c",
        "X-A: b\r\n\tc",
        " X-A: b",
        ": b",
        "X-A",
        "X-\u{c4}: b",
        "X A: b",
        "X-A(: b",
        "Transfer-Encoding\r\n : chunked",
        "Transfer-Encoding : chunked",
    ];
    both.refuses_all(bad.map(|line| handshake("/ws").with(line)), 400)
        .await;
    let lines = [
        "GET /ws HTTP/1.1\r\n X-A: b",
        " GET /ws HTTP/1.1",
        "\r\nGET /ws HTTP/1.1",
        "GET  /ws HTTP/1.1",
        "GET /ws  HTTP/1.1",
        "GET\t/ws\tHTTP/1.1",
        "GET /ws HTTP/1.1 ",
        "GET /ws HTTP/1.2",
        "GET /ws HTTP/2.0",
        "GET /ws http/1.1",
        "GET /ws HTTP/1.1\n",
        "GET /ws",
        "G@T /ws HTTP/1.1",
        "PRI * HTTP/2.0",
    ];
    both.refuses_all(lines.map(|line| handshake("/ws").line(line)), 400)
        .await;
}

/// A target or Host that names one server here and another one there has led handshakes to the
/// metadata service of a cloud.
#[tokio::test]
async fn b5_one_request_names_one_host_and_one_path() {
    let both = Both::new().await;
    let sound = handshake("/ws");
    let hosts = [
        "Host: chat.test, evil.test",
        "Host: chat.test\r\nHost: chat.test",
        "Host: chat.test\r\nhost: evil.test",
        "Host:",
        "Host: user@chat.test",
        "Host: chat.test/ws",
        "Host: chat.test:",
        "Host: chat.test:0",
        "Host: chat.test:65536",
        "Host: chat.test:80:80",
        "Host: chat..test",
        "Host: [::1",
        "Host: ::1",
        "Host: 0x7f.1",
        "Host: 2130706433",
        "Host: ch\u{430}t.test",
        "Host: chat test",
        "Host: http://chat.test",
    ];
    both.refuses_all(hosts.map(|host| sound.clone().replacing(host)), 400)
        .await;
    both.refuses_all([sound.clone().without("Host")], 400).await;
    let targets = [
        "http://169.254.169.254/ws",
        "ws://evil.test/ws",
        "ws://chat.test:81/ws",
        "ws://user@chat.test/ws",
        "ws:///ws",
        "ftp://chat.test/ws",
        "file:///ws",
        "ws:/ws",
        "//evil.test/ws",
        "/%2fevil.test/ws",
        "/ws/../admin",
        "/ws/..;/admin",
        "/ws/%2e%2e/admin",
        "/./ws",
        "/ws#a",
        "/ws\\admin",
        "/ws%5cadmin",
        "/ws%00",
        "/ws%",
        "/ws%zz",
        "/ws\u{e9}",
        "/w s",
        "chat.test:80",
        "chat.test",
        "*",
        "?a",
    ];
    let targets = targets.map(|t| sound.clone().line(&format!("GET {t} HTTP/1.1")));
    both.refuses_all(targets, 400).await;
}
