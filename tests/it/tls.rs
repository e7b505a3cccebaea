//! TLS towards clients: which certificate, which version, who may come, and who finds no place.
//!
//! Knows nothing of TLS towards backends and proxies.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{
    CertificateError, ClientConfig, Error, HandshakeKind, NamedGroup, ProtocolVersion,
    SupportedProtocolVersion, version,
};
use throughway::net::tls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::backend::echo_backend;
use crate::support::certs::{DevCert, dev_certificate};
use crate::support::client::{Client, ask, handshake};
use crate::support::eventually;
use crate::support::gateway::{Builder, Running, gateway};
use crate::support::script::Script;

const BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

/// A gateway over TLS with these keys in `tls` and these certificates, in order.
fn serving(backend: &Script, tls: &str, certs: &[&DevCert]) -> Running {
    let mut builder = gateway()
        .listener(&format!("tls = {{ {tls} }}"))
        .route("/ws", format!("ws://{}", backend.address));
    for (n, cert) in certs.iter().enumerate() {
        builder = with_certificate(builder, &format!("c{n}"), cert);
    }
    builder.run()
}

fn with_certificate(builder: Builder, folder: &str, cert: &DevCert) -> Builder {
    let path = builder.dir().join(folder);
    std::fs::create_dir(&path).unwrap();
    cert.write_to(&path);
    builder.section(&format!(
        "[[certificate]]\nhosts = {:?}\ncert = \"{folder}/cert.pem\"\nkey = \"{folder}/key.pem\"",
        cert.names
    ))
}

/// A client that trusts these authorities and speaks these versions.
fn client(trusted: &[&DevCert], versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    for cert in trusted {
        roots.add(cert.ca_der.clone()).unwrap();
    }
    ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// As [`client`], with this certificate to show.
fn client_with(trusted: &DevCert, shown: &DevCert) -> ClientConfig {
    ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&BOTH)
        .unwrap()
        .with_root_certificates(trusted.roots())
        .with_client_auth_cert(shown.chain_der.clone(), shown.key_der.clone_key())
        .unwrap()
}

async fn connect(
    gateway: &Running,
    config: &Arc<ClientConfig>,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(gateway.address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(config.clone()).connect(name, tcp).await
}

/// Asks for a WebSocket, which it must get: under TLS 1.3 a client knows only then that the
/// gateway has accepted its certificate.
async fn opens(stream: &mut TlsStream<TcpStream>) -> std::io::Result<()> {
    stream.write_all(&handshake("/ws").bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101 "),
        "{:?}",
        String::from_utf8_lossy(&head)
    );
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_chosen_by_name_then_by_wildcard_then_the_first() {
    let first = dev_certificate(&["first.test"]);
    let wild = dev_certificate(&["*.wild.test"]);
    let exact = dev_certificate(&["a.wild.test", "other.test"]);
    let certs = [&first, &wild, &exact];
    let backend = echo_backend().await;
    let gateway = serving(&backend, "", &certs);
    for (name, expected) in [
        ("first.test", &first),
        ("b.wild.test", &wild),
        ("B.WILD.test", &wild),
        ("a.wild.test", &exact),
        ("other.test", &exact),
        ("wild.test", &first),
        ("a.b.wild.test", &first),
        ("unknown.test", &first),
        // No name at all: a client does not send an address.
        ("127.0.0.1", &first),
    ] {
        for cert in certs {
            let is_expected = cert.names == expected.names;
            assert_eq!(
                shows(&gateway, name, cert).await,
                is_expected,
                "{name} {:?}",
                cert.names
            );
        }
    }
    // And a client that checks is content.
    let config = Arc::new(client(&certs, &BOTH));
    for name in ["first.test", "b.wild.test", "a.wild.test"] {
        let mut stream = connect(&gateway, &config, name).await.unwrap();
        opens(&mut stream).await.unwrap();
    }
}

/// Whether `cert` is what is shown to a client that asks for `name`. A client that knows only its
/// authority finds fault with the name at most.
async fn shows(gateway: &Running, name: &str, cert: &DevCert) -> bool {
    let error = match connect(gateway, &Arc::new(client(&[cert], &BOTH)), name).await {
        Ok(_) => return true,
        Err(error) => error,
    };
    let Some(Error::InvalidCertificate(fault)) = error.get_ref().and_then(|e| e.downcast_ref())
    else {
        panic!("{name}: {error}");
    };
    match fault {
        CertificateError::NotValidForNameContext { .. } => true,
        // All authorities of these tests have one name, so the wrong one is a wrong signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => false,
        _ => panic!("{name}: {error}"),
    }
}

#[tokio::test]
async fn the_lowest_version_is_the_listeners_to_say() {
    let cert = dev_certificate(&["chat.test"]);
    let backend = echo_backend().await;
    let only_12 = Arc::new(client(&[&cert], &[&version::TLS12]));
    let both = Arc::new(client(&[&cert], &BOTH));
    for (tls, is_12_welcome) in [
        ("", true),
        ("min_version = \"1.2\"", true),
        ("min_version = \"1.3\"", false),
    ] {
        let gateway = serving(&backend, tls, &[&cert]);
        let mut stream = connect(&gateway, &both, "chat.test").await.unwrap();
        let spoken = stream.get_ref().1.protocol_version();
        assert_eq!(spoken, Some(ProtocolVersion::TLSv1_3));
        opens(&mut stream).await.unwrap();
        let old = connect(&gateway, &only_12, "chat.test").await;
        assert_eq!(old.is_ok(), is_12_welcome, "{tls}");
        if let Ok(mut stream) = old {
            let spoken = stream.get_ref().1.protocol_version();
            assert_eq!(spoken, Some(ProtocolVersion::TLSv1_2));
            opens(&mut stream).await.unwrap();
        }
    }
}

#[tokio::test]
async fn with_a_client_ca_only_its_clients_get_in() {
    let cert = dev_certificate(&["chat.test"]);
    let friend = dev_certificate(&["friend.test"]);
    let stranger = dev_certificate(&["friend.test"]);
    let backend = echo_backend().await;
    let builder = gateway().route("/ws", format!("ws://{}", backend.address));
    std::fs::write(builder.dir().join("clients.pem"), &friend.ca_pem).unwrap();
    let gateway = with_certificate(builder, "c0", &cert)
        .listener("tls = { client_ca = \"clients.pem\" }")
        .run();
    let attempt = |config: ClientConfig| {
        let gateway = &gateway;
        async move {
            let mut stream = connect(gateway, &Arc::new(config), "chat.test").await?;
            opens(&mut stream).await
        }
    };
    attempt(client_with(&cert, &friend)).await.unwrap();
    attempt(client_with(&cert, &stranger)).await.unwrap_err();
    attempt(client(&[&cert], &BOTH)).await.unwrap_err();
    attempt(client(&[&cert], &[&version::TLS12]))
        .await
        .unwrap_err();
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn a_client_that_comes_again_resumes() {
    let cert = dev_certificate(&["chat.test"]);
    let backend = echo_backend().await;
    let gateway = serving(&backend, "", &[&cert]);
    for versions in [&BOTH[..], &[&version::TLS12]] {
        let config = Arc::new(client(&[&cert], versions));
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut stream = connect(&gateway, &config, "chat.test").await.unwrap();
            // The tickets of TLS 1.3 come with the first bytes behind the handshake.
            opens(&mut stream).await.unwrap();
            kinds.push(stream.get_ref().1.handshake_kind());
        }
        assert_eq!(kinds[0], Some(HandshakeKind::Full));
        assert_eq!(kinds[1], Some(HandshakeKind::Resumed));
    }
}

#[tokio::test]
async fn the_key_exchange_is_hybrid_where_the_client_can() {
    let cert = dev_certificate(&["chat.test"]);
    let backend = echo_backend().await;
    let gateway = serving(&backend, "", &[&cert]);
    let config = Arc::new(client(&[&cert], &BOTH));
    let mut stream = connect(&gateway, &config, "chat.test").await.unwrap();
    let group = stream.get_ref().1.negotiated_key_exchange_group();
    assert_eq!(group.unwrap().name(), NamedGroup::X25519MLKEM768);
    opens(&mut stream).await.unwrap();
    // One without it is served all the same.
    let mut classical = (*tls::provider()).clone();
    classical
        .kx_groups
        .retain(|g| g.name() == NamedGroup::X25519);
    let config = ClientConfig::builder_with_provider(Arc::new(classical))
        .with_protocol_versions(&BOTH)
        .unwrap()
        .with_root_certificates(cert.roots())
        .with_no_client_auth();
    let mut stream = connect(&gateway, &Arc::new(config), "chat.test")
        .await
        .unwrap();
    opens(&mut stream).await.unwrap();
}

#[tokio::test]
async fn http_on_the_tls_port_ends_and_tls_on_the_plain_port_is_told_so() {
    let cert = dev_certificate(&["chat.test"]);
    let backend = echo_backend().await;
    let secure = serving(&backend, "", &[&cert]);
    let mut client = Client::connect(secure.address).await;
    client.send(&handshake("/ws").bytes()).await;
    let rest = client.rest().await;
    // At most an alert: nothing that could pass for an answer.
    assert!(rest.len() <= 7, "{rest:?}");
    assert!(rest.is_empty() || rest[0] == 0x15, "{rest:?}");
    let plain = gateway()
        .route("/ws", format!("ws://{}", backend.address))
        .run();
    let hello = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        vec![7; 506],
    ]
    .concat();
    let answer = ask(plain.address, &hello).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("TLS") && answer.body.contains("plain HTTP"));
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn beyond_the_limit_a_client_is_refused_politely_and_its_place_comes_back() {
    let cert = dev_certificate(&["chat.test"]);
    let backend = echo_backend().await;
    let limited = |b: Builder| {
        b.section("[limits]\nconnections = 1")
            .route("/ws", format!("ws://{}", backend.address))
            .run()
    };
    let plain = limited(gateway());
    let secure = limited(gateway().tls(&cert));
    for (gateway, is_tls) in [(plain, false), (secure, true)] {
        let connect = || async {
            match is_tls {
                true => Client::connect_tls(gateway.address, &cert).await,
                false => Client::connect(gateway.address).await,
            }
        };
        let sound = handshake("/ws").bytes();
        let mut first = connect().await;
        first.send(&sound).await;
        assert_eq!(first.head().await.status, 101);
        let before = backend.connections();
        for _ in 0..3 {
            let mut second = connect().await;
            second.send(&sound).await;
            let answer = second.answer().await;
            assert_eq!(answer.status, 503);
            assert_eq!(answer.header("retry-after"), Some("5"));
            assert!(answer.body.ends_with("try again in a moment.\n"));
        }
        assert_eq!(backend.connections(), before);
        first.send(b"still here").await;
        assert_eq!(first.exactly(10).await, b"still here");
        drop(first);
        eventually("the first to be gone", || gateway.gateway.sessions() == 0).await;
        let mut third = connect().await;
        third.send(&sound).await;
        assert_eq!(third.head().await.status, 101);
    }
}

/// A session over TLS ends in order: close_notify goes through as an end, and so does ours.
#[tokio::test]
async fn an_end_over_tls_is_said_and_not_only_done() {
    let cert = dev_certificate(&["chat.test"]);
    let backend = echo_backend().await;
    let gateway = serving(&backend, "", &[&cert]);
    let config = Arc::new(client(&[&cert], &BOTH));
    let mut stream = connect(&gateway, &config, "chat.test").await.unwrap();
    opens(&mut stream).await.unwrap();
    stream.write_all(b"the last").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    // Without the gateway's close_notify this is an error.
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"the last");
}
