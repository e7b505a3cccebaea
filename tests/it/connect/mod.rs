//! `throughway connect` as a process, in a pipe: against a library that is not ours, and against
//! backends that do exactly what they are told.

mod ends;
mod way;

use std::future::Future;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tempfile::TempDir;
use throughway::wire::ws::frame::{self, Opcode};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, accept_async};

use crate::support::PATIENCE;
use crate::support::dialling::PASSWORD;
use crate::support::process::throughway;
use crate::support::script::Script;

/// What it said and how it ended.
struct Ended {
    code: i32,
    out: Vec<u8>,
    err: String,
}

impl Ended {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    /// It ended so, having written nothing, and said this on the line of its error.
    fn assert_fails(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{}", self.err);
        assert_eq!(self.text(), "");
        let errors = self.err.lines().filter_map(|l| l.strip_prefix("error: "));
        let errors: Vec<&str> = errors.collect();
        assert_eq!(errors, [words], "{}", self.err);
    }
}

/// It while it runs.
struct Talking {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::from(throughway());
    command
        .arg("connect")
        .args(words)
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Gives it `input` and waits for its end.
async fn connect(words: &[&str], input: &[u8]) -> Ended {
    ended(command(words), input).await
}

async fn ended(mut command: Command, input: &[u8]) -> Ended {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writing = async move {
        // It may end before it has read all.
        stdin.write_all(input).await.ok();
    };
    let ending = async { tokio::join!(writing, child.wait_with_output()).1 };
    let output = timeout(PATIENCE, ending).await.unwrap().unwrap();
    let ended = Ended {
        code: output.status.code().unwrap(),
        out: output.stdout,
        err: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!ended.err.contains(PASSWORD), "{}", ended.err);
    assert!(!ended.err.contains(['\x1b', '\r']), "{:?}", ended.err);
    ended
}

impl Talking {
    fn start(words: &[&str]) -> Self {
        let mut child = command(words).spawn().unwrap();
        Self {
            stdin: child.stdin.take(),
            lines: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        }
    }

    async fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line.as_bytes()).await.unwrap();
    }

    async fn hears(&mut self) -> Option<String> {
        timeout(PATIENCE, self.lines.next_line())
            .await
            .unwrap()
            .unwrap()
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill")
            .arg(format!("-{name}"))
            .arg(id)
            .status();
        assert!(sent.unwrap().success());
    }

    /// Its exit code and what it said.
    async fn ends(mut self) -> (i32, String) {
        let mut err = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        let ending = async {
            stderr.read_to_string(&mut err).await.unwrap();
            self.child.wait().await.unwrap().code().unwrap()
        };
        let code = timeout(PATIENCE, ending).await.unwrap();
        (code, err)
    }
}

/// A backend on the library; it ends with the runtime of its test.
async fn library<F: Future<Output = ()> + Send>(
    serve: impl Fn(WebSocketStream<TcpStream>) -> F + Send + Copy + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                if let Ok(socket) = accept_async(tcp).await {
                    serve(socket).await;
                }
            });
        }
    });
    address
}

async fn echo(mut socket: WebSocketStream<TcpStream>) {
    while let Some(Ok(message)) = socket.next().await {
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            socket.send(message).await.ok();
        }
    }
}

/// An echo, and each message and Close that it got.
async fn echo_backend() -> (String, UnboundedReceiver<Message>) {
    let (to, got) = unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut socket = accept_async(tcp).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            to.send(message.clone()).ok();
            if matches!(message, Message::Text(_) | Message::Binary(_)) {
                socket.send(message).await.ok();
            }
        }
    });
    (url, got)
}

async fn all(mut got: UnboundedReceiver<Message>) -> Vec<Message> {
    let mut all = Vec::new();
    while let Some(message) = timeout(PATIENCE, got.recv()).await.unwrap() {
        all.push(message);
    }
    all
}

/// The frames that a scripted backend was sent, unmasked, each with its mask.
fn frames(script: &Script) -> Vec<(Opcode, Vec<u8>, [u8; 4])> {
    let heard = script.heard_bytes(0);
    let head = heard.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let mut rest = &heard[head..];
    let mut frames = Vec::new();
    while let Some((header, used)) = frame::parse(rest).unwrap() {
        let end = used + usize::try_from(header.len).unwrap();
        let mut payload = rest[used..end].to_vec();
        let key = header.mask.expect("a client masks");
        frame::mask(key, 0, &mut payload);
        frames.push((header.opcode, payload, key));
        rest = &rest[end..];
    }
    assert!(rest.is_empty(), "half a frame: {rest:?}");
    frames
}

// --- messages -----------------------------------------------------------------------------------

#[tokio::test]
async fn lines_are_messages_and_messages_are_lines() {
    let (url, got) = echo_backend().await;
    let ended = connect(&[&url], "a\n\ngrün\r\nc".as_bytes()).await;
    assert_eq!((ended.code, ended.text()), (0, "a\n\ngrün\nc\n"));
    let expected = format!(
        "* connected to {url}; direct: no proxy was named\n* closed: 1000 (normal closure)\n"
    );
    assert_eq!(ended.err, expected);
    let got = all(got).await;
    let texts: Vec<&str> = got
        .iter()
        .filter_map(|m| m.to_text().ok())
        .take(4)
        .collect();
    assert_eq!(texts, ["a", "", "grün", "c"]);
    assert!(matches!(&got[4], Message::Close(Some(close)) if u16::from(close.code) == 1000));
}

#[tokio::test]
async fn an_echo_of_more_than_all_buffers_hold_comes_back_whole() {
    let url = format!("ws://{}", library(echo).await);
    let input: String = (0..30_000).map(|n| format!("{n}\n")).collect();
    let ended = connect(&[&url, "--quiet"], input.as_bytes()).await;
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(ended.text() == input);
    let one: Vec<u8> = (0..8_000_000_u32).map(|n| n.to_be_bytes()[3]).collect();
    let ended = connect(&[&url, "-qb", "--file", "-"], &one).await;
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(ended.out == one);
}

#[tokio::test]
async fn binary_is_bytes_both_ways() {
    let (url, got) = echo_backend().await;
    let ended = connect(&[&url, "--binary"], b"\xff\n\x00").await;
    assert_eq!((ended.code, ended.out.as_slice()), (0, &b"\xff\n\x00"[..]));
    let message = Message::Binary(Bytes::from_static(b"\xff\n\x00"));
    assert_eq!(all(got).await[0], message);
}

#[tokio::test]
async fn a_file_is_one_message() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let (one, two) = (path("one", b"a\nb\n"), path("two", "é".as_bytes()));
    let (url, got) = echo_backend().await;
    let ended = connect(&[&url, "-f", &one, "-f", &two], b"nobody reads this").await;
    assert_eq!((ended.code, ended.text()), (0, "a\nb\n\né\n"));
    assert_eq!(all(got).await[..2], ["a\nb\n".into(), "é".into()]);
    let (url, got) = echo_backend().await;
    let ended = connect(&[&url, "-b", "-f", &one], b"").await;
    assert_eq!((ended.code, ended.text()), (0, "a\nb\n"));
    assert_eq!(all(got).await[0], Message::Binary("a\nb\n".into()));
}

#[tokio::test]
async fn a_binary_message_among_lines_is_only_spoken_of() {
    let serve = async |mut socket: WebSocketStream<TcpStream>| {
        socket
            .send(Message::Binary(vec![0x1b; 40].into()))
            .await
            .unwrap();
        echo(socket).await;
    };
    let url = format!("ws://{}", library(serve).await);
    let ended = connect(&[&url], b"hi\n").await;
    assert_eq!((ended.code, ended.text()), (0, "hi\n"));
    let hex = ["1b"; 16].join(" ");
    let note = format!("* binary message of 40 bytes not shown: {hex} ...; --binary writes it\n");
    assert!(ended.err.contains(&note), "{}", ended.err);
}

#[tokio::test]
async fn verbose_tells_of_each_step_header_and_frame() {
    let url = format!("ws://{}", library(echo).await);
    let ended = connect(&[&url, "-v"], b"hi\n").await;
    for line in [
        "* server: connect to ",
        "* server: upgrade, ",
        "* sec-websocket-accept: ",
        "* > text, 2 bytes\n",
        "* < text, 2 bytes\n",
    ] {
        assert!(ended.err.contains(line), "{line} in {}", ended.err);
    }
    assert_eq!(ended.text(), "hi\n");
}

// --- at the end of the input --------------------------------------------------------------------

#[tokio::test]
async fn with_wait_the_close_is_sent_later_or_by_the_other_side() {
    let (url, got) = echo_backend().await;
    let began = std::time::Instant::now();
    let ended = connect(&[&url, "--wait=400ms"], b"hi\n").await;
    assert_eq!((ended.code, ended.text()), (0, "hi\n"));
    assert!(began.elapsed() >= Duration::from_millis(400));
    assert_eq!(all(got).await.len(), 2);

    let slow = async |mut socket: WebSocketStream<TcpStream>| {
        tokio::time::sleep(Duration::from_millis(300)).await;
        socket.send("late".into()).await.unwrap();
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    };
    let url = format!("ws://{}", library(slow).await);
    let ended = connect(&[&url, "--wait"], b"").await;
    assert_eq!((ended.code, ended.text()), (0, "late\n"), "{}", ended.err);
    assert!(
        ended.err.ends_with("* closed by the server: no code\n"),
        "{}",
        ended.err
    );
}

// --- pings --------------------------------------------------------------------------------------

#[tokio::test]
async fn pings_are_sent_and_their_time_is_told() {
    let url = format!("ws://{}", library(echo).await);
    let ended = connect(&[&url, "--ping", "100ms", "--wait=350ms"], b"").await;
    assert_eq!(ended.code, 0, "{}", ended.err);
    let pongs: Vec<&str> = ended
        .err
        .lines()
        .filter(|l| l.starts_with("* pong after "))
        .collect();
    assert!((2..=4).contains(&pongs.len()), "{}", ended.err);
    assert!(pongs.iter().all(|pong| pong.ends_with(" ms")), "{pongs:?}");
}

#[tokio::test]
async fn the_pings_of_a_backend_are_answered() {
    let asks = async |mut socket: WebSocketStream<TcpStream>| {
        socket.send(Message::Ping("you?".into())).await.unwrap();
        let pong = socket.next().await.unwrap().unwrap();
        socket.send(format!("{pong:?}").into()).await.unwrap();
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    };
    let url = format!("ws://{}", library(asks).await);
    let ended = connect(&[&url, "--wait"], b"").await;
    assert_eq!(
        (ended.code, ended.text()),
        (0, "Pong(b\"you?\")\n"),
        "{}",
        ended.err
    );
}
