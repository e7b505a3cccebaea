//! The gateway's TLS against another one, over streams that split and stall as they like.

use std::sync::Arc;

use rustls::ServerConfig;
use throughway::net::tls_stream::{self, TlsStream, Turns};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, split};
use tokio_rustls::{TlsAcceptor, client, server};

use crate::support::certs::{DevCert, dev_certificate};
use crate::support::noise::Noise;

const NAME: &str = "gateway.test";
/// More than any buffer on the way, and no multiple of anything.
const BYTES: u64 = 150_017;

/// The gateway as a server, and who connects to it, over a pipe that holds `room` bytes. Each end
/// goes on by itself after its handshake: the other may be waiting to be read.
async fn accepted(
    cert: &DevCert,
    room: usize,
    ours: impl AsyncFnOnce(TlsStream<DuplexStream>),
    theirs: impl AsyncFnOnce(client::TlsStream<DuplexStream>),
) {
    let (near, far) = duplex(room);
    let near = async {
        let stream = tls_stream::accept(near, cert.server(), &Turns::default()).await;
        ours(stream.unwrap()).await;
    };
    let far = async {
        let name = NAME.try_into().unwrap();
        let stream = cert.connector().connect(name, far).await;
        theirs(stream.unwrap()).await;
    };
    tokio::join!(near, far);
}

/// The gateway as a client, and whom it connects to.
async fn connected(
    cert: &DevCert,
    server: ServerConfig,
    room: usize,
    ours: impl AsyncFnOnce(TlsStream<DuplexStream>),
    theirs: impl AsyncFnOnce(server::TlsStream<DuplexStream>),
) {
    let (near, far) = duplex(room);
    let near = async {
        let name = NAME.try_into().unwrap();
        let stream = tls_stream::connect(near, cert.client(), name).await;
        ours(stream.unwrap()).await;
    };
    let far = async {
        let stream = TlsAcceptor::from(Arc::new(server)).accept(far).await;
        theirs(stream.unwrap()).await;
    };
    tokio::join!(near, far);
}

/// Both ways at once, each way to its end, every byte checked.
async fn talk(stream: impl AsyncRead + AsyncWrite, seed: usize, other_seed: usize) {
    let (mut source, mut sink) = split(stream);
    let send = async {
        Noise::seeded(seed).pour(&mut sink, BYTES).await;
        sink.shutdown().await.unwrap();
    };
    let mut other = Noise::seeded(other_seed);
    let ((), arrived) = tokio::join!(send, other.drain(&mut source));
    assert_eq!(arrived, (BYTES, None));
}

#[tokio::test]
async fn every_byte_crosses_whatever_the_stream_below_accepts_at_once() {
    let cert = dev_certificate(&[NAME]);
    for room in [100, 16_400, 70_000, 1 << 20] {
        let (ours, theirs) = (async |s| talk(s, 1, 2).await, async |s| talk(s, 2, 1).await);
        accepted(&cert, room, ours, theirs).await;
        let server = Arc::unwrap_or_clone(cert.server());
        let (ours, theirs) = (async |s| talk(s, 1, 2).await, async |s| talk(s, 2, 1).await);
        connected(&cert, server, room, ours, theirs).await;
    }
}

/// Every message of the other side's comes in pieces, its tickets too, while we write: what is left
/// of one must survive a write.
#[tokio::test]
async fn messages_in_pieces_are_put_together_between_writes() {
    let cert = dev_certificate(&[NAME]);
    for room in [100, 1 << 16] {
        let mut server = Arc::unwrap_or_clone(cert.server());
        server.max_fragment_size = Some(32);
        let (ours, theirs) = (async |s| talk(s, 1, 2).await, async |s| talk(s, 2, 1).await);
        connected(&cert, server, room, ours, theirs).await;
    }
}

#[tokio::test]
async fn new_keys_in_the_middle_lose_nothing() {
    let cert = dev_certificate(&[NAME]);
    let ours = async |mut stream: TlsStream<DuplexStream>| {
        for n in 0..20_u8 {
            assert_eq!(stream.read_u8().await.unwrap(), n);
            stream.write_all(&[n]).await.unwrap();
            stream.flush().await.unwrap();
        }
    };
    let theirs = async |mut stream: client::TlsStream<DuplexStream>| {
        for n in 0..20_u8 {
            stream.get_mut().1.refresh_traffic_keys().unwrap();
            stream.write_all(&[n]).await.unwrap();
            stream.flush().await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), n);
        }
    };
    accepted(&cert, 1 << 16, ours, theirs).await;
}

#[tokio::test]
async fn what_is_not_tls_is_answered_with_an_alert_and_ends_the_handshake() {
    let cert = dev_certificate(&[NAME]);
    let turns = Turns::default();
    let (near, mut far) = duplex(1 << 16);
    far.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let accepting = tls_stream::accept(near, cert.server(), &turns);
    let error = accepting.await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    let mut alert = Vec::new();
    far.read_to_end(&mut alert).await.unwrap();
    // RFC 8446 §5.1 and §6: alert, TLS 1.2 as every record says, two bytes, fatal.
    assert_eq!(alert.first_chunk(), Some(&[21, 3, 3, 0, 2, 2]), "{alert:?}");
}

/// A record that was made without the keys.
#[tokio::test]
async fn a_forged_record_ends_the_stream_and_nothing_of_it_is_read() {
    let cert = dev_certificate(&[NAME]);
    let ours = async |mut stream: TlsStream<DuplexStream>| {
        stream.write_all(b"!").await.unwrap();
        let error = stream.read(&mut [0; 10]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        stream.read(&mut [0; 10]).await.unwrap_err();
        stream.write(b"more").await.unwrap_err();
        stream.shutdown().await.unwrap();
    };
    let theirs = async |mut stream: client::TlsStream<DuplexStream>| {
        assert_eq!(stream.read_u8().await.unwrap(), b'!');
        let (mut far, _session) = stream.into_inner();
        far.write_all(&[23, 3, 3, 0, 20]).await.unwrap();
        far.write_all(&[7; 20]).await.unwrap();
        let mut last = Vec::new();
        far.read_to_end(&mut last).await.unwrap();
        assert_eq!(
            last.first(),
            Some(&23),
            "the tickets, then an alert, sealed"
        );
    };
    accepted(&cert, 1 << 16, ours, theirs).await;
}
