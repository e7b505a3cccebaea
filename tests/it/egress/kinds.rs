//! A proxy of another kind than it was taken for is told as what it is, where it gives itself
//! away. The one that only is silent is in `socks`.

use std::net::SocketAddr;

use throughway::egress::Hop;

use super::tls::trusting_nobody;
use crate::support::certs::dev_certificate;
use crate::support::dialling::{by, failed, hop};
use crate::support::proxy::{proxy, say};
use crate::support::script::{Act, Script};
use crate::support::socks::{GREETING, bytes, socks5h};

/// What a TLS server says to who does not speak it: a fatal alert.
const ALERT: &[u8] = b"\x15\x03\x03\x00\x02\x02\x46";
const BAD_REQUEST: &str = "HTTP/1.1 400 Bad Request\r\n\r\n";

fn over_tls(address: SocketAddr) -> Hop {
    Hop {
        tls: Some(trusting_nobody("proxy.test")),
        ..hop(address)
    }
}

/// The script of a proxy that is reached by this hop, and how the error begins.
async fn check(hop: fn(SocketAddr) -> Hop, script: Vec<Act>, expected: &str) {
    let proxy = proxy(script).await;
    tells(hop(proxy.address), expected).await;
    assert_eq!(proxy.connections(), 1, "{expected}");
}

async fn tells(hop: Hop, expected: &str) {
    let name = hop.to_string();
    let error = failed(&by(vec![hop])).await.to_string();
    let begin = format!("hop 1 of 1 ({name}): {expected}");
    assert!(error.starts_with(&begin), "{error}");
}

#[tokio::test]
async fn an_http_proxy_taken_for_a_socks_proxy() {
    let says = vec![Act::Read(GREETING.len()), say(BAD_REQUEST)];
    check(
        socks5h,
        says,
        "SOCKS5 greeting: it speaks HTTP, not SOCKS5: \"HTTP/1.1 400",
    )
    .await;
}

#[tokio::test]
async fn a_socks_proxy_taken_for_an_http_proxy() {
    let tunnel = "CONNECT chat.internal:9000";
    let five = vec![Act::Head, bytes(b"\x05\xff")];
    let expected = format!("{tunnel}: it speaks SOCKS5, not HTTP: \"\\x05\\xff\"");
    check(hop, five, &expected).await;
    let four = vec![Act::Head, bytes(b"\0\x5b\0\0\0\0\0\0")];
    check(hop, four, &format!("{tunnel}: it speaks SOCKS4, not HTTP")).await;
}

#[tokio::test]
async fn a_tls_proxy_spoken_to_in_clear() {
    let alerts = |read: Act| vec![read, bytes(ALERT)];
    let tunnel = "CONNECT chat.internal:9000: it speaks TLS, not HTTP: \"\\x15\\x03";
    check(hop, alerts(Act::Head), tunnel).await;
    let greeting = "SOCKS5 greeting: it speaks TLS, not SOCKS5: \"\\x15\\x03";
    check(socks5h, alerts(Act::Read(GREETING.len())), greeting).await;
    // And one that is real.
    let acceptor = dev_certificate(&["proxy.test"]).acceptor();
    let real = Script::play(vec![vec![Act::Stall]], Some(acceptor)).await;
    tells(hop(real.address), tunnel).await;
}

#[tokio::test]
async fn a_proxy_in_clear_spoken_to_by_tls() {
    let hello = || Act::Read(5);
    let clear = "TLS: answered in clear, not in TLS";
    check(over_tls, vec![hello(), say(BAD_REQUEST), Act::Stall], clear).await;
    check(
        over_tls,
        vec![hello(), bytes(b"\x05\xff"), Act::Stall],
        clear,
    )
    .await;
    let ended = "TLS: the connection ended in the middle of the handshake";
    check(over_tls, vec![hello()], ended).await;
}
