//! What was found wrong once, each as a scene of its own.

use std::time::Duration;

use throughway::splice::{self, Breach, Frames, Leg, Outcome, Pair, Params, Ping, Side, SpliceEnd};
use throughway::splice::{Told, Watch};
use throughway::wire::ws::close::CloseCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::frames::{BINARY, CLOSE, Form, Frame, PING, PONG, TEXT, header, write};

const KEY: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);
const PINGS: Option<Ping> = Some(Ping {
    every: Duration::from_secs(30),
    timeout: Duration::from_secs(10),
});

/// A session between two sides that do this.
async fn between(
    params: Params,
    far: impl AsyncFnOnce(&mut DuplexStream, &mut DuplexStream),
) -> Outcome {
    let (mut far_client, client) = duplex(1024);
    let (mut far_backend, backend) = duplex(1024);
    let leg = |stream| Leg {
        stream,
        tail: bytes::Bytes::new(),
    };
    let pair = Pair {
        client: leg(client),
        backend: leg(backend),
    };
    let watch = Watch::default();
    let splice = splice::run(pair, params, &watch);
    let watching = watch.run(CancellationToken::new());
    let told = async { tokio::join!(far(&mut far_client, &mut far_backend), splice).1 };
    tokio::select! {
        outcome = told => outcome,
        () = watching => unreachable!("nobody cuts"),
    }
}

async fn said(stream: &mut DuplexStream, bytes: usize) -> Vec<u8> {
    let mut said = vec![0; bytes];
    stream.read_exact(&mut said).await.unwrap();
    said
}

async fn rest(stream: &mut DuplexStream) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    rest
}

/// The code of a Close that is all there is.
fn code(bytes: &[u8]) -> u16 {
    let frame = Frame::at(bytes, 0).expect("a frame");
    assert_eq!((frame.opcode(), frame.end), (CLOSE, bytes.len()));
    let text = frame.text(bytes).unwrap();
    u16::from_be_bytes([text[0], text[1]])
}

/// Every end of a stream was taken for one within a header, after which no frame has its place.
#[tokio::test(start_paused = true)]
async fn a_side_that_ends_between_two_frames_is_followed_by_a_close() {
    let hello = write(128 | TEXT, b"hello", KEY);
    let far = async |client: &mut DuplexStream, backend: &mut DuplexStream| {
        client.write_all(&hello).await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(said(backend, hello.len()).await, hello);
        assert_eq!(code(&rest(backend).await), 1001);
        backend.shutdown().await.unwrap();
    };
    let outcome = between(Params::default(), far).await;
    assert_eq!(outcome.end, SpliceEnd::Gone(Side::Client));
    let told = outcome.backend.unwrap().told;
    assert_eq!(told, Told::Own(CloseCode::GOING_AWAY));
}

/// The header of such a Pong is longer than what may be held back was made for: a side could make the
/// session panic.
#[tokio::test(start_paused = true)]
async fn a_pong_in_a_longer_form_is_nobodys_however_it_is_split() {
    for form in [Form::Two, Form::Eight] {
        let pong = [header(128 | PONG, 12, form, KEY), vec![7; 12]].concat();
        let params = Params {
            ping_client: PINGS,
            ..Params::default()
        };
        let far = async |client: &mut DuplexStream, backend: &mut DuplexStream| {
            said(client, 14).await;
            for byte in &pong {
                client.write_all(&[*byte]).await.unwrap();
                sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(said(backend, pong.len()).await, pong);
            client.shutdown().await.unwrap();
            backend.shutdown().await.unwrap();
        };
        let outcome = between(params, far).await;
        assert_eq!(outcome.client.unwrap().tally.others().pong.frames, 1);
    }
}

/// The Close was taken for said, so that nobody got another in its place.
#[tokio::test(start_paused = true)]
async fn whoever_is_spared_a_bad_close_gets_one_of_the_gateways() {
    let params = Params {
        frames: Frames::Validate,
        ..Params::default()
    };
    let far = async |client: &mut DuplexStream, backend: &mut DuplexStream| {
        let bad = write(128 | CLOSE, &1006_u16.to_be_bytes(), KEY);
        client.write_all(&bad).await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(code(&rest(client).await), 1002);
        let told = said(backend, 2).await;
        let told = [
            &told[..],
            &said(backend, usize::from(told[1] % 128) + 4).await,
        ]
        .concat();
        assert_eq!(code(&told), 1002);
        backend.shutdown().await.unwrap();
        assert!(rest(backend).await.is_empty());
    };
    let outcome = between(params, far).await;
    assert!(matches!(
        outcome.end,
        SpliceEnd::Breach(Side::Client, Breach::Rule(_))
    ));
    assert_eq!(outcome.backend.unwrap().told, Told::Own(CloseCode(1002)));
}

/// What was read behind the place of the gateway's Close was dropped, and the rest of it taken for the
/// beginning of a frame: the answer was not understood, and the session waited for it in vain.
#[tokio::test(start_paused = true)]
async fn an_answer_to_a_close_is_heard_behind_what_was_read_before_it() {
    let limits = throughway::splice::Limits {
        session: Some(Duration::from_secs(10)),
        ..Default::default()
    };
    let params = Params {
        limits,
        ..Params::default()
    };
    let first = write(128 | BINARY, &[1; 100], KEY);
    let second = write(128 | BINARY, &[0; 100], KEY);
    let far = async |client: &mut DuplexStream, backend: &mut DuplexStream| {
        client.write_all(&first[..50]).await.unwrap();
        // Its age ends it here, and its Close waits for the frame's end.
        sleep(Duration::from_millis(10_500)).await;
        let rest_of_both = [&first[50..], &second[..50]].concat();
        client.write_all(&rest_of_both).await.unwrap();
        assert_eq!(said(backend, first.len()).await, first);
        said(client, 2).await;
        backend
            .write_all(&write(128 | CLOSE, b"\x03\xe8", None))
            .await
            .unwrap();
        let answer = write(128 | CLOSE, b"\x03\xe8", KEY);
        let answered = [&second[50..], &answer].concat();
        client.write_all(&answered).await.unwrap();
        rest(client).await;
        rest(backend).await;
    };
    let start = Instant::now();
    let outcome = between(params, far).await;
    assert_eq!(outcome.end, SpliceEnd::Age);
    assert!(
        start.elapsed() < Duration::from_secs(11),
        "{:?}",
        start.elapsed()
    );
    let client = outcome.client.unwrap();
    assert_eq!(
        client.close.map(|close| close.code),
        Some(CloseCode::NORMAL_CLOSURE)
    );
}

/// Its answer lay behind data that the backend did not take, so the gateway had not read it.
#[tokio::test(start_paused = true)]
async fn a_side_that_is_not_read_is_not_taken_for_dead() {
    let params = Params {
        ping_client: PINGS,
        ..Params::default()
    };
    let message = write(128 | BINARY, &[1; 8000], KEY);
    let far = async |client: &mut DuplexStream, backend: &mut DuplexStream| {
        let slow = async {
            sleep(Duration::from_secs(300)).await;
            assert_eq!(said(backend, message.len()).await, message);
            backend.shutdown().await.unwrap();
            rest(backend).await;
        };
        let busy = async {
            client.write_all(&message).await.unwrap();
            client.shutdown().await.unwrap();
            rest(client).await;
        };
        tokio::join!(slow, busy);
    };
    let outcome = between(params, far).await;
    assert!(
        matches!(outcome.end, SpliceEnd::Gone(_)),
        "{:?}",
        outcome.end
    );
}

/// The second Ping's payload was another, and the answer to the first went to the application.
#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_after_the_next_ping_is_the_gateways_still() {
    let params = Params {
        ping_client: PINGS,
        ..Params::default()
    };
    let hello = write(128 | TEXT, b"hello", KEY);
    let far = async |client: &mut DuplexStream, backend: &mut DuplexStream| {
        let first = said(client, 14).await;
        client.write_all(&hello).await.unwrap();
        let second = said(client, 14).await;
        assert_eq!((first[0], second[0]), (128 | PING, 128 | PING));
        for ping in [first, second] {
            client
                .write_all(&write(128 | PONG, &ping[2..], KEY))
                .await
                .unwrap();
        }
        client.write_all(&hello).await.unwrap();
        assert_eq!(said(backend, 2 * hello.len()).await, hello.repeat(2));
        client.shutdown().await.unwrap();
        backend.shutdown().await.unwrap();
    };
    let outcome = between(params, far).await;
    let client = outcome.client.unwrap();
    assert_eq!(client.tally.others().pong.frames, 0);
    assert_eq!(client.pinged.unwrap().round_trips.count, 1);
}

/// The pump that was stopped was not polled again, and the backend's end came with the whole session's.
#[tokio::test(start_paused = true)]
async fn a_breach_behind_both_closes_ends_its_stream_at_once() {
    let params = Params {
        frames: Frames::Validate,
        ..Params::default()
    };
    let bye = |key| write(128 | CLOSE, b"\x03\xe8", key);
    let far = async |client: &mut DuplexStream, backend: &mut DuplexStream| {
        client.write_all(&bye(KEY)).await.unwrap();
        said(backend, bye(KEY).len()).await;
        backend.write_all(&bye(None)).await.unwrap();
        said(client, bye(None).len()).await;
        client
            .write_all(&write(128 | TEXT, b"and", KEY))
            .await
            .unwrap();
        let start = Instant::now();
        assert!(rest(backend).await.is_empty());
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "{:?}",
            start.elapsed()
        );
    };
    let outcome = between(params, far).await;
    assert_eq!(outcome.end, SpliceEnd::Closed(Side::Client));
}

/// It was cut without a word after five seconds, although it could have been told.
#[tokio::test(start_paused = true)]
async fn a_side_that_waited_in_vain_for_the_last_words_of_the_other_is_told() {
    let far = async |client: &mut DuplexStream, backend: &mut DuplexStream| {
        client.shutdown().await.unwrap();
        rest(backend).await;
        // It says nothing more, and does not end.
        assert_eq!(code(&rest(client).await), 1011);
    };
    let outcome = between(Params::default(), far).await;
    assert_eq!(outcome.end, SpliceEnd::Gone(Side::Client));
    assert_eq!(outcome.duration, Duration::from_secs(5));
}

/// It could have gone on for ever: nobody is asked by Pings after a Close.
#[tokio::test(start_paused = true)]
async fn a_side_that_never_answers_the_close_of_one_that_left_holds_nothing() {
    let far = async |client: &mut DuplexStream, backend: &mut DuplexStream| {
        client
            .write_all(&write(128 | CLOSE, b"\x03\xe8", KEY))
            .await
            .unwrap();
        client.shutdown().await.unwrap();
        rest(backend).await;
        rest(client).await;
    };
    let outcome = tokio::time::timeout(Duration::from_secs(60), between(Params::default(), far));
    let outcome = outcome.await.expect("it ends");
    assert_eq!(outcome.end, SpliceEnd::Closed(Side::Client));
}

/// What it says of the end is the first Close, and that of its own length.
#[tokio::test(start_paused = true)]
async fn another_close_behind_the_first_adds_nothing_to_its_reason() {
    let far = async |client: &mut DuplexStream, backend: &mut DuplexStream| {
        let first = write(128 | CLOSE, b"\x03\xe8bye", KEY);
        let second = write(128 | CLOSE, b"\x03\xe9again", None);
        client.write_all(&[first, second].concat()).await.unwrap();
        client.shutdown().await.unwrap();
        backend.shutdown().await.unwrap();
    };
    let outcome = between(Params::default(), far).await;
    let close = outcome.client.unwrap().close.unwrap();
    assert_eq!((close.code.0, &*close.reason), (1000, "bye"));
}

/// Two bytes of a Close are none.
#[tokio::test(start_paused = true)]
async fn a_side_that_ends_within_its_close_has_not_said_it() {
    let far = async |client: &mut DuplexStream, backend: &mut DuplexStream| {
        let bye = write(128 | CLOSE, b"\x03\xe8", KEY);
        client.write_all(&bye[..7]).await.unwrap();
        client.shutdown().await.unwrap();
        backend.shutdown().await.unwrap();
    };
    let outcome = between(Params::default(), far).await;
    assert_eq!(outcome.end, SpliceEnd::Gone(Side::Client));
    assert_eq!(outcome.backend.unwrap().told, Told::Cut);
}

/// The Ping had left and was answered, but data behind it was stuck: it counted as sent only when that
/// had gone, and then its answer did not come a second time.
#[tokio::test(start_paused = true)]
async fn a_ping_has_left_although_data_behind_it_has_not() {
    let params = Params {
        ping_backend: PINGS,
        ..Params::default()
    };
    let message = write(128 | BINARY, &[1; 8000], KEY);
    let far = async |client: &mut DuplexStream, backend: &mut DuplexStream| {
        client.write_all(&message[..2000]).await.unwrap();
        said(backend, 2000).await;
        // It is asked by now, and the question waits for the end of the message.
        sleep(Duration::from_secs(40)).await;
        let busy = async {
            let both = [&message[2000..], &message].concat();
            client.write_all(&both).await.unwrap();
        };
        let slow = async {
            said(backend, message.len() - 2000).await;
            let ping = said(backend, 18).await;
            assert_eq!(ping[0], 128 | PING);
            let text = Frame::at(&ping, 0).unwrap().text(&ping).unwrap();
            let pong = write(128 | PONG, &text, None);
            backend.write_all(&pong).await.unwrap();
            sleep(Duration::from_secs(300)).await;
            assert_eq!(said(backend, message.len()).await, message);
        };
        tokio::join!(busy, slow);
        // Silent for longer than a Pong may take, and not as long as until the next Ping.
        sleep(Duration::from_secs(20)).await;
        client.shutdown().await.unwrap();
        backend.shutdown().await.unwrap();
    };
    let outcome = between(params, far).await;
    assert_eq!(outcome.end, SpliceEnd::Gone(Side::Client));
}

/// Half of its Pong counted as bytes that passed, so that no silence was long enough.
#[tokio::test(start_paused = true)]
async fn an_answer_in_two_parts_is_silence_still() {
    let limits = throughway::splice::Limits {
        idle: Some(Duration::from_secs(100)),
        ..Default::default()
    };
    let params = Params {
        limits,
        ping_client: PINGS,
        ..Params::default()
    };
    let far = async |client: &mut DuplexStream, backend: &mut DuplexStream| {
        for _ in 0..3 {
            let ping = said(client, 14).await;
            let pong = write(128 | PONG, &ping[2..], KEY);
            client.write_all(&pong[..9]).await.unwrap();
            sleep(Duration::from_millis(5)).await;
            client.write_all(&pong[9..]).await.unwrap();
        }
        tokio::join!(rest(client), rest(backend));
    };
    let outcome = between(params, far).await;
    assert_eq!(outcome.end, SpliceEnd::Idle);
}
