//! What egress is told: backends with their servers, and the proxies on the way to them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use zeroize::Zeroize;

use super::alternatives::Alternatives;
use super::auth::Auth;
use super::auto::Auto;
use super::by_scheme::ByScheme;
use super::pac::Pac;
use super::versions::{Offer, Versions};
use super::warm::Warm;
use crate::policy::limits::Ping;
use crate::policy::no_proxy::NoProxy;
use crate::policy::pool::RoundRobin;
use crate::wire::authority::Host;

/// A backend: one name, one or more servers that are each as good as the other.
#[derive(Debug)]
pub struct Backend {
    /// Its name in the file and in every record.
    pub name: String,
    /// Never empty.
    pub servers: Vec<Server>,
    /// Whose turn it is.
    pub turn: RoundRobin,
    /// How its servers are reached.
    pub way: Way,
    /// When its servers are asked for a sign of life.
    pub ping: Ping,
    /// The deadlines of one dial.
    pub timeouts: Timeouts,
}

/// One address of a backend.
#[derive(Debug)]
pub struct Server {
    /// The URL as configured; it holds no secret.
    pub url: String,
    /// Where it listens.
    pub address: ServerAddress,
    /// Present for `wss://`.
    pub tls: Option<TlsTo>,
    /// The path of its URL without a trailing slash, put in front of each request's path.
    pub base_path: String,
    /// The `Host` it is asked for when a route does not preserve the client's.
    pub host_header: String,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAddress {
    /// A host, resolved when dialled (or by the proxy), and a port.
    Tcp(Host, u16),
    /// A socket on this machine: always reached directly.
    Unix(PathBuf),
}

/// How a backend's servers are reached.
#[derive(Debug, Clone)]
pub enum Way {
    /// Straight.
    Direct,
    /// Through an egress, unless its `no_proxy` lets the server go direct.
    Through(Arc<Egress>),
    /// Through one of several chains, with the same exception.
    Among(Arc<Alternatives>),
    /// Through what was found for the server's scheme, with the same exception.
    ByScheme(Arc<ByScheme>),
    /// Through what a PAC script says of the server, with the same exception.
    Pac(Arc<Pac>),
    /// Through what is found, which is one of the others.
    Auto(Arc<Auto>),
}

/// A named way out: one or more proxies in a row.
#[derive(Debug)]
pub struct Egress {
    /// Its name in the file and in every record.
    pub name: String,
    /// Who goes direct all the same.
    pub no_proxy: NoProxy,
    /// The first is dialled, each opens a tunnel to the next, the last one to the server.
    /// Never empty.
    pub hops: Vec<Hop>,
    /// The deadlines of each hop.
    pub timeouts: HopTimeouts,
    /// The tunnels that are opened ahead, where any are.
    pub warm: Option<Warm>,
}

/// One proxy.
#[derive(Debug)]
pub struct Hop {
    /// Its host.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// How it is asked for a tunnel.
    pub protocol: Protocol,
    /// Present for `https://`: TLS to the proxy itself.
    pub tls: Option<TlsTo>,
    /// What it is told when it asks.
    pub credentials: Option<Credentials>,
    /// By which scheme it is told, and what is remembered of how it asks.
    pub auth: Auth,
    /// Which HTTP it is asked in, where it is asked in HTTP over TLS.
    pub versions: Versions,
}

impl Hop {
    /// A scheme that proves a connection needs one that carries nothing else, which a connection
    /// of HTTP/2 is not made to be.
    pub(super) fn offer(&self) -> Offer {
        match self.credentials.is_some() && self.auth.is_bound() {
            true => Offer::One,
            false => self.versions.offer(),
        }
    }
}

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// CONNECT over HTTP.
    Http,
    /// SOCKS5 (RFC 1928), never over TLS.
    Socks5(Resolve),
}

/// Who finds the address of what a SOCKS5 proxy is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolve {
    /// The gateway: `socks5://`.
    Here,
    /// The proxy: `socks5h://`.
    There,
}

/// TLS towards a server or a proxy.
#[derive(Clone)]
pub struct TlsTo {
    /// Roots, client certificate, versions.
    pub config: Arc<ClientConfig>,
    /// The name that is sent as SNI and that the certificate must cover.
    pub name: ServerName<'static>,
}

/// A user and a password for a proxy.
#[derive(Debug)]
pub struct Credentials {
    /// As the proxy knows the user; no colon for HTTP (RFC 7617 §2), 1 to 255 bytes for SOCKS5.
    pub user: Secret,
    /// May be empty for HTTP; 1 to 255 bytes for SOCKS5 (RFC 1929 §2).
    pub password: Secret,
}

/// A text that no log, error or debug print shows, wiped when dropped.
pub struct Secret(String);

/// The deadlines of one dial of a backend. Each step has its own; `total` bounds all servers and
/// steps together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution, when the gateway itself resolves.
    pub resolve: Duration,
    /// TCP, when the gateway itself connects to the server.
    pub connect: Duration,
    /// TLS to the server.
    pub tls: Duration,
    /// From the request's first byte to the end of the answer's head.
    pub upgrade: Duration,
    /// Everything.
    pub total: Duration,
}

/// The deadlines of each hop of an egress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HopTimeouts {
    /// Resolution of the first proxy's name, and of what a `socks5://` proxy is asked for.
    pub resolve: Duration,
    /// TCP to the first proxy.
    pub connect: Duration,
    /// TLS to a proxy.
    pub tls: Duration,
    /// From CONNECT, or a SOCKS greeting, to the end of the reply: holds the proxy's own
    /// resolution and dial.
    pub reply: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            tls: Duration::from_secs(5),
            upgrade: Duration::from_secs(15),
            total: Duration::from_secs(45),
        }
    }
}

impl Default for HopTimeouts {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            tls: Duration::from_secs(5),
            reply: Duration::from_secs(20),
        }
    }
}

impl Secret {
    /// Hides `text` from here on.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the bytes of a request and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for TlsTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTo")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Hop {
    /// Each scheme that a hop can have.
    pub const SCHEMES: [&'static str; 4] = ["http", "https", "socks5", "socks5h"];

    /// Its scheme, one of [`Hop::SCHEMES`].
    pub fn scheme(&self) -> &'static str {
        match (self.protocol, &self.tls) {
            (Protocol::Http, None) => "http",
            (Protocol::Http, Some(_)) => "https",
            (Protocol::Socks5(Resolve::Here), _) => "socks5",
            (Protocol::Socks5(Resolve::There), _) => "socks5h",
        }
    }
}

impl fmt::Display for Hop {
    /// As in `http proxy.corp.example:3128`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{}", self.scheme(), self.host, self.port)
    }
}
