//! Each thing that can be in the way, as the program tells it: cause and remedy word for word, the exit
//! code, and the reason word that stays for programs.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::{another_authority, certificate, file, known_url, probe_with, proxy_url};
use crate::egress::servers::{blackhole, nobody};
use crate::support::backend::{answer, backend, good_101};
use crate::support::proxy::{
    ASKS_AND_CLOSES, ASKS_AND_STAYS, OK, proxy, proxy_by_turns, proxy_that_refuses,
    proxy_that_says, say,
};
use crate::support::script::{Act, Script};
use crate::support::websocket::{End, websocket};

const INSIDE: &str = "ws://chat.internal:9000";

/// What is to be said of a failure.
struct Told<'a> {
    reason: &'a str,
    exit: i32,
    cause: &'a str,
    remedy: &'a str,
}

fn told<'a>(reason: &'a str, exit: i32, cause: &'a str, remedy: &'a str) -> Told<'a> {
    Told {
        reason,
        exit,
        cause,
        remedy,
    }
}

/// For people and for programs: the same way twice.
async fn check(words: &[&str], env: &[(&str, &Path)], expected: Told<'_>) {
    let probed = probe_with(words, env).await;
    probed.assert_says(expected.exit, expected.cause, expected.remedy);
    let begins = format!("error: {}: ", expected.reason);
    assert!(probed.err.starts_with(&begins), "{}", probed.err);

    let probed = probe_with(&[words, &["--json"]].concat(), env).await;
    assert_eq!(probed.code, expected.exit, "{}", probed.out);
    let end: Value = serde_json::from_str(probed.out.lines().last().unwrap()).unwrap();
    for (key, value) in [
        ("event", "end"),
        ("reason", expected.reason),
        ("cause", expected.cause),
        ("remedy", expected.remedy),
    ] {
        assert_eq!(end[key], value, "{end}");
    }
    assert_eq!(
        (&end["ok"], &end["exit"]),
        (&false.into(), &expected.exit.into())
    );
}

async fn check_direct(url: &str, expected: Told<'_>) {
    check(&[url], &[], expected).await;
}

async fn check_by(proxy: &str, expected: Told<'_>) {
    check(&[INSIDE, "--proxy", proxy], &[], expected).await;
}

/// A file in which the egress `corp` has one hop and little patience with it.
fn hasty_hop(scheme: &str, address: SocketAddr) -> (TempDir, std::path::PathBuf) {
    file(&format!(
        "[backend.feed]\nservers = [{{ url = \"{INSIDE}\" }}]\negress = \"corp\"\n\
         [egress.corp]\ntimeouts = {{ connect = \"200ms\", tls = \"200ms\", reply = \"200ms\" }}\n\
         [[egress.corp.hop]]\nurl = \"{scheme}://{address}\"\n"
    ))
}

async fn check_hasty(scheme: &str, address: SocketAddr, expected: Told<'_>) {
    let (_dir, file) = hasty_hop(scheme, address);
    let words = [INSIDE, "-c", file.to_str().unwrap()];
    check(&words, &[], expected).await;
}

/// The same for a server without a proxy.
async fn check_hasty_server(address: SocketAddr, expected: Told<'_>) {
    let (_dir, file) = file(&format!(
        "[backend.feed]\nservers = [{{ url = \"ws://{address}\" }}]\n\
         timeouts = {{ connect = \"200ms\", upgrade = \"200ms\" }}\n"
    ));
    let url = format!("ws://{address}");
    check(&[&url, "-c", file.to_str().unwrap()], &[], expected).await;
}

#[tokio::test]
async fn a_name_without_an_address() {
    let name = "no-such-host.invalid";
    // In the words of this machine's resolver, the last of them.
    let error = (name, 80).to_socket_addrs().unwrap_err().to_string();
    let said = error.rsplit(": ").next().unwrap();
    let cause = format!("{name} has no address here ({said})");
    let expected = told(
        "dns",
        69,
        &cause,
        "check the name; where only a proxy can resolve it, name the proxy by --egress or --proxy",
    );
    check_direct(&format!("ws://{name}"), expected).await;
}

#[tokio::test]
async fn connections_that_do_not_come_about() {
    let dead = nobody().await;
    let refused = "nobody listens there: connection refused";
    let expected = told(
        "tcp",
        69,
        refused,
        "check host and port; where a proxy is the way out, name it by --egress or --proxy",
    );
    check_direct(&format!("ws://{dead}"), expected).await;
    let expected = told(
        "tcp",
        69,
        refused,
        "check host and port of the proxy, and that it runs",
    );
    check_by(&proxy_url(dead), expected).await;

    let filtered = blackhole().await;
    let expected = told(
        "timeout",
        75,
        "no answer: something on the way drops the packets",
        "direct connections are probably filtered here: name the proxy by --egress or --proxy",
    );
    check_hasty_server(filtered.address, expected).await;
    let expected = told(
        "timeout",
        75,
        "no answer: the address is wrong or something on the way drops the packets",
        "check the address of the proxy and the firewall before it",
    );
    check_hasty("http", filtered.address, expected).await;
}

#[tokio::test]
async fn proxies_that_want_to_know_something_else() {
    let asks = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Bearer\r\nProxy-Authenticate: Hawk\r\n\
                Content-Length: 0\r\n\r\n";
    let unknown = proxy_that_refuses(asks).await;
    let expected = told(
        "proxy_auth",
        77,
        "the proxy asks for Bearer, Hawk; credentials are configured for auto (digest, ntlm or \
         basic)",
        "none that it asks for is spoken here: ask whoever runs it for one that is",
    );
    check_by(&known_url(unknown.address), expected).await;
    let expected = told(
        "proxy_auth",
        77,
        "the proxy asks for Bearer, Hawk; no credentials are configured",
        "set auth of the hop in the file and use --egress",
    );
    check_by(&proxy_url(unknown.address), expected).await;

    let asks_twice = [ASKS_AND_STAYS, ASKS_AND_CLOSES].map(|asks| [Act::Head, say(asks)]);
    let wrong_password = proxy_by_turns(vec![asks_twice.concat()]).await;
    let expected = told(
        "proxy_auth",
        77,
        "the proxy says no: credentials rejected by basic; asks for Basic",
        "check user and password of the hop before trying again: proxies lock accounts",
    );
    check_by(&known_url(wrong_password.address), expected).await;
}

#[tokio::test]
async fn a_proxy_whose_policy_says_no() {
    let forbids = proxy_that_refuses("HTTP/1.1 403 Forbidden\r\n\r\n").await;
    let expected = told(
        "proxy_refused",
        77,
        "the proxy's policy refuses chat.internal:9000 (403)",
        "ask whoever runs the proxy to allow chat.internal:9000; many proxies open port 443 only",
    );
    check_by(&proxy_url(forbids.address), expected).await;
}

#[tokio::test]
async fn a_proxy_that_is_silent() {
    let silent = proxy(vec![Act::Stall]).await.address;
    let expected = told(
        "timeout",
        75,
        "the proxy did not answer CONNECT chat.internal:9000 in time",
        "it may be waiting for a backend that does not answer it: check name and port, or raise \
         timeouts.reply of the egress",
    );
    check_hasty("http", silent, expected).await;
    let expected = told(
        "timeout",
        75,
        "the proxy did not answer in SOCKS5 in time",
        "it may be an HTTP proxy, which waits for a line that never comes: if so, write http:// \
         or https:// for it",
    );
    check_hasty("socks5h", silent, expected).await;
    let expected = told(
        "timeout",
        75,
        "the proxy did not answer the TLS handshake in time",
        "check that the proxy speaks TLS on this port; if it does not, write http:// for it",
    );
    check_hasty("https", silent, expected).await;
}

#[tokio::test]
async fn certificates_of_whom_nobody_knows() {
    let theirs = certificate();
    let known = another_authority();
    let env = [("SSL_CERT_FILE", known.path())];
    let secured = Script::play(vec![vec![Act::Stall]], Some(theirs.acceptor())).await;
    let url = format!("https://{}", secured.address);
    let expected = told(
        "tls",
        69,
        "the proxy's certificate is by CN=throughway test authority, for whom no root known here \
         vouches",
        "if that CA is yours, trust it: tls.ca of the hop in the file",
    );
    check(&[INSIDE, "--proxy", &url], &env, expected).await;

    let far = websocket(Some(theirs.acceptor()), End::Never).await;
    let intercepting = proxy_that_says(OK, far).await;
    let url = proxy_url(intercepting.address);
    let expected = told(
        "tls",
        69,
        "intercepted by CN=throughway test authority, unless that is the backend's own CA: no \
         root known here vouches for it",
        "if it is your company's, trust it: tls.ca of the backend in the file, or --ca",
    );
    check(&["wss://chat.internal", "--proxy", &url], &env, expected).await;

    let expected = told(
        "tls",
        69,
        "the backend's certificate is by CN=throughway test authority, for whom no root known \
         here vouches",
        "if that CA is yours, trust it: tls.ca of the backend in the file, or --ca",
    );
    check(&[&format!("wss://{far}")], &env, expected).await;
}

#[tokio::test]
async fn an_upgrade_that_was_taken_out_on_the_way() {
    let wss = "use wss://: nobody between can take a header out of what he cannot read";
    let asked = "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n";
    let stripped = backend(vec![Act::Head, say(asked)]).await;
    let expected = told(
        "upgrade_removed",
        69,
        "the Upgrade header did not arrive: something between removed it",
        wss,
    );
    check_direct(&format!("ws://{}", stripped.address), expected).await;

    let bare = answer(|head| good_101(head, "", "").replace("Upgrade: websocket\r\n", ""));
    let stripped = backend(vec![Act::Head, bare]).await;
    let expected = told(
        "answer_invalid",
        69,
        "the 101 came without its Upgrade header: something between removed it",
        wss,
    );
    check_direct(&format!("ws://{}", stripped.address), expected).await;
}

#[tokio::test]
async fn a_backend_without_this_path_and_one_that_is_silent() {
    let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    let other = backend(vec![Act::Head, say(answer)]).await;
    let expected = told(
        "backend_declined",
        69,
        "nothing is at this path",
        "check the path of the URL",
    );
    check_direct(&format!("ws://{}/chat", other.address), expected).await;

    let silent = backend(vec![Act::Stall]).await;
    let expected = told(
        "timeout",
        75,
        "the backend did not answer the handshake in time",
        "check that a WebSocket server runs there, and look at its load",
    );
    check_hasty_server(silent.address, expected).await;
}

#[tokio::test]
async fn proxies_of_another_kind_than_was_typed() {
    let http = proxy(vec![Act::Read(3), say("HTTP/1.1 400 Bad Request\r\n\r\n")]).await;
    let expected = told(
        "proxy_reply",
        69,
        "what answers there speaks HTTP, not SOCKS5",
        "write http:// for the proxy, or use its SOCKS5 port",
    );
    check_by(&format!("socks5h://{}", http.address), expected).await;

    let socks = proxy(vec![Act::Head, Act::Say(vec![5, 0xff])]).await;
    let expected = told(
        "proxy_reply",
        69,
        "what answers there speaks SOCKS5, not HTTP",
        "write socks5h:// for the proxy, or use its HTTP port",
    );
    check_by(&proxy_url(socks.address), expected).await;

    let secured = Script::play(vec![vec![Act::Stall]], Some(certificate().acceptor())).await;
    let expected = told(
        "proxy_reply",
        69,
        "what answers there speaks TLS, not HTTP",
        "write https:// for the proxy, or use its port without TLS",
    );
    check_by(&proxy_url(secured.address), expected).await;

    let clear = say("HTTP/1.1 400 Bad Request\r\n\r\n");
    let clear = proxy(vec![Act::Read(5), clear, Act::Stall]).await;
    let expected = told(
        "tls",
        69,
        "the proxy does not speak TLS on this port",
        "write http:// or socks5h:// for the proxy, or use its TLS port",
    );
    check_by(&format!("https://{}", clear.address), expected).await;

    let closes = proxy(vec![Act::Read(5)]).await;
    let expected = told(
        "tls",
        69,
        "the proxy ended the connection in the middle of the TLS handshake",
        "if it does not speak TLS on this port, write http:// or socks5h:// for it",
    );
    check_by(&format!("https://{}", closes.address), expected).await;
}
