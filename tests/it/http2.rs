//! A tunnel by HTTP/2 against the other end of its connection, frame by frame where it matters.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::future;
use h2::{Reason, RecvStream, SendStream, server};
use http::{Method, Request, Response};
use socket2::SockRef;
use throughway::net::Stream;
use throughway::net::http2::Client;
use throughway::splice::{self, Leg, Limits, Outcome, Pair, Params, Side, SpliceEnd, Watch};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tokio::net::UnixStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::support::{PATIENCE, eventually};

/// The protocol's default, which is ours.
const WINDOW: usize = 65_535;

/// The other end: its halves of the stream, and what it does to the connection.
struct Far {
    send: SendStream<Bytes>,
    recv: RecvStream,
    /// With an error at once; without one, once the stream has ended.
    go_away: UnboundedSender<Reason>,
    /// Drives the connection; how it ended.
    driver: JoinHandle<Result<(), h2::Error>>,
    ping: h2::PingPong,
}

/// A tunnel, and the other end of it.
async fn pair() -> (Stream, Far) {
    pair_with(&[], WINDOW as u32).await
}

/// The same where these bytes come together with the 200, and the other end has such a window.
async fn pair_with(early: &'static [u8], window: u32) -> (Stream, Far) {
    let (near, far) = UnixStream::pair().unwrap();
    // Smaller than a window, so that the socket is waited for, too.
    SockRef::from(&near).set_send_buffer_size(4096).unwrap();
    let far = tokio::spawn(accept(far, early, window));
    let mut client = Client::start(Stream::Unix(near), 65_536).await.unwrap();
    let mut request = Request::new(());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = "chat.internal:443".parse().unwrap();
    let answer = client.ask(request, 8).await.unwrap();
    assert_eq!(answer.head.status, 200);
    let (tunnel, tail) = client.into_tunnel(answer);
    let stream = Stream::Http2(Box::new(tunnel)).with_tail(tail);
    (stream, far.await.unwrap())
}

async fn accept(far: UnixStream, early: &'static [u8], window: u32) -> Far {
    let mut connection = server::Builder::new()
        .initial_window_size(window)
        .initial_connection_window_size(window)
        .handshake(far)
        .await
        .unwrap();
    let ping = connection.ping_pong().unwrap();
    let (request, mut respond) = connection.accept().await.unwrap().unwrap();
    assert_eq!(request.method(), Method::CONNECT);
    let mut send = respond.send_response(Response::new(()), false).unwrap();
    if !early.is_empty() {
        send.send_data(Bytes::from_static(early), false).unwrap();
    }
    let (go_away, mut reasons) = unbounded_channel();
    let driver = tokio::spawn(async move {
        let mut is_left = false;
        poll_fn(|cx| {
            if let Poll::Ready(reason) = reasons.poll_recv(cx) {
                match reason {
                    Some(Reason::NO_ERROR) => connection.graceful_shutdown(),
                    Some(reason) => connection.abrupt_shutdown(reason),
                    None => is_left = true,
                }
            }
            connection.poll_closed(cx)
        })
        .await
    });
    Far {
        send,
        recv: request.into_body(),
        go_away,
        driver,
        ping,
    }
}

/// Sends all of `bytes` as the window lets it, counting what left.
async fn say(send: &mut SendStream<Bytes>, mut bytes: Bytes, said: &AtomicUsize) {
    while !bytes.is_empty() {
        send.reserve_capacity(bytes.len());
        let room = match send.capacity() {
            0 => poll_fn(|cx| send.poll_capacity(cx)).await.unwrap().unwrap(),
            room => room,
        };
        let piece = bytes.split_to(room.min(bytes.len()));
        said.fetch_add(piece.len(), Ordering::Relaxed);
        send.send_data(piece, false).unwrap();
    }
}

/// Reads to the end, or to so many bytes.
async fn hear(recv: &mut RecvStream, most: usize) -> Vec<u8> {
    let mut heard = Vec::new();
    while heard.len() < most {
        let Some(piece) = recv.data().await else {
            return heard;
        };
        let piece = piece.unwrap();
        recv.flow_control().release_capacity(piece.len()).unwrap();
        heard.extend_from_slice(&piece);
    }
    heard
}

fn noise(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 + n / 251) as u8).collect()
}

/// Writes until the stream takes no more for now.
fn fill(stream: &mut Stream) -> usize {
    let mut cx = Context::from_waker(Waker::noop());
    let piece = [7; 10_000];
    let mut filled = 0;
    while let Poll::Ready(n) = Pin::new(&mut *stream).poll_write(&mut cx, &piece) {
        filled += n.unwrap();
        assert!(filled < 10_000_000, "no end of it");
    }
    filled
}

async fn patiently<T>(doing: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, doing)
        .await
        .expect("in time")
}

#[tokio::test]
async fn bytes_go_both_ways_at_every_size() {
    for size in [
        1,
        2,
        255,
        1024,
        16_384,
        16_385,
        WINDOW - 1,
        WINDOW,
        WINDOW + 1,
        1_000_000,
    ] {
        let (stream, mut far) = pair().await;
        let echo = tokio::spawn(async move {
            while let Some(piece) = far.recv.data().await {
                let piece = piece.unwrap();
                let len = piece.len();
                say(&mut far.send, piece, &AtomicUsize::new(0)).await;
                far.recv.flow_control().release_capacity(len).unwrap();
            }
            far.send.send_data(Bytes::new(), true).unwrap();
            far.driver.await.unwrap()
        });
        // Two tasks, one for each direction.
        let (mut read, mut write) = tokio::io::split(stream);
        let writing = tokio::spawn(async move {
            write.write_all(&noise(size)).await.unwrap();
            write.shutdown().await.unwrap();
        });
        let mut back = Vec::new();
        patiently(read.read_to_end(&mut back)).await.unwrap();
        assert!(back == noise(size), "{size}: {} came back", back.len());
        patiently(writing).await.unwrap();
        // The connection was ended as it should be, and not dropped.
        patiently(echo).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_reader_that_stalls_stops_the_other_side_at_one_window() {
    let (mut stream, mut far) = pair().await;
    let said = Arc::new(AtomicUsize::new(0));
    let counting = said.clone();
    let saying = tokio::spawn(async move {
        say(&mut far.send, noise(1_000_000).into(), &counting).await;
        far.send.send_data(Bytes::new(), true).unwrap();
        far.recv
    });
    eventually("the window is used up", || {
        said.load(Ordering::Relaxed) == WINDOW
    })
    .await;
    // The other direction goes on, and drives the connection without taking anything.
    for _ in 0..20 {
        stream.write_all(b"still here").await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(said.load(Ordering::Relaxed), WINDOW);
    let mut all = Vec::new();
    patiently(stream.read_to_end(&mut all)).await.unwrap();
    assert!(all == noise(1_000_000));
    let mut recv = saying.await.unwrap();
    assert_eq!(hear(&mut recv, 200).await, b"still here".repeat(20));
}

#[tokio::test]
async fn a_side_that_does_not_read_stops_the_writer_at_one_window() {
    let (mut stream, mut far) = pair().await;
    assert_eq!(fill(&mut stream), WINDOW);
    let mut cx = Context::from_waker(Waker::noop());
    let flushed = Pin::new(&mut stream).poll_flush(&mut cx);
    assert!(flushed.is_pending(), "the socket cannot have it all");
    let flushed = patiently(stream.flush()).await;
    assert!(flushed.is_ok(), "all that was accepted has left");
    assert_eq!(fill(&mut stream), 0);
    let heard = tokio::spawn(async move {
        let heard = hear(&mut far.recv, usize::MAX).await;
        (heard, far)
    });
    patiently(stream.write_all(&[7; 100_000])).await.unwrap();
    patiently(stream.shutdown()).await.unwrap();
    let (heard, _far) = patiently(heard).await.unwrap();
    assert_eq!(heard.len(), WINDOW + 100_000);
}

/// Whatever its window: what the socket has not taken is held here, and that has a limit.
#[tokio::test]
async fn a_socket_that_takes_no_more_stops_the_writer_long_before_a_large_window() {
    let (mut stream, mut far) = pair_with(&[], 10_000_000).await;
    let filled = fill(&mut stream);
    // 64 KiB, a frame that is on its way, and what the socket took.
    assert!((65_536..150_000).contains(&filled), "{filled}");
    let heard = tokio::spawn(async move { hear(&mut far.recv, filled).await.len() });
    patiently(stream.flush()).await.unwrap();
    assert_eq!(patiently(heard).await.unwrap(), filled);
}

#[tokio::test]
async fn each_direction_ends_by_itself() {
    let (mut stream, mut far) = pair().await;
    stream.write_all(b"all of it").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(hear(&mut far.recv, usize::MAX).await, b"all of it");
    say(
        &mut far.send,
        Bytes::from_static(b"and back"),
        &AtomicUsize::new(0),
    )
    .await;
    far.send.send_data(Bytes::new(), true).unwrap();
    let mut back = Vec::new();
    patiently(stream.read_to_end(&mut back)).await.unwrap();
    assert_eq!(back, b"and back");

    let (mut stream, mut far) = pair().await;
    far.send
        .send_data(Bytes::from_static(b"first"), true)
        .unwrap();
    let mut back = Vec::new();
    patiently(stream.read_to_end(&mut back)).await.unwrap();
    assert_eq!(back, b"first");
    stream.write_all(b"and on").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(hear(&mut far.recv, usize::MAX).await, b"and on");
    // Our goodbye, not a broken connection.
    patiently(far.driver).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_write_after_our_end_fails() {
    let (mut stream, _far) = pair().await;
    stream.shutdown().await.unwrap();
    let error = stream.write(b"more").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn bytes_that_came_with_the_200_stand_in_front() {
    let (mut stream, mut far) = pair_with(b"hello", WINDOW as u32).await;
    assert_eq!(stream.tail(), b"hello");
    far.send
        .send_data(Bytes::from_static(b" again"), true)
        .unwrap();
    let mut all = Vec::new();
    patiently(stream.read_to_end(&mut all)).await.unwrap();
    assert_eq!(all, b"hello again");
}

#[tokio::test]
async fn a_reset_comes_after_what_was_said_before_it() {
    let (mut stream, mut far) = pair().await;
    far.send
        .send_data(Bytes::from_static(b"last words"), false)
        .unwrap();
    let mut words = [0; 10];
    patiently(stream.read_exact(&mut words)).await.unwrap();
    assert_eq!(&words, b"last words");
    far.send.send_reset(Reason::CONNECT_ERROR);
    let error = patiently(stream.read(&mut words)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(error.to_string(), "the stream was reset: CONNECT_ERROR");
    let error = patiently(stream.write(b"hello?")).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

/// A proxy that is about to be restarted says so, and lets its tunnels be.
#[tokio::test]
async fn a_goodbye_without_an_error_spares_the_stream() {
    let (mut stream, mut far) = pair().await;
    far.go_away.send(Reason::NO_ERROR).unwrap();
    for _ in 0..10 {
        stream.write_all(b"hello").await.unwrap();
        stream.flush().await.unwrap();
        let heard = patiently(hear(&mut far.recv, 5)).await;
        assert_eq!(heard, b"hello");
        far.send.send_data(heard.into(), false).unwrap();
        let mut back = [0; 5];
        patiently(stream.read_exact(&mut back)).await.unwrap();
    }
    far.send.send_data(Bytes::new(), true).unwrap();
    assert_eq!(patiently(stream.read(&mut [0; 1])).await.unwrap(), 0);
    stream.shutdown().await.unwrap();
    patiently(far.driver).await.unwrap().unwrap();
}

/// What a session with such a backend came to: `after` is done once its bytes are through.
async fn outcome(after: impl FnOnce(Far) -> Option<Far>) -> Outcome {
    let (stream, mut far) = pair().await;
    let (mut client, near) = duplex(1024);
    let leg = |stream| Leg {
        stream,
        tail: Bytes::new(),
    };
    let client_leg = Leg {
        stream: near,
        tail: Bytes::new(),
    };
    let pair = Pair {
        client: client_leg,
        backend: leg(stream),
    };
    let session = splice::run(pair, Params::opaque(Limits::default()), &Watch::default());
    let doing = async {
        far.send
            .send_data(Bytes::from_static(b"hello"), false)
            .unwrap();
        let mut hello = [0; 5];
        client.read_exact(&mut hello).await.unwrap();
        let far = after(far);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        drop((client, far));
    };
    patiently(future::join(session, doing)).await.0
}

#[tokio::test]
async fn the_record_of_a_session_says_how_its_stream_ended() {
    let end = outcome(|mut far| {
        far.send.send_reset(Reason::CONNECT_ERROR);
        Some(far)
    });
    let end = end.await.end;
    assert_eq!(
        end,
        SpliceEnd::Lost(Side::Backend, io::ErrorKind::ConnectionReset)
    );
    assert_eq!((end.by(), end.why()), ("backend", "reset"));

    let end = outcome(|far| {
        far.go_away.send(Reason::INTERNAL_ERROR).unwrap();
        Some(far)
    });
    let end = end.await.end;
    assert_eq!((end.by(), end.why()), ("backend", "reset"));

    // The connection is gone, and nobody said that this was all.
    let end = outcome(|far| {
        far.driver.abort();
        None
    });
    assert_eq!(end.await.end, SpliceEnd::Truncated(Side::Backend));

    let end = outcome(|mut far| {
        far.send.send_data(Bytes::new(), true).unwrap();
        Some(far)
    });
    assert_eq!(end.await.end, SpliceEnd::Closed(Side::Backend));
}

/// Servers write a frame for each message, and the crate would take many short ones for an attack.
#[tokio::test]
async fn many_short_frames_are_nobodys_attack() {
    const FRAMES: usize = 6_000;
    let (mut stream, mut far) = pair().await;
    for n in 0..FRAMES {
        far.send
            .send_data(Bytes::from(vec![n as u8]), false)
            .unwrap();
    }
    far.send.send_data(Bytes::new(), true).unwrap();
    // All of them are read off the socket before any is taken.
    for _ in 0..50 {
        stream.write_all(b".").await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut all = Vec::new();
    patiently(stream.read_to_end(&mut all)).await.unwrap();
    let expected: Vec<u8> = (0..FRAMES).map(|n| n as u8).collect();
    assert!(all == expected, "{} of {FRAMES}", all.len());
}

/// The same without end: the socket is left alone long before the window is used up.
#[tokio::test]
async fn shorter_frames_than_the_window_counts_wait_in_the_socket() {
    const FRAMES: usize = 40_000;
    let (mut stream, mut far) = pair().await;
    let saying = tokio::spawn(async move {
        for n in 0..FRAMES {
            say(
                &mut far.send,
                Bytes::from(vec![n as u8]),
                &AtomicUsize::new(0),
            )
            .await;
        }
        far.send.send_data(Bytes::new(), true).unwrap();
        far
    });
    // Its library takes more than a hundred for an attack.
    for _ in 0..50 {
        stream.write_all(b".").await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut all = Vec::new();
    patiently(stream.read_to_end(&mut all)).await.unwrap();
    assert_eq!(all.len(), FRAMES);
    saying.await.unwrap();
}

#[tokio::test]
async fn a_ping_is_answered_while_nothing_else_happens() {
    let (mut stream, mut far) = pair().await;
    let mut byte = [0; 1];
    tokio::select! {
        _ = stream.read(&mut byte) => panic!("nothing was said"),
        pong = patiently(far.ping.ping(h2::Ping::opaque())) => { pong.unwrap(); }
    }
}
