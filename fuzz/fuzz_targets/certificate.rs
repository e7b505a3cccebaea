//! The certificate of a server that nobody here knows: what it is refused as, and the hash that a
//! proof of identity would be bound to.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};
use throughway::net::verify::{Naming, UnknownIssuer};
use throughway::net::{binding, tls};

/// Knows one root, whose key is gone once it has signed itself.
static VERIFIER: LazyLock<Naming> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate().expect("a key");
    let root = rcgen::CertificateParams::default().self_signed(&key);
    let mut roots = RootCertStore::empty();
    roots
        .add(root.expect("a root").der().clone())
        .expect("a root");
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), tls::provider());
    Naming(builder.build().expect("a verifier"))
});

fuzz_target!(|data: &[u8]| {
    let certificate = CertificateDer::from(data);
    let name = ServerName::try_from("proxy.corp.example").expect("a name");
    let verdict = VERIFIER.verify_server_cert(&certificate, &[], &name, &[], UnixTime::now());
    let Err(error) = verdict else {
        panic!("believed without a signature");
    };
    if let Error::InvalidCertificate(CertificateError::Other(other)) = &error {
        let unknown = other.0.downcast_ref::<UnknownIssuer>();
        let shown = unknown.map(ToString::to_string).unwrap_or_default();
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }
    if let Some(hash) = binding::certificate_hash(&certificate) {
        // SHA-224 to SHA-512.
        assert!(matches!(hash.len(), 28 | 32 | 48 | 64));
    }
});
