//! Every way in which a session can end, as its record tells it: who and why, what each side said
//! last, and what it was told.

use throughway::wire::ws::frame::Opcode;
use tokio::io::AsyncWriteExt;

use crate::support::ends::{Carried, Ends, Street, hear, last_words, reset, say};
use crate::support::far::{Far, tcp_mut};
use crate::support::process::field;
use crate::support::spoken::{closing, masked, plain};

const CLEAR: (Carried, Carried) = (Carried::Plain, Carried::Plain);
const TO_TLS: (Carried, Carried) = (Carried::Plain, Carried::Tls);

/// Who and why, then of the client and of the backend the code and the reason of its Close and how it
/// was told of the end, then the detail.
type Told = [&'static str; 4];

/// Runs `end`, which must bring a session to an end, with these keys on its route.
async fn check(legs: (Carried, Carried), keys: &str, end: impl AsyncFnOnce(Ends), expected: Told) {
    let street = Street::of_frames(legs.0, legs.1, keys).await;
    end(street.open().await).await;
    told(&street, expected).await;
}

async fn told(street: &Street, expected: Told) {
    let record = &street.gateway.logs(1, "\"session ended\"").await[0];
    let words = |names: &[&str]| {
        let words = names.iter().map(|name| field(record, name));
        let said: Vec<String> = words.filter(|word| !word.is_empty()).collect();
        said.join(" ")
    };
    let told = [
        words(&["ended_by", "why"]),
        words(&["client_close", "client_close_reason", "client_told"]),
        words(&["backend_close", "backend_close_reason", "backend_told"]),
        words(&["detail"]),
    ];
    assert_eq!(told, expected, "{record}");
}

fn of_client(code: u16, reason: &str) -> Vec<u8> {
    masked(Opcode::Close, &closing(code, reason.as_bytes()))
}

fn of_backend(code: u16, reason: &str) -> Vec<u8> {
    plain(Opcode::Close, &closing(code, reason.as_bytes()))
}

/// Says its Close, hears the other side out and ends.
async fn leaves(stream: &mut Far, close: &[u8]) {
    say(stream, close).await;
    last_words(stream).await;
    stream.shutdown().await.ok();
}

/// Answers a Close that comes, and ends.
async fn heard_out(stream: &mut Far, answer: &[u8]) {
    let begin = hear(stream, 2).await;
    assert_eq!(begin[0], 0x88, "a Close");
    say(stream, answer).await;
    stream.shutdown().await.ok();
    last_words(stream).await;
}

/// The gateway ends the session; both sides answer its Close.
async fn both_answer(ends: Ends) {
    let (mut client, mut backend) = (ends.client, ends.backend);
    let (to_client, to_backend) = (of_client(1000, ""), of_backend(1000, ""));
    tokio::join!(
        heard_out(&mut client, &to_client),
        heard_out(&mut backend, &to_backend),
    );
}

/// Nobody answers anything, and both read to the end.
async fn nobody_answers(ends: Ends) {
    let (mut client, mut backend) = (ends.client, ends.backend);
    tokio::join!(last_words(&mut client), last_words(&mut backend));
}

// --- a side ends it ----------------------------------------------------------------------------

#[tokio::test]
async fn a_close_is_answered_by_the_other_side() {
    let end = async |ends: Ends| {
        let (mut client, mut backend) = (ends.client, ends.backend);
        let (close, answer) = (of_client(1000, "done here"), of_backend(1000, ""));
        tokio::join!(
            leaves(&mut client, &close),
            heard_out(&mut backend, &answer)
        );
    };
    let expected = ["client closed", "1000 done here passed", "1000 passed", ""];
    check(CLEAR, "", end, expected).await;
    let end = async |ends: Ends| {
        let (mut client, mut backend) = (ends.client, ends.backend);
        let (close, answer) = (of_backend(4001, "moved"), masked(Opcode::Close, b""));
        tokio::join!(
            leaves(&mut backend, &close),
            heard_out(&mut client, &answer)
        );
    };
    let expected = ["backend closed", "1005 passed", "4001 moved passed", ""];
    check(CLEAR, "", end, expected).await;
}

#[tokio::test]
async fn a_side_that_leaves_without_a_close_is_gone() {
    let end = async |Ends {
                         mut client,
                         mut backend,
                     }: Ends| {
        client.shutdown().await.unwrap();
        heard_out(&mut backend, &of_backend(1001, "")).await;
        last_words(&mut client).await;
    };
    let expected = ["client gone", "1006 passed", "1001 own 1001", ""];
    check(CLEAR, "", end, expected).await;
    let end = async |Ends {
                         mut client,
                         mut backend,
                     }: Ends| {
        backend.shutdown().await.unwrap();
        heard_out(&mut client, &of_client(1011, "")).await;
        last_words(&mut backend).await;
    };
    let expected = ["backend gone", "1011 own 1011", "1006 passed", ""];
    check(CLEAR, "", end, expected).await;
}

// A Close inside a frame would be taken for its payload.
#[tokio::test]
async fn a_side_that_leaves_within_a_frame_has_the_other_one_cut() {
    let end = async |Ends {
                         mut client,
                         mut backend,
                     }: Ends| {
        say(&mut backend, b"\x81\x05hal").await;
        backend.shutdown().await.unwrap();
        assert_eq!(last_words(&mut client).await, b"\x81\x05hal");
        client.shutdown().await.unwrap();
        last_words(&mut backend).await;
    };
    check(
        CLEAR,
        "",
        end,
        ["backend gone", "1006 cut", "1006 own 1001", ""],
    )
    .await;
}

#[tokio::test]
async fn a_reset_is_told_from_an_end() {
    let end = async |Ends {
                         client,
                         mut backend,
                     }: Ends| {
        reset(&client);
        drop(client);
        heard_out(&mut backend, &of_backend(1000, "")).await;
    };
    let detail = "connection reset";
    check(
        CLEAR,
        "",
        end,
        ["client reset", "1006 cut", "1006 own 1001", detail],
    )
    .await;
}

#[tokio::test]
async fn what_is_no_tls_any_more_is_lost() {
    let end = async |Ends {
                         mut client,
                         mut backend,
                     }: Ends| {
        tcp_mut(&mut backend).write_all(&[b'?'; 64]).await.unwrap();
        heard_out(&mut client, &of_client(1000, "")).await;
    };
    let expected = ["backend lost", "1006 own 1011", "1006 cut", "invalid data"];
    check(TO_TLS, "", end, expected).await;
}

// Where frames are not looked at nobody said a Close, and nobody failed to say one.
#[tokio::test]
async fn bytes_end_without_codes() {
    let opaque = "frames = \"opaque\"";
    let end = async |Ends {
                         mut client,
                         mut backend,
                     }: Ends| {
        say(&mut client, &of_client(1000, "")).await;
        client.shutdown().await.unwrap();
        last_words(&mut backend).await;
        backend.shutdown().await.unwrap();
        last_words(&mut client).await;
    };
    check(CLEAR, opaque, end, ["client closed", "0", "0", ""]).await;
    let end = async |Ends {
                         mut client,
                         backend,
                     }: Ends| {
        drop(backend);
        last_words(&mut client).await;
    };
    check(TO_TLS, opaque, end, ["backend truncated", "0", "0", ""]).await;
}

// --- a side breaks a rule ----------------------------------------------------------------------

#[tokio::test]
async fn a_violation_is_told_with_its_sentence() {
    let end = async |Ends {
                         mut client,
                         backend,
                     }: Ends| {
        say(&mut client, &plain(Opcode::Text, b"bare")).await;
        nobody_answers(Ends { client, backend }).await;
    };
    let detail = "a client's frame is not masked";
    let expected = ["client protocol", "1006 own 1002", "1006 own 1002", detail];
    check(CLEAR, "frames = \"validate\"", end, expected).await;
}

#[tokio::test]
async fn what_is_too_long_is_told_by_what_it_was() {
    let end = async |Ends {
                         mut client,
                         backend,
                     }: Ends| {
        say(&mut client, &masked(Opcode::Text, b"longer")).await;
        nobody_answers(Ends { client, backend }).await;
    };
    let expected = ["client frame_bytes", "1006 own 1009", "1006 own 1009", ""];
    check(CLEAR, "limits = { frame_bytes = \"5B\" }", end, expected).await;
    let end = async |Ends {
                         client,
                         mut backend,
                     }: Ends| {
        say(&mut backend, b"\x01\x04half\x80\x04half").await;
        nobody_answers(Ends { client, backend }).await;
    };
    let expected = [
        "backend message_bytes",
        "1006 own 1009",
        "1006 own 1009",
        "",
    ];
    check(CLEAR, "limits = { message_bytes = \"7B\" }", end, expected).await;
}

#[tokio::test]
async fn who_says_too_much_at_a_time_is_told_so() {
    let keys = "rate = { session = { messages = \"1/h\", action = \"close\" } }";
    let end = async |Ends {
                         mut client,
                         backend,
                     }: Ends| {
        say(&mut client, &masked(Opcode::Text, b"one")).await;
        say(&mut client, &masked(Opcode::Text, b"two")).await;
        nobody_answers(Ends { client, backend }).await;
    };
    let expected = ["client rate", "1006 own 1008", "1006 own 1008", ""];
    check(CLEAR, keys, end, expected).await;
}

// --- the gateway ends it -----------------------------------------------------------------------

#[tokio::test]
async fn a_side_that_answers_no_ping_is_told_too() {
    let keys = "ping = { every = \"1s\", timeout = \"100ms\" }";
    let expected = ["client ping", "1006 own 1001", "1006 own 1001", ""];
    check(CLEAR, keys, nobody_answers, expected).await;
}

#[tokio::test]
async fn limits_on_time_and_a_drain_are_told_to_both_sides() {
    for (keys, by) in [
        ("limits = { idle = \"200ms\" }", "gateway idle"),
        ("limits = { session = \"200ms\" }", "gateway session_age"),
    ] {
        check(
            CLEAR,
            keys,
            both_answer,
            [by, "1000 own 1001", "1000 own 1001", ""],
        )
        .await;
    }
    let street = Street::of_frames(Carried::Plain, Carried::Plain, "").await;
    let ends = street.open().await;
    street.gateway.signal("TERM");
    // Two that came at once would be one.
    street.gateway.logs(1, "\"draining; ").await;
    street.gateway.signal("TERM");
    both_answer(ends).await;
    told(
        &street,
        ["gateway drain", "1000 own 1001", "1000 own 1001", ""],
    )
    .await;
}
