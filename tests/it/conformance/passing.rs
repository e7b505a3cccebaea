//! `observe` and `opaque`: each side hears byte for byte what it hears without a gateway.

use super::cases::{self, Case, Found, Script};
use super::conversation::{Transcript, Way, hold, hold_from};
use super::street::{Street, direct};
use super::{Run, each, every, same, same_bytes};
use crate::support::ends::{hear, last_words, say};
use crate::support::frames::{Seat, code_of, received, text};
use crate::support::strict::Strict;

/// The strict end is a second opinion on the cases, and they are one on it.
#[tokio::test]
async fn without_a_gateway_each_case_is_answered_as_it_says() {
    every(async |run| {
        let found = hold(direct().await, run).await?;
        let script = run.case.said_by(run.seat);
        same_bytes("what was sent", &found.strict.bytes, &script.all())?;
        let (frames, more) = received(&found.scripted.bytes);
        let last = frames.last().filter(|frame| frame.opcode == 8);
        let code = last.ok_or("no Close")?;
        same("its code", &code_of(&code.payload), &run.case.code())?;
        same("bytes behind it", &more, &false)?;
        let answer = &found.scripted.bytes;
        let before = answer.len() - if has_answer(run.case) { 0 } else { code.bytes };
        same_bytes("its answers", &answer[..before], &script.answer)?;
        in_order(&found)
    })
    .await;
}

/// Whether the Close that ends it answers one, so that it is among the answers to what is right.
fn has_answer(case: &Case) -> bool {
    case.bad
        .as_ref()
        .is_none_or(|bad| bad.found == Found::AfterClose)
}

fn in_order(found: &Transcript) -> Result<(), String> {
    same("the strict side's end", &found.strict.end, &Ok(()))?;
    same("the scripted side's end", &found.scripted.end, &Ok(()))
}

async fn unchanged(keys: &str) {
    let street = &Street::new(keys).await;
    every(async |run| {
        let straight = Run {
            way: Way::AtOnce,
            ..run
        };
        let expected = hold(direct().await, straight).await?;
        let found = hold(street.open(run.case.deflate).await, run).await?;
        same_bytes("what arrived", &found.strict.bytes, &expected.strict.bytes)?;
        let (found_back, expected_back) = (&found.scripted.bytes, &expected.scripted.bytes);
        same_bytes("what came back", found_back, expected_back)?;
        in_order(&found)
    })
    .await;
}

#[tokio::test]
async fn observed_each_case_is_what_it_is_without_a_gateway() {
    unchanged("frames = \"observe\"").await;
}

#[tokio::test]
async fn unobserved_each_case_is_what_it_is_without_a_gateway() {
    unchanged("frames = \"opaque\"").await;
}

/// What a backend says before it has heard of its client comes with its 101, and is no less seen.
#[tokio::test]
async fn glued_to_the_101_each_case_is_what_it_is_without_a_gateway() {
    let street = &Street::new("frames = \"observe\"").await;
    let short = cases::all().into_iter().filter(Case::is_short).collect();
    each(short, &[Seat::Backend], async |run| {
        let said = run.case.said_by(run.seat).all();
        let ends = street.open_with(run.case.deflate, &said).await;
        let found = hold_from(ends, run, &Script::default()).await?;
        let expected = hold(direct().await, run).await?;
        same_bytes("what arrived", &found.strict.bytes, &said)?;
        let (found_back, expected_back) = (&found.scripted.bytes, &expected.scripted.bytes);
        same_bytes("what came back", found_back, expected_back)?;
        in_order(&found)
    })
    .await;
}

// --- the one difference --------------------------------------------------------------------------

/// A side that leaves without a Close: without a gateway, and with one that sees no frames, the
/// other side hears no more than the end. Whoever observes says the Close that is missing, if the
/// last frame is whole, and the answer to it goes the way of every answer. If it is not whole, the
/// other side ends without a Close, too, and it is the first one that is told.
#[tokio::test]
async fn who_leaves_without_a_close_has_one_said_for_him_where_frames_are_seen() {
    let message = text("goodbye?");
    for seat in [Seat::Client, Seat::Backend] {
        let whole = message.bytes(seat);
        let begun = [&*whole, &text("never").bytes(seat)[..3]].concat();
        // What a client that is left alone is told, and a backend.
        let code = match seat {
            Seat::Client => 1001,
            Seat::Backend => 1011,
        };
        let own = if code == 1001 { 1011 } else { 1001 };
        let check_all = async |street| {
            let (seen, told) = match street {
                None | Some("opaque") => (None, None),
                Some(_) => (Some(code), Some(own)),
            };
            let street = match street {
                None => None,
                Some(keys) => Some(Street::new(&format!("frames = \"{keys}\"")).await),
            };
            check(street.as_ref(), seat, &whole, (seen, seen)).await;
            check(street.as_ref(), seat, &begun, (None, told)).await;
        };
        for frames in [None, Some("opaque"), Some("observe"), Some("validate")] {
            check_all(frames).await;
        }
    }
}

/// `closes`: the one that the strict side hears beside what was said, and the one that the other
/// hears beside the answers.
async fn check(
    street: Option<&Street>,
    seat: Seat,
    said: &[u8],
    closes: (Option<u16>, Option<u16>),
) {
    let ends = match street {
        Some(street) => street.open(false).await,
        None => direct().await,
    };
    let (mut leaves, stays) = match seat {
        Seat::Client => (ends.client, ends.backend),
        Seat::Backend => (ends.backend, ends.client),
    };
    let echo = Strict::new(seat.other(), false).take(said);
    let leaving = async {
        say(&mut leaves, said).await;
        assert_eq!(hear(&mut leaves, echo.len()).await, echo);
        tokio::io::AsyncWriteExt::shutdown(&mut leaves)
            .await
            .unwrap();
        last_words(&mut leaves).await
    };
    let strict = Strict::new(seat.other(), false);
    let (answer, heard) = tokio::join!(leaving, strict.converse(stays));
    let (before, own) = heard.bytes.split_at(said.len());
    assert_eq!(before, said);
    let (own, more) = received(own);
    let codes: Vec<_> = own.iter().map(|f| code_of(&f.payload)).collect();
    assert_eq!(
        (codes, more),
        (expected(closes.0), false),
        "from the {seat:?}"
    );
    assert!(own.iter().all(|f| f.is_masked == (seat == Seat::Client)));
    let (answer, _) = received(&answer);
    let codes: Vec<_> = answer.iter().map(|f| code_of(&f.payload)).collect();
    assert_eq!(codes, expected(closes.1), "the answer to the {seat:?}");
}

fn expected(close: Option<u16>) -> Vec<Option<u16>> {
    close.into_iter().map(Some).collect()
}
