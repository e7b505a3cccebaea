//! What the environment names, dialled: by the server's scheme, past the proxy, with credentials.

use std::path::Path;

use throughway::config;
use throughway::egress::{Backend, Fault};

use crate::config::LEAST;
use crate::support::backend::echo_backend;
use crate::support::dialling::{TOKEN, assert_echoes, failed, linked};
use crate::support::proxy::{ASKS_AND_CLOSES, OK, proxy_by_turns, proxy_that_says, say};
use crate::support::script::Act;

/// The backend of the least file with this server, by the environment.
fn by_env(server: &str, env: &[(&str, &str)]) -> Backend {
    let text = LEAST.replace("ws://127.0.0.1:9000", server) + "egress = 'env'\n";
    let env = |name: &str| {
        let found = env.iter().find(|(n, _)| *n == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let plan = config::parse(&text, Path::new("x.toml"), &env);
    plan.unwrap_or_else(|faults| panic!("{faults}"))
        .backends
        .remove(0)
}

#[tokio::test]
async fn a_ws_server_goes_by_http_proxy_and_a_wss_server_by_https_proxy() {
    let far = echo_backend().await;
    let (http, https) = (
        proxy_that_says(OK, far.address).await,
        crate::support::proxy::proxy_that_refuses("HTTP/1.1 403 No\r\n\r\n").await,
    );
    let (for_ws, for_wss) = (
        format!("http://{}", http.address),
        format!("http://{}", https.address),
    );
    let env = [
        ("http_proxy", for_ws.as_str()),
        ("https_proxy", for_wss.as_str()),
    ];
    let link = linked(&by_env("ws://chat.internal:9000", &env)).await;
    assert_eq!(link.egress, "env");
    assert_echoes(link).await;
    assert_eq!((http.connections(), https.connections()), (1, 0));
    let error = failed(&by_env("wss://chat.internal", &env)).await;
    assert_eq!(error.fault(), Fault::Hop(1));
    let head = "CONNECT chat.internal:443 HTTP/1.1\r\n";
    assert!(https.heard(0).starts_with(head));
}

#[tokio::test]
async fn the_user_and_the_password_of_a_variable_are_told_to_a_proxy_that_asks() {
    let far = echo_backend().await;
    let opens = vec![Act::Head, say(OK), Act::Tunnel(far.address)];
    let proxy = proxy_by_turns(vec![vec![Act::Head, say(ASKS_AND_CLOSES)], opens]).await;
    let value = format!("alice:open%20sesame@{}", proxy.address);
    let backend = by_env("ws://chat.internal:9000", &[("ALL_PROXY", &value)]);
    assert_echoes(linked(&backend).await).await;
    assert!(!proxy.heard(0).contains(TOKEN));
    assert!(proxy.heard(1).contains(TOKEN));
}

#[tokio::test]
async fn without_a_variable_or_with_no_proxy_the_way_is_direct() {
    let far = echo_backend().await;
    let server = format!("ws://{}", far.address);
    let proxy = ("all_proxy", "http://192.0.2.1:3128");
    let list = ("no_proxy", "127.0.0.0/8");
    let own = ("no_proxy", "<-loopback>,127.0.0.0/8");
    for env in [&[][..], &[proxy], &[proxy, list], &[proxy, own]] {
        let link = linked(&by_env(&server, env)).await;
        assert_eq!(link.egress, "direct", "{env:?}");
        assert_echoes(link).await;
    }
}
