//! An open WebSocket from its 101 to its end: input goes out, messages come in, and whatever ends it
//! ends it in order.
//!
//! Knows neither how it was opened nor what its end is called. One loop holds both directions, so
//! that a server that stops reading until it is read from stops nothing.

mod due;
mod events;
mod heed;
mod leave;
#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, WriteHalf, split};
use tokio::time::{Instant, sleep_until, timeout};

use super::end::End;
use super::flags::AtEnd;
use super::input::Input;
use super::message::Reader;
use super::output::{Look, Output};
use super::ping::Pings;
use super::sending::Sending;
use super::voice::Voice;
use crate::lifecycle::signals::Stop;
use crate::net::Stream;

/// How long the answer to our Close is waited for, from the last byte of it and from the last of a
/// frame that is still coming.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// After the end of the input the Close is sent once nothing has moved for so long: many servers drop
/// what they have not answered yet when a Close comes. No measurement is behind the number: it is
/// longer than the round trip of most ways, and short for somebody who waits.
const QUIET: Duration = Duration::from_millis(500);
/// And no later than this, whatever comes.
const QUIET_WAIT_MAX: Duration = Duration::from_secs(5);
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
    is_unflushed: bool,
    /// Why nothing goes out any more.
    stuck: Option<String>,
    /// The other side has ended its stream.
    is_over: bool,
    has_input: bool,
    has_sent: bool,
    /// When the Close is sent after the end of the input, …
    close_at: Option<Instant>,
    /// … which what moves puts off, at most so far.
    close_at_max: Option<Instant>,
    pings: Option<Pings>,
    /// The last bytes that came did not end a frame.
    is_inside: bool,
    /// When bytes last went, or came of a frame that took more than one reading: what is behind them
    /// cannot be there earlier.
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
            is_unflushed: false,
            stuck: None,
            is_over: false,
            has_input: true,
            has_sent: false,
            close_at: None,
            close_at_max: None,
            pings: rules.ping.map(pings),
            is_inside: false,
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
                        // What was not read until now could not be known until now.
                        self.moved = self.moved(Instant::now());
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
        drop((reader, writer, input));
        tokio::select! {
            end = written(self.shown, output, end) => end,
            _ = stop.next() => End::Cut,
        }
    }

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
