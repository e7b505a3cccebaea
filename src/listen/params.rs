//! What a listener is told.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;

/// One listener.
#[derive(Clone)]
pub struct Params {
    /// Its name in the file and in every record.
    pub name: String,
    /// Where it listens; never empty.
    pub bind: Vec<SocketAddr>,
    /// Present when it speaks TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Whose `X-Forwarded-*` and `Forwarded` are believed. Empty: nobody's.
    pub trusted_proxies: Vec<IpNet>,
}

impl std::fmt::Debug for Params {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Params")
            .field("name", &self.name)
            .field("bind", &self.bind)
            .field("tls", &self.tls.is_some())
            .field("trusted_proxies", &self.trusted_proxies)
            .finish()
    }
}
