//! What happens to a talk: a signal, input, bytes that went or came, and ends of either.
//!
//! Knows no message that came, only its bytes.

use std::io;

use tokio::time::Instant;

use super::heed::spoken;
use super::{GOING_AWAY, LEAVE_WAIT, NORMAL, Phase, QUIET_WAIT_MAX, Talk, Went};
use crate::cli::connect::end::End;
use crate::cli::connect::flags::AtEnd;
use crate::cli::connect::input::{BadInput, Outgoing};
use crate::cli::connect::sending::Sending;
use crate::cli::connect::voice::harmless;
use crate::wire::ws::frame::Opcode;

impl Talk {
    pub(super) fn on_signal(&mut self) -> Option<End> {
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

    pub(super) fn on_unread(&mut self) {
        self.shown.clear();
        // The thread that wrote has the error itself, which takes the place of this one.
        self.fail(NORMAL, "", End::Output(io::ErrorKind::BrokenPipe.into()));
    }

    pub(super) fn on_written(&mut self, went: io::Result<Went>) {
        let now = Instant::now();
        self.put_off();
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

    pub(super) fn on_read(&mut self, read: io::Result<usize>) {
        let how = match read {
            Ok(0) => "the server ended the stream".to_owned(),
            Ok(_) => return self.on_bytes(),
            Err(error) => io_words(&error),
        };
        self.is_over = true;
        if !matches!(self.phase, Phase::Leaving { .. }) {
            self.sending = Sending::default();
            let how = self.stuck.take().unwrap_or(how);
            self.leave(End::Lost(how));
        }
    }

    // RFC 6455 §5.4: a pong, or a Close, waits until the frame before it is over.
    fn on_bytes(&mut self) {
        self.put_off();
        let was_inside = self.is_inside;
        self.hear();
        self.is_inside = self.reading.is_inside_a_frame();
        if was_inside || self.is_inside {
            self.moved = Instant::now();
        }
    }

    pub(super) fn on_input(&mut self, given: Option<Result<Outgoing, BadInput>>) {
        match given {
            Some(Ok(message)) => {
                let (opcode, payload) = match &message {
                    Outgoing::Text(text) => (Opcode::Text, text.as_bytes()),
                    Outgoing::Binary(bytes) => (Opcode::Binary, bytes.as_slice()),
                };
                self.rules.voice.tell(|| spoken('>', opcode, payload.len()));
                self.has_sent = true;
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
                    // Nothing is to be answered.
                    AtEnd::Close if !self.has_sent => self.close(NORMAL, ""),
                    AtEnd::Close => {
                        self.close_at_max = Some(Instant::now() + QUIET_WAIT_MAX);
                        self.put_off();
                    }
                    AtEnd::Wait(most) => self.close_at = Some(Instant::now() + most),
                    AtEnd::Listen => {}
                }
            }
        }
    }
}

// Without the operating system's number.
fn io_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the server ended the stream without TLS's goodbye".into(),
        _ if error.raw_os_error().is_some() => error.kind().to_string(),
        _ => harmless(&error.to_string()),
    }
}
