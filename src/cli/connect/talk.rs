//! An open WebSocket from its 101 to its end: input goes out, messages come in, and whatever ends it
//! ends it in order.
//!
//! Knows neither how it was opened nor what its end is called. One loop holds both directions, so
//! that a server that stops reading until it is read from stops nothing.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, WriteHalf, split};
use tokio::time::{Instant, sleep_until, timeout};

use super::end::End;
use super::flags::AtEnd;
use super::input::{BadInput, Input, Outgoing};
use super::message::{Close, Incoming, Reader, Violation};
use super::output::{Look, Output};
use super::ping::{Due, Pings};
use super::sending::{NoRandomness, Sending, random};
use super::voice::{Voice, harmless};
use crate::cli::way::span;
use crate::lifecycle::signals::Stop;
use crate::net::Stream;
use crate::wire::ws::frame::Opcode;

/// How long the answer to our Close is waited for, from the last byte of it and from the last of a
/// frame that is still coming.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// How long the end of the stream is waited for once there is nothing left to say. RFC 6455 §7.1.1:
/// the server ends it first.
const LEAVE_WAIT: Duration = Duration::from_secs(1);
const READ_BYTES: usize = 64 * 1024;
/// Input is taken while no more than this waits to be written, …
const SENDING_BYTES_MAX: usize = 64 * 1024;
/// … and the socket is read while no more than this, and one message, waits to be shown.
const SHOWN_BYTES_MAX: usize = 64 * 1024;

// RFC 6455 §7.4.1.
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) look: Look,
    pub(super) voice: Voice,
    pub(super) at_end: AtEnd,
    /// How often, and how long a pong may take.
    pub(super) ping: Option<(Duration, Duration)>,
    pub(super) message_bytes_max: usize,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Our Close is out, or on its way; the other's is waited for.
    Closing {
        until: Instant,
    },
    /// Nothing is said any more and nothing heard but the end of the stream.
    Leaving {
        until: Instant,
    },
}

/// One WebSocket.
pub(super) struct Talk {
    rules: Rules,
    phase: Phase,
    reading: Reader,
    sending: Sending,
    /// Bytes for standard output.
    shown: Vec<u8>,
    /// Nobody takes them any more.
    is_unread: bool,
    is_unflushed: bool,
    /// Why nothing goes out any more.
    stuck: Option<String>,
    /// The other side has ended its stream.
    is_over: bool,
    has_input: bool,
    /// When the Close is sent after the end of the input.
    close_at: Option<Instant>,
    pings: Option<Pings>,
    /// When bytes last came or went.
    moved: Instant,
    /// What is known of the end, once something is.
    end: Option<End>,
}

impl Talk {
    pub(super) fn new(rules: Rules) -> Self {
        let now = Instant::now();
        let pings = |(every, timeout)| Pings::new(every, timeout, now);
        Self {
            rules,
            phase: Phase::Open,
            reading: Reader::new(rules.message_bytes_max),
            sending: Sending::default(),
            shown: Vec::new(),
            is_unread: false,
            is_unflushed: false,
            stuck: None,
            is_over: false,
            has_input: true,
            close_at: None,
            pings: rules.ping.map(pings),
            moved: now,
            end: None,
        }
    }

    /// Talks until it ends; everything that came is written by then.
    pub(super) async fn run(
        mut self,
        stream: Stream,
        mut input: Input,
        output: Output,
        stop: &mut Stop,
    ) -> End {
        let (mut reader, mut writer) = split(stream);
        let end = loop {
            if let Some(end) = self.ended(Instant::now()) {
                break end;
            }
            let deadline = self.deadline();
            self.reading.bytes.reserve(READ_BYTES);
            tokio::select! {
                _ = stop.next() => if let Some(end) = self.on_signal() { break end },
                () = sleep_until(deadline.unwrap_or(self.moved)), if deadline.is_some() => {}
                room = output.to.reserve(), if !self.shown.is_empty() => match room {
                    Ok(room) => {
                        room.send(std::mem::take(&mut self.shown));
                        self.hear();
                    }
                    Err(_) => self.on_unread(),
                },
                went = go_on(&mut writer, &mut self.sending.bytes), if self.has_to_write() => {
                    self.on_written(went);
                }
                read = reader.read_buf(&mut self.reading.bytes), if self.may_read() => {
                    self.on_read(read);
                }
                given = input.recv(), if self.may_take() => self.on_input(given),
            }
        };
        // Nothing waits for us there any more, so that a failure has nobody to be told to.
        timeout(LEAVE_WAIT, writer.shutdown()).await.ok();
        tokio::select! {
            end = written(self.shown, output, end) => end,
            _ = stop.next() => End::Cut,
        }
    }

    // --- what may be done -----------------------------------------------------------------------

    fn has_bytes(&self) -> bool {
        !self.sending.bytes.is_empty()
    }

    fn has_to_write(&self) -> bool {
        self.has_bytes() || self.is_unflushed
    }

    fn may_read(&self) -> bool {
        !self.is_over && self.shown.len() < SHOWN_BYTES_MAX
    }

    fn may_take(&self) -> bool {
        let has_room = self.sending.bytes.len() < SENDING_BYTES_MAX;
        self.phase == Phase::Open && self.has_input && has_room
    }

    // --- time -----------------------------------------------------------------------------------

    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Leaving { until } | Phase::Closing { until } => Some(until),
            Phase::Open => {
                let pings = self.pings.as_ref().map(Pings::deadline);
                pings.into_iter().chain(self.close_at).min()
            }
        }
    }

    /// When bytes last moved that an answer has to wait behind. Those that we ourselves do not read,
    /// because nobody takes what we write, are held against nobody.
    fn moved(&self, now: Instant) -> Option<Instant> {
        if self.shown.len() >= SHOWN_BYTES_MAX {
            return Some(now);
        }
        let waits = self.has_bytes() || self.reading.is_inside_a_frame();
        waits.then_some(self.moved)
    }

    // Does what is due; the end, if it has come.
    fn ended(&mut self, now: Instant) -> Option<End> {
        let moved = self.moved(now);
        match &mut self.phase {
            Phase::Open => self.do_what_is_due(now, moved),
            Phase::Closing { until } => {
                if let Some(moved) = moved {
                    *until = (*until).max(moved + CLOSE_WAIT);
                }
                if now >= *until {
                    let stuck = self.stuck.take().map(End::Lost);
                    let end = self.end.take().or(stuck);
                    return Some(end.unwrap_or(End::Unanswered(CLOSE_WAIT)));
                }
            }
            Phase::Leaving { until } => {
                let is_late = now >= *until;
                let is_said = !self.has_to_write();
                if is_late || self.is_over && is_said {
                    return self.end.take();
                }
            }
        }
        None
    }

    fn do_what_is_due(&mut self, now: Instant, moved: Option<Instant>) {
        if self.close_at.is_some_and(|at| now >= at) {
            return self.close(NORMAL, "");
        }
        let Some(pings) = &mut self.pings else { return };
        match pings.due(now, moved) {
            Due::Nothing => {}
            Due::NoPong => {
                let end = End::NoPong(pings.timeout());
                self.fail(GOING_AWAY, "no pong", end);
            }
            Due::Ping => {
                let sent = random().and_then(|mark| {
                    pings.sent(mark, now);
                    self.sending.push(Opcode::Ping, &mark)
                });
                self.must(sent);
            }
        }
    }

    // --- what happens ---------------------------------------------------------------------------

    fn on_signal(&mut self) -> Option<End> {
        match self.phase {
            Phase::Open => {
                self.close(NORMAL, "");
                self.rules
                    .voice
                    .say(|| "closing; a second signal cuts at once".to_owned());
                None
            }
            Phase::Closing { .. } | Phase::Leaving { .. } => {
                Some(self.end.take().unwrap_or(End::Cut))
            }
        }
    }

    fn on_unread(&mut self) {
        self.is_unread = true;
        self.shown.clear();
        if self.phase == Phase::Open {
            self.close(NORMAL, "");
        }
        self.hear();
    }

    fn on_written(&mut self, went: io::Result<Went>) {
        let now = Instant::now();
        match went {
            Ok(Went::Bytes) => {
                self.moved = now;
                self.is_unflushed = true;
                if !self.has_bytes() && self.phase == Phase::Open {
                    let settled = self.sending.settle();
                    self.must(settled);
                }
            }
            Ok(Went::All) => {
                self.moved = now;
                self.is_unflushed = false;
                if let Some(pings) = &mut self.pings {
                    pings.written(now);
                }
                if let Phase::Closing { until } = &mut self.phase {
                    *until = now + CLOSE_WAIT;
                }
            }
            Err(error) => self.on_stuck(&error),
        }
    }

    // The other side takes no more; its Close, which says why, may still be on its way here.
    fn on_stuck(&mut self, error: &io::Error) {
        self.sending = Sending::default();
        self.is_unflushed = false;
        if !matches!(self.phase, Phase::Leaving { .. }) {
            let until = Instant::now() + LEAVE_WAIT;
            self.phase = Phase::Closing { until };
            self.stuck = Some(io_words(error));
        }
    }

    fn on_read(&mut self, read: io::Result<usize>) {
        let how = match read {
            Ok(0) => "the server ended the stream".to_owned(),
            Ok(_) => {
                self.moved = Instant::now();
                return self.hear();
            }
            Err(error) => io_words(&error),
        };
        self.is_over = true;
        if !matches!(self.phase, Phase::Leaving { .. }) {
            self.sending = Sending::default();
            let how = self.stuck.take().unwrap_or(how);
            self.leave(End::Lost(how));
        }
    }

    fn on_input(&mut self, given: Option<Result<Outgoing, BadInput>>) {
        match given {
            Some(Ok(message)) => {
                let (opcode, payload) = match &message {
                    Outgoing::Text(text) => (Opcode::Text, text.as_bytes()),
                    Outgoing::Binary(bytes) => (Opcode::Binary, bytes.as_slice()),
                };
                self.rules.voice.tell(|| spoken('>', opcode, payload.len()));
                let sent = self.sending.push(opcode, payload);
                self.must(sent);
            }
            Some(Err(bad)) => {
                self.close(GOING_AWAY, "");
                self.end = Some(End::Input(bad));
            }
            None => {
                self.has_input = false;
                match self.rules.at_end {
                    AtEnd::Close => self.close(NORMAL, ""),
                    AtEnd::Wait(most) => self.close_at = Some(Instant::now() + most),
                    AtEnd::Listen => {}
                }
            }
        }
    }

    // --- what came ------------------------------------------------------------------------------

    fn hear(&mut self) {
        loop {
            if self.is_unread {
                self.shown.clear();
            }
            if let Phase::Leaving { .. } = self.phase {
                return self.reading.bytes.clear();
            }
            if self.shown.len() >= SHOWN_BYTES_MAX {
                return;
            }
            match self.reading.next() {
                Ok(Some(incoming)) => self.heed(incoming),
                Ok(None) => return,
                Err(violation) => self.refuse(violation),
            }
        }
    }

    fn heed(&mut self, incoming: Incoming) {
        let Rules { look, voice, .. } = self.rules;
        match incoming {
            Incoming::Text(text) => {
                voice.tell(|| spoken('<', Opcode::Text, text.len()));
                look.text(&text, &mut self.shown);
            }
            Incoming::Binary(bytes) => {
                voice.tell(|| spoken('<', Opcode::Binary, bytes.len()));
                look.binary(&bytes, &mut self.shown, voice);
            }
            Incoming::Ping(payload) => {
                voice.tell(|| spoken('<', Opcode::Ping, payload.len()));
                // RFC 6455 §5.5.1: nothing follows a Close.
                if self.phase == Phase::Open {
                    let sent = self.sending.pong(payload);
                    self.must(sent);
                }
            }
            Incoming::Pong(payload) => {
                let now = Instant::now();
                let pings = self.pings.as_mut();
                match pings.and_then(|pings| pings.pong(&payload, now)) {
                    Some(took) => voice.say(|| format!("pong after {}", span(took))),
                    None => voice.tell(|| spoken('<', Opcode::Pong, payload.len())),
                }
            }
            Incoming::Close(close) => self.on_close(close),
        }
    }

    // RFC 6455 §5.5.1: it is answered, with the same code.
    fn on_close(&mut self, close: Close) {
        if self.phase != Phase::Open {
            return self.leave(End::Answered(close));
        }
        let sent = self.sending.close(close.code, "");
        self.must(sent);
        self.leave(End::Closed(close));
    }

    fn refuse(&mut self, violation: Violation) {
        let Violation { code, words } = violation.clone();
        self.fail(code, &words, End::Broken(violation));
    }

    // --- how it ends ----------------------------------------------------------------------------

    fn close(&mut self, code: u16, reason: &str) {
        let until = Instant::now() + CLOSE_WAIT;
        self.phase = Phase::Closing { until };
        let sent = self.sending.close(Some(code), reason);
        self.must(sent);
    }

    // Says why, unless a Close is out already, and waits for no answer.
    fn fail(&mut self, code: u16, reason: &str, end: End) {
        if self.phase == Phase::Open {
            self.close(code, reason);
        }
        self.leave(end);
    }

    // What was known before is why it ends.
    fn leave(&mut self, end: End) {
        self.end.get_or_insert(end);
        let until = Instant::now() + LEAVE_WAIT;
        self.phase = Phase::Leaving { until };
    }

    fn must(&mut self, sent: Result<(), NoRandomness>) {
        if let Err(NoRandomness) = sent {
            self.leave(End::NoRandomness);
        }
    }
}

/// What went out.
enum Went {
    Bytes,
    /// Nothing is held back any more, not by TLS either.
    All,
}

// May be dropped while it waits: what is not written stays in `bytes`.
async fn go_on(writer: &mut WriteHalf<Stream>, bytes: &mut BytesMut) -> io::Result<Went> {
    if bytes.is_empty() {
        writer.flush().await?;
        return Ok(Went::All);
    }
    match writer.write_buf(bytes).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(Went::Bytes),
    }
}

// All that came, to its last byte. An output that failed is the end that counts, unless there is a
// worse one.
async fn written(shown: Vec<u8>, output: Output, end: End) -> End {
    // Whoever does not take it tells why below.
    output.to.send(shown).await.ok();
    drop(output.to);
    match output.ended.await {
        Ok(Err(error)) if end.exit() == 0 => End::Output(error),
        Ok(_) | Err(_) => end,
    }
}

fn spoken(mark: char, opcode: Opcode, bytes: usize) -> String {
    let what = match opcode {
        Opcode::Text => "text",
        Opcode::Binary => "binary",
        Opcode::Ping => "ping",
        Opcode::Pong => "pong",
        Opcode::Close => "close",
        Opcode::Continuation => "continuation",
    };
    format!("{mark} {what}, {bytes} bytes")
}

// Without the operating system's number.
fn io_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the server ended the stream without TLS's goodbye".into(),
        _ if error.raw_os_error().is_some() => error.kind().to_string(),
        _ => harmless(&error.to_string()),
    }
}
