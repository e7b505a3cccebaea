//! Sessions whose both ends a test holds, through a gateway that is a process.
//!
//! Knows the handshake and nothing of what is said after it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::PATIENCE;
use super::backend::good_101;
use super::certs::{DevCert, dev_certificate};
use super::client::{Client, handshake};
use super::far::{Far, tcp};
use super::gateway::gateway;
use super::started::{Started, started};

/// The name on the certificate of either side.
const NAME: &str = "chat.test";

/// How a leg is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    Plain,
    Tls,
}

/// A gateway with one route, from clients that are carried one way to a backend that is carried
/// another.
#[derive(Debug)]
pub struct Street {
    pub gateway: Started,
    legs: (Carried, Carried),
    cert: DevCert,
    backend: Held,
}

/// Both ends of a session.
#[derive(Debug)]
pub struct Ends {
    pub client: Far,
    pub backend: Far,
}

/// A backend that hands out its connections.
pub struct Held {
    pub address: SocketAddr,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a backend at {}", self.address)
    }
}

impl Held {
    /// One that listens, with TLS if there is any.
    pub async fn new(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self {
            address,
            listener,
            tls,
        }
    }

    /// The next connection, once it has been answered with its 101.
    pub async fn next(&self) -> Far {
        let (tcp, _) = self.listener.accept().await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let mut stream = match &self.tls {
            None => Far::Left(tcp),
            Some(tls) => Far::Right(tls.accept(tcp).await.unwrap().into()),
        };
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let answer = good_101(&String::from_utf8_lossy(&head), "", "");
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        stream
    }
}

impl Street {
    /// With these legs, and these keys for the route besides its origins. What is said on it is no
    /// frames.
    pub async fn new(client: Carried, backend: Carried, keys: &str) -> Self {
        Self::of_frames(client, backend, &format!("frames = \"opaque\"\n{keys}")).await
    }

    /// With these legs and keys. What is said on it is frames.
    pub async fn of_frames(client: Carried, backend: Carried, keys: &str) -> Self {
        let cert = dev_certificate(&[NAME]);
        let held = Held::new((backend == Carried::Tls).then(|| cert.acceptor())).await;
        let mut builder = gateway().keys(&format!("origins = \"any\"\n{keys}"));
        cert.write_to(builder.dir());
        if client == Carried::Tls {
            builder = builder.tls(&cert);
        }
        builder = match backend {
            Carried::Plain => builder.route("/", format!("ws://{}", held.address)),
            Carried::Tls => builder.route_to(
                "/",
                &[format!("wss://{}", held.address)],
                &format!("tls = {{ ca = \"ca.pem\", server_name = \"{NAME}\" }}"),
            ),
        };
        Self {
            gateway: started(builder),
            legs: (client, backend),
            cert,
            backend: held,
        }
    }

    /// How both legs are carried.
    pub fn legs(&self) -> (Carried, Carried) {
        self.legs
    }

    /// One more session.
    pub async fn open(&self) -> Ends {
        let both = async { tokio::join!(self.client(), self.backend.next()) };
        let (client, backend) = timeout(PATIENCE, both).await.expect("a session in time");
        Ends { client, backend }
    }

    async fn client(&self) -> Far {
        let mut client = match self.legs.0 {
            Carried::Plain => Client::connect(self.gateway.address).await,
            Carried::Tls => Client::connect_tls(self.gateway.address, &self.cert).await,
        };
        client.send(&handshake("/").bytes()).await;
        assert_eq!(client.head().await.status, 101);
        client.stream
    }
}

/// Sends all of `bytes`.
pub async fn say(stream: &mut Far, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
}

/// Exactly `n` bytes.
pub async fn hear(stream: &mut Far, n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    let read = timeout(PATIENCE, stream.read_exact(&mut bytes)).await;
    read.expect("bytes in time").expect("all of them");
    bytes
}

/// Everything to the end of the connection, whether that is an orderly one or not.
pub async fn last_words(stream: &mut Far) -> Vec<u8> {
    let mut bytes = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // A missing close_notify and a reset are ends, too: what counts here is what came before.
    drop(end.expect("the connection ends"));
    bytes
}

/// Ends the connection with RST.
pub fn reset(stream: &Far) {
    tcp(stream).set_zero_linger().unwrap();
}
