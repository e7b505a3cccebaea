//! Rules 11 to 15: what is sent to a proxy, and when.

use std::time::Duration;

use throughway::egress::Fault;
use throughway::wire::authority::Host;
use throughway::wire::connect::request::Request;

use crate::egress::env::by_env;
use crate::support::backend::echo_backend;
use crate::support::client::{handshake, open};
use crate::support::dialling::{
    assert_echoes, by, by_to, failed, hop, linked, server, server_inside,
};
use crate::support::gateway::gateway;
use crate::support::proxy::{OK, proxy, proxy_that_refuses, proxy_that_says};
use crate::support::script::Act;

const NO: &str = "HTTP/1.1 403 No\r\n\r\n";

#[tokio::test]
async fn rule_11_connect_names_host_and_port_in_both_places_and_old_proxies_get_what_they_want() {
    for (name, port, target) in [
        ("chat.internal", 9000, "chat.internal:9000"),
        ("chat.internal", 443, "chat.internal:443"),
        ("10.1.2.3", 80, "10.1.2.3:80"),
        ("[2001:db8::1]", 9000, "[2001:db8::1]:9000"),
        ("xn--bcher-kva.example", 443, "xn--bcher-kva.example:443"),
    ] {
        let proxy = proxy_that_refuses(NO).await;
        let error = failed(&by_to(server(name, port, None), vec![hop(proxy.address)])).await;
        let said = format!("CONNECT {target} refused: 403 No");
        assert!(error.to_string().ends_with(&said), "{error}");
        let expected = format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\
             Proxy-Connection: Keep-Alive\r\nUser-Agent: throughway/{}\r\n\r\n",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(proxy.heard(0), expected);
    }
}

#[tokio::test]
async fn rule_12_a_name_is_the_proxys_to_resolve() {
    // Nobody here knows this name; the proxy leads to where it likes.
    let backend = echo_backend().await;
    let proxy = proxy_that_says(OK, backend.address).await;
    let gateway = gateway()
        .via(proxy.address)
        .route("/*", "ws://chat.internal:9000/base")
        .run();
    for n in 0..2 {
        let (mut client, _) = open(gateway.address, &handshake("/room?a=1")).await;
        client.send(b"through").await;
        assert_eq!(client.exactly(7).await, b"through");
        // Each session has a connection of its own.
        assert_eq!(proxy.connections(), n + 1);
        let heard = proxy.heard(n);
        let (connect, tunnel) = heard.split_once("\r\n\r\n").unwrap();
        assert!(connect.starts_with("CONNECT chat.internal:9000 HTTP/1.1\r\n"));
        assert!(connect.contains("\r\nHost: chat.internal:9000"));
        assert!(tunnel.starts_with("GET /base/room?a=1 HTTP/1.1\r\n"));
        assert!(!backend.heard(n).contains("CONNECT"));
    }
}

#[test]
fn rule_13_no_value_gets_off_its_line_or_out_of_its_place() {
    for bad in [
        "a\rb", "a\nb", "a\0b", "a b", "a@b", "a/b", "a?b", "a#b", "a\u{e9}b",
    ] {
        // Of a file, or of a client: nothing else makes a host.
        assert!(Host::parse(bad).is_err(), "{bad:?}");
        // And if something did.
        let made = Host::Name(bad.to_owned());
        assert!(Request::to(&made, 443).is_err(), "{bad:?}");
    }
    let sound = Host::Name("chat.internal".to_owned());
    for bad in ["a\r\nX-Evil: 1", "a\rb", "a\nb", "a\0b"] {
        let request = Request::to(&sound, 443).unwrap();
        assert!(request.header("User-Agent", bad).is_err(), "{bad:?}");
    }
    let request = Request::to(&sound, 443).unwrap().finish();
    let text = std::str::from_utf8(&request).unwrap();
    assert_eq!(text.matches("Host: ").count(), 1, "{text}");
}

#[tokio::test]
async fn rule_14_nothing_goes_into_a_tunnel_before_its_2xx() {
    for script in [
        vec![Act::Head, Act::Stall],
        vec![
            Act::Head,
            crate::support::proxy::say("HTTP/1.1 200 OK\r\n"),
            Act::Stall,
        ],
        vec![Act::Head, crate::support::proxy::say(NO), Act::Stall],
    ] {
        let proxy = proxy(script).await;
        let mut backend = by(vec![hop(proxy.address)]);
        backend.timeouts.total = Duration::from_millis(300);
        failed(&backend).await;
        let heard = proxy.heard(0);
        assert!(heard.starts_with("CONNECT ") && heard.ends_with("\r\n\r\n"));
        assert_eq!(heard.matches("\r\n\r\n").count(), 1, "{heard}");
    }
}

#[tokio::test]
async fn rule_15_ws_goes_by_connect_too_and_the_environment_names_a_proxy_for_each_scheme() {
    let far = echo_backend().await;
    let for_ws = proxy_that_says(OK, far.address).await;
    let for_wss = proxy_that_refuses(NO).await;
    let (http, https) = (
        format!("http://{}", for_ws.address),
        format!("http://{}", for_wss.address),
    );
    let env = [
        ("http_proxy", http.as_str()),
        ("https_proxy", https.as_str()),
    ];
    let link = linked(&by_env(&server_inside().url, &env)).await;
    assert_eq!(link.egress, "env");
    assert_echoes(link).await;
    let asked = "CONNECT chat.internal:9000 HTTP/1.1\r\n";
    assert!(for_ws.heard(0).starts_with(asked));
    assert_eq!((for_ws.connections(), for_wss.connections()), (1, 0));
    let error = failed(&by_env("wss://chat.internal", &env)).await;
    assert_eq!(error.fault(), Fault::Hop(1));
    let asked = "CONNECT chat.internal:443 HTTP/1.1\r\n";
    assert!(for_wss.heard(0).starts_with(asked));
}
