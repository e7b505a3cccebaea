//! The way that it goes by, what it says there, and what it tells of a way that is blocked.

use tempfile::TempDir;

use super::{command, connect, echo, ended, library};
use crate::egress::servers::nobody;
use crate::probe::another_authority;
use crate::support::backend::{answer, backend, good_101};
use crate::support::certs::dev_certificate;
use crate::support::dialling::TOKEN;
use crate::support::proxy::{ASKS_AND_STAYS, OK, proxy, proxy_that_refuses, say};
use crate::support::script::{Act, Script};
use crate::support::websocket::{End, websocket};

// --- through what -------------------------------------------------------------------------------

#[tokio::test]
async fn a_proxy_that_asks_who_it_is_is_passed() {
    let far = library(echo).await;
    let asks = vec![
        Act::Head,
        say(ASKS_AND_STAYS),
        Act::Head,
        say(OK),
        Act::Tunnel(far),
    ];
    let proxy = proxy(asks).await;
    let url = format!("http://alice:open%20sesame@{}", proxy.address);
    let ended = connect(&["ws://chat.internal:9000", "--proxy", &url], b"hi\n").await;
    assert_eq!((ended.code, ended.text()), (0, "hi\n"), "{}", ended.err);
    let way = "* connected to ws://chat.internal:9000; through --proxy of the command line\n";
    assert!(ended.err.contains(way), "{}", ended.err);
    let shown = "* the command line shows the password to everyone on this machine";
    assert!(ended.err.starts_with(shown), "{}", ended.err);
    assert!(proxy.heard(0).contains(TOKEN));
}

#[tokio::test]
async fn the_egress_of_a_file_is_gone_by() {
    let far = library(echo).await;
    let proxy = proxy(vec![Act::Head, say(OK), Act::Tunnel(far)]).await;
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("throughway.toml");
    let file = format!(
        "version = 1\n[[listener]]\nname = \"l\"\nbind = [\"127.0.0.1:0\"]\n[[route]]\nname = \"r\"\n\
         backend = \"feed\"\n[backend.feed]\nservers = [{{ url = \"ws://feed.internal\" }}]\n\
         egress = \"corp\"\n[[egress.corp.hop]]\nurl = \"http://{}\"\n",
        proxy.address
    );
    std::fs::write(&path, file).unwrap();
    let path = path.to_str().unwrap();
    for words in [
        &["ws://feed.internal", "-c", path][..],
        &["ws://other.internal", "-c", path, "--egress", "corp"],
    ] {
        let ended = connect(words, b"hi\n").await;
        assert_eq!((ended.code, ended.text()), (0, "hi\n"), "{}", ended.err);
        let way = format!("through egress corp of {path}\n");
        assert!(ended.err.contains(&way), "{}", ended.err);
    }
    assert!(proxy.heard(1).starts_with("CONNECT other.internal:80 "));
}

#[tokio::test]
async fn tls_trusts_whom_it_is_told_to_and_nobody_else() {
    let theirs = dev_certificate(&["127.0.0.1"]);
    let dir = TempDir::new().unwrap();
    let files = theirs.write_to(dir.path());
    let known = another_authority();
    let address = websocket(Some(theirs.acceptor()), End::Never).await;
    let url = format!("wss://{address}");
    let run = async |words: &[&str]| {
        let mut command = command(words);
        command.env("SSL_CERT_FILE", known.path());
        ended(command, b"").await
    };
    let trusting = run(&[&url, "--ca", files.ca.to_str().unwrap()]).await;
    assert_eq!(trusting.code, 0, "{}", trusting.err);
    let doubting = run(&[&url]).await;
    assert_eq!((doubting.code, doubting.text()), (69, ""));
    let remedy = "  → if that CA is yours, trust it: tls.ca of the backend in the file, or --ca\n";
    assert!(doubting.err.ends_with(remedy), "{}", doubting.err);
}

// --- what it says -------------------------------------------------------------------------------

#[tokio::test]
async fn headers_origin_and_subprotocols_arrive() {
    let good = answer(|head| good_101(head, "Sec-WebSocket-Protocol: chat.v1\r\n", ""));
    let script = backend(vec![
        Act::Head,
        good,
        Act::Say(b"\x88\x00".to_vec()),
        Act::Stall,
    ])
    .await;
    let url = format!("ws://{}/room?a=b", script.address);
    let words = [
        &url[..],
        "-H",
        "Authorization: Bearer sesame",
        "--header",
        "Host: chat.example.com",
        "--header",
        "user-agent: theirs",
        "--origin",
        "https://app.example.com",
        "--subprotocol",
        "chat.v2",
        "--subprotocol",
        "chat.v1",
    ];
    let ended = connect(&words, b"").await;
    assert_eq!(ended.code, 0, "{}", ended.err);
    let connected = format!("* connected to {url}, subprotocol chat.v1; direct");
    assert!(ended.err.starts_with(&connected), "{}", ended.err);
    let head = script.heard(0);
    let head = head.split("\r\n\r\n").next().unwrap();
    for line in [
        "GET /room?a=b HTTP/1.1",
        "host: chat.example.com",
        "authorization: Bearer sesame",
        "user-agent: theirs",
        "origin: https://app.example.com",
        "sec-websocket-protocol: chat.v2, chat.v1",
    ] {
        assert!(head.lines().any(|l| l == line), "{line} in {head}");
    }
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
}

#[tokio::test]
async fn what_is_typed_wrong_dials_nobody() {
    let check = async |words: &[&str], code: i32, expected: &str| {
        let ended = connect(words, b"").await;
        assert_eq!((ended.code, ended.text()), (code, ""), "{}", ended.err);
        assert!(ended.err.starts_with("error: "), "{}", ended.err);
        assert!(ended.err.contains(expected), "{}", ended.err);
        assert!(!ended.err.contains("sesame"), "{}", ended.err);
    };
    check(&["localhost:1"], 2, "expected ws://host:port/path").await;
    check(&["https://a.test"], 2, "did you mean wss://?").await;
    let owned = ["ws://a.test", "-H", "Sec-WebSocket-Key: sesame"];
    check(&owned, 2, "Sec-WebSocket-Key belongs to the handshake").await;
    let absent = ["ws://a.test", "--file", "/no/such"];
    check(&absent, 2, "--file /no/such: No such file").await;
    check(&["ws://a.test", "--pong-timeout", "1s"], 2, "--ping").await;
    check(&["ws://a.test", "--ping", "5"], 2, "the unit is missing").await;
    let size = ["ws://a.test", "--message-bytes", "2GiB"];
    check(&size, 2, "must be from 1B to 1GiB").await;
    check(&["ws://a.test", "-q", "-v"], 2, "cannot be used with").await;
    check(&["ws://a.test", "--binry"], 2, "'--binary'").await;
    let unknown = ["ws://a.test", "-c", "/no/such.toml"];
    check(&unknown, 78, "/no/such.toml").await;
}

// --- a way that is blocked ----------------------------------------------------------------------

#[tokio::test]
async fn where_nobody_listens_the_step_is_named_with_a_remedy() {
    let dead = nobody().await;
    let ended = connect(&[&format!("ws://{dead}/x")], b"hi\n").await;
    assert_eq!((ended.code, ended.text()), (69, ""));
    let expected = format!(
        "error: tcp: server ws://{dead}: connect to {dead}: connection refused\n  \
         nobody listens there: connection refused\n  → check host and port; where a proxy is the \
         way out, name it by --egress or --proxy\n"
    );
    assert_eq!(ended.err, expected);

    let refusing = proxy_that_refuses("HTTP/1.1 403 Forbidden\r\n\r\n").await;
    let proxy = format!("http://{}", refusing.address);
    let ended = connect(&["ws://chat.internal:9000", "--proxy", &proxy], b"").await;
    assert_eq!(ended.code, 77);
    let expected = format!(
        "error: proxy_refused: hop 1 of 1 (http {}): CONNECT chat.internal:9000 refused: 403 \
         Forbidden\n  the proxy's policy refuses chat.internal:9000 (403)\n",
        refusing.address
    );
    assert!(ended.err.starts_with(&expected), "{}", ended.err);
}

#[tokio::test]
async fn an_answer_that_is_no_101_is_shown_with_its_status_and_its_body() {
    let check = async |answer: &str, code: i32, expected: &str| {
        let script: Script = backend(vec![Act::Head, say(answer)]).await;
        let ended = connect(&[&format!("ws://{}", script.address)], b"hi\n").await;
        assert_eq!((ended.code, ended.text()), (code, ""), "{}", ended.err);
        assert!(ended.err.contains(expected), "{}", ended.err);
    };
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n<title>\x1b[1mA page</title>\n\n   p.";
    check(page, 69, "answered 200 OK\n").await;
    check(
        page,
        69,
        "\n  it said: <title>\\u{1b}[1mA page</title> p.\n",
    )
    .await;
    let ticket = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\nno ticket";
    check(ticket, 77, "\n  it said: no ticket\n").await;
    check(ticket, 77, "connect sends one by --header\n").await;
    let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    check(busy, 75, "answered 503 Service Unavailable\n").await;
    check("SSH-2.0-OpenSSH_9.2\r\n", 69, "error: answer_invalid: ").await;
}
