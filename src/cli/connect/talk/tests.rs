//! What takes long, on a clock of its own.

use tokio::net::UnixStream;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::*;
use crate::cli::connect::input::{BadInput, Outgoing, Shape};

const RULES: Rules = Rules {
    look: Look::piped(Shape::Binary),
    voice: Voice::Quiet,
    at_end: AtEnd::Close,
    ping: None,
    message_bytes_max: 1 << 20,
};

/// A talk, and everything that it talks to.
struct Ends {
    far: UnixStream,
    input: Sender<Result<Outgoing, BadInput>>,
    shown: Receiver<Vec<u8>>,
    wrote: oneshot::Sender<io::Result<()>>,
}

/// Talks while `other` is done to the other ends; the end, and the seconds it took.
async fn talk<F: Future<Output = ()>>(rules: Rules, other: impl FnOnce(Ends) -> F) -> (End, u64) {
    let (near, far) = UnixStream::pair().unwrap();
    let (input, given) = channel(1);
    let (to, shown) = channel(1);
    let (wrote, ended) = oneshot::channel();
    let mut stop = Stop::listen().unwrap();
    let output = Output { to, ended };
    let began = Instant::now();
    let talking = Talk::new(rules).run(Stream::Unix(near), given, output, &mut stop);
    let ends = Ends {
        far,
        input,
        shown,
        wrote,
    };
    let (end, ()) = tokio::join!(talking, other(ends));
    (end, began.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_close_without_an_answer_is_waited_for_five_seconds() {
    let (end, seconds) = talk(RULES, async |ends: Ends| {
        drop(ends.input);
        sleep(Duration::from_secs(60)).await;
    })
    .await;
    assert!(matches!(end, End::Unanswered(CLOSE_WAIT)), "{end:?}");
    assert_eq!(seconds, 60);
}

#[tokio::test(start_paused = true)]
async fn the_close_comes_once_it_is_quiet_and_at_once_where_nothing_was_sent() {
    for (says, waits) in [(true, Duration::from_millis(900)), (false, Duration::ZERO)] {
        let (end, _) = talk(RULES, async |mut ends: Ends| {
            let began = Instant::now();
            if says {
                ends.input
                    .send(Ok(Outgoing::Text(String::new())))
                    .await
                    .unwrap();
                drop(ends.input);
                let mut empty = [0; 2 + 4];
                ends.far.read_exact(&mut empty).await.unwrap();
                sleep(Duration::from_millis(400)).await;
                ends.far.write_all(&[0x82, 1, 7]).await.unwrap();
                assert_eq!(ends.shown.recv().await.unwrap(), [7]);
            } else {
                drop(ends.input);
            }
            let mut close = [0; 2 + 4 + 2];
            ends.far.read_exact(&mut close).await.unwrap();
            assert_eq!(close[0], 0x88);
            let waited = began.elapsed();
            assert!(
                waited >= waits && waited < waits + Duration::from_millis(100),
                "{waited:?}"
            );
            ends.far.write_all(&[0x88, 0]).await.unwrap();
            drop(ends.far);
            while ends.shown.recv().await.is_some() {}
            ends.wrote.send(Ok(())).unwrap();
        })
        .await;
        assert!(matches!(end, End::Answered(_)), "{end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_slow_is_waited_for_after_the_close() {
    let (end, _) = talk(RULES, async |mut ends: Ends| {
        drop(ends.input);
        ends.far.write_all(&[0x82, 10]).await.unwrap();
        for byte in 0..10 {
            sleep(Duration::from_secs(4)).await;
            ends.far.write_all(&[byte]).await.unwrap();
        }
        assert_eq!(ends.shown.recv().await.unwrap(), Vec::from_iter(0..10));
        ends.far.write_all(&[0x88, 0]).await.unwrap();
        drop(ends.far);
        assert_eq!(ends.shown.recv().await.unwrap(), b"");
        ends.wrote.send(Ok(())).unwrap();
    })
    .await;
    assert!(matches!(end, End::Answered(_)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_goes_on_after_the_close_is_not_listened_to_for_ever() {
    let (end, _) = talk(RULES, async |mut ends: Ends| {
        drop(ends.input);
        let mut pieces = 0;
        let feeding = async {
            while ends.far.write_all(&[0x82, 1, 7]).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        };
        let reading = async {
            while let Some(piece) = ends.shown.recv().await {
                pieces += piece.len();
            }
        };
        tokio::join!(feeding, reading);
        assert!((5..=7).contains(&pieces), "{pieces}");
        ends.wrote.send(Ok(())).unwrap();
    })
    .await;
    assert!(matches!(end, End::Unanswered(_)), "{end:?}");
}

fn pinging() -> Rules {
    Rules {
        ping: Some((Duration::from_secs(30), Duration::from_secs(10))),
        at_end: AtEnd::Listen,
        ..RULES
    }
}

#[tokio::test(start_paused = true)]
async fn a_pong_behind_a_slow_frame_is_waited_for_and_one_behind_nothing_is_not() {
    let (end, seconds) = talk(pinging(), async |mut ends: Ends| {
        ends.far.write_all(&[0x82, 5]).await.unwrap();
        for byte in 0..5 {
            sleep(Duration::from_secs(8)).await;
            ends.far.write_all(&[byte]).await.unwrap();
        }
        ends.shown.recv().await.unwrap();
        ends.shown.recv().await.unwrap();
        ends.wrote.send(Ok(())).unwrap();
    })
    .await;
    assert!(matches!(end, End::NoPong(_)), "{end:?}");
    assert!((48..=52).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_slow_is_held_against_nobody() {
    let (end, _) = talk(pinging(), async |mut ends: Ends| {
        let long = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &[7; 1 << 16]].concat();
        // One piece waits in the channel, one with the talk, and what follows is not read.
        for _ in 0..2 {
            ends.far.write_all(&long).await.unwrap();
        }
        // The clock must not jump ahead of what is still on its way.
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
        let mut read = 0;
        sleep(Duration::from_secs(300)).await;
        let mut mark = [0; 2 + 4 + 8];
        ends.far.read_exact(&mut mark).await.unwrap();
        let (key, payload) = mark[2..].split_at_mut(4);
        let key: [u8; 4] = (*key).try_into().unwrap();
        crate::wire::ws::frame::mask(key, 0, payload);
        ends.far
            .write_all(&[&[0x8a, 8], &*payload].concat())
            .await
            .unwrap();
        ends.far.write_all(&[0x88, 0]).await.unwrap();
        drop(ends.far);
        while let Some(piece) = ends.shown.recv().await {
            read += piece.len();
        }
        assert_eq!(read, 2 << 16);
        ends.wrote.send(Ok(())).unwrap();
    })
    .await;
    assert!(matches!(end, End::Closed(_)), "{end:?}");
}

#[tokio::test]
async fn an_output_that_fails_ends_it_with_its_own_error() {
    let (end, _) = talk(RULES, async |mut ends: Ends| {
        ends.shown.close();
        ends.wrote
            .send(Err(io::ErrorKind::StorageFull.into()))
            .unwrap();
        ends.far.write_all(&[0x82, 1, 7]).await.unwrap();
        let mut close = [0; 2 + 4 + 2];
        ends.far.read_exact(&mut close).await.unwrap();
        assert_eq!(close[0], 0x88);
    })
    .await;
    assert!(
        matches!(&end, End::Output(error) if error.kind() == io::ErrorKind::StorageFull),
        "{end:?}"
    );
}

#[tokio::test]
async fn why_the_other_side_left_is_heard_though_it_takes_no_more() {
    let (end, _) = talk(RULES, async |mut ends: Ends| {
        ends.far.write_all(&[0x88, 2, 0x03, 0xf0]).await.unwrap();
        drop(ends.far);
        for _ in 0..100 {
            let message = Outgoing::Binary(vec![0; 1000]);
            if ends.input.send(Ok(message)).await.is_err() {
                break;
            }
        }
        while ends.shown.recv().await.is_some() {}
        ends.wrote.send(Ok(())).unwrap();
    })
    .await;
    assert!(
        matches!(&end, End::Closed(c) if c.code == Some(1008)),
        "{end:?}"
    );
}
