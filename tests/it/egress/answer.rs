//! What the backend is sent, and what of its answers is believed.

use std::time::Duration;

use throughway::egress::Fault;
use tokio::io::AsyncReadExt;

use crate::support::backend::{answer, backend, echo_backend, good_101};
use crate::support::dialling::{assert_echoes, declined, direct, failed, linked, server_at};
use crate::support::proxy::say;
use crate::support::script::Act;

const PATIENCE: Duration = Duration::from_secs(10);

/// One dial of a backend that plays `script`.
async fn dialled(
    script: Vec<Act>,
) -> (throughway::egress::Backend, crate::support::script::Script) {
    let backend = backend(script).await;
    (direct(vec![server_at(backend.address)]), backend)
}

#[tokio::test]
async fn the_backend_gets_one_request_with_one_host_and_nothing_after_it() {
    let backend = echo_backend().await;
    let link = linked(&direct(vec![server_at(backend.address)])).await;
    assert_eq!(link.egress, "direct");
    let expected = "GET /ws?room=1 HTTP/1.1\r\nhost: chat.example.com\r\nupgrade: websocket\r\n\
                    connection: Upgrade\r\nsec-websocket-version: 13\r\n\
                    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    assert_eq!(backend.heard(0), expected);
    assert_echoes(link).await;
}

#[tokio::test]
async fn a_good_101_in_any_pieces_makes_a_link_and_keeps_its_tail() {
    for piece in [1, 2, 3, 7, 64, 4096] {
        let pieces = move |head: &str| {
            good_101(
                head,
                "Sec-WebSocket-Protocol: chat.v1\r\nX-A: b\r\n\
                 Sec-WebSocket-Extensions: Permessage-Deflate ; a=\"b, c\"\r\n",
                "first\0bytes",
            )
        };
        // The key is always the same here, so the answer can be made before the request.
        let head = format!("sec-websocket-key: {}", crate::support::dialling::KEY);
        let script = vec![
            Act::Head,
            Act::Dribble(pieces(&head).into_bytes(), piece),
            say("and more"),
            Act::Stall,
        ];
        let (dialled, _backend) = dialled(script).await;
        let mut link = linked(&dialled).await;
        assert_eq!(link.subprotocol.as_deref(), Some("chat.v1"));
        assert!(link.extensions.deflate && !link.extensions.others);
        assert_eq!(link.headers["x-a"], "b");
        let mut all = link.tail.to_vec();
        let mut byte = [0];
        while all.len() < b"first\0bytesand more".len() {
            let read = tokio::time::timeout(PATIENCE, link.stream.read_exact(&mut byte));
            read.await.expect("all bytes come").unwrap();
            all.push(byte[0]);
        }
        assert_eq!(all, b"first\0bytesand more", "pieces of {piece}");
    }
}

#[tokio::test]
async fn interim_answers_are_passed_over() {
    let script = vec![
        Act::Head,
        say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
        answer(|head| good_101(head, "", "")),
        Act::Echo,
    ];
    let (dialled, _backend) = dialled(script).await;
    assert_echoes(linked(&dialled).await).await;
}

#[tokio::test]
async fn a_large_tail_is_kept_whole() {
    let tail = "0123456789".repeat(20_000);
    let sent = tail.clone();
    let script = vec![Act::Head, answer(move |head| good_101(head, "", &sent))];
    let (dialled, _backend) = dialled(script).await;
    let mut link = linked(&dialled).await;
    let mut all = link.tail.to_vec();
    link.stream.read_to_end(&mut all).await.unwrap();
    assert!(all == tail.as_bytes());
}

/// The 101 that `change` makes of a good one opens nothing.
async fn is_malformed(what: &str, change: fn(String) -> String, expected: &str) {
    let script = vec![
        Act::Head,
        answer(move |head| change(good_101(head, "", "tail"))),
        Act::Stall,
    ];
    let (dialled, backend) = dialled(script).await;
    let error = failed(&dialled).await;
    assert!(error.to_string().contains(expected), "{what}: {error}");
    assert_eq!(error.reason(), "answer_invalid", "{what}");
    assert_eq!(error.fault(), Fault::Backend, "{what}");
    assert!(!error.retry_safe(), "{what}");
    assert_eq!(backend.connections(), 1, "{what}");
    // Nothing follows the request, whatever the answer was.
    assert!(backend.heard(0).ends_with("\r\n\r\n"), "{what}");
}

#[tokio::test]
async fn twelve_malformed_101s() {
    let upgrade = "upgrade: the 101 is not valid: Upgrade is not websocket";
    is_malformed(
        "no Upgrade",
        |s| s.replace("Upgrade: websocket\r\n", ""),
        upgrade,
    )
    .await;
    is_malformed("h2c", |s| s.replace("websocket\r\nC", "h2c\r\nC"), upgrade).await;
    is_malformed(
        "two",
        |s| s.replace("websocket\r\nC", "websocket, h2c\r\nC"),
        upgrade,
    )
    .await;
    let connection = "Connection has no token upgrade";
    is_malformed(
        "no Connection",
        |s| s.replace("Connection: Upgrade\r\n", ""),
        connection,
    )
    .await;
    is_malformed(
        "substring",
        |s| s.replace(": Upgrade", ": no-upgrade"),
        connection,
    )
    .await;
    is_malformed(
        "no Accept",
        |s| s.replace("Sec-WebSocket-Accept", "X"),
        "Accept is missing",
    )
    .await;
    is_malformed(
        "wrong Accept",
        |s| s.replace("s3pP", "S3PP"),
        "does not answer our key",
    )
    .await;
    let twice = |s: String| {
        s.replace(
            "Sec-",
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-",
        )
    };
    is_malformed("two Accepts", twice, "came more than once").await;
    let subprotocol = |s: String| s.replace("Sec-", "Sec-WebSocket-Protocol: other\r\nSec-");
    is_malformed(
        "not offered",
        subprotocol,
        "its subprotocol was not offered",
    )
    .await;
    let extension = |s: String| s.replace("Sec-", "Sec-WebSocket-Extensions: x-evil\r\nSec-");
    is_malformed("not offered", extension, "an extension was not offered").await;
    is_malformed("HTTP/1.0", |s| s.replace("HTTP/1.1", "HTTP/1.0"), "").await;
    let body = |s: String| s.replace("Sec-", "Content-Length: 5\r\nSec-");
    is_malformed("a body", body, "it announces a body").await;
}

#[tokio::test]
async fn what_is_not_http_is_no_answer() {
    for bytes in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nUpgrade : websocket\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nUpgrade: web\r\n socket\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n",
        "<html>\r\n\r\n",
    ] {
        let (dialled, backend) = dialled(vec![Act::Head, say(bytes), Act::Stall]).await;
        let error = failed(&dialled).await;
        assert_eq!(error.reason(), "answer_invalid", "{bytes:?}: {error}");
        assert!(!error.timed_out() && !error.retry_safe());
        assert_eq!(backend.connections(), 1);
    }
}

#[tokio::test]
async fn a_backend_that_ends_without_an_answer_is_lost_and_not_asked_again() {
    let scripts = [
        vec![Act::Head],
        vec![Act::Head, Act::Reset],
        vec![Act::Head, say("HTTP/1.1 101 Swit")],
    ];
    for script in scripts {
        let backend = backend(script).await;
        // The second server is the same one, so a second request would be seen.
        let servers = vec![server_at(backend.address), server_at(backend.address)];
        let error = failed(&direct(servers)).await;
        assert_eq!(error.reason(), "lost", "{error}");
        assert_eq!(error.fault(), Fault::Backend);
        assert!(!error.retry_safe());
        assert_eq!(backend.connections(), 1);
    }
}

#[tokio::test]
async fn a_backend_that_never_answers_costs_its_deadline() {
    let drip = format!("HTTP/1.1 101 Switching\r\nX: {}", "x".repeat(60_000));
    for script in [
        vec![Act::Stall],
        vec![Act::Head, Act::Dribble(drip.into_bytes(), 1)],
    ] {
        let (mut dialled, _backend) = dialled(script).await;
        dialled.timeouts.upgrade = Duration::from_millis(300);
        let start = std::time::Instant::now();
        let error = failed(&dialled).await;
        assert!(error.timed_out(), "{error}");
        assert!(
            error.to_string().ends_with(": upgrade: timed out"),
            "{error}"
        );
        assert!(!error.retry_safe());
        assert!(start.elapsed() < Duration::from_secs(4));
    }
}

#[tokio::test]
async fn a_head_of_10_mb_or_of_101_headers_is_no_answer() {
    let line = format!("X: {}\r\n", "x".repeat(1000));
    let many = "X: y\r\n".repeat(101);
    for script in [
        vec![
            Act::Head,
            say("HTTP/1.1 200 OK\r\n"),
            Act::Repeat(line.into_bytes()),
        ],
        vec![
            Act::Head,
            say(&format!("HTTP/1.1 200 OK\r\n{many}\r\n")),
            Act::Stall,
        ],
    ] {
        let (dialled, _backend) = dialled(script).await;
        let error = failed(&dialled).await;
        assert_eq!(error.reason(), "answer_invalid", "{error}");
    }
}

async fn declines(answer: &str, status: u16, body: &str) {
    let (dialled, backend) = dialled(vec![Act::Head, say(answer), Act::Stall]).await;
    let declined = declined(&dialled).await;
    assert_eq!(declined.status, status, "{answer:?}");
    assert_eq!(String::from_utf8_lossy(&declined.body), body, "{answer:?}");
    assert!(!declined.truncated);
    assert_eq!(declined.egress, "direct");
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn any_other_answer_is_handed_on_as_what_it_is() {
    declines(
        "HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\nnope and more",
        403,
        "nope",
    )
    .await;
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    declines(chunked, 200, "abcde").await;
    declines(
        "HTTP/1.1 426 Upgrade\r\nContent-Length: 0\r\nSec-WebSocket-Version: 13\r\n\r\n",
        426,
        "",
    )
    .await;
    declines("HTTP/1.1 204 No Content\r\n\r\n", 204, "").await;
    declines(
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        304,
        "",
    )
    .await;
}

#[tokio::test]
async fn a_body_up_to_the_end_of_the_connection_is_whole() {
    let (dialled, _backend) = dialled(vec![
        Act::Head,
        say("HTTP/1.0 503 Busy\r\nRetry-After: 7\r\n\r\nlater"),
    ])
    .await;
    let declined = declined(&dialled).await;
    assert_eq!(declined.status, 503);
    assert_eq!(declined.headers["retry-after"], "7");
    assert_eq!(&declined.body[..], b"later");
    assert!(!declined.truncated);
}

#[tokio::test]
async fn a_long_or_endless_body_is_cut_at_64_kib() {
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let (dialled, _backend) =
        dialled(vec![Act::Head, say(head), Act::Repeat(vec![b'x'; 1000])]).await;
    let declined = declined(&dialled).await;
    assert_eq!(declined.body.len(), 64 * 1024);
    assert!(declined.truncated);
}

#[tokio::test]
async fn a_body_that_stalls_is_cut_at_the_deadline() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    let (mut dialled, _backend) = dialled(vec![Act::Head, say(head), Act::Stall]).await;
    dialled.timeouts.upgrade = Duration::from_millis(300);
    let declined = declined(&dialled).await;
    assert_eq!(&declined.body[..], b"half");
    assert!(declined.truncated);
}

#[tokio::test]
async fn a_body_whose_framing_breaks_is_no_answer() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    let broken = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n";
    for answer in [cut, broken] {
        let (dialled, _backend) = dialled(vec![Act::Head, say(answer)]).await;
        let error = failed(&dialled).await;
        assert_eq!(error.reason(), "lost", "{error}");
        assert!(!error.retry_safe());
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_is_still_held_against_it() {
    // A busy server says so on accept.
    let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    let (dialled, _backend) = dialled(vec![say(busy), Act::Head]).await;
    assert_eq!(declined(&dialled).await.status, 503);
}
