//! How it can end, with exit code and words.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use throughway::wire::ws::frame::Opcode;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::{Talking, all, connect, echo, echo_backend, frames, library};
use crate::support::backend::{answer, backend, good_101};
use crate::support::eventually;
use crate::support::script::{Act, Script};

/// Switches, and goes on with these acts.
async fn switched(acts: Vec<Act>) -> (String, Script) {
    let good = answer(|head| good_101(head, "", ""));
    let script = backend([vec![Act::Head, good], acts].concat()).await;
    (format!("ws://{}", script.address), script)
}

/// The frames it was sent, once the other side has left.
async fn told(script: &Script) -> Vec<(Opcode, Vec<u8>)> {
    eventually("the connection ends", || script.ended() == 1).await;
    let frames = frames(script).into_iter();
    frames
        .map(|(opcode, payload, _)| (opcode, payload))
        .collect()
}

fn close(code: u16, reason: &str) -> (Opcode, Vec<u8>) {
    let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
    (Opcode::Close, payload)
}

// --- by a Close ---------------------------------------------------------------------------------

#[tokio::test]
async fn the_exit_code_is_by_the_close_code() {
    for (code, exit, words) in [
        (1000_u16, 0, "1000 (normal closure)"),
        (1001, 101, "1001 (going away)"),
        (1003, 103, "1003 (unsupported data)"),
        (1008, 108, "1008 (policy violation)"),
        (1011, 111, "1011 (internal error)"),
        (1013, 113, "1013 (try again later)"),
        (3001, 120, "3001"),
        (4001, 121, "4001"),
    ] {
        let [high, low] = code.to_be_bytes();
        let closes = vec![Act::Say(vec![0x88, 2, high, low]), Act::Read(8), Act::Stall];
        let (url, script) = switched(closes).await;
        let ended = connect(&[&url, "--wait"], b"").await;
        let words = format!("closed by the server: {words}");
        match exit {
            0 => assert!(ended.err.ends_with(&format!("* {words}\n"))),
            exit => ended.assert_fails(exit, &words),
        }
        assert_eq!(told(&script).await, [close(code, "")]);
    }
}

#[tokio::test]
async fn a_reason_is_told_and_obeyed_by_no_terminal() {
    let leave = async |mut socket: WebSocketStream<TcpStream>| {
        let frame = CloseFrame {
            code: 4000.into(),
            reason: "no \x1b[1mroom".into(),
        };
        socket.send(Message::Close(Some(frame))).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    };
    let url = format!("ws://{}", library(leave).await);
    let ended = connect(&[&url, "--wait", "-q"], b"").await;
    ended.assert_fails(121, "closed by the server: 4000, \"no \\u{1b}[1mroom\"");
}

// --- without one --------------------------------------------------------------------------------

#[tokio::test]
async fn a_connection_that_is_lost_without_a_close_is_106() {
    let lost = "the connection was lost without a Close frame (1006): ";
    let (url, _) = switched(vec![]).await;
    let ended = connect(&[&url, "--wait"], b"").await;
    ended.assert_fails(106, &format!("{lost}the server ended the stream"));
    let (url, _) = switched(vec![Act::Reset]).await;
    let ended = connect(&[&url, "--wait"], b"").await;
    assert_eq!(ended.code, 106, "{}", ended.err);
    assert!(ended.err.contains(lost), "{}", ended.err);
}

#[tokio::test]
async fn a_pong_that_does_not_come_ends_it() {
    let (url, script) = switched(vec![Act::Stall]).await;
    let words = [&url, "--ping", "1h", "--pong-timeout", "200ms", "--wait"];
    let ended = connect(&words, b"").await;
    let gone = "no pong within 200 ms: the server, or something on the way, is gone";
    ended.assert_fails(75, gone);
    let told = told(&script).await;
    assert_eq!((told[0].0, told[0].1.len()), (Opcode::Ping, 8));
    assert_eq!(told[1..], [close(1001, "no pong")]);
}

// --- what a server may not do -------------------------------------------------------------------

async fn check_broken(words: &[&str], bytes: &[u8], code: u16, why: &str) {
    let (url, script) = switched(vec![Act::Say(bytes.to_vec()), Act::Stall]).await;
    let ended = connect(&[words, &[&url, "--wait"]].concat(), b"").await;
    let told_so = format!("the server broke the protocol and was told {code}: {why}");
    ended.assert_fails(76, &told_so);
    assert_eq!(told(&script).await, [close(code, why)]);
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_is_told_so() {
    check_broken(&[], b"\x83\x00", 1002, "reserved opcode 3").await;
    check_broken(&[], b"\x81\x80abcd", 1002, "a server's frame is masked").await;
    check_broken(&[], b"\x80\x00", 1002, "a continuation of no message").await;
    let extension = "a frame uses an extension that was not offered";
    check_broken(&[], b"\xc1\x00", 1002, extension).await;
    let split = b"\x01\x01\xc3\x80\x01\x28";
    check_broken(&[], split, 1007, "a text message is not UTF-8").await;
    check_broken(
        &["--message-bytes", "10B"],
        b"\x82\x0b",
        1009,
        "a message is longer than 10 bytes",
    )
    .await;
    let html = b"HTTP/1.1 200 OK\r\n";
    check_broken(&[], html, 1002, "control frame without FIN").await;
}

// --- what cannot be sent ------------------------------------------------------------------------

#[tokio::test]
async fn input_that_cannot_be_sent_ends_it_after_what_could() {
    let (url, got) = echo_backend().await;
    let ended = connect(&[&url], b"hi\n\xff\nmore\n").await;
    assert_eq!((ended.code, ended.text()), (65, "hi\n"), "{}", ended.err);
    let said = "error: line 2 of stdin is not UTF-8; --binary sends any bytes\n";
    assert!(ended.err.ends_with(said), "{}", ended.err);
    let got = all(got).await;
    assert_eq!(got[0], "hi".into());
    assert!(matches!(&got[1], Message::Close(Some(close)) if u16::from(close.code) == 1001));

    let url = format!("ws://{}", library(echo).await);
    let long = connect(&[&url, "--message-bytes", "4B"], b"abcde\n").await;
    let words = "line 1 of stdin is longer than 4 bytes; --message-bytes allows more";
    long.assert_fails(65, words);
}

#[tokio::test]
async fn each_frame_has_a_mask_of_its_own() {
    let (url, script) = switched(vec![Act::Stall]).await;
    let mut talking = Talking::start(&[&url]);
    talking.say("a\na\na\na\n").await;
    // Four frames of a header, a mask and one byte, behind the head.
    eventually("four frames", || {
        if script.connections() == 0 {
            return false;
        }
        let heard = script.heard_bytes(0);
        let head = heard.windows(4).position(|w| w == b"\r\n\r\n");
        head.is_some_and(|head| heard.len() == head + 4 + 4 * 7)
    })
    .await;
    let mut masks: Vec<[u8; 4]> = frames(&script).into_iter().map(|f| f.2).collect();
    masks.sort_unstable();
    masks.dedup();
    assert_eq!(masks.len(), 4);
}

// --- signals, and a reader that leaves ----------------------------------------------------------

#[tokio::test]
async fn a_signal_closes_and_a_second_one_cuts() {
    for name in ["INT", "TERM"] {
        let (url, got) = echo_backend().await;
        let mut talking = Talking::start(&[&url]);
        talking.say("hi\n").await;
        assert_eq!(talking.hears().await.as_deref(), Some("hi"));
        talking.signal(name);
        let (code, err) = talking.ends().await;
        assert_eq!(code, 0, "{err}");
        let said = "* closing; a second signal cuts at once\n* closed: 1000 (normal closure)\n";
        assert!(err.ends_with(said), "{err}");
        let got = all(got).await;
        assert!(matches!(&got[1], Message::Close(Some(close)) if u16::from(close.code) == 1000));
    }
    let hi = Act::Say(b"\x81\x02hi".to_vec());
    let (url, script) = switched(vec![hi, Act::Stall]).await;
    let mut talking = Talking::start(&[&url]);
    assert_eq!(talking.hears().await.as_deref(), Some("hi"));
    talking.signal("INT");
    eventually("the Close is there", || !frames(&script).is_empty()).await;
    talking.signal("INT");
    let (code, err) = talking.ends().await;
    assert_eq!(code, 106, "{err}");
    let cut = "error: cut before the server answered our Close frame\n";
    assert!(err.ends_with(cut), "{err}");
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_ends_it_well() {
    let feed = async |mut socket: WebSocketStream<TcpStream>| {
        while socket.send("tick".into()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let url = format!("ws://{}", library(feed).await);
    let mut talking = Talking::start(&[&url, "--wait"]);
    assert_eq!(talking.hears().await.as_deref(), Some("tick"));
    let Talking {
        child,
        stdin,
        lines,
    } = talking;
    drop(lines);
    let output = tokio::time::timeout(crate::support::PATIENCE, child.wait_with_output());
    let output = output.await.unwrap().unwrap();
    drop(stdin);
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(
        err.ends_with("* whoever read the messages is gone\n"),
        "{err}"
    );
}
