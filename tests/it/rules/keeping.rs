//! Rules 22 to 26: who learns what, and who is believed.

use throughway::egress::{Hop, Server, TlsTo};

use crate::egress::env::by_env;
use crate::egress::tls::{identity, inside, tls_backend};
use crate::support::backend::{backend, echo_backend};
use crate::support::client::{handshake, open};
use crate::support::dialling::{
    PASSWORD, TOKEN, USER, assert_echoes, by, by_to, direct, failed, hop, hop_with, known_at,
    linked, server_at,
};
use crate::support::gateway::gateway;
use crate::support::proxy::{
    ASKS_AND_CLOSES, ASKS_AND_STAYS, OK, proxy, proxy_by_turns, proxy_that_says, say,
};
use crate::support::script::{Act, Script};
use crate::support::started::started_with;

#[tokio::test]
async fn rule_22_each_proxy_gets_its_own_credentials_and_nobody_else_does() {
    let backend = echo_backend().await;
    let second_opens = vec![Act::Head, say(OK), Act::Tunnel(backend.address)];
    let asks = vec![Act::Head, say(ASKS_AND_CLOSES)];
    let second = proxy_by_turns(vec![asks.clone(), second_opens]).await;
    let first_opens = vec![Act::Head, say(OK), Act::Tunnel(second.address)];
    let first = proxy_by_turns(vec![asks, first_opens]).await;

    let hops = vec![
        known_at(first.address),
        hop_with(second.address, "bob", "other word"),
    ];
    assert_echoes(linked(&by(hops)).await).await;

    // `bob:other word`.
    let other = "Ym9iOm90aGVyIHdvcmQ=";
    // The first proxy carries the second's CONNECT through its tunnel, so it is only what the
    // first was asked itself that counts: the head before the tunnel.
    for connection in 1..first.connections() {
        let heard = first.heard(connection);
        let own = heard.split("\r\n\r\n").next().unwrap();
        assert!(own.contains(TOKEN) && !own.contains(other), "{own}");
    }
    let heard = second.heard_in_all();
    assert!(!heard.contains(TOKEN));
    assert_eq!(heard.matches(other).count(), 1);
    for secret in [TOKEN, other, "uthorization"] {
        assert!(!backend.heard_in_all().contains(secret));
    }
    assert_eq!((first.connections(), second.connections()), (3, 2));
}

#[tokio::test]
async fn rule_23_a_clients_proxy_headers_end_here_and_what_a_proxy_prints_of_ours_is_masked() {
    let far = echo_backend().await;
    let near = proxy_that_says(OK, far.address).await;
    let gateway = gateway()
        .via(near.address)
        .route("/", "ws://chat.internal")
        .run();
    let request = handshake("/")
        .with("Proxy-Authorization: Basic Y2xpZW50OnNlY3JldA==")
        .with("Proxy-Connection: keep-alive");
    drop(open(gateway.address, &request).await);
    let heard = near.heard_in_all() + &far.heard_in_all();
    assert!(!heard.contains("Y2xpZW50"), "{heard}");
    assert!(!far.heard_in_all().to_lowercase().contains("\nproxy-"));

    let shows = format!(
        "HTTP/1.1 403 {USER} is denied\r\nVia: {TOKEN}\r\n\r\n\
         <pre>Proxy-Authorization: Basic {TOKEN}\n{USER}:{PASSWORD}</pre>{}{TOKEN}",
        "x".repeat(170)
    );
    let prints = proxy(vec![Act::Head, say(ASKS_AND_STAYS), Act::Head, say(&shows)]).await;
    let error = failed(&by(vec![known_at(prints.address)]))
        .await
        .to_string();
    let expected = "refused: 403 *** is denied (via: ***; \
                    body: \"<pre>Proxy-Authorization: Basic ***\\n***:***</pre>xxx";
    assert!(error.contains(expected), "{error}");
    assert!(!error.contains(&TOKEN[..4]), "{error}");
}

#[tokio::test]
async fn rule_24_the_environments_proxies_are_taken_where_the_file_asks_and_not_from_cgi() {
    let far = echo_backend().await;
    let server = format!("ws://{}", far.address);
    let near = proxy_that_says(OK, far.address).await;
    let url = format!("http://{}", near.address);
    // The loopback would go direct without saying.
    let named = [
        ("HTTP_PROXY", url.as_str()),
        ("http_proxy", &url),
        ("ALL_PROXY", &url),
        ("NO_PROXY", "<-loopback>"),
        ("no_proxy", "<-loopback>"),
    ];
    let unasked = started_with(gateway().route("/", &server), &named);
    drop(open(unasked.address, &handshake("/")).await);
    assert_eq!((near.connections(), far.connections()), (0, 1));

    let of_all = ("NO_PROXY", "<-loopback>");
    let link = linked(&by_env(&server, &[("HTTP_PROXY", &url), of_all])).await;
    assert_eq!(link.egress, "env");
    let cgi = ("REQUEST_METHOD", "GET");
    let link = linked(&by_env(&server, &[("HTTP_PROXY", &url), of_all, cgi])).await;
    assert_eq!(link.egress, "direct");
    assert_eq!(near.connections(), 1);
}

fn over(tls: &TlsTo, hop: Hop) -> Hop {
    Hop {
        tls: Some(tls.clone()),
        ..hop
    }
}

#[tokio::test]
async fn rule_25_tls_to_each_proxy_and_to_the_backend_is_its_own_and_an_issuer_is_named() {
    // Three authorities, each trusted for its own leg alone, one leg inside the other.
    let inner = identity("chat.internal");
    let outer = identity("proxy.corp.example");
    let middle = identity("proxy-b.corp.example");
    let backend = tls_backend(&inner).await;
    let tunnel_to = |address| vec![vec![Act::Head, say(OK), Act::Tunnel(address)]];
    let second = Script::play(tunnel_to(backend.address), Some(middle.acceptor.clone())).await;
    let first = Script::play(tunnel_to(second.address), Some(outer.acceptor.clone())).await;
    let hops = |to_first: &TlsTo| {
        let second = over(&middle.to, hop(second.address));
        vec![over(to_first, hop(first.address)), second]
    };
    assert_echoes(linked(&by_to(inside(&inner.to), hops(&outer.to))).await).await;
    let asked = "CONNECT chat.internal:443 HTTP/1.1\r\n";
    assert!(second.heard(0).starts_with(asked));

    // A proxy's own certificate: nothing stands between.
    let expecting = |theirs: &TlsTo, ours: &TlsTo| TlsTo {
        config: ours.config.clone(),
        name: theirs.name.clone(),
    };
    let wrong = expecting(&outer.to, &inner.to);
    let error = failed(&by_to(inside(&inner.to), hops(&wrong))).await;
    let issuer = "CN=authority of proxy.corp.example";
    let expected = format!(
        "hop 1 of 2 (https {}): TLS: unknown issuer: {issuer}",
        first.address
    );
    assert_eq!(error.to_string(), expected);
    // The backend's, behind a proxy and without one.
    let wrong = expecting(&inner.to, &outer.to);
    let error = failed(&by_to(inside(&wrong), hops(&outer.to))).await;
    let issuer = "CN=authority of chat.internal";
    let expected = format!("unknown issuer: {issuer} (looks like TLS inspection by {issuer})");
    assert!(error.to_string().ends_with(&expected), "{error}");
    let server = Server {
        tls: Some(wrong),
        ..server_at(backend.address)
    };
    let error = failed(&direct(vec![server])).await;
    let expected = format!("TLS: unknown issuer: {issuer}");
    assert!(error.to_string().ends_with(&expected), "{error}");
}

#[tokio::test]
async fn rule_26_an_answer_in_the_clear_inside_the_tunnel_is_called_that() {
    let identity = identity("chat.internal");
    let clear = say("HTTP/1.1 400 Bad Request\r\n\r\n");
    let hello = Act::Read(5);
    let script = vec![Act::Head, say(OK), hello.clone(), clear.clone(), Act::Stall];
    let proxy = proxy(script).await;
    let error = failed(&by_to(inside(&identity.to), vec![hop(proxy.address)])).await;
    let expected = "server wss://chat.internal:443: TLS: answered in clear inside the tunnel";
    assert_eq!(error.to_string(), expected);

    let plain = backend(vec![hello, clear, Act::Stall]).await;
    let server = Server {
        tls: Some(identity.to.clone()),
        ..server_at(plain.address)
    };
    let error = failed(&direct(vec![server])).await.to_string();
    let expected = "TLS: answered in clear, not in TLS";
    assert!(error.ends_with(expected), "{error}");
}
