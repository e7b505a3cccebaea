//! What is sent to a proxy, and what its reply means.

use throughway::egress::Fault;

use crate::support::backend::echo_backend;
use crate::support::dialling::backend_by;
use crate::support::dialling::{assert_echoes, by, egress, failed, hop, linked, server_inside};
use crate::support::proxy::{OK, proxy, proxy_that_refuses, proxy_that_says};
use crate::support::script::Act;

#[tokio::test]
async fn a_chain_tells_each_hop_of_the_next_alone() {
    let backend = echo_backend().await;
    let second = proxy_that_says(OK, backend.address).await;
    let first = proxy_that_says(OK, second.address).await;
    let link = linked(&by(vec![hop(first.address), hop(second.address)])).await;
    assert_eq!(link.egress, "corp");
    assert_eq!(link.server, "ws://chat.internal:9000");
    assert_echoes(link).await;
    let to_first = format!("CONNECT {} HTTP/1.1\r\n", second.address);
    assert!(first.heard(0).starts_with(&to_first));
    assert!(
        second
            .heard(0)
            .starts_with("CONNECT chat.internal:9000 HTTP/1.1\r\n")
    );
    assert!(backend.heard(0).starts_with("GET /ws?room=1 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_failure_at_the_second_hop_names_the_second_hop() {
    let second = proxy_that_refuses("HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
    let first = proxy_that_says(OK, second.address).await;
    let error = failed(&by(vec![hop(first.address), hop(second.address)])).await;
    let expected = format!(
        "hop 2 of 2 (http {}): CONNECT chat.internal:9000 refused: 502 Bad Gateway",
        second.address
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.fault(), Fault::Hop(2));
}

#[tokio::test]
async fn a_unix_server_is_always_reached_directly() {
    use throughway::egress::{ServerAddress, Way};
    let dir = tempfile::tempdir().unwrap();
    let mut server = server_inside();
    server.address = ServerAddress::Unix(dir.path().join("chat.sock"));
    server.url = "ws+unix:chat.sock".to_owned();
    let proxy = proxy(vec![Act::Stall]).await;
    let way = Way::Through(std::sync::Arc::new(egress(vec![hop(proxy.address)])));
    let error = failed(&backend_by(vec![server], way)).await;
    assert!(
        error
            .to_string()
            .starts_with("server ws+unix:chat.sock: connect to unix:"),
        "{error}"
    );
    assert_eq!(proxy.connections(), 0);
}
