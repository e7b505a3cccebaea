//! TLS configurations for both ends, from parsed certificates: no file is read here.
//!
//! One library (rustls), one provider (aws-lc-rs), TLS 1.2 and 1.3, the provider's own order of
//! key exchanges (the hybrid X25519MLKEM768 first). Verification of the other side cannot be
//! turned off.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::verify::Naming;

/// What we speak inside TLS with clients and backends (RFC 7301 §6); saying so keeps a server from
/// answering in h2.
pub const ALPN_HTTP1: &[u8] = b"http/1.1";
/// HTTP/2 over TLS (RFC 9113 §3.2): with proxies that want it.
pub const ALPN_HTTP2: &[u8] = b"h2";

/// The lowest protocol version a listener or a leg accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MinVersion {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 only.
    Tls13,
}

impl MinVersion {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static FROM_12: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
        static FROM_13: [&SupportedProtocolVersion; 1] = [&version::TLS13];
        match self {
            Self::Tls12 => &FROM_12,
            Self::Tls13 => &FROM_13,
        }
    }
}

/// The one crypto provider of the process.
pub fn provider() -> Arc<CryptoProvider> {
    // A process-wide value, so that every configuration shares it; building it is cheap anyhow.
    Arc::new(aws_lc_rs::default_provider())
}

/// A certificate chain with its key, and the host patterns it is served for.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// Exact names (`chat.example.com`) and one-label wildcards (`*.chat.example.com`), in lower
    /// case.
    pub hosts: Vec<String>,
    /// The chain and its signing key.
    pub key: Arc<CertifiedKey>,
}

/// Which certificate answers which SNI name: exact first, then one-label wildcard, then the
/// first certificate of all, also for a client that sends no name.
#[derive(Debug)]
pub struct BySni {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// Keyed by what follows the `*.`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
}

impl BySni {
    /// `None` when there is no certificate at all. Where two name the same host, the first wins.
    pub fn new(certificates: &[Certificate]) -> Option<Self> {
        let default = certificates.first()?.key.clone();
        let mut exact = HashMap::new();
        let mut wildcard = HashMap::new();
        for certificate in certificates {
            for host in &certificate.hosts {
                let (map, name) = match host.strip_prefix("*.") {
                    Some(parent) => (&mut wildcard, parent),
                    None => (&mut exact, host.as_str()),
                };
                map.entry(name.to_owned())
                    .or_insert_with(|| certificate.key.clone());
            }
        }
        Some(Self {
            exact,
            wildcard,
            default,
        })
    }

    fn find(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let Some(name) = name.map(str::to_ascii_lowercase) else {
            return self.default.clone();
        };
        let by_parent = || {
            let (_, parent) = name.split_once('.')?;
            self.wildcard.get(parent)
        };
        self.exact
            .get(&name)
            .or_else(by_parent)
            .unwrap_or(&self.default)
            .clone()
    }
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.find(hello.server_name()))
    }
}

/// The server side of a listener. With `client_ca`, only clients that show a certificate from it
/// get through the handshake. Sessions resume by ticket (RFC 8446 §2.2); early data is off,
/// because an upgrade must not be replayable.
pub fn server(
    certificates: BySni,
    min_version: MinVersion,
    client_ca: Option<RootCertStore>,
) -> Result<Arc<ServerConfig>, TlsConfigError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(min_version.versions())?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = vec![ALPN_HTTP1.to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(Arc::new(config))
}

/// The client side of a leg: towards a backend or towards a proxy, each with its own. `identity`
/// is the chain and key shown when the other side asks for a client certificate.
pub fn client(
    roots: RootCertStore,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<Arc<ClientConfig>, TlsConfigError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(MinVersion::Tls12.versions())?;
    let roots = Arc::new(roots);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider()).build();
    let builder = match verifier {
        Ok(verifier) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Naming(verifier))),
        // Only an empty store is refused, and that one refuses every certificate by itself.
        Err(_) => builder.with_root_certificates(roots),
    };
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
    };
    config.alpn_protocols = vec![ALPN_HTTP1.to_vec()];
    Ok(Arc::new(config))
}

/// The same, offering these protocols by ALPN, the most welcome first. Sessions are resumed across
/// all that come from the same one.
pub fn offering(config: &ClientConfig, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    Arc::new(config)
}

/// Why a TLS configuration could not be built.
#[derive(Debug)]
pub enum TlsConfigError {
    /// rustls refused the chain, the key or the protocol versions.
    Rustls(rustls::Error),
    /// The client CA holds no usable certificate.
    ClientCa(rustls::server::VerifierBuilderError),
}

impl From<rustls::Error> for TlsConfigError {
    fn from(error: rustls::Error) -> Self {
        Self::Rustls(error)
    }
}

impl From<rustls::server::VerifierBuilderError> for TlsConfigError {
    fn from(error: rustls::server::VerifierBuilderError) -> Self {
        Self::ClientCa(error)
    }
}

impl std::fmt::Display for TlsConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rustls(error) => error.fmt(f),
            Self::ClientCa(error) => write!(f, "client_ca: {error}"),
        }
    }
}

impl std::error::Error for TlsConfigError {}
