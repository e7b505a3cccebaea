//! Routes whose backend is reached through a CONNECT proxy, through the whole gateway.

use crate::support::backend::{answer, echo_backend, good_101};
use crate::support::certs::dev_certificate;
use crate::support::client::{ask, handshake, open};
use crate::support::gateway::gateway;
use crate::support::process::field;
use crate::support::proxy::{
    ASKS_AND_CLOSES, ASKS_AND_STAYS, OK, proxy, proxy_by_turns, proxy_that_refuses,
    proxy_that_says, say,
};
use crate::support::script::{Act, Script};
use crate::support::started::started;

const AUTH: &str = "auth = { scheme = \"basic\", user = \"Aladdin\", password = \"open sesame\" }";
/// The same as RFC 7617 §2 writes it.
const BASIC: &str = "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";

#[tokio::test]
async fn the_first_words_of_a_backend_behind_a_proxy_are_not_lost() {
    let greets = answer(|head| good_101(head, "", "first words"));
    let proxy = proxy(vec![Act::Head, say(OK), Act::Head, greets, Act::Echo]).await;
    let gateway = gateway()
        .via(proxy.address)
        .route("/", "ws://chat.internal")
        .run();
    let (mut client, _) = open(gateway.address, &handshake("/")).await;
    assert_eq!(client.exactly(11).await, b"first words");
    client.send(b"echo").await;
    assert_eq!(client.exactly(4).await, b"echo");
}

#[tokio::test]
async fn tls_to_the_backend_goes_through_the_proxy_and_is_verified_against_the_backends_name() {
    let cert = dev_certificate(&["chat.internal"]);
    let good = answer(|head| good_101(head, "", ""));
    let script = vec![vec![Act::Head, good, Act::Echo]];
    let backend = Script::play(script, Some(cert.acceptor())).await;
    let proxy = proxy_that_says(OK, backend.address).await;
    let builder = gateway().via(proxy.address);
    cert.write_to(builder.dir());
    let tls = "tls = { ca = \"ca.pem\" }";
    let gateway = started(
        builder
            .route_to("/", &["wss://chat.internal".to_owned()], tls)
            .route_to("/other", &["wss://other.internal".to_owned()], tls),
    );
    let (mut client, _) = open(gateway.address, &handshake("/")).await;
    client.send(b"under TLS").await;
    assert_eq!(client.exactly(9).await, b"under TLS");
    let heard = proxy.heard(0);
    assert!(heard.starts_with("CONNECT chat.internal:443 HTTP/1.1\r\n"));
    assert!(
        !heard.contains("under TLS") && !heard.contains("GET "),
        "in the clear"
    );
    let answer = ask(gateway.address, &handshake("/other").bytes()).await;
    assert_eq!(answer.status, 502);
    let record = &gateway.logs(1, "\"request refused\"").await[0];
    assert_eq!(field(record, "reason"), "tls");
    assert_eq!(field(record, "hop"), "", "the server's, and no proxy's");
    assert_eq!(field(record, "step"), "tls");
}

// An account is locked by a gateway that asks in vain first, every time.
#[tokio::test]
async fn a_proxy_that_asked_once_is_told_at_once_from_then_on() {
    for asks in [ASKS_AND_STAYS, ASKS_AND_CLOSES] {
        let backend = echo_backend().await;
        let opens = vec![Act::Head, say(OK), Act::Tunnel(backend.address)];
        let scripts = match asks == ASKS_AND_STAYS {
            true => vec![[&[Act::Head, say(asks)][..], &opens].concat(), opens],
            false => vec![vec![Act::Head, say(asks)], opens],
        };
        let proxy = proxy_by_turns(scripts).await;
        let gateway = gateway()
            .via(proxy.address)
            .hop(AUTH)
            .route("/", "ws://chat.internal")
            .run();
        open(gateway.address, &handshake("/")).await;
        let first = proxy.heard_in_all();
        let begin = first.split_once("\r\n\r\n").unwrap().0;
        assert!(!begin.contains("Proxy-Authorization"), "unasked: {begin}");
        assert_eq!(first.matches(BASIC).count(), 1, "{first}");
        let connections = proxy.connections();
        open(gateway.address, &handshake("/")).await;
        assert_eq!(proxy.connections(), connections + 1);
        let second = proxy.heard(connections);
        assert_eq!(second.matches("CONNECT ").count(), 1, "{second}");
        assert!(second.contains(BASIC), "{second}");
    }
}

#[tokio::test]
async fn whom_no_proxy_names_is_reached_without_one() {
    let backend = echo_backend().await;
    let proxy = proxy_that_says(OK, backend.address).await;
    let gateway = started(
        gateway()
            .via(proxy.address)
            .route("/", format!("ws://{}", backend.address))
            .section("[egress.egress0]\nno_proxy = [\"127.0.0.0/8\"]"),
    );
    let (client, _) = open(gateway.address, &handshake("/")).await;
    drop(client);
    assert_eq!((proxy.connections(), backend.connections()), (0, 1));
    let record = &gateway.logs(1, "\"session ended\"").await[0];
    assert_eq!(field(record, "egress"), "direct");
}

// Who runs the gateway must know which proxy said what; who asked it must not.
#[tokio::test]
async fn a_refusal_names_hop_address_and_step_to_the_log_and_nothing_to_the_client() {
    let refuses = proxy_that_refuses("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
    let gateway = started(
        gateway()
            .via(refuses.address)
            .route("/", "wss://chat.internal"),
    );
    let answer = ask(gateway.address, &handshake("/").bytes()).await;
    assert_eq!(answer.status, 502);
    let record = &gateway.logs(1, "\"request refused\"").await[0];
    let expected = format!(
        "hop 1 of 1 (http {}): CONNECT chat.internal:443 refused: 403 Forbidden",
        refuses.address
    );
    assert_eq!(field(record, "detail"), expected);
    assert_eq!(field(record, "reason"), "proxy_refused");
    assert_eq!(field(record, "hop"), "1");
    assert_eq!(field(record, "step"), "tunnel");
    assert_eq!(answer.body, "The backend could not be reached.\n");
    for word in [
        "chat.internal",
        "127.0.0.1",
        "403",
        "Forbidden",
        "proxy",
        "hop",
    ] {
        assert!(!answer.head.contains(word), "{word}: {}", answer.head);
    }
}

#[tokio::test]
async fn the_second_hop_of_a_chain_is_named_as_the_second() {
    let far = proxy_that_refuses("HTTP/1.1 502 No route\r\n\r\n").await;
    let near = proxy_that_says(OK, far.address).await;
    let hop = "[[egress.egress0.hop]]\nurl = \"http://far.internal:3128\"";
    let gateway = started(
        gateway()
            .via(near.address)
            .hop(hop)
            .route("/", "ws://chat.internal"),
    );
    let answer = ask(gateway.address, &handshake("/").bytes()).await;
    assert_eq!(answer.status, 502);
    let record = &gateway.logs(1, "\"request refused\"").await[0];
    assert_eq!(
        field(record, "detail"),
        "hop 2 of 2 (http far.internal:3128): CONNECT chat.internal:80 refused: 502 No route"
    );
    assert_eq!(field(record, "hop"), "2");
    assert!(
        near.heard(0)
            .starts_with("CONNECT far.internal:3128 HTTP/1.1\r\n")
    );
}
