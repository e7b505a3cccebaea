//! What is sent to a proxy, and what its reply means.

use std::time::Duration;

use throughway::egress::{Fault, Hop, HopTimeouts, Timeouts};

use crate::support::backend::{answer, backend, echo_backend, good_101};
use crate::support::dialling::{
    assert_echoes, by, by_to, egress, failed, hop, linked, server, server_inside,
};
use crate::support::dialling::{backend_by, direct};
use crate::support::proxy::{OK, proxy, proxy_that_refuses, proxy_that_says, say};
use crate::support::script::Act;

/// The reply opens the tunnel, and the tunnel carries.
async fn opens(reply: &str) {
    let backend = echo_backend().await;
    let proxy = proxy_that_says(reply, backend.address).await;
    assert_echoes(linked(&by(vec![hop(proxy.address)])).await).await;
}

/// The reply, after which the proxy closes, opens nothing; how the error ends.
async fn refuses(reply: &str, expected: &str, reason: &str) {
    let proxy = proxy_that_refuses(reply).await;
    let error = failed(&by(vec![hop(proxy.address)])).await;
    let expected = format!(
        "hop 1 of 1 (http {}): CONNECT chat.internal:9000{expected}",
        proxy.address
    );
    assert_eq!(error.to_string(), expected, "{reply:?}");
    assert_eq!(error.reason(), reason, "{reply:?}");
    assert_eq!(error.fault(), Fault::Hop(1));
    assert!(error.retry_safe() && !error.timed_out());
    assert_eq!(proxy.connections(), 1, "{reply:?} was tried again");
}

#[tokio::test]
async fn connect_is_sent_as_proxies_want_it_and_nothing_before_its_2xx() {
    let proxy = proxy(vec![Act::Head, Act::Stall]).await;
    let mut backend = by(vec![hop(proxy.address)]);
    backend.timeouts.total = Duration::from_millis(300);
    let error = failed(&backend).await;
    assert!(error.timed_out(), "{error}");
    let expected = format!(
        "CONNECT chat.internal:9000 HTTP/1.1\r\nHost: chat.internal:9000\r\n\
         Proxy-Connection: Keep-Alive\r\nUser-Agent: throughway/{}\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(proxy.heard(0), expected);
}

#[tokio::test]
async fn an_ipv6_target_is_in_brackets() {
    let proxy = proxy_that_refuses("HTTP/1.1 403 No\r\n\r\n").await;
    let target = server("[2001:db8::1]", 9000, None);
    let error = failed(&by_to(target, vec![hop(proxy.address)])).await;
    assert!(
        error
            .to_string()
            .contains("CONNECT [2001:db8::1]:9000 refused"),
        "{error}"
    );
    let expected = "CONNECT [2001:db8::1]:9000 HTTP/1.1\r\nHost: [2001:db8::1]:9000\r\n";
    assert!(proxy.heard(0).starts_with(expected));
}

#[tokio::test]
async fn a_reply_split_at_every_byte_opens_the_tunnel() {
    let backend = echo_backend().await;
    for cut in 1..OK.len() {
        let (a, b) = OK.split_at(cut);
        let script = vec![
            Act::Head,
            Act::Dribble([a, b].concat().into_bytes(), cut),
            Act::Tunnel(backend.address),
        ];
        let proxy = proxy(script).await;
        assert_echoes(linked(&by(vec![hop(proxy.address)])).await).await;
    }
}

#[tokio::test]
async fn a_reply_of_single_bytes_opens_the_tunnel() {
    let backend = echo_backend().await;
    let script = vec![
        Act::Head,
        Act::Dribble(OK.as_bytes().to_vec(), 1),
        Act::Tunnel(backend.address),
    ];
    let proxy = proxy(script).await;
    assert_echoes(linked(&by(vec![hop(proxy.address)])).await).await;
}

#[tokio::test]
async fn any_2xx_opens_the_tunnel_whatever_else_it_says() {
    opens("HTTP/1.1 200 OK\r\n\r\n").await;
    opens("HTTP/1.1 204 No Content\r\n\r\n").await;
    opens("HTTP/1.1 299\r\n\r\n").await;
    opens("HTTP/1.0 200 Connection established\r\n\r\n").await;
    opens("HTTP/1.1 200 OK\n\n").await;
    opens("HTTP/1.1 200 OK\r\nVia: a\r\n b\r\n\r\n").await;
    opens("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").await;
    opens("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    opens("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
    opens("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
        .await;
}

#[tokio::test]
async fn bytes_glued_to_the_2xx_belong_to_the_tunnel() {
    // The beginning of the backend's answer rides with the 2xx; the rest comes through the tunnel
    // once the request is there.
    let glued = format!("{OK}HTTP/1.1 101 Switch");
    let rest = answer(|head| good_101(head, "", "tail").replacen("HTTP/1.1 101 Switch", "", 1));
    let proxy = proxy(vec![Act::Head, say(&glued), Act::Head, rest, Act::Echo]).await;
    let link = linked(&by(vec![hop(proxy.address)])).await;
    assert_eq!(&link.tail[..], b"tail");
    assert_echoes(link).await;
}

#[tokio::test]
async fn bytes_glued_to_a_2xx_are_no_reply_of_the_next_hop() {
    let glued = format!("{OK}HTTP/1.1 200 OK\r\n\r\n");
    let proxy = proxy(vec![Act::Head, say(&glued), Act::Stall]).await;
    let error = failed(&by(vec![hop(proxy.address), hop(proxy.address)])).await;
    assert!(
        error
            .to_string()
            .contains("19 bytes came ahead of our request"),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Hop(2));
}

#[tokio::test]
async fn a_refused_connect_names_hop_address_and_step() {
    refuses(
        "HTTP/1.1 403 Forbidden\r\n\r\n",
        " refused: 403 Forbidden",
        "proxy_refused",
    )
    .await;
    refuses("HTTP/1.0 404\r\n\r\n", " refused: 404", "proxy_refused").await;
    // Never followed.
    let moved = "HTTP/1.1 302 Found\r\nLocation: http://login.corp.example/\r\n\r\n";
    refuses(moved, " refused: 302 Found", "proxy_refused").await;
    // What looks like success in a header, a reason or a body is none.
    let lies = "HTTP/1.1 403 HTTP/1.1 200 OK\r\nX: HTTP/1.1 200 OK\r\n\r\n";
    refuses(lies, " refused: 403 HTTP/1.1 200 OK", "proxy_refused").await;
}

#[tokio::test]
async fn what_a_refusing_proxy_says_is_told_in_one_bounded_line() {
    let reply = format!(
        "HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nVia: 1.1 squid\r\n\
         Proxy-Status: squid; error=x\r\nContent-Length: 1000\r\n\r\n<b>\r\n\x1b[31m{}",
        "x".repeat(1000)
    );
    let expected = format!(
        " refused: 403 Forbidden (proxy-status: squid; error=x; \
         x-squid-error: ERR_ACCESS_DENIED 0; via: 1.1 squid; body: \"<b>\\r\\n\\x1b[31m{}\")",
        "x".repeat(246)
    );
    refuses(&reply, &expected, "proxy_refused").await;
}

#[tokio::test]
async fn what_is_no_reply_is_named() {
    let not_http = ": not an HTTP proxy: \"SSH-2.0-OpenSSH_9.2\\r\\n\"";
    refuses("SSH-2.0-OpenSSH_9.2\r\n", not_http, "proxy_reply").await;
    let long = format!("\0\x1b{}", "x".repeat(100));
    let begins = format!(": not an HTTP proxy: \"\\x00\\x1b{}\"", "x".repeat(62));
    refuses(&long, &begins, "proxy_reply").await;
    let status = |line: &str| {
        format!(": its status line is not HTTP/1.0 or HTTP/1.1: \"{line}\\r\\n\\r\\n\"")
    };
    for line in ["HTTP/1.1 2000 OK", "HTTP/1.1 20 OK", "HTTP/1.9 200 OK"] {
        refuses(&format!("{line}\r\n\r\n"), &status(line), "proxy_reply").await;
    }
    let nul = ": its reply holds a NUL: \"HTTP/1.1 200 OK\\r\\nA: \\x00\\r\\n\\r\\n\"";
    refuses("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", nul, "proxy_reply").await;
    refuses(
        "HTTP/1.1 101 Switching\r\n\r\n",
        ": 101 cannot answer CONNECT",
        "proxy_reply",
    )
    .await;
}

#[tokio::test]
async fn a_proxy_that_closes_early_is_named_and_not_tried_again() {
    refuses(
        "",
        ": the proxy closed the connection without a reply",
        "proxy_reply",
    )
    .await;
    let part = ": the proxy closed the connection 12 bytes into its reply";
    refuses("HTTP/1.1 200", part, "proxy_reply").await;
    let proxy = proxy(vec![Act::Head, Act::Reset]).await;
    let error = failed(&by(vec![hop(proxy.address)])).await;
    assert!(
        error
            .to_string()
            .contains("closed the connection without a reply"),
        "{error}"
    );
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_head_without_end_is_cut_off_at_64_kib() {
    let line = format!("X: {}\r\n", "x".repeat(1000));
    let script = vec![
        Act::Head,
        say("HTTP/1.1 200 OK\r\n"),
        Act::Repeat(line.into_bytes()),
    ];
    let proxy = proxy(script).await;
    let error = failed(&by(vec![hop(proxy.address)])).await;
    assert!(
        error
            .to_string()
            .contains("its reply head is over 65536 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn interim_replies_without_end_are_cut_off() {
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
    let proxy = proxy(vec![Act::Head, Act::Repeat(interim)]).await;
    let error = failed(&by(vec![hop(proxy.address)])).await;
    assert!(
        error.to_string().ends_with("too many interim replies"),
        "{error}"
    );
}

/// A short deadline for the reply and the usual ones for the rest.
fn with_reply_in(hops: Vec<Hop>, reply: Duration) -> throughway::egress::Backend {
    let mut egress = egress(hops);
    egress.timeouts = HopTimeouts {
        reply,
        ..HopTimeouts::default()
    };
    let way = throughway::egress::Way::Through(std::sync::Arc::new(egress));
    backend_by(vec![server_inside()], way)
}

#[tokio::test]
async fn the_deadline_of_a_reply_does_not_start_again_with_each_byte() {
    // 200 µs and more for each of 100,000 bytes: far longer than the deadline.
    let drip = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let proxy = proxy(vec![Act::Head, Act::Dribble(drip.into_bytes(), 1)]).await;
    let start = std::time::Instant::now();
    let error = failed(&with_reply_in(
        vec![hop(proxy.address)],
        Duration::from_millis(400),
    ))
    .await;
    assert!(error.timed_out(), "{error}");
    assert_eq!(error.reason(), "timeout");
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_proxy_that_never_answers_costs_its_deadline_and_is_named() {
    let proxy = proxy(vec![Act::Stall]).await;
    let error = failed(&with_reply_in(
        vec![hop(proxy.address)],
        Duration::from_millis(200),
    ))
    .await;
    let expected = format!(
        "hop 1 of 1 (http {}): CONNECT chat.internal:9000: timed out",
        proxy.address
    );
    assert_eq!(error.to_string(), expected);
    assert!(error.timed_out());
}

#[tokio::test]
async fn the_total_bounds_all_steps_together() {
    let proxy = proxy(vec![Act::Stall]).await;
    let mut backend = by(vec![hop(proxy.address)]);
    backend.timeouts = Timeouts {
        total: Duration::from_millis(200),
        ..Timeouts::default()
    };
    let start = std::time::Instant::now();
    assert!(failed(&backend).await.timed_out());
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_chain_tells_each_hop_of_the_next_alone() {
    let backend = echo_backend().await;
    let second = proxy_that_says(OK, backend.address).await;
    let first = proxy_that_says(OK, second.address).await;
    let link = linked(&by(vec![hop(first.address), hop(second.address)])).await;
    assert_eq!(link.egress, "corp");
    assert_eq!(link.server, "ws://chat.internal:9000");
    assert_echoes(link).await;
    let to_first = format!("CONNECT {} HTTP/1.1\r\n", second.address);
    assert!(first.heard(0).starts_with(&to_first));
    assert!(
        second
            .heard(0)
            .starts_with("CONNECT chat.internal:9000 HTTP/1.1\r\n")
    );
    assert!(backend.heard(0).starts_with("GET /ws?room=1 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_failure_at_the_second_hop_names_the_second_hop() {
    let second = proxy_that_refuses("HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
    let first = proxy_that_says(OK, second.address).await;
    let error = failed(&by(vec![hop(first.address), hop(second.address)])).await;
    let expected = format!(
        "hop 2 of 2 (http {}): CONNECT chat.internal:9000 refused: 502 Bad Gateway",
        second.address
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.fault(), Fault::Hop(2));
}

#[tokio::test]
async fn a_unix_server_is_always_reached_directly() {
    use throughway::egress::{ServerAddress, Way};
    let dir = tempfile::tempdir().unwrap();
    let mut server = server_inside();
    server.address = ServerAddress::Unix(dir.path().join("chat.sock"));
    server.url = "ws+unix:chat.sock".to_owned();
    let proxy = proxy(vec![Act::Stall]).await;
    let way = Way::Through(std::sync::Arc::new(egress(vec![hop(proxy.address)])));
    let error = failed(&backend_by(vec![server], way)).await;
    assert!(
        error
            .to_string()
            .starts_with("server ws+unix:chat.sock: connect to unix:"),
        "{error}"
    );
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn a_refusal_by_the_proxy_is_never_the_backends_answer() {
    let refused = "HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nsecret";
    let proxy = proxy_that_refuses(refused).await;
    let error = failed(&by(vec![hop(proxy.address)])).await;
    assert_eq!(error.outside(), "The backend could not be reached.");
    // The same bytes from the backend itself are its answer.
    let backend = backend(vec![Act::Head, say(refused)]).await;
    let server = crate::support::dialling::server_at(backend.address);
    let declined = crate::support::dialling::declined(&direct(vec![server])).await;
    assert_eq!(declined.status, 403);
    assert_eq!(&declined.body[..], b"secret");
}
