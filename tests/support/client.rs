//! A client that says exactly what a test wants it to say, byte for byte.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;
use super::certs::DevCert;
use super::far::Far;

/// The nonce of RFC 6455 §1.3 …
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// … and what it is answered with.
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The head of a handshake, to be changed line by line.
#[derive(Debug, Clone)]
pub struct Handshake {
    line: String,
    lines: Vec<String>,
}

/// A sound handshake for `path` on the host `chat.test`, without an Origin.
pub fn handshake(path: &str) -> Handshake {
    let lines = [
        "Host: chat.test",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    Handshake {
        line: format!("GET {path} HTTP/1.1"),
        lines: lines.map(str::to_owned).to_vec(),
    }
}

impl Handshake {
    /// With another request line.
    pub fn line(mut self, line: &str) -> Self {
        line.clone_into(&mut self.line);
        self
    }

    /// With one more header line.
    pub fn with(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Without the header lines that begin with `name`.
    pub fn without(mut self, name: &str) -> Self {
        self.lines.retain(|line| !line.starts_with(name));
        self
    }

    /// With `line` in the place of the line of the same name.
    pub fn replacing(self, line: &str) -> Self {
        let name = line.split(':').next().unwrap().to_owned();
        self.without(&format!("{name}:")).with(line)
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        format!("{}\r\n{}\r\n\r\n", self.line, self.lines.join("\r\n")).into_bytes()
    }
}

/// An answer's head, and what of its body came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The value of a header, whose name is looked for without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A connected client.
#[derive(Debug)]
pub struct Client {
    pub stream: Far,
}

impl Client {
    /// In the clear.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = Far::Left(TcpStream::connect(address).await.unwrap());
        Self { stream }
    }

    /// Over TLS, with the first name of `cert` as the name asked for.
    pub async fn connect_tls(address: SocketAddr, cert: &DevCert) -> Self {
        let name = cert.names[0].clone().try_into().unwrap();
        let tcp = TcpStream::connect(address).await.unwrap();
        let tls = cert.connector().connect(name, tcp).await.unwrap();
        Self {
            stream: Far::Right(tls.into()),
        }
    }

    /// Sends all of `bytes`.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Reads one answer head, and nothing behind it.
    pub async fn head(&mut self) -> Answer {
        let mut head = Vec::new();
        timeout(PATIENCE, async {
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.stream.read_u8().await.expect("an answer"));
            }
        })
        .await
        .expect("an answer in time");
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer {
            status,
            head,
            body: String::new(),
        }
    }

    /// Reads an answer to the end of its connection. A gateway that leaves the connection open
    /// fails the test.
    pub async fn answer(&mut self) -> Answer {
        let mut answer = self.head().await;
        let rest = self.rest().await;
        answer.body = String::from_utf8_lossy(&rest).into_owned();
        answer
    }

    /// Everything until the end of the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        timeout(PATIENCE, self.stream.read_to_end(&mut rest))
            .await
            .expect("the connection ends")
            .expect("and ends in order");
        rest
    }

    /// Exactly `n` bytes.
    pub async fn exactly(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        timeout(PATIENCE, self.stream.read_exact(&mut bytes))
            .await
            .expect("bytes in time")
            .unwrap();
        bytes
    }

    /// Whether nothing comes for a moment.
    pub async fn is_silent(&mut self) -> bool {
        timeout(Duration::from_millis(50), self.stream.read_u8())
            .await
            .is_err()
    }
}

/// Connects, asks, and reads the whole answer.
pub async fn ask(address: SocketAddr, request: &[u8]) -> Answer {
    let mut client = Client::connect(address).await;
    client.send(request).await;
    client.answer().await
}

/// Connects and asks for a WebSocket, which it must get.
pub async fn open(address: SocketAddr, request: &Handshake) -> (Client, Answer) {
    let mut client = Client::connect(address).await;
    client.send(&request.bytes()).await;
    let answer = client.head().await;
    assert_eq!(answer.status, 101, "{}", answer.head);
    (client, answer)
}
