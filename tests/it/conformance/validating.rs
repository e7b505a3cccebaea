//! `validate`: what is right passes as it is, what is wrong does not, and both sides are told.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::cases::{self, Bad, Case, Found, Script};
use super::conversation::{Transcript, Way, hold, hold_from};
use super::street::{Street, direct};
use super::{Run, each, every, same, same_bytes};
use crate::support::ends::{Ends, hear, say};
use crate::support::frames::{CLOSE, Received, Seat, code_of, received, text};
use crate::support::strict::Strict;

#[tokio::test]
async fn validated_each_case_passes_or_ends_with_its_code() {
    let street = &Street::new("frames = \"validate\"").await;
    every(async |run| {
        let found = hold(street.open(run.case.deflate).await, run).await?;
        judge(run, &found).await
    })
    .await;
}

/// Over TLS bytes come in records, and an end is in order only with a close_notify. Some cases of each
/// chapter: what they say is the same.
#[tokio::test]
async fn over_tls_each_case_passes_or_ends_with_its_code() {
    let street = &Street::over_tls("frames = \"validate\"").await;
    let short = cases::all().into_iter().filter(Case::is_short);
    let short = short.step_by(16).collect();
    each(short, &[Seat::Client, Seat::Backend], async |run| {
        let found = hold(street.open(run.case.deflate).await, run).await?;
        judge(run, &found).await
    })
    .await;
}

/// A kibibyte is read for the answer of a backend, and the 101 is a part of it.
const READ_WITH_A_101: usize = 512;

#[tokio::test]
async fn glued_to_the_101_each_case_passes_or_ends_with_its_code() {
    let street = &Street::new("frames = \"validate\"").await;
    let short = cases::all().into_iter().filter(Case::is_short).collect();
    each(short, &[Seat::Backend], async |run| {
        let said = run.case.said_by(run.seat).all();
        let ends = street.open_with(run.case.deflate, &said).await;
        let found = hold_from(ends, run, &Script::default()).await?;
        // Nobody waited for answers. What is longer than the gateway reads with a 101 comes in parts.
        let way = match said.len() > READ_WITH_A_101 {
            true => Way::Bytewise,
            false => Way::AtOnce,
        };
        judge(Run { way, ..run }, &found).await
    })
    .await;
}

/// Everybody has said a Close by then, so nobody is waited for: not the two seconds of a farewell,
/// nor the five in which a side that is left may end.
#[tokio::test]
async fn what_comes_behind_a_close_does_not_hold_a_session() {
    let street = &Street::new("frames = \"validate\"").await;
    let is_late = |case: &Case| matches!(&case.bad, Some(bad) if bad.found == Found::AfterClose);
    let late = cases::all().into_iter().filter(is_late).collect();
    let begun = Instant::now();
    each(late, &[Seat::Client, Seat::Backend], async |run| {
        let found = hold(street.open(run.case.deflate).await, run).await?;
        judge(run, &found).await
    })
    .await;
    assert!(begun.elapsed() < Duration::from_millis(1900));
}

/// A socket that is closed while something in it is unread resets its connection, and takes what
/// was said last with it.
#[tokio::test]
async fn who_goes_on_after_a_violation_hears_why_all_the_same() {
    const MUCH: usize = 8 * 1024 * 1024;
    let street = &Street::new("frames = \"validate\"").await;
    for seat in [Seat::Client, Seat::Backend] {
        // The one is wrong in its header. The other begins well, which is passed on.
        let header = (vec![], text("").rsv(1).bytes(seat), 1002);
        let long = text([&[b'a'; 100][..], &[0xff; MUCH]].concat()).bytes(seat);
        let (begin, rest) = long.split_at(60);
        let payload = (begin.to_vec(), rest.to_vec(), 1007);
        for (good, bad, code) in [header, payload] {
            let Ends { client, backend } = street.open(false).await;
            let (mut talks, mut other) = match seat {
                Seat::Client => (client, backend),
                Seat::Backend => (backend, client),
            };
            say(&mut talks, &good).await;
            assert_eq!(hear(&mut other, good.len()).await, good);
            let strict = Strict::new(seat.other(), false).converse(other);
            let talking = async {
                let (mut read, mut write) = tokio::io::split(talks);
                let all = [bad, vec![0; MUCH]].concat();
                let mut heard = Vec::new();
                let (said, end) = tokio::join!(write.write_all(&all), read.read_to_end(&mut heard));
                let outcome = (said.map_err(|e| e.kind()), end.map_err(|e| e.kind()));
                drop(write.shutdown().await);
                (heard, outcome)
            };
            let ((heard, outcome), _) = tokio::join!(talking, strict);
            let end = heard.len();
            assert_eq!(outcome, (Ok(()), Ok(end)), "{code} from the {seat:?}");
            is_close(&heard, seat, code).unwrap();
        }
    }
}

/// Whether a case came out as it is meant to where the gateway holds sides to something.
pub(super) async fn judge(run: Run<'_>, found: &Transcript) -> Result<(), String> {
    same("the scripted side's end", &found.scripted.end, &Ok(()))?;
    same("the strict side's end", &found.strict.end, &Ok(()))?;
    let Some(bad) = &run.case.bad else {
        return passes(run, found).await;
    };
    let script = run.case.said_by(run.seat);
    arrives(run, bad, &script, &found.strict.bytes)?;
    comes_back(run, bad, &script, &found.scripted.bytes)
}

async fn passes(run: Run<'_>, found: &Transcript) -> Result<(), String> {
    let straight = Run {
        way: Way::AtOnce,
        ..run
    };
    let expected = hold(direct().await, straight).await?;
    same_bytes("what arrived", &found.strict.bytes, &expected.strict.bytes)?;
    same_bytes(
        "what came back",
        &found.scripted.bytes,
        &expected.scripted.bytes,
    )
}

/// Everything before the wrong frame arrives, nothing of that, and then a Close. A frame that shows
/// only in the middle that it is wrong has passed up to there when it came in parts: no Close can
/// follow it, and the connection ends.
fn arrives(run: Run<'_>, bad: &Bad, script: &Script, heard: &[u8]) -> Result<(), String> {
    let good = &script.good;
    let before = &heard[..heard.len().min(good.len())];
    same_bytes("what is right", before, good)?;
    let last = &heard[good.len()..];
    let begun = last.len() < script.bad.len() && script.bad.starts_with(last);
    match bad.found {
        Found::AfterClose => same_bytes("what came after the Close", last, &[]),
        Found::Payload if begun && run.way == Way::Bytewise && !last.is_empty() => Ok(()),
        Found::Header | Found::Payload => is_close(last, run.seat.other(), bad.code),
    }
}

/// Answers to what is right, as many as had come, and then a Close.
fn comes_back(run: Run<'_>, bad: &Bad, script: &Script, heard: &[u8]) -> Result<(), String> {
    let (frames, more) = received(heard);
    same("something after the last frame", &more, &false)?;
    let last = frames.last().ok_or("nothing came back")?;
    let (answers, close) = heard.split_at(heard.len() - last.bytes);
    let closes = frames.iter().filter(|frame| frame.opcode == CLOSE).count();
    same("how many Closes came back", &closes, &1)?;
    if bad.found == Found::AfterClose {
        let codes = [run.case.code(), Some(bad.code)];
        return match codes.contains(&code_of(&last.payload)) {
            true => Ok(()),
            false => Err(format!("the Close is {last:?}")),
        };
    }
    is_close(close, run.seat, bad.code)?;
    match run.way {
        Way::Bytewise => same_bytes("the answers", answers, &script.answer),
        Way::AtOnce => {
            let some = &script.answer[..answers.len().min(script.answer.len())];
            same_bytes("the first answers", answers, some)
        }
    }
}

/// Just one Close with this code, masked if it goes to the backend.
pub(super) fn is_close(bytes: &[u8], to: Seat, code: u16) -> Result<(), String> {
    match received(bytes) {
        (frames, false) if frames.len() == 1 => {
            let Received {
                opcode,
                fin,
                rsv,
                is_masked,
                payload,
                ..
            } = &frames[0];
            let found = (*opcode, *fin, *rsv, *is_masked, code_of(payload));
            let expected = (CLOSE, true, 0, to == Seat::Backend, Some(code));
            same("the Close", &found, &expected)
        }
        _ => Err(format!("{bytes:02x?} is not one Close")),
    }
}
