//! Bad sockets: each wraps any stream and behaves, as seen by whoever holds the wrapper, in one
//! of the ways in which real connections misbehave.
//!
//! Knows no protocol. Counts are of bytes since the wrapper was made.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

use throughway::net::pipe::Plain;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Any stream, in a box: what tables of sockets hold.
pub type Socket = Box<dyn Duplex>;

/// What a socket is.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}
impl Plain for Socket {}

/// Two ends of a TCP connection over loopback: who connected, and who accepted.
pub async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (near.expect("it listens"), far.expect("it connects").0)
}

/// Passes what a wrapper leaves alone on to the stream inside.
macro_rules! pass_on {
    (read) => {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_read(cx, buf)
        }
    };
    (write) => {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.stream).poll_write(cx, buf)
        }
    };
    (flush) => {
        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_flush(cx)
        }
    };
    (shutdown) => {
        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_shutdown(cx)
        }
    };
}

/// Reads at most `max` bytes from `stream`.
fn poll_read_some<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
    max: usize,
) -> Poll<io::Result<usize>> {
    let max = max.min(buf.remaining());
    let mut part = ReadBuf::new(buf.initialize_unfilled_to(max));
    ready!(Pin::new(stream).poll_read(cx, &mut part))?;
    let n = part.filled().len();
    buf.advance(n);
    Poll::Ready(Ok(n))
}

/// A byte at a time, both ways, and pending before each.
#[derive(Debug)]
pub struct Dribble<S> {
    stream: S,
    read_turn: bool,
    write_turn: bool,
}

impl<S> Dribble<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            read_turn: false,
            write_turn: false,
        }
    }
}

/// Every other call is pending, and wakes at once.
fn take_turn(turn: &mut bool, cx: &Context<'_>) -> Poll<()> {
    *turn = !*turn;
    if *turn {
        cx.waker().wake_by_ref();
        return Poll::Pending;
    }
    Poll::Ready(())
}

impl<S> Plain for Dribble<S> {}

impl<S: AsyncRead + Unpin> AsyncRead for Dribble<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(take_turn(&mut this.read_turn, cx));
        poll_read_some(&mut this.stream, cx, buf, 1).map_ok(drop)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Dribble<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(take_turn(&mut this.write_turn, cx));
        let first = &buf[..buf.len().min(1)];
        Pin::new(&mut this.stream).poll_write(cx, first)
    }

    pass_on!(flush);
    pass_on!(shutdown);
}

/// Accepts at most `max` bytes a write.
#[derive(Debug)]
pub struct ShortWrite<S> {
    stream: S,
    max: usize,
}

impl<S> ShortWrite<S> {
    pub fn new(stream: S, max: usize) -> Self {
        Self { stream, max }
    }
}

impl<S> Plain for ShortWrite<S> {}

impl<S: AsyncRead + Unpin> AsyncRead for ShortWrite<S> {
    pass_on!(read);
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ShortWrite<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let part = &buf[..buf.len().min(this.max)];
        Pin::new(&mut this.stream).poll_write(cx, part)
    }

    pass_on!(flush);
    pass_on!(shutdown);
}

/// Which way a [`Stall`] stalls, or a [`Reset`] notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Read,
    Write,
}

/// Never ready in one way after so many bytes, until released.
#[derive(Debug)]
pub struct Stall<S> {
    stream: S,
    way: Way,
    left: usize,
    gate: Release,
}

/// Lets a [`Stall`] go on.
#[derive(Debug, Clone, Default)]
pub struct Release(Arc<Mutex<Gate>>);

#[derive(Debug, Default)]
struct Gate {
    open: bool,
    reached: bool,
    waker: Option<Waker>,
}

impl Release {
    /// From now on the socket is as good as any.
    pub fn release(&self) {
        let mut gate = self.0.lock().expect("no holder panicked");
        gate.open = true;
        if let Some(waker) = gate.waker.take() {
            waker.wake();
        }
    }

    /// Whether the socket was asked for more than it gives.
    pub fn is_reached(&self) -> bool {
        self.0.lock().expect("no holder panicked").reached
    }

    /// How many bytes may pass now, of `left`.
    fn poll_pass(&self, cx: &Context<'_>, left: usize) -> Poll<usize> {
        let mut gate = self.0.lock().expect("no holder panicked");
        if gate.open {
            return Poll::Ready(usize::MAX);
        }
        if left > 0 {
            return Poll::Ready(left);
        }
        gate.reached = true;
        gate.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<S> Stall<S> {
    pub fn after(stream: S, way: Way, bytes: usize) -> (Self, Release) {
        let gate = Release::default();
        let stall = Self {
            stream,
            way,
            left: bytes,
            gate: gate.clone(),
        };
        (stall, gate)
    }

    fn poll_pass(&self, cx: &Context<'_>, way: Way) -> Poll<usize> {
        if self.way != way {
            return Poll::Ready(usize::MAX);
        }
        self.gate.poll_pass(cx, self.left)
    }

    fn passed(&mut self, way: Way, n: usize) {
        if self.way == way {
            self.left = self.left.saturating_sub(n);
        }
    }
}

impl<S> Plain for Stall<S> {}

impl<S: AsyncRead + Unpin> AsyncRead for Stall<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let max = ready!(this.poll_pass(cx, Way::Read));
        let n = ready!(poll_read_some(&mut this.stream, cx, buf, max))?;
        this.passed(Way::Read, n);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stall<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let max = ready!(this.poll_pass(cx, Way::Write));
        let part = &buf[..buf.len().min(max)];
        let n = ready!(Pin::new(&mut this.stream).poll_write(cx, part))?;
        this.passed(Way::Write, n);
        Poll::Ready(Ok(n))
    }

    /// A stalled TLS stream cannot say its close_notify either.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_pass(cx, Way::Write));
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }

    pass_on!(flush);
}

/// Its other end said that it has no more after so many bytes; it still listens.
#[derive(Debug)]
pub struct HalfClosed<S> {
    stream: S,
    left: usize,
}

impl<S> HalfClosed<S> {
    pub fn after(stream: S, bytes: usize) -> Self {
        Self {
            stream,
            left: bytes,
        }
    }
}

impl<S> Plain for HalfClosed<S> {}

impl<S: AsyncRead + Unpin> AsyncRead for HalfClosed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(Ok(()));
        }
        this.left -= ready!(poll_read_some(&mut this.stream, cx, buf, this.left))?;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HalfClosed<S> {
    pass_on!(write);
    pass_on!(flush);
    pass_on!(shutdown);
}

/// Reset by its other end; noticed by the read or the write after so many bytes. The other way
/// goes on, as bytes that had arrived before a reset can still be read.
#[derive(Debug)]
pub struct Reset<S> {
    stream: S,
    way: Way,
    left: usize,
}

impl<S> Reset<S> {
    pub fn after(stream: S, way: Way, bytes: usize) -> Self {
        Self {
            stream,
            way,
            left: bytes,
        }
    }

    fn room(&self, way: Way) -> io::Result<usize> {
        match self.left {
            _ if self.way != way => Ok(usize::MAX),
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            left => Ok(left),
        }
    }

    fn passed(&mut self, way: Way, n: usize) {
        if self.way == way {
            self.left -= n;
        }
    }
}

impl<S> Plain for Reset<S> {}

impl<S: AsyncRead + Unpin> AsyncRead for Reset<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let max = this.room(Way::Read)?;
        let n = ready!(poll_read_some(&mut this.stream, cx, buf, max))?;
        this.passed(Way::Read, n);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Reset<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let room = this.room(Way::Write)?;
        let part = &buf[..buf.len().min(room)];
        let n = ready!(Pin::new(&mut this.stream).poll_write(cx, part))?;
        this.passed(Way::Write, n);
        Poll::Ready(Ok(n))
    }

    pass_on!(flush);
    pass_on!(shutdown);
}

/// What comes first comes all at once: nothing is read until so many bytes are there (or the
/// end is), and then one read gets them. Whoever reads a head off it gets a tail, too.
#[derive(Debug)]
pub struct TailFirst<S> {
    stream: S,
    glue: usize,
    gathered: Vec<u8>,
}

impl<S> TailFirst<S> {
    pub fn new(stream: S, bytes: usize) -> Self {
        Self {
            stream,
            glue: bytes,
            gathered: Vec::new(),
        }
    }
}

impl<S: AsyncRead + Unpin> TailFirst<S> {
    fn poll_gather(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.gathered.len() < self.glue {
            let mut chunk = vec![0; self.glue - self.gathered.len()];
            let mut part = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
            if part.filled().is_empty() {
                break;
            }
            self.gathered.extend_from_slice(part.filled());
        }
        self.glue = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S> Plain for TailFirst<S> {}

impl<S: AsyncRead + Unpin> AsyncRead for TailFirst<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_gather(cx))?;
        if this.gathered.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let n = this.gathered.len().min(buf.remaining());
        buf.put_slice(&this.gathered[..n]);
        this.gathered.drain(..n);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TailFirst<S> {
    pass_on!(write);
    pass_on!(flush);
    pass_on!(shutdown);
}

/// A good socket that counts what is read from it, and what it accepts.
#[derive(Debug)]
pub struct Counted<S> {
    stream: S,
    count: Count,
}

/// What a [`Counted`] has counted so far.
#[derive(Debug, Clone, Default)]
pub struct Count(Arc<(AtomicU64, AtomicU64)>);

impl Count {
    pub fn read(&self) -> u64 {
        self.0.0.load(Ordering::Relaxed)
    }

    pub fn written(&self) -> u64 {
        self.0.1.load(Ordering::Relaxed)
    }
}

impl<S> Counted<S> {
    pub fn new(stream: S) -> (Self, Count) {
        let count = Count::default();
        let counted = Self {
            stream,
            count: count.clone(),
        };
        (counted, count)
    }
}

impl<S> Plain for Counted<S> {}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let n = buf.filled().len() - before;
        this.count.0.0.fetch_add(n as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let n = ready!(Pin::new(&mut this.stream).poll_write(cx, buf))?;
        this.count.0.1.fetch_add(n as u64, Ordering::Relaxed);
        Poll::Ready(Ok(n))
    }

    pass_on!(flush);
    pass_on!(shutdown);
}
