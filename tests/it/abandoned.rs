//! A client that leaves before it has its answer.

use crate::support::backend::backend;
use crate::support::certs::dev_certificate;
use crate::support::client::{Client, handshake};
use crate::support::eventually;
use crate::support::gateway::gateway;
use crate::support::script::Act;

/// Clients give up and come again while a slow proxy or backend is being waited for; without this,
/// each of them would hold its place and a connection behind it until the dial's last deadline.
#[tokio::test]
async fn a_dial_ends_with_the_client_that_asked_for_it() {
    let cert = dev_certificate(&["localhost"]);
    for tls in [false, true] {
        let backend = backend(vec![Act::Head, Act::Stall]).await;
        let mut builder = gateway();
        if tls {
            builder = builder.tls(&cert);
        }
        let running = builder
            .route("/ws", format!("ws://{}", backend.address))
            .run();
        let mut client = match tls {
            false => Client::connect(running.address).await,
            true => Client::connect_tls(running.address, &cert).await,
        };
        client.send(&handshake("/ws").bytes()).await;
        eventually("the backend is asked", || backend.connections() == 1).await;
        assert_eq!(running.gateway.sessions(), 1);
        drop(client);
        eventually("the session is gone", || running.gateway.sessions() == 0).await;
    }
}
