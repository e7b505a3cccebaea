//! What waits in a pump: bytes for the sink, bytes to be looked at, a time to come, a word to be said.
//!
//! Knows no streams, and not what is done first. A pump of which nothing waits holds nothing.

use std::pin::Pin;

use tokio::time::Sleep;

use crate::net::pipe::Pipe;
use crate::splice::kept::Kept;
use crate::splice::voice::Word;

/// It is there while something waits.
#[derive(Debug, Default)]
pub(super) struct Waits(Option<Box<Waiting>>);

#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// What was read and not yet accepted by the sink; never empty.
    pub(super) kept: Option<Kept>,
    /// The same, within the kernel; never empty.
    pub(super) pipe: Option<Pipe>,
    /// What was read and not yet looked at; never empty. It comes before anything that is read.
    pub(super) unseen: Option<Kept>,
    /// Until then nothing is taken from the source: it talks too fast.
    pub(super) gate: Option<Pin<Box<Sleep>>>,
    /// The gateway's own word, until a frame ends.
    pub(super) word: Option<Word>,
}

impl Waits {
    /// Everything that waits, if anything does.
    pub(super) fn any(&self) -> Option<&Waiting> {
        self.0.as_deref()
    }

    /// As [`Waits::any`], to take something of it.
    pub(super) fn any_mut(&mut self) -> Option<&mut Waiting> {
        self.0.as_deref_mut()
    }

    /// As [`Waits::any_mut`], for something more to wait.
    pub(super) fn more(&mut self) -> &mut Waiting {
        self.0.get_or_insert_default()
    }

    /// Lets `word` wait instead of any other.
    pub(super) fn say(&mut self, word: Option<Word>) {
        match (word, &mut self.0) {
            (Some(word), _) => self.more().word = Some(word),
            (None, Some(any)) => any.word = None,
            (None, None) => {}
        }
    }

    /// Whether bytes wait for the sink.
    pub(super) fn are_for_sink(&self) -> bool {
        self.any()
            .is_some_and(|any| any.kept.is_some() || any.pipe.is_some())
    }

    /// Gives the room back if nothing waits any more.
    pub(super) fn tidy(&mut self) {
        if self.any().is_some_and(Waiting::is_nothing) {
            self.0 = None;
        }
    }
}

impl Waiting {
    fn is_nothing(&self) -> bool {
        let Self {
            kept,
            pipe,
            unseen,
            gate,
            word,
        } = self;
        let are_bytes = kept.is_some() || pipe.is_some() || unseen.is_some();
        !are_bytes && gate.is_none() && word.is_none()
    }
}
