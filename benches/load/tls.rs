//! TLS as every run uses it: 1.3, X25519, AES-128-GCM, a P-256 certificate. The generator offers
//! nothing else, so every proxy does the same cryptography.

use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use crate::failure::Failure;

/// The name in the certificate of every listener.
pub(crate) const NAME: &str = "localhost";

/// How many servers a client remembers tickets of; there is one.
const REMEMBERED: usize = 4;

/// Whether a client comes back with a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tickets {
    Used,
    Refused,
}

pub(crate) fn client(ca: &Path, tickets: Tickets) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(because("the authority"))?;
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(because("the client's TLS"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = match tickets {
        Tickets::Used => Resumption::in_memory_sessions(REMEMBERED),
        Tickets::Refused => Resumption::disabled(),
    };
    Ok(Arc::new(config))
}

pub(crate) fn server(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, Failure> {
    let key = PrivateKeyDer::from_pem_file(key).map_err(because("the key"))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(because("the backend's TLS"))?
        .with_no_client_auth()
        .with_single_cert(certificates(cert)?, key)
        .map_err(because("the certificate"))?;
    Ok(Arc::new(config))
}

pub(crate) fn call(config: &Arc<ClientConfig>) -> Result<rustls::Connection, Failure> {
    let name = ServerName::try_from(NAME).map_err(because("the server's name"))?;
    let call = ClientConnection::new(config.clone(), name);
    Ok(call.map_err(because("a client's TLS"))?.into())
}

pub(crate) fn take(config: &Arc<ServerConfig>) -> Result<rustls::Connection, Failure> {
    let taken = ServerConnection::new(config.clone());
    Ok(taken.map_err(because("a backend's TLS"))?.into())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(because("the certificate's file"))
}

fn because<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Failure {
    move |error| Failure::Broken(format!("{what}: {error}"))
}
