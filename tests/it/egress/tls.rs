//! TLS to a proxy, to a backend, and to one inside the other.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use throughway::egress::{Hop, Server, TlsTo};
use throughway::net::tls;
use tokio_rustls::TlsAcceptor;

use crate::support::backend::{answer, backend, good_101};
use crate::support::dialling::{
    TOKEN, assert_echoes, by_to, direct, failed, known_at, linked, server, server_at,
};
use crate::support::proxy::{ASKS_AND_STAYS, OK, say};
use crate::support::script::{Act, Script};

/// An authority, a server that has its certificate, and a client that trusts it.
pub(crate) struct Identity {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) to: TlsTo,
}

pub(crate) fn identity(name: &str) -> Identity {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name
        .push(DnType::CommonName, format!("authority of {name}"));
    let ca_der = ca.self_signed(&ca_key).unwrap().der().clone();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Identity {
        acceptor: acceptor(leaf.der().clone(), key),
        to: trusting(name, Some(ca_der)),
    }
}

fn acceptor(cert: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> TlsAcceptor {
    let config = rustls::ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn trusting(name: &str, ca: Option<CertificateDer<'static>>) -> TlsTo {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(ca);
    TlsTo {
        config: tls::client(roots, None).unwrap(),
        name: ServerName::try_from(name.to_owned()).unwrap(),
    }
}

pub(crate) fn trusting_nobody(name: &str) -> TlsTo {
    trusting(name, None)
}

fn echoes() -> Vec<Act> {
    vec![Act::Head, answer(|head| good_101(head, "", "")), Act::Echo]
}

pub(crate) async fn tls_backend(identity: &Identity) -> Script {
    Script::play(vec![echoes()], Some(identity.acceptor.clone())).await
}

/// wss://chat.internal, which only a proxy can resolve.
pub(crate) fn inside(to: &TlsTo) -> Server {
    server("chat.internal", 443, Some(to.clone()))
}

#[tokio::test]
async fn tls_to_a_backend() {
    let identity = identity("chat.internal");
    let backend = tls_backend(&identity).await;
    let server = Server {
        tls: Some(identity.to.clone()),
        ..server_at(backend.address)
    };
    assert_echoes(linked(&direct(vec![server])).await).await;
}

#[tokio::test]
async fn tls_to_a_proxy() {
    let identity = identity("proxy.corp.example");
    let backend = backend(echoes()).await;
    let script = vec![
        Act::Head,
        say(ASKS_AND_STAYS),
        Act::Head,
        say(OK),
        Act::Tunnel(backend.address),
    ];
    let proxy = Script::play(vec![script], Some(identity.acceptor.clone())).await;
    let hop = Hop {
        tls: Some(identity.to.clone()),
        ..known_at(proxy.address)
    };
    let plain = server("chat.internal", 80, None);
    assert_echoes(linked(&by_to(plain, vec![hop])).await).await;
    assert!(proxy.heard(0).contains(TOKEN));
    assert!(!backend.heard(0).contains(TOKEN));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let identity = identity("chat.internal");
    let backend = tls_backend(&identity).await;
    let other = TlsTo {
        config: identity.to.config.clone(),
        name: ServerName::try_from("other.internal").unwrap(),
    };
    let server = Server {
        tls: Some(other),
        ..server_at(backend.address)
    };
    let error = failed(&direct(vec![server])).await;
    assert!(
        error
            .to_string()
            .contains("not valid for name \"other.internal\""),
        "{error}"
    );
    assert!(error.retry_safe());
}

#[tokio::test]
async fn a_store_without_roots_trusts_nobody() {
    let identity = identity("chat.internal");
    let backend = tls_backend(&identity).await;
    let server = Server {
        tls: Some(trusting_nobody("chat.internal")),
        ..server_at(backend.address)
    };
    assert_eq!(failed(&direct(vec![server])).await.reason(), "tls");
}
