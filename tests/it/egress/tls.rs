//! TLS to a proxy, to a backend, and to one inside the other.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use throughway::egress::{Fault, Hop, Server, TlsTo};
use throughway::net::tls;
use tokio_rustls::TlsAcceptor;

use crate::support::backend::{answer, backend, good_101};
use crate::support::dialling::{
    TOKEN, assert_echoes, by_to, direct, failed, hop, known_at, linked, server, server_at,
};
use crate::support::proxy::{ASKS_AND_STAYS, OK, proxy, proxy_that_says, say};
use crate::support::script::{Act, Script};

/// An authority, a server that has its certificate, and a client that trusts it.
struct Identity {
    acceptor: TlsAcceptor,
    to: TlsTo,
}

fn identity(name: &str) -> Identity {
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

pub(super) fn trusting_nobody(name: &str) -> TlsTo {
    trusting(name, None)
}

fn echoes() -> Vec<Act> {
    vec![Act::Head, answer(|head| good_101(head, "", "")), Act::Echo]
}

async fn tls_backend(identity: &Identity) -> Script {
    Script::play(vec![echoes()], Some(identity.acceptor.clone())).await
}

/// wss://chat.internal, which only a proxy can resolve.
fn inside(to: &TlsTo) -> Server {
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
async fn tls_in_tls_in_tls() {
    let inner = identity("chat.internal");
    let outer = identity("proxy.corp.example");
    let middle = identity("proxy-b.corp.example");
    let backend = tls_backend(&inner).await;
    let tunnel_to = |address| vec![Act::Head, say(OK), Act::Tunnel(address)];
    let second = Script::play(
        vec![tunnel_to(backend.address)],
        Some(middle.acceptor.clone()),
    )
    .await;
    let first = Script::play(
        vec![tunnel_to(second.address)],
        Some(outer.acceptor.clone()),
    )
    .await;
    let hops = vec![
        Hop {
            tls: Some(outer.to.clone()),
            ..hop(first.address)
        },
        Hop {
            tls: Some(middle.to.clone()),
            ..hop(second.address)
        },
    ];
    assert_echoes(linked(&by_to(inside(&inner.to), hops)).await).await;
    assert!(
        second
            .heard(0)
            .starts_with("CONNECT chat.internal:443 HTTP/1.1\r\n")
    );
}

#[tokio::test]
async fn bytes_ahead_of_the_tls_handshake_are_never_data() {
    let identity = identity("chat.internal");
    let backend = tls_backend(&identity).await;
    let glued = format!("{OK}HTTP/1.1 101 Switching Protocols\r\n\r\n");
    let proxy = proxy_that_says(&glued, backend.address).await;
    let error = failed(&by_to(inside(&identity.to), vec![hop(proxy.address)])).await;
    assert_eq!(
        error.to_string(),
        "server wss://chat.internal:443: TLS: the proxy sent 36 bytes ahead of the TLS handshake"
    );
    assert_eq!((error.reason(), error.fault()), ("tls", Fault::Backend));
    // No ClientHello followed.
    assert!(proxy.heard(0).ends_with("\r\n\r\n"));
}

#[tokio::test]
async fn an_answer_in_clear_is_named() {
    let identity = identity("chat.internal");
    let clear = say("HTTP/1.1 400 Bad Request\r\n\r\n");
    let proxy = proxy(vec![
        Act::Head,
        say(OK),
        Act::Read(5),
        clear.clone(),
        Act::Stall,
    ])
    .await;
    let error = failed(&by_to(inside(&identity.to), vec![hop(proxy.address)])).await;
    let expected = "server wss://chat.internal:443: TLS: answered in clear inside the tunnel";
    assert_eq!(error.to_string(), expected);

    let plain = backend(vec![Act::Read(5), clear, Act::Stall]).await;
    let server = Server {
        tls: Some(identity.to.clone()),
        ..server_at(plain.address)
    };
    let error = failed(&direct(vec![server])).await;
    assert!(
        error
            .to_string()
            .ends_with("TLS: answered in clear, not in TLS"),
        "{error}"
    );
}

#[tokio::test]
async fn an_unknown_issuer_is_named_and_taken_for_inspection_behind_a_proxy_only() {
    let theirs = identity("chat.internal");
    let ours = identity("chat.internal.other");
    let expecting = TlsTo {
        config: ours.to.config.clone(),
        name: theirs.to.name.clone(),
    };
    let backend = tls_backend(&theirs).await;
    let proxy = proxy_that_says(OK, backend.address).await;
    let error = failed(&by_to(inside(&expecting), vec![hop(proxy.address)])).await;
    let issuer = "CN=authority of chat.internal";
    let expected = format!("unknown issuer: {issuer} (looks like TLS inspection by {issuer})");
    assert!(error.to_string().ends_with(&expected), "{error}");

    let server = Server {
        tls: Some(expecting.clone()),
        ..server_at(backend.address)
    };
    let error = failed(&direct(vec![server])).await;
    assert!(
        error
            .to_string()
            .ends_with(&format!("TLS: unknown issuer: {issuer}")),
        "{error}"
    );

    // A proxy's own certificate: nothing stands between.
    let proxy = Script::play(vec![vec![Act::Stall]], Some(theirs.acceptor.clone())).await;
    let hops = vec![Hop {
        tls: Some(expecting),
        ..hop(proxy.address)
    }];
    let error = failed(&by_to(inside(&ours.to), hops)).await;
    let expected = format!(
        "hop 1 of 1 (https {}): TLS: unknown issuer: {issuer}",
        proxy.address
    );
    assert_eq!(error.to_string(), expected);
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
