//! Bytes arrive complete and in order, and ends go through, whatever the sockets do.

use bytes::BytesMut;
use throughway::splice::{Leg, Limits, Outcome, Pair, Side, SpliceEnd};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_util::sync::CancellationToken;

use super::{HELD_BYTES_MAX, run, splice};
use crate::support::eventually;
use crate::support::noise::Noise;
use crate::support::sockets::{
    Counted, Dribble, HalfClosed, Release, Reset, ShortWrite, Socket, Stall, TailFirst, Way,
};

/// What each side sends; no multiple of anything.
const BYTES: u64 = 40_009;

/// Where a socket stalls, or its head ends.
const SOME_BYTES: usize = 1_003;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    Dribble,
    ShortWrite,
    StallRead,
    StallWrite,
    TailFirst,
}

const KINDS: [Kind; 6] = [
    Kind::Good,
    Kind::Dribble,
    Kind::ShortWrite,
    Kind::StallRead,
    Kind::StallWrite,
    Kind::TailFirst,
];

/// The gateway's leg over `near`, and what releases it if it stalls.
async fn bad_leg(kind: Kind, near: DuplexStream) -> (Leg<Socket>, Option<Release>) {
    match kind {
        Kind::StallRead => stalling_leg(near, Way::Read),
        Kind::StallWrite => stalling_leg(near, Way::Write),
        Kind::Good => (super::leg(Box::new(near)), None),
        Kind::Dribble => (super::leg(Box::new(Dribble::new(near))), None),
        Kind::ShortWrite => (super::leg(Box::new(ShortWrite::new(near, 3))), None),
        Kind::TailFirst => (read_a_tail(TailFirst::new(near, SOME_BYTES)).await, None),
    }
}

fn stalling_leg(near: DuplexStream, way: Way) -> (Leg<Socket>, Option<Release>) {
    let (stall, release) = Stall::after(near, way, SOME_BYTES);
    (super::leg(Box::new(stall)), Some(release))
}

/// Reads as a handshake would that got more than it asked for.
async fn read_a_tail(mut stream: TailFirst<DuplexStream>) -> Leg<Socket> {
    let mut tail = BytesMut::with_capacity(4096);
    stream.read_buf(&mut tail).await.unwrap();
    assert_eq!(tail.len(), SOME_BYTES);
    Leg {
        stream: Box::new(stream),
        tail: tail.freeze(),
    }
}

async fn release(stall: Option<Release>) {
    if let Some(stall) = stall {
        eventually("the stalled socket is used", || stall.is_reached()).await;
        stall.release();
    }
}

/// One side's far end: sends all of its noise while it checks all of the other's.
async fn far_end(stream: DuplexStream, seed: usize, other_seed: usize) {
    let (mut source, mut sink) = tokio::io::split(stream);
    let send = async {
        Noise::seeded(seed).pour(&mut sink, BYTES).await;
        sink.shutdown().await.unwrap();
    };
    let mut other = Noise::seeded(other_seed);
    let ((), arrived) = tokio::join!(send, other.drain(&mut source));
    assert_eq!(arrived, (BYTES, None));
}

async fn check_both_ways(client: Kind, backend: Kind) {
    let (far_client, near_client) = duplex(16 * 1024);
    let (far_backend, near_backend) = duplex(16 * 1024);
    let gateway = async {
        let ((client, stall_c), (backend, stall_b)) =
            tokio::join!(bad_leg(client, near_client), bad_leg(backend, near_backend));
        let pair = Pair { client, backend };
        let splice = run(pair, Limits::default(), CancellationToken::new());
        tokio::join!(splice, release(stall_c), release(stall_b)).0
    };
    let client_end = far_end(far_client, 1, 2);
    let backend_end = far_end(far_backend, 2, 1);
    let ((), (), outcome) = tokio::join!(client_end, backend_end, gateway);
    assert_eq!((outcome.to_backend, outcome.to_client), (BYTES, BYTES));
    assert_eq!(outcome.end.why(), "closed");
}

#[tokio::test]
async fn all_bytes_arrive_in_order_over_every_pair_of_bad_sockets() {
    for client in KINDS {
        for backend in KINDS {
            let arrived = check_both_ways(client, backend);
            let limit = crate::support::PATIENCE;
            let arrived = tokio::time::timeout(limit, arrived).await;
            assert!(arrived.is_ok(), "{client:?} and {backend:?} hang");
        }
    }
}

/// A splice between two fresh in-memory connections with room for `room` bytes each, and their
/// far ends (client's, backend's).
async fn between<T>(
    room: usize,
    bad_client: impl FnOnce(DuplexStream) -> Socket,
    bad_backend: impl FnOnce(DuplexStream) -> Socket,
    far: impl AsyncFnOnce(DuplexStream, DuplexStream) -> T,
) -> (T, Outcome) {
    let (far_client, near_client) = duplex(room);
    let (far_backend, near_backend) = duplex(room);
    let splice = splice(bad_client(near_client), bad_backend(near_backend));
    tokio::join!(far(far_client, far_backend), splice)
}

fn good(stream: DuplexStream) -> Socket {
    Box::new(stream)
}

#[tokio::test]
async fn an_end_goes_through_after_everything_before_it_and_the_other_direction_goes_on() {
    let far = async |mut client: DuplexStream, mut backend: DuplexStream| {
        let send = async {
            Noise::seeded(1).pour(&mut client, BYTES).await;
            client.shutdown().await.unwrap();
        };
        let mut noise = Noise::seeded(1);
        let ((), arrived) = tokio::join!(send, noise.drain(&mut backend));
        assert_eq!(arrived, (BYTES, None));
        // The client has ended and the backend knows; only now does it answer.
        let answer = async {
            Noise::seeded(2).pour(&mut backend, BYTES).await;
            backend.shutdown().await.unwrap();
        };
        let mut noise = Noise::seeded(2);
        let ((), arrived) = tokio::join!(answer, noise.drain(&mut client));
        assert_eq!(arrived, (BYTES, None));
    };
    let ((), outcome) = between(512, good, good, far).await;
    assert_eq!(outcome.end, SpliceEnd::Closed(Side::Client));
    // The same street the other way round.
    let mirrored = async |client, backend| far(backend, client).await;
    let ((), outcome) = between(512, good, good, mirrored).await;
    assert_eq!(outcome.end, SpliceEnd::Closed(Side::Backend));
}

#[tokio::test]
async fn a_half_closed_socket_is_still_written_to() {
    let half = |stream| Box::new(HalfClosed::after(stream, SOME_BYTES)) as Socket;
    let far = async |mut client: DuplexStream, mut backend: DuplexStream| {
        Noise::seeded(1).pour(&mut client, SOME_BYTES as u64).await;
        let arrived = Noise::seeded(1).drain(&mut backend).await;
        assert_eq!(arrived, (SOME_BYTES as u64, None));
        Noise::seeded(2).pour(&mut backend, 4000).await;
        backend.shutdown().await.unwrap();
        assert_eq!(Noise::seeded(2).drain(&mut client).await, (4000, None));
    };
    let ((), outcome) = between(8192, half, good, far).await;
    assert_eq!(outcome.end, SpliceEnd::Closed(Side::Client));
    let mirrored = async |client, backend| far(backend, client).await;
    let ((), outcome) = between(8192, good, half, mirrored).await;
    assert_eq!(outcome.end, SpliceEnd::Closed(Side::Backend));
}

/// `side` is reset after `SOME_BYTES`, noticed in the way given. It had sent as many bytes before
/// that, and they must reach the other side, for which there is room for only 100 at a time.
async fn check_lost(side: Side, way: Way) {
    let reset = |stream| Box::new(Reset::after(stream, way, SOME_BYTES)) as Socket;
    let far = async |lost: DuplexStream, left: DuplexStream| {
        let (mut lost_source, mut lost_sink) = tokio::io::split(lost);
        let (mut source, mut sink) = tokio::io::split(left);
        let send = async {
            Noise::seeded(1)
                .pour(&mut lost_sink, SOME_BYTES as u64)
                .await;
            if way == Way::Write {
                lost_sink.shutdown().await.unwrap();
            }
        };
        let flood = async {
            // What the lost side cannot take is thrown away, but it is taken.
            Noise::seeded(2).pour(&mut sink, BYTES).await;
            sink.shutdown().await.unwrap();
        };
        let (mut sent, mut flooded) = (Noise::seeded(1), Noise::seeded(2));
        let ((), (), arrived, _) = tokio::join!(
            send,
            flood,
            sent.drain(&mut source),
            flooded.drain(&mut lost_source)
        );
        assert_eq!(arrived, (SOME_BYTES as u64, None), "{side:?} {way:?}");
    };
    let outcome = match side {
        Side::Client => between(100, reset, good, far).await.1,
        Side::Backend => {
            let mirrored = async |client, backend| far(backend, client).await;
            between(100, good, reset, mirrored).await.1
        }
    };
    let reset = std::io::ErrorKind::ConnectionReset;
    assert_eq!(outcome.end, SpliceEnd::Lost(side, reset));
    assert_eq!(outcome.end.why(), "reset");
    assert!(outcome.duration < std::time::Duration::from_secs(1));
}

#[tokio::test]
async fn what_a_lost_side_sent_is_still_delivered_and_then_the_end() {
    for side in [Side::Client, Side::Backend] {
        for way in [Way::Read, Way::Write] {
            let checked = tokio::time::timeout(crate::support::PATIENCE, check_lost(side, way));
            assert!(checked.await.is_ok(), "{side:?} {way:?} hangs");
        }
    }
}

/// The writer of `fast` never stops, the reader of `stalled` takes `SOME_BYTES`.
async fn check_stalled(side: Side) {
    let (mut far_fast, near_fast) = duplex(1024 * 1024);
    let (_far_stalled, near_stalled) = duplex(1024 * 1024);
    let (fast, count) = Counted::new(near_fast);
    let (stalled, stall) = Stall::after(near_stalled, Way::Write, SOME_BYTES);
    let splice = async {
        match side {
            Side::Client => splice(stalled, fast).await,
            Side::Backend => splice(fast, stalled).await,
        }
    };
    let mut noise = Noise::seeded(1);
    let watch = async {
        eventually("the reader stalls", || stall.is_reached()).await;
        let held = count.read() - SOME_BYTES as u64;
        assert!(held <= HELD_BYTES_MAX, "{held} bytes for {side:?}");
    };
    tokio::select! {
        biased;
        () = noise.pour(&mut far_fast, u64::MAX) => panic!("it never ends"),
        outcome = splice => panic!("nothing ends it: {outcome:?}"),
        () = watch => {}
    }
}

#[tokio::test]
async fn a_stalled_reader_stops_the_reading_from_the_other_side() {
    check_stalled(Side::Client).await;
    check_stalled(Side::Backend).await;
}
