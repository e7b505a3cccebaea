//! Bytes from one plain socket to another without a copy through this process: splice(2) by way of
//! a pipe of the kernel's, which holds pages and not bytes.
//!
//! Knows nothing of when that pays; the pump does.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use tokio::net::TcpStream;

use super::ready::{poll_reading, poll_writing};

/// The most that a pipe is filled with, hence the most that a slow sink leaves in it.
pub const FILL_BYTES_MAX: usize = 128 * 1024;

/// Pipes that a thread puts by, each empty: two descriptors and some 700 bytes of the kernel's.
const SPARE_MAX: usize = 16;

thread_local! {
    static SPARE: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
}

/// A stream that may stand on a plain TCP socket and nothing else.
pub trait Plain {
    /// That socket, if whatever is read or written next is so on it and nowhere else.
    fn plain(&self) -> Option<&TcpStream> {
        None
    }
}

impl Plain for TcpStream {
    fn plain(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl Plain for tokio::io::DuplexStream {}

/// A pipe, and how many bytes are in it.
#[derive(Debug)]
pub struct Pipe {
    /// `None` only while it is dropped.
    ends: Option<Ends>,
    held: usize,
}

#[derive(Debug)]
struct Ends {
    out: OwnedFd,
    into: OwnedFd,
}

impl Pipe {
    /// An empty one; `None` when there is none to be had, or no splice(2).
    pub fn empty() -> Option<Self> {
        let spare = SPARE.with_borrow_mut(Vec::pop);
        let ends = match spare {
            Some(ends) => ends,
            None => system::pipe()?,
        };
        Some(Self {
            ends: Some(ends),
            held: 0,
        })
    }

    /// Bytes that went in and did not come out yet.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Whether everything that went in came out again.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes at most `bytes_max` bytes from `source` into the pipe, which is empty; 0 is the end of
    /// the source.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &TcpStream,
        bytes_max: usize,
    ) -> Poll<io::Result<usize>> {
        debug_assert!(
            self.is_empty(),
            "a full pipe and a silent source look the same"
        );
        let Some(ends) = &self.ends else {
            return Poll::Ready(Ok(0));
        };
        let filled = ready!(poll_reading(cx, source, || {
            system::splice(source, &ends.into, bytes_max.min(FILL_BYTES_MAX))
        }))?;
        self.held = filled;
        Poll::Ready(Ok(filled))
    }

    /// Takes what `source` has right now behind what is in the pipe, without waiting for more; 0 is the
    /// end of the source. `WouldBlock` too where the pipe has no room, so whoever waits for the source
    /// does not ask here.
    pub fn try_fill(&mut self, source: &TcpStream, bytes_max: usize) -> io::Result<usize> {
        let room = FILL_BYTES_MAX.saturating_sub(self.held);
        let Some(ends) = self.ends.as_ref().filter(|_| room > 0) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let filled = system::splice(source, &ends.into, bytes_max.min(room))?;
        self.held += filled;
        Ok(filled)
    }

    /// Hands bytes of the pipe to `sink`, as many as it accepts now.
    pub fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        sink: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        let Some(ends) = &self.ends else {
            return Poll::Ready(Ok(0));
        };
        let drained = ready!(poll_writing(cx, sink, || {
            system::splice(&ends.out, sink, self.held)
        }))?;
        if drained == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.held -= drained.min(self.held);
        Poll::Ready(Ok(drained))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let Some(ends) = self.ends.take().filter(|_| self.held == 0) else {
            return;
        };
        // A thread that is ending has no pipes any more, and needs none.
        SPARE
            .try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < SPARE_MAX {
                    spare.push(ends);
                }
            })
            .unwrap_or_default();
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::os::fd::AsFd;

    use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with};

    use super::Ends;

    /// Refused where the user has no pages for pipes left (`fs.pipe-user-pages-soft`) or the process
    /// no descriptors: then bytes are copied, as everywhere else.
    pub(super) fn pipe() -> Option<Ends> {
        let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        Some(Ends { out, into })
    }

    pub(super) fn splice(from: impl AsFd, to: impl AsFd, bytes: usize) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        Ok(rustix::pipe::splice(from, None, to, None, bytes, flags)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::os::fd::AsFd;

    use super::Ends;

    pub(super) fn pipe() -> Option<Ends> {
        None
    }

    pub(super) fn splice(_: impl AsFd, _: impl AsFd, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
