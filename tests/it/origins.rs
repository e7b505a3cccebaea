//! Origins over the gateway: which pages may open a WebSocket, before anything is dialled.
//!
//! Knows no syntax of origins beyond its tables; how one is parsed is shown beside the parser.

use crate::support::backend::{backend, good_101};
use crate::support::certs::{DevCert, dev_certificate};
use crate::support::client::{Answer, Client, KEY, ask, handshake, open};
use crate::support::gateway::{Builder, Running, gateway};
use crate::support::proxy::say;
use crate::support::script::{Act, Script};

/// A backend that switches for everybody and sets headers of its own.
async fn willing() -> Script {
    let key = format!("sec-websocket-key: {KEY}\n");
    let answer = good_101(&key, "Vary: Cookie\r\nX-Own: 1\r\n", "");
    backend(vec![Act::Head, say(&answer), Act::Stall]).await
}

/// One route a policy.
fn routes(backend: &Script) -> Builder {
    let url = format!("ws://{}", backend.address);
    gateway()
        .section(
            "[origins]\nweb = [\"https://chat.test\", \"https://*.example.com\"]\n\
             odd = [\"http://[::1]:8080\", \"https://xn--e1afmkfd.test\", \"https://a.test:8443\"]\n\
             sandbox = [\"null\"]\n\
             shown = { allow = [\"https://*.example.com\"], expose = true }",
        )
        .keys("")
        .route("/same", &url)
        .keys("origins = \"web\"")
        .route("/web", &url)
        .keys("origins = \"odd\"")
        .route("/odd", &url)
        .keys("origins = \"sandbox\"")
        .route("/sandbox", &url)
        .keys("origins = \"any\"")
        .route("/any", &url)
        .keys("origins = [\"https://inline.test\"]\nmissing_origin = \"deny\"")
        .route("/deny", &url)
        .keys("origins = \"any\"\nmissing_origin = \"deny\"")
        .route("/any-page", &url)
        .keys("origins = \"shown\"")
        .route("/shown", &url)
}

/// One row: the path and the Origin lines, each without its name; and the status.
async fn check(gateway: &Running, backend: &Script, path: &str, origins: &[&str], status: u16) {
    let before = backend.connections();
    let request = origins
        .iter()
        .fold(handshake(path), |h, o| h.with(&format!("Origin: {o}")));
    if status == 101 {
        open(gateway.address, &request).await;
        assert_eq!(backend.connections(), before + 1, "{path} {origins:?}");
        return;
    }
    let answer = ask(gateway.address, &request.bytes()).await;
    assert_eq!(answer.status, status, "{path} {origins:?}");
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(
        backend.connections(),
        before,
        "{path} {origins:?} was dialled for"
    );
}

/// A page of another site opens a WebSocket with the visitor's cookies: the browser sends them,
/// and only whoever looks at Origin can tell.
#[tokio::test]
async fn c1_a_page_of_another_site_is_refused_before_any_backend_is_dialled() {
    let backend = willing().await;
    let gateway = routes(&backend).run();
    for (path, origin) in [
        ("/same", "https://evil.test"),
        ("/web", "https://evil.test"),
        ("/odd", "https://evil.test"),
        ("/sandbox", "https://evil.test"),
        ("/deny", "https://evil.test"),
        ("/shown", "https://evil.test"),
    ] {
        check(&gateway, &backend, path, &[origin], 403).await;
    }
    assert_eq!(backend.connections(), 0);
    check(&gateway, &backend, "/any", &["https://evil.test"], 101).await;
}

/// Checks by prefix, suffix or pattern have let each of these in somewhere.
#[tokio::test]
async fn c2_what_only_looks_like_an_allowed_origin_is_refused() {
    let backend = willing().await;
    let gateway = routes(&backend).run();
    let long = format!("https://{}.example.com", "a".repeat(8 * 1024));
    for refused in [
        "",
        "null",
        "NULL",
        "https://chat.test.evil",
        "https://evilchat.test",
        "https://chat.test@evil.test",
        "https://evil.test/https://chat.test",
        "https://evil.test#https://chat.test",
        "https://chat.test/",
        "https://chat.test/path",
        "https://chat.test:8443",
        "https://chat.test:",
        "http://chat.test",
        "wss://chat.test",
        "chat.test",
        "https://chat.test, https://chat.test",
        "https://chat.test https://evil.test",
        "https://example.com",
        "https://a.b.example.com",
        "https://evilexample.com",
        "https://.example.com",
        "https://*.example.com",
        "https://a.example.com:444",
        "http://a.example.com",
        "https://a.example.com.evil.test",
        "https://ch%61t.test",
    ]
    .into_iter()
    .chain([long.as_str()])
    {
        check(&gateway, &backend, "/web", &[refused], 403).await;
    }
    for allowed in [
        "https://chat.test",
        "HTTPS://CHAT.test",
        "https://chat.test:443",
        "https://chat.test.",
        "https://a.example.com",
        "https://A.Example.com:443",
    ] {
        check(&gateway, &backend, "/web", &[allowed], 101).await;
    }
}

#[tokio::test]
async fn c2_ports_addresses_and_international_names_are_compared_as_they_are() {
    let backend = willing().await;
    let gateway = routes(&backend).run();
    for (origin, status) in [
        ("http://[::1]:8080", 101),
        ("http://[0:0:0:0:0:0:0:1]:8080", 101),
        ("http://[::1]", 403),
        ("http://[::2]:8080", 403),
        ("https://xn--e1afmkfd.test", 101),
        ("https://XN--E1AFMKFD.test", 101),
        ("https://a.test:8443", 101),
        ("https://a.test", 403),
        ("https://a.test:443", 403),
    ] {
        check(&gateway, &backend, "/odd", &[origin], status).await;
    }
    // A browser sends the A-label; raw UTF-8 is no origin that could be compared with anything.
    check(&gateway, &backend, "/odd", &["https://пример.test"], 400).await;
    check(&gateway, &backend, "/web", &["https://eviл-chat.test"], 400).await;
}

#[tokio::test]
async fn c2_two_origins_none_and_null() {
    let backend = willing().await;
    let gateway = routes(&backend).run();
    let good = "https://chat.test";
    for path in ["/web", "/any", "/same"] {
        check(&gateway, &backend, path, &[good, good], 400).await;
        check(&gateway, &backend, path, &[good, "https://evil.test"], 400).await;
        check(&gateway, &backend, path, &["null", good], 400).await;
    }
    // Clients that are no browsers send none; whether they may is the route's to say.
    for (path, status) in [
        ("/web", 101),
        ("/same", 101),
        ("/any", 101),
        ("/deny", 403),
        ("/any-page", 403),
    ] {
        check(&gateway, &backend, path, &[], status).await;
    }
    check(&gateway, &backend, "/deny", &["https://inline.test"], 101).await;
    // A sandboxed frame of any site says null.
    for (path, status) in [
        ("/sandbox", 101),
        ("/any", 101),
        ("/any-page", 101),
        ("/same", 403),
        ("/web", 403),
        ("/shown", 403),
    ] {
        check(&gateway, &backend, path, &["null"], status).await;
    }
}

/// Over TLS: the status, for a Host and an Origin.
async fn over_tls(gateway: &Running, cert: &DevCert, host: &str, origin: &str) -> u16 {
    let mut client = Client::connect_tls(gateway.address, cert).await;
    let request = handshake("/same")
        .replacing(&format!("Host: {host}"))
        .with(&format!("Origin: {origin}"));
    client.send(&request.bytes()).await;
    client.head().await.status
}

#[tokio::test]
async fn same_is_the_scheme_the_host_and_the_port_of_the_request() {
    let backend = willing().await;
    let plain = routes(&backend).run();
    for (host, origin, status) in [
        ("chat.test", "http://chat.test", 101),
        ("chat.test", "http://CHAT.test:80", 101),
        ("chat.test:80", "http://chat.test", 101),
        ("chat.test.", "http://chat.test", 101),
        ("chat.test:8080", "http://chat.test:8080", 101),
        ("chat.test:8080", "http://chat.test", 403),
        ("chat.test", "http://chat.test:8080", 403),
        ("chat.test", "https://chat.test", 403),
        ("chat.test:443", "https://chat.test", 403),
        ("chat.test", "http://a.chat.test", 403),
        ("[::1]:80", "http://[::1]", 101),
    ] {
        let request = handshake("/same")
            .replacing(&format!("Host: {host}"))
            .with(&format!("Origin: {origin}"));
        let mut client = Client::connect(plain.address).await;
        client.send(&request.bytes()).await;
        assert_eq!(client.head().await.status, status, "{host} {origin}");
    }
    let cert = dev_certificate(&["chat.test"]);
    let tls = routes(&backend).tls(&cert).run();
    for (host, origin, status) in [
        ("chat.test", "https://chat.test", 101),
        ("chat.test:443", "https://chat.test", 101),
        ("chat.test", "http://chat.test", 403),
        ("chat.test:80", "http://chat.test", 403),
    ] {
        let got = over_tls(&tls, &cert, host, origin).await;
        assert_eq!(got, status, "{host} {origin}");
    }
}

/// Behind a balancer that ends TLS the page is https and the connection is not; whose word counts
/// is the listener's to say.
#[tokio::test]
async fn same_believes_the_scheme_of_a_trusted_proxy_and_of_nobody_else() {
    let backend = willing().await;
    let trusting = routes(&backend)
        .listener("trusted_proxies = [\"127.0.0.0/8\"]")
        .run();
    let strict = routes(&backend)
        .listener("trusted_proxies = [\"10.0.0.0/8\"]")
        .run();
    let page = "Origin: https://chat.test";
    for (told, by_trusting, by_strict) in [
        ("X-Forwarded-Proto: https", 101, 403),
        ("X-Forwarded-Proto: wss", 101, 403),
        ("X-Forwarded-Proto: http, https", 101, 403),
        ("X-Forwarded-Proto: https, http", 403, 403),
        ("X-Forwarded-Proto: ftp", 403, 403),
        ("X-Nothing: said", 403, 403),
    ] {
        for (gateway, status) in [(&trusting, by_trusting), (&strict, by_strict)] {
            let mut client = Client::connect(gateway.address).await;
            let request = handshake("/same").with(page).with(told);
            client.send(&request.bytes()).await;
            assert_eq!(client.head().await.status, status, "{told}");
        }
    }
}

async fn shown(gateway: &Running, path: &str, origin: &str) -> Answer {
    let request = handshake(path).with(&format!("Origin: {origin}"));
    open(gateway.address, &request).await.1
}

#[tokio::test]
async fn expose_names_the_very_origin_on_the_101_and_nothing_else_does() {
    let backend = willing().await;
    let gateway = routes(&backend).run();
    for (sent, named) in [
        ("https://a.example.com", "https://a.example.com"),
        ("https://b.example.com:443", "https://b.example.com"),
    ] {
        let answer = shown(&gateway, "/shown", sent).await;
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, Some(named));
        let credentials = answer.header("access-control-allow-credentials");
        assert_eq!(credentials, Some("true"));
        assert!(answer.head.contains("Vary: Cookie\r\nVary: Origin\r\n"));
    }
    for path in ["/web", "/any"] {
        let answer = shown(&gateway, path, "https://a.example.com").await;
        assert!(!answer.head.contains("Access-Control"), "{}", answer.head);
    }
    let (_, answer) = open(gateway.address, &handshake("/shown")).await;
    assert!(!answer.head.contains("Access-Control"), "{}", answer.head);
}
