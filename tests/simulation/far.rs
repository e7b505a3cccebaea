//! A far end: what it says, when, and how it answers what it hears.
//!
//! Knows no sockets: it is asked what it has said by now, and told what arrived.

use std::time::Duration;

use tokio::time::Instant;

use super::dice::Dice;
use super::frames::{self, CLOSE, Frame, PING, PONG};
use super::speech::{Saying, close};

/// How a connection ends, as seen from the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// No more comes, and what is sent still arrives.
    Fin,
    /// No more comes, and what is sent is refused.
    Gone,
    /// TLS without a close_notify.
    Truncated,
    Reset,
}

/// How a side answers.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// It reads frames. Whoever says noise does not.
    pub frames: bool,
    /// To a Ping, after so long; `None`: never.
    pub pong: Option<Duration>,
    /// To a Close by a Close, after so long; `None`: never.
    pub close: Option<Duration>,
    /// Then, or when it is told that no more comes, it ends like this; `None`: never.
    pub end: Option<(Duration, How)>,
}

/// Limits of the route, which make a frame one that may not pass.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub frame: usize,
    pub message: usize,
}

/// Why nothing passes from somewhere on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Barrier {
    /// Where the frame begins.
    pub start: usize,
    /// Nothing of this and after it may pass.
    pub at: usize,
    pub code: u16,
}

#[derive(Debug)]
enum Act {
    Say(Vec<u8>),
    End(How),
}

#[derive(Debug)]
pub struct Far {
    pub masks: bool,
    pub manners: Manners,
    pub bounds: Bounds,
    pub dice: Dice,
    /// What it says of itself, the next one last.
    pub speech: Vec<Saying>,
    /// After all that.
    pub last: Option<(Duration, How)>,
    /// When the next of it is due.
    pub due: Instant,
    /// Whatever happens, it is reset then.
    pub horizon: Instant,
    answers: Vec<(Instant, Act)>,
    /// All that it has said.
    pub said: Vec<u8>,
    /// When it had said so much.
    pub said_at: Vec<(usize, Instant)>,
    pub barrier: Option<Barrier>,
    message: usize,
    has_closed: bool,
    pub ended: Option<(Instant, How)>,
    pub heard: Vec<u8>,
    parsed: usize,
    pub has_heard_close: bool,
    /// Pings that look like the gateway's: where they end, and when they came.
    pub asked: Vec<(usize, Instant)>,
    /// Bytes of the answers to them.
    pub answered_bytes: usize,
}

impl Far {
    pub fn new(masks: bool, manners: Manners, bounds: Bounds, dice: Dice, due: Instant) -> Self {
        Self {
            masks,
            manners,
            bounds,
            dice,
            speech: Vec::new(),
            last: None,
            due,
            horizon: due + Duration::from_secs(900),
            answers: Vec::new(),
            said: Vec::new(),
            said_at: Vec::new(),
            barrier: None,
            message: 0,
            has_closed: false,
            ended: None,
            heard: Vec::new(),
            parsed: 0,
            has_heard_close: false,
            asked: Vec::new(),
            answered_bytes: 0,
        }
    }

    /// When it does the next thing.
    pub fn next(&self) -> Instant {
        let answer = self.answers.iter().map(|(at, _)| *at).min();
        let own = self.own_due().unwrap_or(self.horizon);
        answer.map_or(own, |at| at.min(own)).min(self.horizon)
    }

    fn own_due(&self) -> Option<Instant> {
        match self.speech.last() {
            Some(saying) => Some(self.due + saying.after),
            None => self.last.map(|(after, _)| self.due + after),
        }
    }

    /// Does everything that is due by `now`, in order.
    pub fn advance(&mut self, now: Instant) {
        while self.ended.is_none() && self.next() <= now {
            let at = self.next();
            if at >= self.horizon {
                self.ended = Some((self.horizon, How::Reset));
                return;
            }
            let answer = self.answers.iter().position(|(due, _)| *due == at);
            if let Some(answer) = answer {
                match self.answers.remove(answer).1 {
                    Act::Say(bytes) => self.say(&bytes, at),
                    Act::End(how) => self.ended = Some((at, how)),
                }
                continue;
            }
            self.due = at;
            match self.speech.pop() {
                Some(saying) => {
                    let start = self.said.len();
                    if let Some(fault) = saying.fault {
                        self.bar(start, start + fault.at, fault.code);
                    }
                    self.say(&saying.bytes, at);
                }
                None => self.ended = self.last.take().map(|(_, how)| (at, how)),
            }
        }
    }

    /// Once its Close is said, it says nothing more.
    fn say(&mut self, bytes: &[u8], at: Instant) {
        if self.has_closed {
            return;
        }
        let start = self.said.len();
        self.said.extend_from_slice(bytes);
        self.said_at.push((self.said.len(), at));
        let Some(frame) = Frame::at(bytes, 0).filter(|_| self.manners.frames) else {
            return;
        };
        self.has_closed = frame.opcode() == CLOSE && self.barrier.is_none();
        let len = frame.len();
        match frame.opcode() {
            0 => self.message = self.message.saturating_add(len),
            1 | 2 => self.message = len,
            _ => {}
        }
        let is_data = frame.opcode() < 3;
        if len > self.bounds.frame || is_data && self.message > self.bounds.message {
            self.bar(start, start, 1009);
        }
    }

    fn bar(&mut self, start: usize, at: usize, code: u16) {
        let before = self.barrier.filter(|barrier| barrier.at <= at);
        self.barrier = before.or(Some(Barrier { start, at, code }));
    }

    /// What arrived; whether it has something to say to that.
    pub fn hear(&mut self, bytes: &[u8], now: Instant) -> bool {
        self.heard.extend_from_slice(bytes);
        let before = self.answers.len();
        while self.manners.frames && !self.has_heard_close {
            let Some(frame) = Frame::at(&self.heard, self.parsed) else {
                break;
            };
            if frame.end > self.heard.len() {
                break;
            }
            self.parsed = frame.end;
            self.answer(&frame, now);
        }
        self.answers.len() > before
    }

    fn answer(&mut self, frame: &Frame, now: Instant) {
        let key = self.masks.then(|| (self.dice.next() as u32).to_be_bytes());
        match frame.opcode() {
            PING => {
                let payload = frame.text(&self.heard).unwrap_or_default();
                let looks_own = is_mark(&payload);
                if looks_own {
                    self.asked.push((frame.end, now));
                }
                if let Some(after) = self.manners.pong {
                    let pong = frames::write(128 | PONG, &payload, key);
                    self.answered_bytes += if looks_own { pong.len() } else { 0 };
                    self.answers.push((now + after, Act::Say(pong)));
                }
            }
            CLOSE => {
                self.has_heard_close = true;
                if let Some(after) = self.manners.close {
                    let bye = close(&mut self.dice, self.masks);
                    self.answers.push((now + after, Act::Say(bye)));
                    self.end(now + after);
                }
            }
            _ => {}
        }
    }

    /// It is told that no more comes.
    pub fn hear_end(&mut self, now: Instant) {
        self.end(now);
    }

    fn end(&mut self, from: Instant) {
        if let Some((after, how)) = self.manners.end {
            self.answers.push((from + after, Act::End(how)));
        }
    }
}

/// Whether a Ping with this payload may be the gateway's.
pub fn is_mark(payload: &[u8]) -> bool {
    payload.len() == 12 && payload.starts_with(b"tway")
}
