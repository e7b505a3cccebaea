//! TLS over any other stream, with buffers only while bytes are on their way.
//!
//! Knows neither certificates nor names: both are in the configuration it is given. A read takes
//! whatever has arrived, several records at once; a write seals all of its records and hands them
//! on in one piece. Both do so in the thread's buffers, and only what is left over is kept: the
//! beginning of a record, or what the other side does not accept yet.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, CommonState, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;
use tokio::task::yield_now;

use super::scratch;
use super::tls_session::{Session, Stage, Taken};

/// The least that is read at once: one whole record, whatever room the reader has.
const READ_BYTES_MIN: usize = 17 * 1024;

/// What a session has to say beside data (tickets, an update of its keys) goes out with the next
/// data, unless it is more than this.
const RIDING_BYTES_MAX: usize = 1024;

/// Steps of handshakes between two rounds of everything else on the thread. One takes some 100 µs.
const STEPS_AT_ONCE: usize = 4;

/// Kept free beside data for what rustls puts in front of it: an update of the keys.
const RESERVE_BYTES: usize = 256;

/// A stream inside TLS.
#[derive(Debug)]
pub struct TlsStream<S> {
    io: S,
    session: Session,
    /// The beginning of a record whose end has not come.
    incoming: BytesMut,
    /// Decrypted, and not yet read.
    plain: Bytes,
    /// Sealed, and not yet accepted by `io`.
    outgoing: BytesMut,
    /// `io` did not accept all of it: nothing more is sealed before it has.
    blocked: bool,
    heard: Heard,
    said_close: bool,
    /// rustls gave up: it is asked nothing more.
    failed: bool,
}

/// How far the other side has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Open,
    /// close_notify: it has said everything.
    Close,
    /// The stream below ended without: nobody can tell whether it has said everything.
    Eof,
}

/// Who of many handshakes on one thread reckons now. A step of one takes as long as a hundred
/// messages of sessions that are open, and those stand behind all the steps that are ready.
#[derive(Debug)]
pub struct Turns(Semaphore);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::const_new(STEPS_AT_ONCE))
    }
}

impl Turns {
    /// Does `step` when it has its turn, and keeps the turn until everybody else on the thread has
    /// had one. Nobody holds one while it waits for the network.
    async fn take<T>(&self, step: impl FnOnce() -> T) -> T {
        // It is never closed.
        let _turn = self.0.acquire().await.ok();
        let done = step();
        yield_now().await;
        done
    }
}

/// The server's handshake over `io`, each of its steps at its turn. After a failure the other side
/// has been sent the alert. Its tickets go out with the first data.
pub async fn accept<S>(io: S, config: Arc<ServerConfig>, turns: &Turns) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let session = Session::server(config).map_err(fault)?;
    TlsStream::new(io, session).handshaken(Some(turns)).await
}

/// The client's handshake over `io`, with whoever proves to be `name`.
pub async fn connect<S>(
    io: S,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let session = Session::client(config, name).map_err(fault)?;
    TlsStream::new(io, session).handshaken(None).await
}

impl<S> TlsStream<S> {
    fn new(io: S, session: Session) -> Self {
        Self {
            io,
            session,
            incoming: BytesMut::new(),
            plain: Bytes::new(),
            outgoing: BytesMut::new(),
            blocked: false,
            heard: Heard::Open,
            said_close: false,
            failed: false,
        }
    }

    /// The stream below.
    pub fn io(&self) -> &S {
        &self.io
    }

    /// What is known of the session: its version, the other side's certificates.
    pub fn session(&self) -> &CommonState {
        self.session.state()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    async fn handshaken(mut self, turns: Option<&Turns>) -> io::Result<Self> {
        // A client speaks first, and nobody has to have said anything before.
        let mut stage = self.take_in(&mut [], |_| {})?.stage;
        while stage == Stage::Handshaking {
            // The other side answers only what it has heard.
            poll_fn(|cx| Pin::new(&mut self).poll_flush(cx)).await?;
            poll_fn(|cx| self.poll_more(cx)).await?;
            let taken = match turns {
                Some(turns) => turns.take(|| self.take_in_held()).await,
                None => self.take_in_held(),
            };
            if taken.is_err() {
                poll_fn(|cx| {
                    self.tell(cx);
                    Poll::Ready(())
                })
                .await;
            }
            stage = taken?;
        }
        if self.session.state().is_handshaking() {
            return Err(truncated());
        }
        if !self.session.may_wait() {
            poll_fn(|cx| self.poll_drain(cx)).await?;
        }
        Ok(self)
    }

    /// One read, whose bytes are left in `incoming`.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        scratch::with(|scratch| {
            let room = scratch.len().saturating_sub(self.incoming.len());
            let arrived = ready!(self.poll_io(cx, scratch.get_mut(..room)))?;
            let arrived = scratch.get(..arrived).unwrap_or_default();
            self.incoming.extend_from_slice(arrived);
            Poll::Ready(Ok(()))
        })
    }

    fn take_in_held(&mut self) -> io::Result<Stage> {
        let mut incoming = std::mem::take(&mut self.incoming);
        let mut early = Vec::new();
        let taken = self.take_in(&mut incoming, |data| early.extend_from_slice(data))?;
        self.plain = Bytes::from(early);
        self.incoming = keep(incoming.get(taken.used..).unwrap_or_default());
        Ok(taken.stage)
    }

    // --- from the other side -------------------------------------------------------------------

    fn poll_data(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            ready!(self.poll_arrival(cx, buf))?;
            if buf.filled().len() > before || self.heard == Heard::Close {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// One read of whatever has arrived. Its data goes to `buf`, and to `plain` what has no room
    /// there.
    fn poll_arrival(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        scratch::with(|scratch| {
            let held = self.incoming.len();
            let end = buf.remaining().max(READ_BYTES_MIN).min(scratch.len());
            let room = match end > held {
                true => scratch.get_mut(held..end),
                false => scratch.get_mut(held..),
            };
            let arrived = ready!(self.poll_io(cx, room))?;
            let (front, _) = scratch.split_at_mut(held);
            front.copy_from_slice(&self.incoming);
            let (incoming, _) = scratch.split_at_mut(held + arrived);
            let taken = self.take_in_between(incoming, buf);
            if taken.is_err() {
                self.tell(cx);
            }
            let taken = taken?;
            self.incoming = keep(incoming.get(taken.used..).unwrap_or_default());
            if taken.stage == Stage::HeardClose {
                self.heard = Heard::Close;
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Whoever fills all of `room` without ending a message says nothing that we want to hear.
    fn poll_io(
        &mut self,
        cx: &mut Context<'_>,
        room: Option<&mut [u8]>,
    ) -> Poll<io::Result<usize>> {
        let Some(room) = room.filter(|room| !room.is_empty()) else {
            return Poll::Ready(Err(io::Error::other("a TLS message is too long")));
        };
        let mut arriving = ReadBuf::new(room);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut arriving))?;
        let arrived = arriving.filled().len();
        if arrived == 0 {
            self.heard = Heard::Eof;
            return Poll::Ready(Err(truncated()));
        }
        Poll::Ready(Ok(arrived))
    }

    fn take_in_between(&mut self, incoming: &mut [u8], buf: &mut ReadBuf<'_>) -> io::Result<Taken> {
        let mut over = Vec::new();
        let heard = |data: &[u8]| {
            let (fits, rest) = data.split_at(data.len().min(buf.remaining()));
            buf.put_slice(fits);
            over.extend_from_slice(rest);
        };
        let taken = self.take_in(incoming, heard);
        self.plain = Bytes::from(over);
        taken
    }

    /// The alert, as far as it goes without waiting: the error is what counts.
    fn tell(&mut self, cx: &mut Context<'_>) {
        let _told = self.poll_drain(cx);
    }

    fn take_in(&mut self, incoming: &mut [u8], heard: impl FnMut(&[u8])) -> io::Result<Taken> {
        let taken = self.session.take_in(incoming, heard, &mut self.outgoing);
        taken.map_err(|error| {
            self.failed = true;
            fault(error)
        })
    }

    // --- to the other side ---------------------------------------------------------------------

    fn poll_seal(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.failed || self.said_close {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.blocked || self.outgoing.len() > RIDING_BYTES_MAX {
            ready!(self.poll_drain(cx))?;
        }
        scratch::with(|out| {
            let riding = std::mem::take(&mut self.outgoing);
            let (front, rest) = out.split_at_mut(riding.len());
            front.copy_from_slice(&riding);
            let fits = Session::fits(rest.len() - RESERVE_BYTES);
            let data = data.get(..fits).unwrap_or(data);
            let sealed = self.session.seal(&mut self.incoming, data, rest);
            let sealed = sealed.map_err(|error| {
                self.failed = true;
                fault(error)
            })?;
            let (sealed, _) = out.split_at(riding.len() + sealed);
            self.send(cx, sealed)?;
            Poll::Ready(Ok(data.len()))
        })
    }

    // What `io` does not accept now is kept. Nothing may stand in `outgoing`.
    fn send(&mut self, cx: &mut Context<'_>, sealed: &[u8]) -> io::Result<()> {
        let accepted = match Pin::new(&mut self.io).poll_write(cx, sealed) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(accepted) => accepted?,
            Poll::Pending => 0,
        };
        self.outgoing = keep(sealed.get(accepted..).unwrap_or_default());
        self.blocked = !self.outgoing.is_empty();
        Ok(())
    }

    /// Ready when `io` has accepted everything that was sealed.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            self.blocked = true;
            match ready!(Pin::new(&mut self.io).poll_write(cx, &self.outgoing))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                accepted => self.outgoing.advance(accepted),
            }
        }
        self.blocked = false;
        self.outgoing = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.plain.is_empty() {
            let read = this.plain.split_to(this.plain.len().min(buf.remaining()));
            buf.put_slice(&read);
            if this.plain.is_empty() {
                // Empty `Bytes` may still hold their allocation; an idle session holds none.
                this.plain = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        match this.heard {
            Heard::Close => Poll::Ready(Ok(())),
            Heard::Eof => Poll::Ready(Err(truncated())),
            Heard::Open if this.failed => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            Heard::Open if buf.remaining() == 0 => Poll::Ready(Ok(())),
            Heard::Open => this.poll_data(cx, buf),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_seal(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.said_close && !this.failed {
            this.said_close = true;
            this.session.close(&mut this.incoming, &mut this.outgoing);
        }
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

// As much as it is and no more; nothing for nothing.
fn keep(bytes: &[u8]) -> BytesMut {
    match bytes.is_empty() {
        true => BytesMut::new(),
        false => BytesMut::from(bytes),
    }
}

fn fault(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn truncated() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the connection ended without a close_notify",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::task::JoinSet;

    #[tokio::test]
    async fn who_waits_behind_handshakes_waits_for_few_of_their_steps() {
        let (turns, steps) = (Arc::new(Turns::default()), Arc::new(AtomicUsize::new(0)));
        let mut handshakes = JoinSet::new();
        for _ in 0..100 {
            let (turns, steps) = (turns.clone(), steps.clone());
            handshakes.spawn(async move {
                turns.take(|| steps.fetch_add(1, Ordering::Relaxed)).await;
            });
        }
        let mut before = 0;
        while before < 100 {
            yield_now().await;
            let now = steps.load(Ordering::Relaxed);
            assert!(now - before <= 2 * STEPS_AT_ONCE, "{before} to {now}");
            before = now;
        }
        handshakes.join_all().await;
    }
}
