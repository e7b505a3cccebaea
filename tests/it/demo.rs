//! `throughway demo` as a process: its page, its two routes on both listeners, and that it leaves
//! nothing behind.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use throughway::net::tls;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::client::{ACCEPT, Client, handshake};
use crate::support::eventually;
use crate::support::far::Far;
use crate::support::process::{Process, throughway};

/// A running demo, in a folder for its temporary files.
struct Demo {
    process: Process,
    dir: TempDir,
    port_tls: u16,
    port_plain: u16,
}

impl Demo {
    /// Starts one and waits until it listens on both of its ports.
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        loop {
            // Free now, and perhaps somebody else's in a moment: then there are others.
            let (port_tls, port_plain) = free_ports();
            let mut process = spawn(&dir, port_tls, port_plain);
            let listening = |process: &Process| {
                let lines = process.lines_with("\"listening\"").join("\n");
                [port_tls, port_plain].map(|port| lines.contains(&format!("127.0.0.1:{port}\"")))
            };
            eventually("it listens, or it ended", || {
                listening(&process) == [true; 2] || process.try_ended().is_some()
            })
            .await;
            if process.try_ended().is_none() {
                return Self {
                    process,
                    dir,
                    port_tls,
                    port_plain,
                };
            }
            assert!(process.log().concat().contains("in use"), "{process:?}");
        }
    }

    fn temporary(&self) -> Vec<PathBuf> {
        let listed = std::fs::read_dir(self.dir.path().join("tmp")).unwrap();
        listed.map(|entry| entry.unwrap().path()).collect()
    }

    async fn plain(&self) -> Client {
        Client::connect(SocketAddr::from(([127, 0, 0, 1], self.port_plain))).await
    }

    /// As somebody would who trusts the demo's authority.
    async fn tls(&self) -> Client {
        let ca = self.temporary()[0].join("ca.pem");
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(ca).unwrap())
            .unwrap();
        let connector = TlsConnector::from(tls::client(roots, None).unwrap());
        let address = SocketAddr::from(([127, 0, 0, 1], self.port_tls));
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let tls = connector.connect(name, tcp).await.unwrap();
        Client {
            stream: Far::Right(tls.into()),
        }
    }
}

fn spawn(dir: &TempDir, port_tls: u16, port_plain: u16) -> Process {
    let mut command = throughway();
    command
        .args(["demo", "--port", &port_tls.to_string()])
        .args(["--plain-port", &port_plain.to_string()])
        .env("TMPDIR", dir.path().join("tmp"))
        .stdout(File::create(dir.path().join("stdout")).unwrap());
    Process::spawn(command)
}

/// Two ports that are free now: the demo is told its ports, as its user would.
fn free_ports() -> (u16, u16) {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [tls, plain] = listeners.map(|l| l.local_addr().unwrap().port());
    (tls, plain)
}

async fn the_page_is_shown(mut client: Client) {
    client
        .send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    let page = client.answer().await;
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("Content-Type"),
        Some("text/html; charset=utf-8")
    );
    let policy = page.header("Content-Security-Policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(page.body.contains("<title>Throughway</title>"));
    assert!(page.body.trim_end().ends_with("</html>"), "it is whole");
}

async fn a_frame_comes_back(mut client: Client, path: &str, origin: &str) {
    let host = origin.split_once("://").unwrap().1;
    let request = handshake(path)
        .replacing(&format!("Host: {host}"))
        .with(&format!("Origin: {origin}"));
    client.send(&request.bytes()).await;
    let answer = client.head().await;
    assert_eq!(answer.status, 101, "{path}: {}", answer.head);
    assert_eq!(answer.header("Sec-WebSocket-Accept"), Some(ACCEPT));
    // The text "hi" masked (RFC 6455 §5.2), and the same without a mask.
    client
        .send(&[0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2])
        .await;
    assert_eq!(client.exactly(4).await, [0x81, 2, b'h', b'i']);
}

#[tokio::test]
async fn a_demo_shows_its_page_carries_both_routes_and_leaves_nothing_behind() {
    let mut demo = Demo::start().await;
    the_page_is_shown(demo.tls().await).await;
    the_page_is_shown(demo.plain().await).await;
    let tls = format!("https://localhost:{}", demo.port_tls);
    let plain = format!("http://localhost:{}", demo.port_plain);
    for path in ["/direct", "/proxied"] {
        a_frame_comes_back(demo.tls().await, path, &tls).await;
        a_frame_comes_back(demo.plain().await, path, &plain).await;
    }
    a_foreign_page_is_refused(&demo).await;
    let proxied = demo.process.logs(2, "\"egress\":\"demo\"").await;
    assert_eq!(proxied.len(), 2);
    the_welcome_is_printed(&demo);
    demo.process.signal("TERM");
    assert_eq!(demo.process.exits().await.code(), Some(0));
    assert_eq!(demo.temporary(), Vec::<PathBuf>::new());
}

async fn a_foreign_page_is_refused(demo: &Demo) {
    let mut client = demo.plain().await;
    let request = handshake("/direct").with("Origin: https://elsewhere.example");
    client.send(&request.bytes()).await;
    assert_eq!(client.answer().await.status, 403);
}

fn the_welcome_is_printed(demo: &Demo) {
    let welcome = std::fs::read_to_string(demo.dir.path().join("stdout")).unwrap();
    let page = format!("https://localhost:{}/", demo.port_tls);
    let ca = demo.temporary()[0].join("ca.pem");
    for part in [page.as_str(), &ca.to_string_lossy(), "Ctrl-C stops it."] {
        assert!(welcome.contains(part), "no {part} in\n{welcome}");
    }
}

// Who presses Ctrl-C with a page open waits two seconds, not thirty.
#[tokio::test]
async fn a_demo_with_an_open_session_ends_soon_after_its_signal() {
    let mut demo = Demo::start().await;
    let mut client = demo.plain().await;
    client.send(&handshake("/proxied").bytes()).await;
    assert_eq!(client.head().await.status, 101);
    demo.process.signal("INT");
    assert_eq!(demo.process.exits().await.code(), Some(0));
    assert_eq!(demo.temporary(), Vec::<PathBuf>::new());
}
