//! What the environment names, dialled: by the server's scheme, past the proxy, with credentials.

use std::path::Path;

use throughway::config;
use throughway::egress::Backend;

use crate::config::LEAST;
use crate::support::backend::echo_backend;
use crate::support::dialling::{TOKEN, assert_echoes, linked};
use crate::support::proxy::{ASKS_AND_CLOSES, OK, proxy_by_turns, say};
use crate::support::script::Act;

/// The backend of the least file with this server, by the environment.
pub(crate) fn by_env(server: &str, env: &[(&str, &str)]) -> Backend {
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
