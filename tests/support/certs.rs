//! Certificates for tests: a certificate authority and a leaf signed by it, made on the spot.
//!
//! Knows no configuration; no key is ever committed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use throughway::net::tls_stream::{self, Turns};
use throughway::net::{Stream, tls};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// An authority, and a leaf with its key that the authority signed.
#[derive(Debug)]
pub struct DevCert {
    /// The names the leaf is valid for, as given.
    pub names: Vec<String>,
    pub ca_pem: String,
    /// The leaf alone; clients are expected to have the authority.
    pub cert_pem: String,
    /// PKCS #8.
    pub key_pem: String,
    pub ca_der: CertificateDer<'static>,
    /// The leaf first.
    pub chain_der: Vec<CertificateDer<'static>>,
    pub key_der: PrivateKeyDer<'static>,
}

/// Where [`DevCert::write_to`] put its files.
#[derive(Debug)]
pub struct CertFiles {
    pub ca: PathBuf,
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// A leaf for `names` (host names, `*.` wildcards or IP addresses) for servers and clients
/// alike, from an authority of its own.
pub fn dev_certificate(names: &[&str]) -> DevCert {
    let ca_key = KeyPair::generate().expect("a key is generated");
    let ca_params = authority();
    let ca = ca_params
        .self_signed(&ca_key)
        .expect("the authority signs itself");
    let issuer = Issuer::new(ca_params, ca_key);
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let key = KeyPair::generate().expect("a key is generated");
    let cert = leaf(&names)
        .signed_by(&key, &issuer)
        .expect("the authority signs the leaf");
    DevCert {
        names,
        ca_pem: ca.pem(),
        cert_pem: cert.pem(),
        key_pem: key.serialize_pem(),
        ca_der: ca.der().clone(),
        chain_der: vec![cert.der().clone()],
        key_der: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
    }
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "throughway test authority");
    params
}

fn leaf(names: &[String]) -> CertificateParams {
    let mut params = CertificateParams::new(names).expect("the names are names");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

impl DevCert {
    /// Writes `ca.pem`, `cert.pem` and `key.pem` into `dir`.
    pub fn write_to(&self, dir: &Path) -> CertFiles {
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).expect("the directory is writable");
            path
        };
        CertFiles {
            ca: write("ca.pem", &self.ca_pem),
            cert: write("cert.pem", &self.cert_pem),
            key: write("key.pem", &self.key_pem),
        }
    }

    /// A store that trusts this authority alone.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.ca_der.clone())
            .expect("the authority is a certificate");
        roots
    }

    /// The leaf as a listener serves it.
    pub fn certificate(&self) -> tls::Certificate {
        let key = self.key_der.clone_key();
        let key = CertifiedKey::from_der(self.chain_der.clone(), key, &tls::provider())
            .expect("the key fits the leaf");
        tls::Certificate {
            hosts: self.names.clone(),
            key: Arc::new(key),
        }
    }

    /// How a server with this leaf is configured.
    pub fn server(&self) -> Arc<ServerConfig> {
        let by_sni = tls::BySni::new(&[self.certificate()]).expect("there is a certificate");
        tls::server(by_sni, tls::MinVersion::default(), None).expect("a server configuration")
    }

    /// How a client is configured that trusts this authority alone.
    pub fn client(&self) -> Arc<ClientConfig> {
        tls::client(self.roots(), None).expect("a client configuration")
    }

    /// The server end of TLS with this leaf.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.server().into()
    }

    /// The client end of TLS that trusts this authority alone.
    pub fn connector(&self) -> TlsConnector {
        self.client().into()
    }

    /// TLS between a client and the gateway's stream to it.
    pub async fn with_client(
        &self,
        client: TcpStream,
        near: Stream,
    ) -> (TlsStream<TcpStream>, Stream) {
        let turns = Turns::default();
        let connect = self.connector().connect(self.name(), client);
        let accept = tls_stream::accept(near, self.server(), &turns);
        let (client, near) = tokio::try_join!(connect, accept).expect("the handshake succeeds");
        (client.into(), Stream::Tls(Box::new(near)))
    }

    /// TLS between the gateway's stream to a backend and the backend.
    pub async fn with_backend(
        &self,
        near: Stream,
        backend: TcpStream,
    ) -> (Stream, TlsStream<TcpStream>) {
        let connect = tls_stream::connect(near, self.client(), self.name());
        let accept = self.acceptor().accept(backend);
        let (near, backend) = tokio::try_join!(connect, accept).expect("the handshake succeeds");
        (Stream::Tls(Box::new(near)), backend.into())
    }

    fn name(&self) -> ServerName<'static> {
        ServerName::try_from(self.names[0].clone()).expect("the first name is a name")
    }
}
