//! The gateway's own Pings: asked in silence and between two frames, answered to it alone, and
//! nobody's end who is there.

use std::time::Duration;

use futures_util::future::join_all;
use throughway::splice::{Heard, Outcome, Params, Ping, Side, SpliceEnd, Told};
use throughway::wire::ws::close::CloseCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep, timeout};

use super::between::{Between, between, hears, last_words, passes};
use super::street::Street;
use super::validating::is_close;
use crate::support::PATIENCE;
use crate::support::ends::{hear, say};
use crate::support::frames::{PING, Received, Seat, binary, close, ping, pong, received, text};

const SEATS: [Seat; 2] = [Seat::Client, Seat::Backend];
const EVERY: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(10);
/// How late the watch may be.
const SLACK: Duration = Duration::from_secs(1);

/// This side alone is asked.
fn asking(seat: Seat) -> Params {
    let ping = |asked| {
        (asked == seat).then_some(Ping {
            every: EVERY,
            timeout: TIMEOUT,
        })
    };
    Params {
        ping_client: ping(Seat::Client),
        ping_backend: ping(Seat::Backend),
        ..Params::default()
    }
}

fn side(seat: Seat) -> Side {
    match seat {
        Seat::Client => Side::Client,
        Seat::Backend => Side::Backend,
    }
}

fn heard(outcome: &Outcome, seat: Seat) -> &Heard {
    match seat {
        Seat::Client => outcome.client.as_ref().unwrap(),
        Seat::Backend => outcome.backend.as_ref().unwrap(),
    }
}

/// The next frame that comes, which is a Ping of the gateway's: what it asks.
async fn asked(stream: &mut DuplexStream, seat: Seat) -> Vec<u8> {
    let key = if seat == Seat::Backend { 4 } else { 0 };
    let mut bytes = vec![0; 2 + key + 12];
    stream.read_exact(&mut bytes).await.unwrap();
    let (mut frames, false) = received(&bytes) else {
        panic!("{bytes:02x?} is no Ping of the gateway's");
    };
    let Received {
        opcode,
        fin,
        is_masked,
        payload,
        ..
    } = frames.remove(0);
    assert_eq!((opcode, fin), (PING, true));
    assert_eq!(is_masked, seat == Seat::Backend);
    payload
}

async fn is_silent(stream: &mut DuplexStream, time: Duration) {
    let byte = timeout(time, stream.read_u8()).await;
    assert!(byte.is_err(), "{byte:02x?}");
}

/// Both say their Close.
async fn part(session: &mut Between) {
    let Between {
        client, backend, ..
    } = session;
    let bye = close(1000, "");
    passes(client, backend, &bye.bytes(Seat::Client)).await;
    passes(backend, client, &bye.bytes(Seat::Backend)).await;
    client.shutdown().await.unwrap();
    backend.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_side_is_asked_and_its_answer_is_the_gateways_alone() {
    for seat in SEATS {
        let outcome = between(asking(seat), async |mut session| {
            let mut last = Instant::now();
            for _ in 0..3 {
                let (silent, other) = session.ends(seat);
                let question = asked(silent, seat).await;
                assert!((EVERY..EVERY + SLACK).contains(&last.elapsed()));
                let answer = pong(question).bytes(seat);
                sleep(TIMEOUT / 2).await;
                // However it is cut.
                for part in answer.chunks(5) {
                    last = Instant::now();
                    silent.write_all(part).await.unwrap();
                    sleep(Duration::from_millis(1)).await;
                }
                is_silent(other, Duration::from_millis(10)).await;
                is_silent(silent, Duration::from_millis(10)).await;
            }
            part(&mut session).await;
        })
        .await;
        assert_eq!(outcome.end, SpliceEnd::Closed(Side::Client));
        let trips = heard(&outcome, seat).pinged.unwrap().round_trips;
        assert_eq!(trips.count, 3);
        assert!(trips.min >= TIMEOUT / 2 && trips.max < TIMEOUT / 2 + SLACK);
        assert_eq!(heard(&outcome, seat.other()).pinged, None);
        assert_eq!(
            heard(&outcome, seat).tally.others().pong.frames,
            0,
            "none of its own"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_side_that_talks_is_not_asked() {
    for seat in SEATS {
        between(asking(seat), async |mut session| {
            let word = text("here").bytes(seat);
            for _ in 0..10 {
                let (talks, other) = session.ends(seat);
                passes(talks, other, &word).await;
                is_silent(talks, EVERY * 9 / 10).await;
            }
            part(&mut session).await;
        })
        .await;
    }
}

/// What goes to it is no life of its own: it is asked, between two frames.
#[tokio::test(start_paused = true)]
async fn a_ping_waits_for_the_end_of_the_frame_that_passes() {
    for seat in SEATS {
        let frame = binary([7; 300]).bytes(seat.other());
        let outcome = between(asking(seat), async |mut session| {
            for at in [1, 2, 5, 100, frame.len() - 1] {
                let (begin, rest) = frame.split_at(at);
                let (silent, other) = session.ends(seat);
                let header = if seat == Seat::Client { 4 } else { 8 };
                // Of a header nothing passes before it is whole.
                let now = if at < header { &[][..] } else { begin };
                other.write_all(begin).await.unwrap();
                hears(silent, now).await;
                if at >= header {
                    // Nor is it dead, which nobody has asked.
                    is_silent(silent, EVERY * 3).await;
                } else {
                    let question = asked(silent, seat).await;
                    silent.write_all(&pong(question).bytes(seat)).await.unwrap();
                }
                other.write_all(rest).await.unwrap();
                hears(silent, &frame[now.len()..]).await;
                let question = asked(silent, seat).await;
                silent.write_all(&pong(question).bytes(seat)).await.unwrap();
                is_silent(other, Duration::from_millis(10)).await;
            }
            part(&mut session).await;
        })
        .await;
        assert_eq!(outcome.end, SpliceEnd::Closed(Side::Client));
    }
}

#[tokio::test(start_paused = true)]
async fn pings_and_pongs_of_the_sides_pass_untouched() {
    for seat in SEATS {
        between(asking(seat), async |mut session| {
            let (silent, other) = session.ends(seat);
            let question = asked(silent, seat).await;
            let mut almost = question.clone();
            almost[10] ^= 1;
            // While an answer is awaited: one like it, the same in a Ping, others.
            for frame in [
                pong(&almost),
                ping(&question),
                pong(&question[..11]),
                pong([&*question, b"+"].concat()),
                pong(""),
                ping(""),
            ] {
                passes(silent, other, &frame.bytes(seat)).await;
                passes(other, silent, &frame.bytes(seat.other())).await;
            }
            // From the side that was not asked it is nobody's answer.
            passes(other, silent, &pong(&question).bytes(seat.other())).await;
            let answer = pong(&question).bytes(seat);
            silent.write_all(&answer).await.unwrap();
            is_silent(other, Duration::from_millis(10)).await;
            // Whoever answers twice still answers the gateway.
            silent.write_all(&answer).await.unwrap();
            is_silent(other, Duration::from_millis(10)).await;
            part(&mut session).await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_side_that_never_answers_ends_the_session() {
    for (seat, code) in [(Seat::Client, 1001), (Seat::Backend, 1011)] {
        let outcome = between(asking(seat), async |mut session| {
            // The other side talks all the time, which is no life of the silent one.
            let (silent, other) = session.ends(seat);
            let word = text("anybody there?").bytes(seat.other());
            for _ in 0..5 {
                passes(other, silent, &word).await;
                sleep(EVERY / 6).await;
            }
            asked(silent, seat).await;
            let (silent, other) = tokio::join!(last_words(silent), last_words(other));
            is_close(&silent, seat, 1001).unwrap();
            is_close(&other, seat.other(), code).unwrap();
        })
        .await;
        assert_eq!(outcome.end, SpliceEnd::Silent(side(seat)));
        assert_eq!(outcome.end.why(), "ping");
        let end = EVERY + TIMEOUT;
        let latest = end + 2 * SLACK + Duration::from_secs(2);
        assert!((end..latest).contains(&outcome.duration), "{outcome:?}");
        assert_eq!(heard(&outcome, seat).told, Told::Own(CloseCode(1001)));
    }
}

/// Any byte of it counts, not the Pong alone.
#[tokio::test(start_paused = true)]
async fn a_side_that_talks_instead_of_answering_is_there() {
    for seat in SEATS {
        let outcome = between(asking(seat), async |mut session| {
            for _ in 0..5 {
                let (silent, other) = session.ends(seat);
                asked(silent, seat).await;
                sleep(TIMEOUT / 2).await;
                passes(silent, other, &text("busy").bytes(seat)).await;
            }
            part(&mut session).await;
        })
        .await;
        assert_eq!(outcome.end, SpliceEnd::Closed(Side::Client));
    }
}

/// It takes some bytes now and then, and never says a thing.
#[tokio::test(start_paused = true)]
async fn a_slow_but_living_download_is_not_killed() {
    for seat in SEATS {
        for pause in [TIMEOUT / 2, EVERY - SLACK, EVERY + TIMEOUT / 2, EVERY * 3] {
            let message = binary([7; 50_000]).bytes(seat.other());
            let outcome = between(asking(seat), async |mut session| {
                let (slow, other) = session.ends(seat);
                let talking = async { other.write_all(&message).await.unwrap() };
                let taking = async {
                    let mut taken = Vec::new();
                    let mut some = [0; 2000];
                    while taken.len() + 4096 < message.len() {
                        sleep(pause).await;
                        let n = slow.read(&mut some).await.unwrap();
                        taken.extend_from_slice(&some[..n]);
                    }
                    let mut rest = vec![0; message.len() - taken.len()];
                    slow.read_exact(&mut rest).await.unwrap();
                    [taken, rest].concat()
                };
                let ((), taken) = tokio::join!(talking, taking);
                assert!(taken == message, "nothing stands inside a frame");
                part(&mut session).await;
            })
            .await;
            assert_eq!(outcome.end, SpliceEnd::Closed(Side::Client), "{pause:?}");
        }
    }
}

/// The keys of the file, on the real clock.
#[tokio::test]
async fn a_route_and_a_backend_each_say_when_their_own_side_is_asked() {
    let keys = "ping = { every = \"1s\", timeout = \"500ms\" }";
    let asked = [(keys, "", Seat::Client), ("", keys, Seat::Backend)];
    let sides = asked.map(|(route, backend, seat)| async move {
        let street = Street::with(route, backend, "timeout = \"1s\"").await;
        let mut ends = street.open(false).await;
        let (silent, other) = match seat {
            Seat::Client => (&mut ends.client, &mut ends.backend),
            Seat::Backend => (&mut ends.backend, &mut ends.client),
        };
        let begun = Instant::now();
        let question = hear(silent, if seat == Seat::Client { 14 } else { 18 }).await;
        assert!(begun.elapsed() >= Duration::from_millis(900));
        let (frames, _) = received(&question);
        say(silent, &pong(&frames[0].payload).bytes(seat)).await;
        // This time nobody answers.
        let mut last = Vec::new();
        let end = timeout(PATIENCE, other.read_to_end(&mut last)).await;
        end.expect("an end in time").unwrap();
        let code = if seat == Seat::Client { 1001 } else { 1011 };
        is_close(&last, seat.other(), code).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(2400));
    });
    join_all(sides).await;
}
