//! Limits and the drain end a session, and nothing that a side does or leaves undone holds it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use throughway::net::pipe::Plain;
use throughway::splice::{Limits, Outcome, SpliceEnd};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::task::coop::poll_proceed;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{pair, run};
use crate::support::noise::Noise;
use crate::support::sockets::{Reset, Stall, Way};

pub(crate) const IDLE: Duration = Duration::from_secs(300);
const AGE: Duration = Duration::from_secs(3600);
/// What the splice allows a side that is left, and a goodbye.
const LINGER: Duration = Duration::from_secs(5);
const FAREWELL: Duration = Duration::from_secs(2);
/// The granularity of the timer, and then some.
const SLACK: Duration = Duration::from_millis(5);

pub(crate) fn limits(idle: Option<Duration>, session: Option<Duration>) -> Limits {
    Limits { idle, session }
}

/// Runs a splice with these limits while `far` does what it does with both far ends.
pub(crate) async fn between(
    limits: Limits,
    far: impl AsyncFnOnce(DuplexStream, DuplexStream),
) -> Outcome {
    let (far_client, near_client) = duplex(1024);
    let (far_backend, near_backend) = duplex(1024);
    let pair = pair(near_client, near_backend);
    let splice = run(pair, limits, CancellationToken::new());
    tokio::join!(far(far_client, far_backend), splice).1
}

/// Both far ends are told of the end, in order.
pub(crate) async fn both_end(mut client: DuplexStream, mut backend: DuplexStream) {
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    backend.read_to_end(&mut rest).await.unwrap();
}

#[track_caller]
pub(crate) fn assert_ended(outcome: &Outcome, end: SpliceEnd, after: Duration) {
    assert_eq!(outcome.end, end);
    let late = outcome.duration.checked_sub(after);
    assert!(late.is_some_and(|late| late <= SLACK), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_session_ends_when_it_is_idle_and_both_sides_are_told() {
    let outcome = between(limits(Some(IDLE), Some(AGE)), both_end).await;
    assert_ended(&outcome, SpliceEnd::Idle, IDLE);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_session_ends_when_it_is_idle() {
    let far = async |mut client: DuplexStream, mut backend: DuplexStream| {
        client.shutdown().await.unwrap();
        assert_eq!(backend.read(&mut [0]).await.unwrap(), 0);
        both_end(client, backend).await;
    };
    let outcome = between(limits(Some(IDLE), None), far).await;
    assert_ended(&outcome, SpliceEnd::Idle, IDLE);
}

#[tokio::test(start_paused = true)]
async fn a_lively_session_ends_at_its_age() {
    let far = async |mut client: DuplexStream, mut backend: DuplexStream| {
        let mut byte = [0];
        while client.write_all(b"a").await.is_ok() {
            if backend.read(&mut byte).await.unwrap() == 0 {
                break;
            }
            sleep(IDLE / 2).await;
        }
    };
    let outcome = between(limits(Some(IDLE), Some(AGE)), far).await;
    assert_ended(&outcome, SpliceEnd::Age, AGE);
}

#[tokio::test(start_paused = true)]
async fn a_session_without_limits_goes_on() {
    let far = async |mut client: DuplexStream, mut backend: DuplexStream| {
        sleep(AGE * 1000).await;
        client.write_all(b"still here").await.unwrap();
        client.shutdown().await.unwrap();
        backend.shutdown().await.unwrap();
        let mut all = String::new();
        backend.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "still here");
    };
    let outcome = between(Limits::default(), far).await;
    assert_eq!(outcome.end.why(), "closed");
}

/// Always has bytes, takes all bytes, and uses up the task's cooperative budget each time, as
/// full reads over TLS do, of which each is many reads of the socket.
struct Greedy;

impl Plain for Greedy {}

impl AsyncRead for Greedy {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while let Poll::Ready(proceed) = poll_proceed(cx) {
            proceed.made_progress();
        }
        buf.put_slice(b"more");
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Greedy {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A timer that is asked after such pumps never rings, because it needs budget, too. On the real
/// clock: a paused one stands still while anything moves.
#[tokio::test]
async fn a_session_that_never_rests_ends_at_its_age() {
    let limits = limits(None, Some(Duration::from_millis(100)));
    let cut = CancellationToken::new();
    let _cut_when_the_test_fails = cut.clone().drop_guard();
    let splice = tokio::spawn(run(pair(Greedy, Greedy), limits, cut));
    let outcome = timeout(crate::support::PATIENCE, splice).await;
    let outcome = outcome.expect("its age ends it").unwrap();
    assert_eq!(outcome.end, SpliceEnd::Age);
    assert!(outcome.to_backend > 0);
}

#[tokio::test(start_paused = true)]
async fn a_cut_ends_a_session_at_once_and_both_sides_are_told() {
    let (far_client, near_client) = duplex(1024);
    let (far_backend, near_backend) = duplex(1024);
    let cut = CancellationToken::new();
    let splice = run(
        pair(near_client, near_backend),
        Limits::default(),
        cut.clone(),
    );
    let far = async {
        sleep(IDLE).await;
        cut.cancel();
        let cut_at = Instant::now();
        both_end(far_client, far_backend).await;
        assert_eq!(cut_at.elapsed(), Duration::ZERO);
    };
    let (outcome, ()) = tokio::join!(splice, far);
    assert_ended(&outcome, SpliceEnd::Cut, IDLE);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_cut_before_it_began_ends_at_once() {
    let cut = CancellationToken::new();
    cut.cancel();
    let ((_far_client, near_client), (_far_backend, near_backend)) = (duplex(1), duplex(1));
    let outcome = run(pair(near_client, near_backend), Limits::default(), cut).await;
    assert_ended(&outcome, SpliceEnd::Cut, Duration::ZERO);
}

/// The backend takes nothing, so no goodbye goes through; and it must not get one, because it
/// would take what it had for all there was.
#[tokio::test(start_paused = true)]
async fn a_stalled_side_does_not_hold_a_session_that_is_ended() {
    let (mut far_client, near_client) = duplex(4096);
    let (mut far_backend, near_backend) = duplex(4096);
    let (backend, _stall) = Stall::after(near_backend, Way::Write, 1);
    Noise::seeded(1).pour(&mut far_client, 4096).await;
    let pair = pair(near_client, backend);
    let splice = run(pair, limits(Some(IDLE), None), CancellationToken::new());
    let outcome = timeout(AGE, splice).await.expect("its limit ends it");
    assert_ended(&outcome, SpliceEnd::Idle, IDLE + FAREWELL);
    assert_eq!(outcome.to_backend, 1);
    assert_eq!(Noise::seeded(1).drain(&mut far_backend).await, (1, None));
}

/// The client is lost but its connection never says so when read, and the backend never ends.
#[tokio::test(start_paused = true)]
async fn a_side_that_is_left_does_not_hold_a_session_for_ever() {
    let (_far_client, near_client) = duplex(1024);
    let (mut far_backend, near_backend) = duplex(1024);
    far_backend.write_all(b"too late").await.unwrap();
    let client = Reset::after(near_client, Way::Write, 0);
    let pair = pair(client, near_backend);
    let splice = run(pair, Limits::default(), CancellationToken::new());
    let outcome = timeout(AGE, splice).await.expect("its lingering ends");
    assert_eq!(outcome.end.by(), "client");
    assert_ended(&outcome, outcome.end, LINGER);
}
