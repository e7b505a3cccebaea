//! Backends and egresses as the configuration would make them, and one dial of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use throughway::egress::{
    Auth, Backend, Choice, Credentials, Declined, DialError, Egress, Hop, HopTimeouts, Link,
    Protocol, Reached, Request, Secret, Server, ServerAddress, Steps, Timeouts, TlsTo, Versions,
    Way, dial,
};
use throughway::policy::limits::Ping;
use throughway::policy::no_proxy::NoProxy;
use throughway::policy::pool::RoundRobin;
use throughway::wire::authority::Host;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const USER: &str = "alice";
pub const PASSWORD: &str = "open sesame";
/// `alice:open sesame`.
pub const TOKEN: &str = "YWxpY2U6b3BlbiBzZXNhbWU=";

pub fn host(text: &str) -> Host {
    Host::parse(text).unwrap()
}

/// A plain server at this address.
pub fn server_at(address: SocketAddr) -> Server {
    server(&address.ip().to_string(), address.port(), None)
}

pub fn server(name: &str, port: u16, tls: Option<TlsTo>) -> Server {
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    Server {
        url: format!("{scheme}://{name}:{port}"),
        address: ServerAddress::Tcp(host(name), port),
        tls,
        base_path: String::new(),
        host_header: format!("{name}:{port}"),
    }
}

/// The server that only a proxy can resolve.
pub fn server_inside() -> Server {
    server("chat.internal", 9000, None)
}

pub fn direct(servers: Vec<Server>) -> Backend {
    backend_by(servers, Way::Direct)
}

/// The server inside, by these hops.
pub fn by(hops: Vec<Hop>) -> Backend {
    by_to(server_inside(), hops)
}

pub fn by_to(server: Server, hops: Vec<Hop>) -> Backend {
    backend_by(vec![server], Way::Through(Arc::new(egress(hops))))
}

pub fn egress(hops: Vec<Hop>) -> Egress {
    Egress {
        name: "corp".to_owned(),
        no_proxy: NoProxy::default(),
        hops,
        timeouts: HopTimeouts::default(),
        warm: None,
    }
}

pub fn backend_by(servers: Vec<Server>, way: Way) -> Backend {
    Backend {
        name: "chat".to_owned(),
        servers,
        turn: RoundRobin::default(),
        way,
        ping: Ping::Off,
        timeouts: Timeouts::default(),
    }
}

pub fn hop(address: SocketAddr) -> Hop {
    Hop {
        host: Host::Ip(address.ip()),
        port: address.port(),
        protocol: Protocol::Http,
        tls: None,
        credentials: None,
        auth: Auth::default(),
        versions: Versions::default(),
    }
}

pub fn hop_with(address: SocketAddr, user: &str, password: &str) -> Hop {
    Hop {
        credentials: Some(Credentials {
            user: Secret::new(user.to_owned()),
            password: Secret::new(password.to_owned()),
        }),
        ..hop(address)
    }
}

/// A hop with credentials that are told by this scheme.
pub fn hop_by(address: SocketAddr, choice: Choice) -> Hop {
    Hop {
        auth: Auth::by(choice),
        ..known_at(address)
    }
}

/// A hop with credentials.
pub fn known_at(address: SocketAddr) -> Hop {
    hop_with(address, USER, PASSWORD)
}

pub fn request() -> Request {
    let mut headers = HeaderMap::new();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static(KEY));
    Request {
        path_and_query: "/ws?room=1".to_owned(),
        host: Some("chat.example.com".to_owned()),
        headers,
        key: KEY.to_owned(),
        subprotocols: vec!["chat.v1".to_owned()],
        subprotocols_required: Vec::new(),
        extensions_offered: vec!["permessage-deflate".to_owned()],
    }
}

/// Dials, and fails the test rather than hang when the dial outlives every deadline it has.
pub async fn attempt(backend: &Backend) -> Result<Reached, DialError> {
    let most = backend.timeouts.total + Duration::from_secs(5);
    let dialled = tokio::time::timeout(most, dial(backend, &request(), &Steps::deaf())).await;
    dialled.expect("the dial kept its total")
}

pub async fn linked(backend: &Backend) -> Link {
    match attempt(backend).await {
        Ok(Reached::Switched(link)) => link,
        Ok(Reached::Declined(declined)) => panic!("declined: {declined:?}"),
        Err(error) => panic!("failed: {error}"),
    }
}

pub async fn declined(backend: &Backend) -> Declined {
    match attempt(backend).await {
        Ok(Reached::Declined(declined)) => declined,
        Ok(Reached::Switched(link)) => panic!("switched: {link:?}"),
        Err(error) => panic!("failed: {error}"),
    }
}

/// The error, which holds no secret of ours.
pub async fn failed(backend: &Backend) -> DialError {
    let error = match attempt(backend).await {
        Ok(reached) => panic!("reached: {reached:?}"),
        Err(error) => error,
    };
    let shown = format!("{error} {error:?} {backend:?}");
    for secret in [USER, PASSWORD, TOKEN] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(!error.to_string().contains(['\n', '\r', '\x1b']), "{error}");
    error
}

/// That the link carries bytes both ways to an echo.
pub async fn assert_echoes(mut link: Link) {
    link.stream.write_all(b"hello").await.unwrap();
    link.stream.flush().await.unwrap();
    let mut back = [0; 5];
    link.stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");
}
