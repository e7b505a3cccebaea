//! Real connections: TCP and TLS over loopback, and how they end.

use std::io::ErrorKind;
use std::time::Duration;

use throughway::net::Stream;
use throughway::splice::{Limits, Outcome, Side, SpliceEnd};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{HELD_BYTES_MAX, pair, run, splice};
use crate::support::certs::dev_certificate;
use crate::support::eventually;
use crate::support::far::{Far, tcp, tcp_mut};
use crate::support::noise::Noise;
use crate::support::sockets::{Counted, Socket, Stall, Way, tcp_pair};

/// A running splice and both its far ends.
pub(super) struct Session {
    pub(super) client: Far,
    pub(super) backend: Far,
    pub(super) gateway: JoinHandle<Outcome>,
}

/// Client and backend with a splice between them, over TCP or over TLS.
pub(super) async fn session(tls: bool) -> Session {
    let ((client, near_client), (near_backend, backend)) = connected(tls).await;
    let gateway = tokio::spawn(splice(near_client, near_backend));
    Session {
        client,
        backend,
        gateway,
    }
}

/// The client and the gateway it connects to; the gateway and the backend it connects to.
async fn connected(tls: bool) -> ((Far, Stream), (Stream, Far)) {
    let (client, near_client) = tcp_pair().await;
    let (near_backend, backend) = tcp_pair().await;
    let (near_client, near_backend) = (Stream::Tcp(near_client), Stream::Tcp(near_backend));
    if !tls {
        let (client, backend) = (Far::Left(client), Far::Left(backend));
        return ((client, near_client), (near_backend, backend));
    }
    let cert = dev_certificate(&["gateway.test"]);
    let (client, near_client) = cert.with_client(client, near_client).await;
    let (near_backend, backend) = cert.with_backend(near_backend, backend).await;
    let (client, backend) = (Far::Right(client), Far::Right(backend));
    ((client, near_client), (near_backend, backend))
}

/// Both ways at once, to the end, with every byte checked.
pub(super) async fn both_ways(session: Session, bytes: u64) -> Outcome {
    let client = tokio::spawn(far_end(session.client, 1, 2, bytes));
    let backend = tokio::spawn(far_end(session.backend, 2, 1, bytes));
    client.await.unwrap();
    backend.await.unwrap();
    session.gateway.await.unwrap()
}

async fn far_end(stream: Far, seed: usize, other_seed: usize, bytes: u64) {
    let (mut source, mut sink) = tokio::io::split(stream);
    let send = async {
        Noise::seeded(seed).pour(&mut sink, bytes).await;
        sink.shutdown().await.unwrap();
    };
    let mut other = Noise::seeded(other_seed);
    let ((), arrived) = tokio::join!(send, other.drain(&mut source));
    assert_eq!(arrived, (bytes, None));
}

#[tokio::test]
async fn bytes_cross_both_ways_and_the_end_is_a_close_notify() {
    for tls in [false, true] {
        let outcome = both_ways(session(tls).await, 3_000_017).await;
        assert_eq!(outcome.to_backend, 3_000_017);
        assert_eq!(outcome.to_client, 3_000_017);
        assert_eq!(outcome.end.why(), "closed", "tls: {tls}");
    }
}

#[tokio::test]
async fn an_end_goes_through_while_the_other_direction_goes_on() {
    for tls in [false, true] {
        let Session {
            mut client,
            mut backend,
            gateway,
        } = session(tls).await;
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut question = String::new();
        backend.read_to_string(&mut question).await.unwrap();
        assert_eq!(question, "question");
        backend.write_all(b"answer").await.unwrap();
        backend.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
        let outcome = gateway.await.unwrap();
        assert_eq!(outcome.end, SpliceEnd::Closed(Side::Client), "tls: {tls}");
    }
}

#[tokio::test]
async fn tls_that_ends_without_close_notify_is_an_end_and_is_told() {
    let Session {
        mut client,
        mut backend,
        gateway,
    } = session(true).await;
    client.write_all(b"all of it").await.unwrap();
    client.flush().await.unwrap();
    // The FIN of the TCP connection below, without TLS's word for it.
    tcp_mut(&mut client).shutdown().await.unwrap();
    let mut all = String::new();
    backend.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "all of it");
    backend.write_all(b"answer").await.unwrap();
    backend.shutdown().await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "answer");
    let outcome = gateway.await.unwrap();
    assert_eq!(outcome.end, SpliceEnd::Truncated(Side::Client));
}

/// The common end of a browser: it answers the backend's close by closing its socket.
#[tokio::test]
async fn a_client_that_answers_an_end_without_close_notify_did_not_end_it() {
    let Session {
        mut client,
        mut backend,
        gateway,
    } = session(true).await;
    backend.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    drop(client);
    let outcome = gateway.await.unwrap();
    assert_eq!(outcome.end, SpliceEnd::Closed(Side::Backend));
}

#[tokio::test]
async fn a_cut_session_says_close_notify_to_both_sides() {
    let ((mut client, near_client), (near_backend, mut backend)) = connected(true).await;
    let cut = CancellationToken::new();
    cut.cancel();
    let outcome = run(pair(near_client, near_backend), Limits::default(), cut).await;
    assert_eq!(outcome.end, SpliceEnd::Cut);
    // An end without it would be an error here.
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(backend.read(&mut [0]).await.unwrap(), 0);
}

/// Closes with a RST instead of a FIN.
fn reset(stream: Far) {
    let socket = socket2::SockRef::from(tcp(&stream));
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

#[tokio::test]
async fn a_reset_is_told_and_the_other_side_gets_an_end() {
    for tls in [false, true] {
        let Session {
            mut client,
            mut backend,
            gateway,
        } = session(tls).await;
        client.write_all(b"last words").await.unwrap();
        let mut words = [0; 10];
        backend.read_exact(&mut words).await.unwrap();
        assert_eq!(&words, b"last words");
        reset(client);
        assert_eq!(backend.read(&mut words).await.unwrap(), 0);
        drop(backend);
        let end = gateway.await.unwrap().end;
        let expected = SpliceEnd::Lost(Side::Client, ErrorKind::ConnectionReset);
        assert_eq!(end, expected, "tls: {tls}");
    }
}

/// A backend that is flooded says why it gives up and closes, with unread bytes: that is a
/// reset, which the gateway meets when it writes, before it has read the last words.
#[tokio::test]
async fn the_last_words_of_a_flooded_side_that_closes_arrive() {
    for tls in [false, true] {
        let Session {
            mut client,
            mut backend,
            gateway,
        } = session(tls).await;
        client.write_all(&[7; 100_000]).await.unwrap();
        client.flush().await.unwrap();
        backend.write_all(b"too much").await.unwrap();
        backend.flush().await.unwrap();
        drop(backend);
        let (mut source, mut sink) = tokio::io::split(client);
        let flood = async { while sink.write_all(&[7; 65536]).await.is_ok() {} };
        let mut words = Vec::new();
        tokio::select! {
            () = flood => panic!("the gateway takes what comes until we end"),
            read = source.read_to_end(&mut words) => assert_eq!(read.unwrap(), 8, "tls: {tls}"),
        }
        assert_eq!(words, b"too much");
        drop((source, sink));
        let end = gateway.await.unwrap().end;
        assert_eq!((end.by(), end.why()), ("backend", "reset"), "tls: {tls}");
    }
}

#[tokio::test]
async fn a_slow_reader_costs_at_most_64_kib_and_loses_nothing() {
    const BYTES: u64 = 32 * 1024 * 1024;
    let (mut far_client, near_client) = tcp_pair().await;
    let (near_backend, mut far_backend) = tcp_pair().await;
    let (near_client, from_client) = Counted::new(near_client);
    let (near_backend, into_backend) = Counted::new(near_backend);
    let held = move || from_client.read().saturating_sub(into_backend.written());
    let gateway = tokio::spawn(splice(near_client, near_backend));
    let writer = tokio::spawn(async move {
        Noise::seeded(1).pour(&mut far_client, BYTES).await;
        far_client.shutdown().await.unwrap();
        far_client
    });
    let mut noise = Noise::seeded(1);
    let mut arrived = 0;
    while arrived < BYTES {
        let n = read_slowly(&mut far_backend, &mut noise).await;
        assert!(held() <= HELD_BYTES_MAX, "{} bytes held", held());
        arrived += n;
    }
    assert_eq!(arrived, BYTES);
    drop(far_backend);
    drop(writer.await.unwrap());
    assert_eq!(gateway.await.unwrap().to_backend, BYTES);
}

/// Small pieces, and everybody else goes first.
async fn read_slowly(stream: &mut TcpStream, noise: &mut Noise) -> u64 {
    tokio::task::yield_now().await;
    let mut buf = [0; 20_000];
    let n = stream.read(&mut buf).await.unwrap();
    noise.expect(&buf[..n]);
    n as u64
}

/// TLS accepts bytes that it cannot send yet, up to a buffer of its own; the bound holds with
/// what waits there counted in.
#[tokio::test]
async fn a_stalled_reader_behind_tls_costs_at_most_64_kib() {
    const WIRE_BYTES: usize = 200_000;
    let (mut far_client, near_client) = duplex(1024 * 1024);
    let (near_backend, far_backend) = duplex(1024 * 1024);
    let (near_client, from_client) = Counted::new(near_client);
    let (near_backend, stall) = Stall::after(near_backend, Way::Write, WIRE_BYTES);
    let cert = dev_certificate(&["backend.test"]);
    let name = "backend.test".try_into().unwrap();
    let (connector, acceptor) = (cert.connector(), cert.acceptor());
    let connect = connector.connect(name, near_backend);
    let accept = acceptor.accept(far_backend);
    let (near_backend, _far_backend) = tokio::try_join!(connect, accept).unwrap();
    let near_backend: Socket = Box::new(near_backend);
    let mut noise = Noise::seeded(1);
    let watch = async {
        eventually("the reader stalls", || stall.is_reached()).await;
        let read = from_client.read();
        assert!(read <= WIRE_BYTES as u64 + HELD_BYTES_MAX, "{read} bytes");
    };
    tokio::select! {
        biased;
        () = noise.pour(&mut far_client, u64::MAX) => panic!("it never ends"),
        outcome = splice(near_client, near_backend) => panic!("nothing ends it: {outcome:?}"),
        () = watch => {}
    }
}
