//! Rules 1 to 10: what a proxy's reply is, and what is none.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use throughway::egress::Fault;

use super::with_reply_in;
use crate::egress::tls::{identity, inside, tls_backend};
use crate::support::backend::{answer, backend, echo_backend, good_101};
use crate::support::dialling::{
    TOKEN, assert_echoes, by, by_to, declined, direct, failed, hop, known_at, linked, server_at,
};
use crate::support::proxy::{
    ASKS_AND_STAYS, OK, proxy, proxy_by_turns, proxy_that_refuses, proxy_that_says, say,
};
use crate::support::script::Act;

/// The reply opens the tunnel, and the tunnel carries.
async fn opens(reply: &str) {
    let backend = echo_backend().await;
    let proxy = proxy_that_says(reply, backend.address).await;
    assert_echoes(linked(&by(vec![hop(proxy.address)])).await).await;
}

/// The same in pieces of so many bytes.
async fn opens_by(reply: &str, bytes: usize, far: SocketAddr) {
    let reply = Act::Dribble(reply.as_bytes().to_vec(), bytes);
    let proxy = proxy(vec![Act::Head, reply, Act::Tunnel(far)]).await;
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

/// The script opens nothing; how the error ends.
async fn ends_in(script: Vec<Act>, expected: &str) {
    let proxy = proxy(script).await;
    let error = failed(&by(vec![hop(proxy.address)])).await;
    assert!(error.to_string().ends_with(expected), "{error}");
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn rule_01_a_reply_comes_in_any_pieces_and_may_have_bare_lf_and_folds() {
    let far = echo_backend().await.address;
    for cut in 1..OK.len() {
        opens_by(OK, cut, far).await;
    }
    let lax = "HTTP/1.1 200 OK\nVia: a\n b\r\n\tc\n\n";
    opens(lax).await;
    opens_by(lax, 1, far).await;
}

#[tokio::test]
async fn rule_02_any_2xx_opens_the_tunnel_and_nothing_else_does() {
    for status in ["200 OK", "201 Created", "204 No Content", "299"] {
        opens(&format!("HTTP/1.1 {status}\r\n\r\n")).await;
    }
    for status in ["300 Choices", "403 Forbidden", "404", "500 Oops"] {
        let expected = format!(" refused: {status}");
        let reply = format!("HTTP/1.1 {status}\r\n\r\n");
        refuses(&reply, &expected, "proxy_refused").await;
    }
    // What looks like success in a reason, a header or a body.
    let lies = "HTTP/1.1 403 HTTP/1.1 200 OK\r\nX: HTTP/1.1 200 OK\r\n\r\n";
    refuses(lies, " refused: 403 HTTP/1.1 200 OK", "proxy_refused").await;
    let lies = "HTTP/1.1 403 No\r\nContent-Length: 19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    let expected = " refused: 403 No (body: \"HTTP/1.1 200 OK\\r\\n\\r\\n\")";
    refuses(lies, expected, "proxy_refused").await;
}

#[tokio::test]
async fn rule_03_a_2xx_has_no_body_and_goes_on_whatever_its_headers_say() {
    for header in [
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Connection: close",
        "Proxy-Connection: close",
    ] {
        opens(&format!("HTTP/1.1 200 OK\r\n{header}\r\n\r\n")).await;
    }
    opens("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n").await;
}

#[tokio::test]
async fn rule_04_what_is_glued_to_a_2xx_is_the_tunnels_and_nobody_elses() {
    // A server in the clear: the beginning of its answer rides with the 2xx, the rest comes once
    // the request is there.
    let glued = format!("{OK}HTTP/1.1 101 Switch");
    let rest = answer(|head| good_101(head, "", "tail").replacen("HTTP/1.1 101 Switch", "", 1));
    let early = proxy(vec![Act::Head, say(&glued), Act::Head, rest, Act::Echo]).await;
    let link = linked(&by(vec![hop(early.address)])).await;
    assert_eq!(&link.tail[..], b"tail");
    assert_echoes(link).await;
    // The next hop, which nobody has asked yet.
    let glued = format!("{OK}HTTP/1.1 200 OK\r\n\r\n");
    let early = proxy(vec![Act::Head, say(&glued), Act::Stall]).await;
    let error = failed(&by(vec![hop(early.address), hop(early.address)])).await;
    let expected = "19 bytes came ahead of our request";
    assert!(error.to_string().ends_with(expected), "{error}");
    assert_eq!(error.fault(), Fault::Hop(2));
    // TLS, whose server has the second word.
    let identity = identity("chat.internal");
    let backend = tls_backend(&identity).await;
    let glued = format!("{OK}HTTP/1.1 101 Switching Protocols\r\n\r\n");
    let early = proxy_that_says(&glued, backend.address).await;
    let error = failed(&by_to(inside(&identity.to), vec![hop(early.address)])).await;
    assert_eq!(
        error.to_string(),
        "server wss://chat.internal:443: TLS: the proxy sent 36 bytes ahead of the TLS handshake"
    );
    assert_eq!((error.reason(), error.fault()), ("tls", Fault::Backend));
    let heard = early.heard(0);
    assert!(heard.ends_with("\r\n\r\n"), "a ClientHello followed");
}

#[tokio::test]
async fn rule_05_interim_replies_are_passed_over_but_not_for_ever_and_101_is_none() {
    let hints = "HTTP/1.1 103 Hints\r\nA: b\r\n\r\n";
    opens(&format!("HTTP/1.1 100 Continue\r\n\r\n{hints}{OK}")).await;
    let endless = Act::Repeat(hints.as_bytes().to_vec());
    ends_in(vec![Act::Head, endless], "too many interim replies").await;
    let switching = "HTTP/1.1 101 Switching\r\n\r\n";
    refuses(switching, ": 101 cannot answer CONNECT", "proxy_reply").await;
}

#[tokio::test]
async fn rule_06_a_reply_is_http_1_0_or_1_1_with_three_digits_and_anything_else_is_shown() {
    opens("HTTP/1.0 200 Connection established\r\n\r\n").await;
    let not_http = ": not an HTTP proxy: \"SSH-2.0-OpenSSH_9.2\\r\\n\"";
    refuses("SSH-2.0-OpenSSH_9.2\r\n", not_http, "proxy_reply").await;
    let long = format!("\0\x1b{}", "x".repeat(100));
    let begins = format!(": not an HTTP proxy: \"\\x00\\x1b{}\"", "x".repeat(62));
    refuses(&long, &begins, "proxy_reply").await;
    for line in ["HTTP/1.1 2000 OK", "HTTP/1.1 20 OK", "HTTP/1.9 200 OK"] {
        let expected =
            format!(": its status line is not HTTP/1.0 or HTTP/1.1: \"{line}\\r\\n\\r\\n\"");
        refuses(&format!("{line}\r\n\r\n"), &expected, "proxy_reply").await;
    }
    let nul = ": its reply holds a NUL: \"HTTP/1.1 200 OK\\r\\nA: \\x00\\r\\n\\r\\n\"";
    refuses("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", nul, "proxy_reply").await;
}

#[tokio::test]
async fn rule_07_heads_bodies_and_time_have_limits() {
    let line = format!("X: {}\r\n", "x".repeat(1000));
    let endless = Act::Repeat(line.into_bytes());
    let script = vec![Act::Head, say("HTTP/1.1 200 OK\r\n"), endless];
    let proxy_of_heads = proxy(script).await;
    let error = failed(&by(vec![hop(proxy_of_heads.address)])).await;
    let expected = "its reply head is over 65536 bytes";
    assert!(error.to_string().contains(expected), "{error}");

    // A body that is longer than is worth reading is left, and the dial goes on without it.
    let far = echo_backend().await;
    let asks = ASKS_AND_STAYS.replace("Length: 5", "Length: 999999999999");
    let endless = vec![Act::Head, say(&asks), Act::Repeat(vec![b'x'; 4096])];
    let opens = vec![Act::Head, say(OK), Act::Tunnel(far.address)];
    let proxy_of_bodies = proxy_by_turns(vec![endless, opens]).await;
    let begun = Instant::now();
    assert_echoes(linked(&by(vec![known_at(proxy_of_bodies.address)])).await).await;
    // Left for its length: for its time alone it would be two seconds.
    assert!(begun.elapsed() < Duration::from_millis(1500));

    // 200 µs and more for each of 100,000 bytes: far longer than the deadline.
    let drip = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let dripping = proxy(vec![Act::Head, Act::Dribble(drip.into_bytes(), 1)]).await;
    let begun = Instant::now();
    let hops = vec![hop(dripping.address)];
    let error = failed(&with_reply_in(hops, Duration::from_millis(400))).await;
    assert!(error.timed_out() && error.reason() == "timeout", "{error}");
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn rule_08_an_end_without_a_reply_is_tried_again_only_after_a_407_and_once() {
    let nothing = ": the proxy closed the connection without a reply";
    refuses("", nothing, "proxy_reply").await;
    let part = ": the proxy closed the connection 12 bytes into its reply";
    refuses("HTTP/1.1 200", part, "proxy_reply").await;
    ends_in(vec![Act::Head, Act::Reset], nothing).await;
    // Asked, told, closed; and on a new connection told and closed again.
    let first = vec![Act::Head, say(ASKS_AND_STAYS), Act::Head];
    let closes = proxy_by_turns(vec![first, vec![Act::Head]]).await;
    let error = failed(&by(vec![known_at(closes.address)])).await;
    assert!(error.to_string().ends_with(nothing), "{error}");
    assert_eq!(closes.connections(), 2);
    assert!(closes.heard(1).contains(TOKEN));
}

#[tokio::test]
async fn rule_09_a_redirection_is_a_refusal_and_no_page_of_a_proxy_is_the_backends() {
    let login = echo_backend().await;
    let moved = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{}/\r\n\r\n",
        login.address
    );
    refuses(&moved, " refused: 302 Found", "proxy_refused").await;
    assert_eq!(login.connections(), 0, "it was followed");

    let page = "HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nsecret";
    let refusing = proxy_that_refuses(page).await;
    let error = failed(&by(vec![hop(refusing.address)])).await;
    assert_eq!(error.outside(), "The backend could not be reached.");
    // The same bytes from the backend itself are its answer.
    let itself = backend(vec![Act::Head, say(page)]).await;
    let declined = declined(&direct(vec![server_at(itself.address)])).await;
    assert_eq!(
        (declined.status.as_u16(), &declined.body[..]),
        (403, &b"secret"[..])
    );
}

#[tokio::test]
async fn rule_10_what_a_refusing_proxy_says_of_itself_is_told_on_one_bounded_line() {
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
