//! `throughway demo`: everything that a first look needs and no file of the user's.
//!
//! Makes a certificate, binds an echo backend and a CONNECT proxy, and writes the configuration
//! with which a gateway leads to the one directly and through the other. That gateway is no special
//! one: it runs on the configuration made here, like on any other.

pub mod backend;
pub mod certificate;
mod command;
mod echo;
pub mod page;
pub mod proxy;
mod serve;
mod text;

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;

use tokio::net::TcpListener;

pub use command::Flags;
pub(super) use command::demo;
pub use text::welcome;

/// The name under which the proxy, and nobody else, knows the backend. A name, because a gateway
/// goes to this machine's own addresses without a proxy.
const BACKEND_NAME: &str = "echo.demo.internal";

/// One of the demo's own servers: runs until dropped, and its connections end with it.
pub type Server = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a demo consists of besides the gateway.
pub struct Prepared {
    /// The echo backend, bound and ready to run.
    pub backend: Server,
    /// The CONNECT proxy, bound and ready to run.
    pub proxy: Server,
    /// The certificate's files.
    pub certificate: certificate::Files,
    /// The gateway's configuration.
    pub config: String,
    /// The file that holds it.
    pub config_file: PathBuf,
}

/// Why a demo cannot begin.
#[derive(Debug)]
pub enum DemoError {
    /// There is no certificate.
    Certificate(certificate::CertificateError),
    /// No port for one of its own servers.
    Bind(io::Error),
    /// The configuration could not be written.
    Write(PathBuf, io::Error),
}

/// Makes the parts of a demo, with its files in `dir`. The gateway will listen on `port_tls` and,
/// without TLS, on `port_plain`; nobody listens there yet.
pub async fn prepare(dir: &Path, port_tls: u16, port_plain: u16) -> Result<Prepared, DemoError> {
    let certificate = certificate::make(dir).map_err(DemoError::Certificate)?;
    let (backend, backend_address) = bind().await.map_err(DemoError::Bind)?;
    let (proxy, proxy_address) = bind().await.map_err(DemoError::Bind)?;
    let config = text::config(&text::Addresses {
        port_tls,
        port_plain,
        has_ipv6: has_ipv6().await,
        backend: backend_address,
        proxy: proxy_address,
    });
    let config_file = dir.join("throughway.toml");
    std::fs::write(&config_file, &config)
        .map_err(|error| DemoError::Write(config_file.clone(), error))?;
    let targets = vec![proxy::Target {
        authority: format!("{BACKEND_NAME}:80"),
        address: backend_address,
    }];
    Ok(Prepared {
        backend: Box::pin(backend::serve(backend)),
        proxy: Box::pin(proxy::serve(proxy, targets)),
        certificate,
        config,
        config_file,
    })
}

async fn bind() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Containers often have no IPv6, not even to themselves.
async fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok()
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(error) => error.fmt(f),
            Self::Bind(error) => write!(f, "no port for the demo's own servers: {error}"),
            Self::Write(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for DemoError {}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    const CONNECT: &str = "CONNECT echo.demo.internal:80 HTTP/1.1\r\nHost: echo.demo.internal\r\n\
        Proxy-Authorization: Basic ZGVtbzpkZW1v\r\n\r\n";
    const HANDSHAKE: &str = "GET /proxied HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    #[tokio::test]
    async fn the_configuration_is_written_beside_the_files_it_names() {
        let dir = tempfile::tempdir().unwrap();
        let prepared = prepare(dir.path(), 8443, 8080).await.unwrap();
        let written = std::fs::read_to_string(&prepared.config_file).unwrap();
        assert_eq!(written, prepared.config);
        for (key, file) in [
            ("cert", &prepared.certificate.cert),
            ("key", &prepared.certificate.key),
        ] {
            assert_eq!(dir.path().join(text_of(&written, key)), *file);
            assert!(file.exists());
        }
    }

    /// The text that follows the first line beginning with `key`.
    fn text_of<'a>(config: &'a str, key: &str) -> &'a str {
        let line = config.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap().split('"').nth(1).unwrap()
    }

    #[tokio::test]
    async fn the_proxy_of_the_configuration_leads_to_the_backend() {
        let dir = tempfile::tempdir().unwrap();
        let prepared = prepare(dir.path(), 8443, 8080).await.unwrap();
        let proxy = text_of(&prepared.config, "url").strip_prefix("http://");
        let proxy = proxy.unwrap().to_owned();
        let client = async {
            #[expect(clippy::disallowed_methods, reason = "a test is its own client")]
            let mut tcp = TcpStream::connect(proxy).await.unwrap();
            for (request, status) in [(CONNECT, "HTTP/1.1 200 "), (HANDSHAKE, "HTTP/1.1 101 ")] {
                tcp.write_all(request.as_bytes()).await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(tcp.read_u8().await.unwrap());
                }
                assert!(head.starts_with(status.as_bytes()), "{head:?}");
            }
        };
        tokio::select! {
            () = prepared.backend => unreachable!("the backend never returns"),
            () = prepared.proxy => unreachable!("the proxy never returns"),
            () = client => {}
        }
    }
}
