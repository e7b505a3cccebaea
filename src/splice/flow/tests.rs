//! One flow: frames at every split, limits, rules, and the gateway's own Pong.

use super::*;
use crate::splice::Limits;
use crate::wire::ws::close::CloseCode;
use crate::wire::ws::control;
use crate::wire::ws::violation::Violation;

const KEY: Option<[u8; 4]> = Some([1, 2, 3, 4]);

fn flow(frames: Frames, max: Option<u64>) -> Flow {
    let params = Params {
        frames,
        frame_bytes_max: max,
        message_bytes_max: max,
        ..Params::opaque(Limits::default())
    };
    Flow::of(Sender::Client, &params, None)
}

/// One masked frame; `first` is its first byte.
fn frame(first: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![first];
    match len {
        0..126 => bytes.push(0x80 | len as u8),
        126..65536 => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend([1, 2, 3, 4]);
    // Masked, each is an 'a'.
    bytes.extend((0..len).map(|n| b'a' ^ [1, 2, 3, 4][n % 4]));
    bytes
}

/// What passes of `bytes` when they come in two pieces, and what stopped them.
fn in_two(flow: &mut Flow, bytes: &[u8], at: usize) -> (Vec<u8>, Option<Breach>) {
    let mut passed = Vec::new();
    let mut breach = None;
    for piece in [&bytes[..at], &bytes[at..]] {
        let mut piece = [flow.held(), piece].concat();
        loop {
            let walk = flow.walk(&piece, false);
            passed.extend(&piece[..walk.pass]);
            match walk.stop {
                Stop::End | Stop::Boundary => break,
                Stop::Incomplete => {
                    flow.hold(&piece[walk.pass..]);
                    break;
                }
                Stop::Pong(len) => piece.drain(..walk.pass + len),
                Stop::Wait(_) => piece.drain(..walk.pass),
                Stop::Breach(found) => {
                    breach = Some(found);
                    return (passed, breach);
                }
            };
        }
    }
    (passed, breach)
}

#[test]
fn every_frame_passes_unchanged_at_every_split_and_is_counted_once() {
    let bytes = [
        frame(0x81, 5),
        frame(0x02, 200),
        frame(0x89, 3),
        frame(0x80, 70_000),
        frame(0x8b, 2),
        close::encode(CloseCode(4001), "enough", KEY),
    ]
    .concat();
    for at in (0..300).chain(bytes.len() - 100..=bytes.len()) {
        let mut flow = flow(Frames::Observe, None);
        let (passed, breach) = in_two(&mut flow, &bytes, at);
        assert!(passed == bytes && breach.is_none(), "split at {at}");
        assert!(flow.has_said_close());
        let tally = flow.tally().unwrap();
        assert_eq!(
            tally.text,
            Data {
                frames: 1,
                bytes: 5
            }
        );
        assert_eq!(tally.binary.bytes, 200);
        let others = tally.others();
        assert_eq!(others.continuation.bytes, 70_000);
        assert_eq!(tally.messages, 2);
        assert_eq!(tally.message_bytes_max, 70_200);
        assert_eq!((others.ping.frames, others.reserved.frames), (1, 1));
        let close = flow.close().unwrap();
        assert_eq!((close.code.0, &*close.reason), (4001, "enough"));
    }
}

use crate::splice::tally::Data;

#[test]
fn a_frame_cut_short_counts_with_what_came_of_it() {
    let mut flow = flow(Frames::Observe, None);
    let bytes = frame(0x82, 1000);
    in_two(&mut flow, &bytes[..500], 0);
    assert_eq!(flow.tally().unwrap().binary.bytes, 500 - 8);
    assert!(!flow.is_at_boundary());
}

#[test]
fn what_is_too_long_is_found_in_its_header_and_nothing_of_it_passes() {
    let fine = frame(0x81, 100);
    let table = [
        (frame(0x82, 101), Breach::FrameBytes),
        (frame(0x82, 70_000), Breach::FrameBytes),
    ];
    for (long, expected) in table {
        let bytes = [fine.clone(), long].concat();
        for at in 0..bytes.len().min(300) {
            let mut flow = flow(Frames::Observe, Some(100));
            let (passed, breach) = in_two(&mut flow, &bytes, at);
            assert_eq!((&passed, breach), (&fine, Some(expected)), "split at {at}");
            assert!(flow.is_at_boundary() && flow.is_deaf());
        }
    }
}

#[test]
fn a_message_is_as_long_as_its_frames_together() {
    let bytes = [frame(0x01, 60), frame(0x89, 90), frame(0x00, 41)].concat();
    let mut flow = flow(Frames::Observe, Some(100));
    let (passed, breach) = in_two(&mut flow, &bytes, 10);
    assert_eq!(breach, Some(Breach::MessageBytes));
    assert_eq!(passed.len(), bytes.len() - frame(0x00, 41).len());
}

#[test]
fn a_frame_whose_payload_is_refused_passes_not_at_all_if_it_came_whole() {
    let mut bad = frame(0x81, 4);
    // Not UTF-8 once unmasked.
    bad[8] = 0xff ^ 3;
    let bytes = [frame(0x81, 4), bad.clone()].concat();
    let mut whole = flow(Frames::Validate, None);
    let (passed, breach) = in_two(&mut whole, &bytes, 0);
    assert_eq!(passed, frame(0x81, 4));
    assert_eq!(breach, Some(Breach::Rule(Violation::TextNotUtf8)));
    assert!(whole.is_at_boundary());
    // Its beginning has passed: no frame can follow it.
    let mut split = flow(Frames::Validate, None);
    let (passed, _) = in_two(&mut split, &bytes, bytes.len() - 3);
    assert_eq!(passed.len(), bytes.len() - 3);
    assert!(split.is_cut());
}

#[test]
fn a_close_that_is_refused_whole_was_not_said() {
    // Code 1005, which must not be sent.
    let mut bytes = frame(0x88, 2);
    let end = bytes.len() - 2;
    bytes[end] = 0x03 ^ 1;
    bytes[end + 1] = 0xed ^ 2;
    let mut whole = flow(Frames::Validate, None);
    let (passed, breach) = in_two(&mut whole, &bytes, 0);
    assert_eq!(passed, b"");
    assert!(matches!(
        breach,
        Some(Breach::Rule(Violation::BadCloseCode(_)))
    ));
    assert!(whole.is_at_boundary() && !whole.has_closed());
    // Of one whose beginning has passed nobody knows the end: nothing can follow it.
    let mut split = flow(Frames::Validate, None);
    let (passed, _) = in_two(&mut split, &bytes, end);
    assert_eq!(passed.len(), end);
    assert!(split.is_cut());
}

#[test]
fn the_awaited_pong_is_taken_out_at_every_split_and_no_other() {
    let other = control::pong(b"twelve bytes", KEY);
    let around = frame(0x81, 7);
    let len = 2 * around.len() + 2 * other.len();
    for at in 0..=len {
        let mut flow = flow(Frames::Observe, None);
        let ours = control::pong(&flow.next_mark().0, KEY);
        let bytes = [&*around, &other, &ours, &around].concat();
        assert!(flow.awaits_pong());
        let (passed, _) = in_two(&mut flow, &bytes, at);
        assert_eq!(
            passed,
            [&*around, &other, &around].concat(),
            "split at {at}"
        );
        assert!(!flow.awaits_pong());
        assert_eq!(flow.tally().unwrap().others().pong.frames, 1);
    }
}

#[test]
fn a_pong_to_a_ping_before_the_last_is_taken_out_and_is_not_the_answer() {
    let mut flow = flow(Frames::Observe, None);
    let [first, second] = [flow.next_mark(), flow.next_mark()].map(|m| control::pong(&m.0, KEY));
    for (pong, awaits) in [(&first, true), (&second, false), (&first, false)] {
        let (passed, _) = in_two(&mut flow, pong, 3);
        assert_eq!((passed, flow.awaits_pong()), (vec![], awaits));
    }
    let strange = control::pong(&Mark::new().0, KEY);
    assert_eq!(in_two(&mut flow, &strange, 3).0, strange);
}

#[test]
fn a_walk_halts_at_the_next_boundary_when_asked_to() {
    let bytes = [frame(0x81, 7), frame(0x81, 9)].concat();
    let mut flow = flow(Frames::Observe, None);
    let first = frame(0x81, 7).len();
    let walk = |flow: &mut Flow, bytes: &[u8]| {
        let walk = flow.walk(bytes, true);
        (walk.pass, walk.stop)
    };
    assert_eq!(walk(&mut flow, &bytes), (0, Stop::Boundary));
    assert_eq!(flow.walk(&bytes[..3], false).stop, Stop::Incomplete);
    assert_eq!(flow.walk(&bytes[..10], false).pass, 10);
    assert_eq!(walk(&mut flow, &bytes[10..]), (first - 10, Stop::Boundary));
}

#[test]
fn the_longest_length_that_can_be_written_is_taken_in() {
    let longest = [&[0x82, 0xff][..], &[0xff; 8], &[1, 2, 3, 4]].concat();
    let mut flow = flow(Frames::Observe, None);
    assert!(flow.enter(&longest, 1));
    flow.skip(longest.len());
    assert!(flow.unseen() > Some(1 << 63) && !flow.is_at_boundary());
}

#[test]
fn the_reason_of_a_close_is_never_passed_unseen() {
    let bytes = close::encode(CloseCode(4001), "enough", KEY);
    let mut flow = flow(Frames::Observe, None);
    assert_eq!(flow.unseen(), Some(0));
    flow.walk(&bytes[..8], false);
    assert_eq!(flow.unseen(), None);
    flow.walk(&bytes[8..], false);
    assert_eq!(flow.unseen(), Some(0));
}

#[test]
fn it_is_small() {
    let bytes = size_of::<Seen>();
    assert!(bytes <= 200, "{bytes} bytes");
}

// glibc leaves a gap of so many bytes before each of the runtime's parts of a session, which want to
// stand at multiples of 128.
#[test]
fn what_an_idle_direction_holds_fits_into_a_gap() {
    let bytes = size_of::<Seen>();
    assert!(bytes <= 104, "{bytes} bytes");
}
