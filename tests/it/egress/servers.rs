//! Which server is tried, which is skipped, and when there is no next one.

use std::net::SocketAddr;
use std::time::Duration;

use throughway::egress::{Fault, Server, Steps, Way};
use tokio::net::{TcpListener, TcpStream};

use crate::support::backend::{backend, echo_backend};
use crate::support::dialling::{
    assert_echoes, backend_by, direct, egress, failed, hop, linked, request, server, server_at,
    server_inside,
};
use crate::support::proxy::{OK, proxy_that_refuses, say};
use crate::support::script::Act;

/// An address at which nothing listens.
pub(crate) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// An address whose SYNs vanish: a listener that accepts nobody and whose queue is full.
pub(crate) struct Blackhole {
    pub(crate) address: SocketAddr,
    _listener: socket2::Socket,
    _queued: Vec<TcpStream>,
}

pub(crate) async fn blackhole() -> Blackhole {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    // As many as the queue takes, which is the kernel's to say.
    let patience = Duration::from_millis(100);
    while let Ok(tcp) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
        queued.push(tcp.unwrap());
    }
    Blackhole {
        address,
        _listener: socket,
        _queued: queued,
    }
}

#[tokio::test]
async fn a_blackhole_costs_its_deadline_and_is_a_timeout() {
    let hole = blackhole().await;
    let mut backend = direct(vec![server_at(hole.address), server_at(hole.address)]);
    backend.timeouts.connect = Duration::from_millis(200);
    let error = failed(&backend).await;
    let one = format!("server ws://{0}: connect to {0}: timed out", hole.address);
    assert_eq!(error.to_string(), format!("{one}; {one}"));
    assert!(error.timed_out() && error.retry_safe());
    assert_eq!(error.outside(), "The backend did not answer in time.");
}

#[tokio::test]
async fn a_blackhole_is_skipped_for_the_next_server() {
    let (hole, alive) = (blackhole().await, echo_backend().await);
    let mut backend = direct(vec![server_at(hole.address), server_at(alive.address)]);
    backend.timeouts.connect = Duration::from_millis(200);
    assert_echoes(linked(&backend).await).await;
}

#[tokio::test]
async fn no_server_is_tried_once_the_total_is_spent() {
    let (hole, alive) = (blackhole().await, echo_backend().await);
    let mut backend = direct(vec![server_at(hole.address), server_at(alive.address)]);
    backend.timeouts.total = Duration::from_millis(200);
    let error = failed(&backend).await;
    let expected = format!("server ws://{0}: connect to {0}: timed out", hole.address);
    assert_eq!(error.to_string(), expected);
    assert!(error.timed_out());
    assert_eq!(alive.connections(), 0);
}

#[tokio::test]
async fn a_refused_connection_names_server_and_address() {
    let nobody = nobody().await;
    let error = failed(&direct(vec![server_at(nobody)])).await;
    let expected = format!("server ws://{nobody}: connect to {nobody}: connection refused");
    assert_eq!(error.to_string(), expected);
    assert_eq!((error.reason(), error.fault()), ("tcp", Fault::Backend));
    assert!(error.retry_safe() && !error.timed_out());
}

#[tokio::test]
async fn a_refused_connection_to_a_proxy_names_the_hop() {
    let nobody = nobody().await;
    let way = Way::Through(std::sync::Arc::new(egress(vec![hop(nobody)])));
    let error = failed(&backend_by(vec![server_inside()], way)).await;
    let expected = format!("hop 1 of 1 (http {nobody}): connect to {nobody}: connection refused");
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.fault(), Fault::Hop(1));
}

#[tokio::test]
async fn a_name_without_address_is_named() {
    let error = failed(&direct(vec![server("no-such-host.invalid", 80, None)])).await;
    let expected = "server ws://no-such-host.invalid:80: resolve no-such-host.invalid: ";
    assert!(error.to_string().starts_with(expected), "{error}");
    assert_eq!(error.reason(), "dns");
}

#[tokio::test]
async fn a_name_is_resolved_where_we_go_directly() {
    let backend = echo_backend().await;
    let server = server("localhost", backend.address.port(), None);
    assert_echoes(linked(&direct(vec![server])).await).await;
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_skipped_for_the_next() {
    let alive = echo_backend().await;
    let dead = || async { server_at(nobody().await) };
    let servers = vec![dead().await, dead().await, server_at(alive.address)];
    let backend = direct(servers);
    for _ in 0..3 {
        let link = linked(&backend).await;
        assert_eq!(link.server, format!("ws://{}", alive.address));
        assert_echoes(link).await;
    }
}

#[tokio::test]
async fn a_server_that_the_proxy_refuses_is_skipped_for_the_next() {
    // The first server is refused, the second one's CONNECT goes on another connection.
    let alive = echo_backend().await;
    let refuses = vec![Act::Head, say("HTTP/1.1 503 Down\r\n\r\n")];
    let opens = vec![Act::Head, say(OK), Act::Tunnel(alive.address)];
    let proxy = crate::support::proxy::proxy_by_turns(vec![refuses, opens]).await;
    let way = Way::Through(std::sync::Arc::new(egress(vec![hop(proxy.address)])));
    let servers = vec![server("a.internal", 1, None), server("b.internal", 2, None)];
    let link = linked(&backend_by(servers, way)).await;
    assert_eq!(link.server, "ws://b.internal:2");
    assert_echoes(link).await;
}

#[tokio::test]
async fn every_server_that_failed_is_told() {
    let (a, b) = (nobody().await, nobody().await);
    let error = failed(&direct(vec![server_at(a), server_at(b)])).await;
    let expected = format!(
        "server ws://{a}: connect to {a}: connection refused; \
         server ws://{b}: connect to {b}: connection refused"
    );
    assert_eq!(error.to_string(), expected);

    let proxy = proxy_that_refuses("HTTP/1.1 503 Down\r\n\r\n").await;
    let way = Way::Through(std::sync::Arc::new(egress(vec![hop(proxy.address)])));
    let error = failed(&backend_by(vec![server_inside(), server_inside()], way)).await;
    let one = format!(
        "server ws://chat.internal:9000 by hop 1 of 1 (http {}): \
         CONNECT chat.internal:9000 refused: 503 Down",
        proxy.address
    );
    assert_eq!(error.to_string(), format!("{one}; {one}"));
}

#[tokio::test]
async fn sessions_start_at_one_server_after_the_other() {
    let (a, b) = (echo_backend().await, echo_backend().await);
    let backend = direct(vec![server_at(a.address), server_at(b.address)]);
    for _ in 0..4 {
        linked(&backend).await;
    }
    assert_eq!((a.connections(), b.connections()), (2, 2));
}

#[tokio::test]
async fn there_is_no_next_server_once_the_request_was_sent() {
    let alive = echo_backend().await;
    for script in [
        vec![Act::Head],
        vec![Act::Head, say("HTTP/1.1 101 Wrong\r\n\r\n"), Act::Stall],
        vec![Act::Head, Act::Reset],
    ] {
        let broken = backend(script).await;
        let error = failed(&direct(vec![
            server_at(broken.address),
            server_at(alive.address),
        ]))
        .await;
        assert!(!error.retry_safe(), "{error}");
    }
    assert_eq!(alive.connections(), 0);
}

#[tokio::test]
async fn one_timeout_among_other_failures_is_no_timeout() {
    let stalls = backend(vec![Act::Stall]).await;
    let dead = server_at(nobody().await);
    let mut backend = direct(vec![dead, server_at(stalls.address)]);
    backend.timeouts.upgrade = Duration::from_millis(200);
    let error = failed(&backend).await;
    assert!(!error.timed_out(), "{error}");
    assert_eq!(error.reason(), "timeout");
}

#[tokio::test]
async fn a_server_that_never_shakes_hands_is_skipped_after_its_deadline() {
    // TLS towards a listener that accepts and says nothing.
    let silent = backend(vec![Act::Stall]).await;
    let alive = echo_backend().await;
    let tls = super::tls::trusting_nobody("silent.internal");
    let first = Server {
        tls: Some(tls),
        ..server_at(silent.address)
    };
    let mut backend = direct(vec![first, server_at(alive.address)]);
    backend.timeouts.tls = Duration::from_millis(200);
    assert_echoes(linked(&backend).await).await;
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_dials_nobody() {
    let alive = echo_backend().await;
    let backend = direct(vec![server_at(alive.address), server_at(alive.address)]);
    let mut request = request();
    request.path_and_query = "/a b\r\nX: y".to_owned();
    let error = throughway::egress::dial(&backend, &request, &Steps::deaf())
        .await
        .unwrap_err();
    assert_eq!((error.reason(), error.fault()), ("request", Fault::Ours));
    assert!(error.retry_safe());
    assert!(!error.to_string().contains('\n'));
    assert_eq!(alive.connections(), 0);
}
