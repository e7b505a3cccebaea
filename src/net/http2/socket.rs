//! What the connection stands on: a stream that is not read further ahead than somebody takes,
//! and that tells whether all that was written has left.
//!
//! Knows no frames.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::AHEAD_BYTES_MAX;
use crate::net::Stream;

/// The stream below the frames.
pub(super) struct Socket {
    stream: Stream,
    state: Arc<State>,
}

/// What both the socket and those above the frames know of it. The connection owns the socket and
/// gives nobody a look at it, hence the atomics; only one side ever uses them at a time.
#[derive(Default)]
pub(super) struct State {
    /// Bytes read since somebody last had taken everything.
    ahead: AtomicUsize,
    /// Bytes were written since the stream was last flushed.
    unflushed: AtomicBool,
    /// Who waits to read, and who to write: whatever the socket wakes may be what either waits
    /// for, and the two may be tasks of their own.
    waiting: Mutex<[Option<Waker>; 2]>,
}

/// Which way somebody waits.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    Reading,
    Writing,
}

impl Socket {
    pub(super) fn new(stream: Stream, state: Arc<State>) -> Self {
        Self { stream, state }
    }
}

impl State {
    /// Everything that came was taken.
    pub(super) fn all_taken(&self) {
        self.ahead.store(0, Ordering::Relaxed);
    }

    /// Nothing more is read until somebody takes something.
    pub(super) fn is_full(&self) -> bool {
        self.ahead.load(Ordering::Relaxed) >= AHEAD_BYTES_MAX
    }

    pub(super) fn is_flushed(&self) -> bool {
        !self.unflushed.load(Ordering::Relaxed)
    }

    /// From here on this waker is the one that waits this way.
    pub(super) fn waits(&self, way: Way, waker: &Waker) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let [reading, writing] = &mut *waiting;
        let slot = match way {
            Way::Reading => reading,
            Way::Writing => writing,
        };
        match slot {
            Some(known) => known.clone_from(waker),
            None => *slot = Some(waker.clone()),
        }
    }
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    // Outside the lock, because a waker may do what it likes.
    fn wake_by_ref(self: &Arc<Self>) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let [reading, writing] = waiting.clone();
        drop(waiting);
        match (reading, writing) {
            (Some(one), Some(other)) if one.will_wake(&other) => one.wake(),
            (one, other) => one.into_iter().chain(other).for_each(Waker::wake),
        }
    }
}

impl AsyncRead for Socket {
    // Full means pending without a wakeup: whoever takes something polls again.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.state.is_full() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        self.state.ahead.fetch_add(read, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.state.unflushed.store(true, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.state.unflushed.store(false, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
