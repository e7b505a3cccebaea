//! Where the two ends of a conversation come from: through a gateway in this process, or without
//! one.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::support::backend::good_101;
use crate::support::certs::{DevCert, dev_certificate};
use crate::support::client::{Client, handshake};
use crate::support::ends::Ends;
use crate::support::far::Far;
use crate::support::gateway::{Builder, Running, gateway};
use crate::support::sockets::tcp_pair;

const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate";

/// A gateway between clients and a backend that is a test's own.
pub(super) struct Street {
    gateway: Running,
    /// Of a listener that speaks TLS.
    cert: Option<DevCert>,
    /// Locked while a session opens, so that its two ends find each other.
    listener: Mutex<TcpListener>,
}

impl Street {
    /// With these keys for the route besides its origins.
    pub(super) async fn new(keys: &str) -> Self {
        Self::with(keys, "", "timeout = \"2s\"").await
    }

    /// And these for the backend, and for `drain`.
    pub(super) async fn with(keys: &str, backend_keys: &str, drain: &str) -> Self {
        Self::run(gateway().draining(drain), None, keys, backend_keys).await
    }

    /// The clients' legs are carried by TLS.
    pub(super) async fn over_tls(keys: &str) -> Self {
        let cert = dev_certificate(&["chat.test"]);
        Self::run(gateway().tls(&cert), Some(cert), keys, "").await
    }

    async fn run(builder: Builder, cert: Option<DevCert>, keys: &str, backend_keys: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("ws://{}", listener.local_addr().unwrap());
        let gateway = builder
            .keys(&format!("origins = \"any\"\n{keys}"))
            .route_to("/", &[server], backend_keys)
            .run();
        Self {
            gateway,
            cert,
            listener: Mutex::new(listener),
        }
    }

    /// A session; with `deflate`, both ends have agreed on permessage-deflate.
    pub(super) async fn open(&self, deflate: bool) -> Ends {
        self.open_with(deflate, &[]).await
    }

    /// The same, with these bytes of the backend's glued to its 101.
    pub(super) async fn open_with(&self, deflate: bool, tail: &[u8]) -> Ends {
        let listener = self.listener.lock().await;
        let (offer, agreed) = match deflate {
            true => (handshake("/").with(DEFLATE), format!("{DEFLATE}\r\n")),
            false => (handshake("/"), String::new()),
        };
        let mut client = match &self.cert {
            None => Client::connect(self.gateway.address).await,
            Some(cert) => Client::connect_tls(self.gateway.address, cert).await,
        };
        client.send(&offer.bytes()).await;
        let (mut backend, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(backend.read_u8().await.unwrap());
        }
        let answer = good_101(&String::from_utf8_lossy(&head), &agreed, "");
        let answer = [answer.as_bytes(), tail].concat();
        backend.write_all(&answer).await.unwrap();
        assert_eq!(client.head().await.status, 101);
        unbuffered(client.stream, Far::Left(backend))
    }

    /// Ends it, as a signal does.
    pub(super) async fn drain(self) {
        self.gateway.gateway.drain(std::future::pending()).await;
    }
}

/// A connection with nothing in between.
pub(super) async fn direct() -> Ends {
    let (client, backend) = tcp_pair().await;
    unbuffered(Far::Left(client), Far::Left(backend))
}

/// What is written leaves at once, so that it can be cut where a test wants to.
fn unbuffered(client: Far, backend: Far) -> Ends {
    for end in [&client, &backend] {
        crate::support::far::tcp(end).set_nodelay(true).unwrap();
    }
    Ends { client, backend }
}
