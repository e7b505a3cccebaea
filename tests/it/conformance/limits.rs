//! What a route allows beside the protocol: lengths, which end a session with 1009, and how fast a
//! client may talk, which ends it with 1008 or makes it wait.

use std::time::{Duration, Instant};

use super::cases::{Case, Found, broken, legal};
use super::conversation::hold;
use super::each;
use super::street::Street;
use super::validating::{is_close, judge};
use crate::support::ends::{Ends, hear, last_words, say};
use crate::support::frames::{Frame, Seat, binary, close, ping, pong, rest, text};

const BOTH: [Seat; 2] = [Seat::Client, Seat::Backend];

/// The cases on a route with these keys, one session after the other has begun.
async fn check(keys: &str, cases: Vec<Case>, seats: &[Seat]) {
    let street = &Street::new(keys).await;
    each(cases, seats, async |run| {
        let found = hold(street.open(run.case.deflate).await, run).await?;
        judge(run, &found).await
    })
    .await;
}

fn too_long(name: &str, good: Vec<Frame>, bad: Frame) -> Case {
    broken(name, good, bad, 1009, Found::Header)
}

fn first(bytes: usize) -> Frame {
    binary(vec![7; bytes]).and_more()
}

#[tokio::test]
async fn a_frame_that_is_too_long_ends_both_sides_with_1009_by_its_header() {
    let cases = vec![
        legal("as long as allowed", vec![binary([7; 1000])]),
        too_long("a byte longer", vec![text("good")], binary([7; 1001])),
        too_long("only announced", vec![], text("").announcing(1001)),
        too_long("a GiB of it", vec![], binary("").announcing(1 << 30)),
        too_long("a continuation", vec![first(10)], rest("").announcing(1001)),
    ];
    for frames in ["observe", "validate"] {
        let limits = "limits = { frame_bytes = \"1000B\" }";
        let keys = format!("frames = \"{frames}\"\n{limits}");
        check(&keys, cases.clone(), &BOTH).await;
    }
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_both_sides_with_1009_by_a_header() {
    let longest = || vec![first(1000), rest([7; 1000])];
    let begun = || vec![first(1000), rest([7; 1000]).and_more()];
    let cases = vec![
        legal("as long as allowed", longest()),
        legal("in one frame", vec![binary([7; 2000])]),
        legal("one after the other", [longest(), longest()].concat()),
        too_long("in one frame", vec![text("good")], binary([7; 2001])),
        too_long("only announced", longest(), binary("").announcing(2001)),
        too_long("a byte more in a frame of its own", begun(), rest("7")),
        too_long(
            "the same behind a ping",
            [begun(), vec![ping("between")]].concat(),
            rest("7"),
        ),
        too_long(
            "a length past all numbers",
            begun(),
            rest("").announcing(u64::MAX >> 1),
        ),
    ];
    for frames in ["observe", "validate"] {
        let limits = "limits = { message_bytes = \"2000B\" }";
        let keys = format!("frames = \"{frames}\"\n{limits}");
        check(&keys, cases.clone(), &BOTH).await;
    }
}

/// Control frames have a limit of their own, the protocol's.
#[tokio::test]
async fn a_control_frame_may_be_longer_than_a_frame_of_data() {
    let keys = "limits = { frame_bytes = \"100B\" }";
    let cases = vec![
        legal("a ping", vec![ping([7; 125])]),
        legal("a pong", vec![pong([7; 125])]),
        legal("a close", vec![close(1000, "*".repeat(123))]),
        too_long("a text", vec![ping([7; 125])], text("*".repeat(101))),
    ];
    check(keys, cases, &BOTH).await;
}

fn too_fast(name: &str, good: Vec<Frame>, bad: Frame) -> Case {
    broken(name, good, bad, 1008, Found::Header)
}

#[tokio::test]
async fn a_client_that_talks_too_fast_ends_with_1008() {
    let messages =
        "rate = { session = { messages = \"2/h\", burst = \"1h\", action = \"close\" } }";
    let cases = vec![
        too_fast("a third message", vec![text("1"), text("2")], text("3")),
        too_fast("a third ping", vec![text("1"), ping("2")], ping("3")),
        too_fast(
            "a third message, of which each has two frames",
            vec![first(1), rest("1"), first(2), rest("2")],
            text("3"),
        ),
    ];
    check(messages, cases, &[Seat::Client]).await;
    let bytes = "rate = { session = { bytes = \"1000B/h\", burst = \"1h\", action = \"close\" } }";
    let cases = vec![
        too_fast("a byte too many", vec![binary([7; 600])], binary([7; 401])),
        too_fast(
            "announced",
            vec![binary([7; 600])],
            text("").announcing(401),
        ),
    ];
    check(bytes, cases, &[Seat::Client]).await;
    // What a backend says is not limited.
    let many = legal("a hundred pongs", vec![pong("fast"); 100]);
    check(messages, vec![many], &[Seat::Backend]).await;
}

#[tokio::test]
async fn a_client_that_talks_too_fast_may_have_to_wait_instead() {
    // One at once, and then one each 20 ms: five messages and a Close.
    let keys = "rate = { session = { messages = \"50/s\", burst = \"20ms\" } }";
    let begun = Instant::now();
    let five = legal("five messages", vec![text("in time"); 5]);
    check(keys, vec![five], &[Seat::Client]).await;
    assert!(begun.elapsed() >= Duration::from_millis(90));
}

#[tokio::test]
async fn the_sessions_of_one_client_share_what_it_may_say() {
    let keys = "rate = { client = { messages = \"3/h\", burst = \"1h\", action = \"close\" } }";
    let street = Street::new(keys).await;
    let word = text("a word").bytes(Seat::Client);
    let mut sessions = [street.open(false).await, street.open(false).await];
    for (n, times) in [(0, 2), (1, 1)] {
        for _ in 0..times {
            say(&mut sessions[n].client, &word).await;
            assert_eq!(hear(&mut sessions[n].backend, word.len()).await, word);
        }
    }
    for Ends { client, .. } in &mut sessions {
        say(client, &word).await;
        is_close(&last_words(client).await, Seat::Client, 1008).unwrap();
    }
}
