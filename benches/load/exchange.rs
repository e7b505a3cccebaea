//! What the two sides say to each other: so many messages asked, so many answered. An echo is one
//! and one; bulk is one and thousands, or thousands and one.
//!
//! Knows no handshake; it begins when both sides speak WebSocket.

use std::io;

use crate::pattern::{Check, Form, Stamp};
use crate::wire::Wire;

/// The size of the single message that asks for, or confirms, thousands.
const SMALL_BYTES: usize = 64;

pub(crate) struct Exchange {
    pub(crate) to_backend: Form,
    pub(crate) to_client: Form,
    /// Messages that a client sends.
    pub(crate) asked: u32,
    /// Messages that the backend sends once it has them all.
    pub(crate) answered: u32,
    /// Connections that the backend was asked for by CONNECT, so far.
    pub(crate) tunnels: u64,
}

impl Exchange {
    pub(crate) fn echo(size: usize) -> Self {
        Self {
            to_backend: Form::from_client(size),
            to_client: Form::from_backend(size),
            asked: 1,
            answered: 1,
            tunnels: 0,
        }
    }

    pub(crate) fn bulk_to_client(size: usize, messages: u32) -> Self {
        Self {
            to_backend: Form::from_client(SMALL_BYTES),
            to_client: Form::from_backend(size),
            asked: 1,
            answered: messages,
            tunnels: 0,
        }
    }

    pub(crate) fn bulk_to_backend(size: usize, messages: u32) -> Self {
        Self {
            to_backend: Form::from_client(size),
            to_client: Form::from_backend(SMALL_BYTES),
            asked: messages,
            answered: 1,
            tunnels: 0,
        }
    }
}

/// One end of a connection that speaks: what it has yet to send, and what it should receive.
pub(crate) struct Talk {
    sends: Stamp,
    /// How much of the message `sends` is sent; less than a whole frame.
    offset: usize,
    left: u32,
    check: Check,
    /// Whole exchanges that were received.
    received: u32,
}

impl Talk {
    pub(crate) fn of(connection: u32) -> Self {
        let message = 0;
        Self {
            sends: Stamp {
                connection,
                message,
            },
            offset: 0,
            left: 0,
            check: Check::of(connection),
            received: 0,
        }
    }

    /// Puts `messages` more in line.
    pub(crate) fn add(&mut self, messages: u32) {
        self.left += messages;
    }

    /// Sends as much as the socket takes now.
    pub(crate) fn push(&mut self, form: &mut Form, wire: &mut Wire) -> io::Result<()> {
        while self.left > 0 {
            let frame = form.stamped(self.sends);
            let taken = wire.write(&frame[self.offset..])?;
            if taken == 0 {
                return Ok(());
            }
            self.offset += taken;
            if self.offset == frame.len() {
                self.offset = 0;
                self.sends.message += 1;
                self.left -= 1;
            }
        }
        Ok(())
    }

    /// Whether what comes next is the beginning of a message.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.check.is_between_messages()
    }

    /// Checks what arrived; says how many times `whole` messages came to their end by it.
    pub(crate) fn pull(
        &mut self,
        form: &mut Form,
        whole: u32,
        bytes: &[u8],
    ) -> Result<u32, crate::pattern::Spoilt> {
        self.check.accept(form, bytes)?;
        let received = self.check.messages() / whole;
        let more = received - self.received;
        self.received = received;
        Ok(more)
    }
}
