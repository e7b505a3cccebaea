//! Ends that are the gateway's: both sides get just one Close, with its code and its mask, and then
//! an end in order; and a Close never stands inside a frame.

use std::time::Duration;

use futures_util::future::join_all;
use throughway::splice::{Limits, Outcome, Params, SpliceEnd, Told};
use throughway::wire::ws::close::CloseCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep, timeout};

use super::between::{Between, between, hears, last_words, passes};
use super::street::Street;
use super::validating::is_close;
use crate::support::ends::{self, Carried, Ends, Street as Started, say};
use crate::support::frames::{Seat, binary, close, text};
use crate::support::process::field;
use crate::support::strict::Strict;

const SEATS: [Seat; 2] = [Seat::Client, Seat::Backend];
const MINUTE: Duration = Duration::from_secs(60);
/// What both sides may take to answer a Close.
const FAREWELL: Duration = Duration::from_secs(2);

fn limits(idle: Option<Duration>, session: Option<Duration>) -> Params {
    Params {
        limits: Limits { idle, session },
        ..Params::default()
    }
}

fn told(outcome: &Outcome) -> (Told, Told) {
    let told = |heard: &Option<throughway::splice::Heard>| heard.as_ref().unwrap().told;
    (told(&outcome.client), told(&outcome.backend))
}

fn own(code: u16) -> Told {
    Told::Own(CloseCode(code))
}

/// Two strict ends on a session that `end` brings to an end: what each heard.
async fn both_told(params: Params, end: impl AsyncFnOnce(&Between), code: u16) -> Outcome {
    let begun = Instant::now();
    let outcome = between(params, async |mut session| {
        end(&session).await;
        let Between {
            client, backend, ..
        } = &mut session;
        let (client, backend) = tokio::join!(
            Strict::new(Seat::Client, false).converse(client),
            Strict::new(Seat::Backend, false).converse(backend),
        );
        for (heard, seat) in [(client, Seat::Client), (backend, Seat::Backend)] {
            assert_eq!(heard.end, Ok(()));
            is_close(&heard.bytes, seat, code).unwrap();
        }
    })
    .await;
    // Whoever answers is not waited for.
    assert!(begun.elapsed() < MINUTE + MINUTE / 10 + FAREWELL / 2);
    assert_eq!(told(&outcome), (own(code), own(code)));
    outcome
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_idle_or_old_says_1001_to_both() {
    let nothing = async |_: &Between| {};
    let idle = both_told(limits(Some(MINUTE), None), nothing, 1001).await;
    assert_eq!(idle.end, SpliceEnd::Idle);
    let old = both_told(limits(None, Some(MINUTE)), nothing, 1001).await;
    assert_eq!(old.end, SpliceEnd::Age);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_cut_or_drained_says_what_it_is_told_to() {
    for code in [1001, 1012, 1013, 4321] {
        let params = || Params {
            cut_code: CloseCode(code),
            ..Params::default()
        };
        let cut = async |session: &Between| session.cut.cancel();
        assert_eq!(both_told(params(), cut, code).await.end, SpliceEnd::Cut);
        let drained = async |session: &Between| {
            sleep(MINUTE / 2).await;
            session.watch.drain(MINUTE / 2);
        };
        let outcome = both_told(params(), drained, code).await;
        assert_eq!(outcome.end, SpliceEnd::Cut);
        assert!(outcome.duration <= MINUTE + MINUTE / 10, "{outcome:?}");
    }
}

/// Both are told, and then waited for just so long.
#[tokio::test(start_paused = true)]
async fn sides_that_do_not_answer_are_ended_after_a_moment() {
    let outcome = between(limits(Some(MINUTE), None), async |mut session| {
        let Between {
            client, backend, ..
        } = &mut session;
        let (client, backend) = tokio::join!(last_words(client), last_words(backend));
        is_close(&client, Seat::Client, 1001).unwrap();
        is_close(&backend, Seat::Backend, 1001).unwrap();
    })
    .await;
    assert_eq!(told(&outcome), (own(1001), own(1001)));
    assert!(outcome.duration >= MINUTE + FAREWELL);
    assert!(outcome.duration <= MINUTE + MINUTE / 10 + FAREWELL);
}

/// RFC 6455 §5.5.1: what a side still says before its own Close is not wrong, and nobody hears it.
#[tokio::test(start_paused = true)]
async fn what_is_said_after_the_gateways_close_is_not_passed_on() {
    for seat in SEATS {
        between(limits(Some(MINUTE), None), async |mut session| {
            let (talks, other) = session.ends(seat);
            let talking = async {
                // A Close of the gateway's has 2 bytes of header, and a key to the backend.
                assert_eq!(talks.read_u8().await.unwrap(), 0x88);
                let late = [text("late"), close(1001, "")].map(|f| f.bytes(seat));
                talks.write_all(&late.concat()).await.unwrap();
                last_words(talks).await;
            };
            let ((), heard) = tokio::join!(talking, last_words(other));
            is_close(&heard, seat.other(), 1001).unwrap();
        })
        .await;
    }
}

/// In the middle of a frame there is no place for a Close. The side that waits for the rest of that
/// frame is cut, and the other one is told.
#[tokio::test(start_paused = true)]
async fn a_close_never_stands_inside_a_frame() {
    const MIB: usize = 1024 * 1024;
    let frame = binary(vec![7; MIB]);
    for seat in SEATS {
        let bytes = frame.bytes(seat);
        let half = &bytes[..MIB / 2];
        let outcome = between(limits(None, Some(MINUTE)), async |mut session| {
            let (talks, other) = session.ends(seat);
            passes(talks, other, half).await;
            let (told, cut) = tokio::join!(last_words(talks), last_words(other));
            is_close(&told, seat, 1001).unwrap();
            assert_eq!(cut, b"", "and nothing made up");
        })
        .await;
        assert_eq!(outcome.end, SpliceEnd::Age);
        let (client, backend) = told(&outcome);
        let (talks, other) = match seat {
            Seat::Client => (client, backend),
            Seat::Backend => (backend, client),
        };
        assert_eq!((talks, other), (own(1001), Told::Cut), "{seat:?}");
    }
}

/// If the rest comes in time, there is a place behind it.
#[tokio::test(start_paused = true)]
async fn a_frame_that_ends_in_time_is_followed_by_the_close() {
    for seat in SEATS {
        let bytes = [text("begun in time").bytes(seat), text("never").bytes(seat)].concat();
        let (begin, rest) = bytes.split_at(9);
        let whole = text("begun in time").bytes(seat).len();
        let outcome = between(limits(None, Some(MINUTE)), async |mut session| {
            let (talks, other) = session.ends(seat);
            passes(talks, other, begin).await;
            assert_eq!(talks.read_u8().await.unwrap(), 0x88);
            sleep(FAREWELL / 2).await;
            talks.write_all(rest).await.unwrap();
            hears(other, &bytes[9..whole]).await;
            let (_, last) = tokio::join!(last_words(talks), last_words(other));
            is_close(&last, seat.other(), 1001).unwrap();
        })
        .await;
        assert_eq!(told(&outcome), (own(1001), own(1001)), "{seat:?}");
    }
}

/// A side that takes nothing is not told that what it got was all.
#[tokio::test(start_paused = true)]
async fn a_side_that_takes_nothing_is_cut() {
    for seat in SEATS {
        let message = binary(vec![7; 2000]).bytes(seat);
        let outcome = between(limits(None, Some(MINUTE)), async |mut session| {
            let (talks, other) = session.ends(seat);
            pour(talks, &message).await;
            let told = last_words(talks).await;
            is_close(&told, seat, 1001).unwrap();
            sleep(MINUTE).await;
            let mut heard = Vec::new();
            other.read_to_end(&mut heard).await.unwrap();
            assert!(!heard.ends_with(&[0x03, 0xe9]) && !heard.is_empty());
        })
        .await;
        assert_eq!(outcome.end, SpliceEnd::Age);
    }
}

/// Until no more is taken.
async fn pour(stream: &mut DuplexStream, message: &[u8]) {
    while let Ok(Ok(())) = timeout(MINUTE / 10, stream.write_all(message)).await {}
}

// --- on real sockets -----------------------------------------------------------------------------

const LEGS: [(Carried, Carried); 4] = [
    (Carried::Plain, Carried::Plain),
    (Carried::Tls, Carried::Plain),
    (Carried::Plain, Carried::Tls),
    (Carried::Tls, Carried::Tls),
];

/// Over TLS a close_notify comes before the FIN: without it the read fails.
#[tokio::test]
async fn over_tls_the_close_is_followed_by_an_end_in_order() {
    let of_legs = LEGS.map(|(client, backend)| async move {
        let street = Started::of_frames(client, backend, "limits = { idle = \"300ms\" }").await;
        let Ends { client, backend } = street.open().await;
        let (client, backend) = tokio::join!(
            Strict::new(Seat::Client, false).converse(client),
            Strict::new(Seat::Backend, false).converse(backend),
        );
        for (heard, seat) in [(client, Seat::Client), (backend, Seat::Backend)] {
            assert_eq!(heard.end, Ok(()), "{:?}", street.legs());
            is_close(&heard.bytes, seat, 1001).unwrap();
        }
        let record = &street.gateway.logs(1, "\"session ended\"").await[0];
        assert_eq!(field(record, "ended_by"), "gateway");
        assert_eq!(field(record, "why"), "idle");
    });
    join_all(of_legs).await;
}

/// There is nothing to wait for from a side whose words are not understood any more, however long
/// the other one takes to answer. On real sockets, which do not wake anybody for being read from.
#[tokio::test]
async fn who_breaks_a_rule_is_ended_at_once() {
    let street = &Street::new("frames = \"validate\"").await;
    let both = SEATS.map(|seat| async move {
        let Ends { client, backend } = street.open(false).await;
        let (mut breaks, mut other) = match seat {
            Seat::Client => (client, backend),
            Seat::Backend => (backend, client),
        };
        let begun = Instant::now();
        say(&mut breaks, &text("bits").rsv(1).bytes(seat)).await;
        let heard = ends::last_words(&mut breaks).await;
        is_close(&heard, seat, 1002).unwrap();
        assert!(begun.elapsed() < FAREWELL / 2);
        let heard = ends::last_words(&mut other).await;
        is_close(&heard, seat.other(), 1002).unwrap();
        assert!(begun.elapsed() >= FAREWELL);
    });
    join_all(both).await;
}

#[tokio::test]
async fn a_drain_tells_every_session_its_code() {
    let drain = "timeout = \"5s\", spread = \"200ms\", close_code = 1012";
    let street = Street::with("", "", drain).await;
    let mut sessions = Vec::new();
    for _ in 0..10 {
        let Ends { client, backend } = street.open(false).await;
        sessions.push(async {
            tokio::join!(
                Strict::new(Seat::Client, false).converse(client),
                Strict::new(Seat::Backend, false).converse(backend),
            )
        });
    }
    let begun = Instant::now();
    let ended = join_all(sessions);
    let ((), ended) = tokio::join!(street.drain(), ended);
    assert!(begun.elapsed() < Duration::from_secs(4), "nobody was cut");
    for (client, backend) in ended {
        is_close(&client.bytes, Seat::Client, 1012).unwrap();
        is_close(&backend.bytes, Seat::Backend, 1012).unwrap();
    }
}
