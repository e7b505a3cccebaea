//! Further answers of proxies and of backends, each with its cause, its remedy and its exit code.

use super::{Probed, answers, known_url, probe};
use crate::support::backend::{answer, backend, good_101};
use crate::support::proxy::proxy_that_refuses;
use crate::support::script::Act;

// --- what a proxy does --------------------------------------------------------------------------

async fn through(reply: &str) -> Probed {
    let proxy = proxy_that_refuses(reply).await;
    probe(&[
        "ws://chat.internal:9000",
        "--proxy",
        &known_url(proxy.address),
    ])
    .await
}

#[tokio::test]
async fn a_proxy_that_says_no_is_told_from_one_that_cannot() {
    through("HTTP/1.1 405 Not Allowed\r\n\r\n")
        .await
        .assert_says(
            77,
            "the proxy does not do CONNECT to chat.internal:9000 (405)",
            "ask whoever runs the proxy to allow CONNECT to chat.internal:9000; many proxies open \
         port 443 only",
        );
    through("HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n")
        .await
        .assert_says(
            77,
            "the proxy sends to a page instead of opening a tunnel (302)",
            "log in where it sends a browser to, or ask for a rule without a login",
        );
    through("SSH-2.0-OpenSSH_9.2\r\n").await.assert_says(
        69,
        "not an HTTP proxy: the reply begins with \"SSH-2.0-OpenSSH_9.2\\r\\n\"",
        "check that host, port and scheme are the proxy's",
    );
    through("").await.assert_says(
        69,
        "the proxy closed the connection without a reply",
        "check the proxy's scheme (http, https or socks5h) and whether it lets this machine in",
    );
}

#[tokio::test]
async fn a_proxy_that_cannot_reach_the_backend_just_now_is_asked_again_and_then_it_is_75() {
    let probed = through("HTTP/1.1 503 Service Unavailable\r\n\r\n").await;
    assert_eq!(probed.code, 75);
    for pause in ["  · once more in 250 ms\n", "  · once more in 1.0 s\n"] {
        assert!(probed.out.contains(pause), "{}", probed.out);
    }
    let cause = "      the proxy could not reach chat.internal:9000 (503)\n";
    assert_eq!(probed.out.matches(cause).count(), 3, "{}", probed.out);
}

// --- what the backend, or somebody before it, answers -------------------------------------------

const USE_WSS: &str = "use wss://: nobody between can take a header out of what he cannot read";

#[tokio::test]
async fn an_upgrade_header_that_did_not_arrive_is_said_to_be_removed() {
    let url = answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    probe(&[&url]).await.assert_says(
        69,
        "the Upgrade header did not arrive: something between removed it, or this path is no \
         WebSocket's (200 OK)",
        USE_WSS,
    );
    let stripped = |line: &'static str| {
        let good = answer(move |head| good_101(head, "", "").replace(line, ""));
        backend(vec![Act::Head, good])
    };
    let bare = stripped("Connection: Upgrade\r\n").await;
    probe(&[&format!("ws://{}", bare.address)])
        .await
        .assert_says(
            69,
            "the 101 came without Connection: Upgrade: something between removed it",
            USE_WSS,
        );
}

#[tokio::test]
async fn each_answer_has_its_cause_and_its_exit_code() {
    let check = async |status: &str, code: i32, cause: &str, remedy: &str| {
        let url = answers(&format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")).await;
        probe(&[&url]).await.assert_says(code, cause, remedy);
    };
    check(
        "401 Unauthorized",
        77,
        "the backend asks for credentials",
        "the way is open, and a client with its token gets through: connect sends one by --header",
    )
    .await;
    check(
        "403 Forbidden",
        77,
        "the backend refuses, as many do without an Origin",
        "give the page's origin by --origin",
    )
    .await;
    check(
        "503 Busy",
        75,
        "the backend is not to be had just now (503 Service Unavailable)",
        "try again in a moment; if it stays, look at what stands before the backend",
    )
    .await;
    let url = answers("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
    let origin = "https://app.example.com";
    probe(&[&url, "--origin", origin]).await.assert_says(
        77,
        "the backend refuses, probably Origin https://app.example.com",
        "allow this origin at the backend, or give another by --origin",
    );
    let url = answers("HTTP/1.1 301 M\r\nLocation: /a\x1bb\r\nContent-Length: 0\r\n\r\n").await;
    let probed = probe(&[&url]).await;
    assert_eq!(probed.code, 69, "{}", probed.out);
}

#[tokio::test]
async fn a_backend_that_says_nothing_after_its_101_is_found_by_the_ping() {
    let good = answer(|head| good_101(head, "", ""));
    let gone = backend(vec![Act::Head, good]).await;
    let probed = probe(&[&format!("ws://{}", gone.address)]).await;
    assert_eq!(probed.code, 69, "{}", probed.out);
    let (cause, remedy) = probed.advice();
    assert!(
        cause.starts_with("the 101 came, and then the connection ended: "),
        "{cause}"
    );
    assert_eq!(
        remedy,
        "use wss://: what is between may pass the handshake and not the frames"
    );
}
