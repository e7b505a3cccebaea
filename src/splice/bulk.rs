//! When a pump hands bytes from socket to socket within the kernel instead of copying them, which
//! pays for many bytes at once and costs for few.
//!
//! Knows no bytes: only how many of them passed.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use super::flow::Flow;
use super::pump::HELD_BYTES_MAX;
use crate::net::pipe::{Pipe, Plain};
use crate::wire::ws::frame::HEADER_BYTES_MAX;

/// So many full reads in a row are taken for the beginning of many more.
const FULL_READS: u8 = 4;

/// A wake that brings less than this ends it. On loopback a hop of 64 KiB costs less by splice(2)
/// than by a copy, one of 16 KiB the same, a smaller one more.
const WAKE_BYTES_MIN: u32 = 32 * 1024;

/// Frames shorter than this are read: each costs a look at its header besides.
const FRAME_BYTES_MIN: u64 = 32 * 1024;

/// How a pump has fared, and its pipe while there is something in it.
#[derive(Debug, Default)]
pub(super) struct Bulk {
    /// Never empty.
    pipe: Option<Box<Pipe>>,
    /// Up to [`FULL_READS`].
    full_reads: u8,
    /// Since the source was last silent; it stops at its limit.
    woken_bytes: u32,
}

impl Bulk {
    /// So much was read into the scratch buffer.
    pub(super) fn note(&mut self, bytes: usize) {
        self.full_reads = match bytes >= HELD_BYTES_MAX {
            true => self.full_reads.saturating_add(1).min(FULL_READS),
            false => 0,
        };
        self.woken_bytes = count(bytes);
    }

    /// Whether everything that was taken from the source is delivered.
    pub(super) fn is_empty(&self) -> bool {
        self.pipe.is_none()
    }

    /// Takes bytes from the source into a pipe; 0 is its end. `None`: they are to be read.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &impl Plain,
        sink: &impl Plain,
        flow: &mut Flow,
    ) -> Option<Poll<io::Result<usize>>> {
        if self.full_reads < FULL_READS {
            return None;
        }
        let (source, _) = (source.plain()?, sink.plain()?);
        if flow.unseen()? == 0 {
            match poll_enter(cx, source, flow) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => {
                    self.full_reads = 0;
                    return None;
                }
                Poll::Pending => return Some(self.silent()),
            }
        }
        let Some(mut pipe) = Pipe::empty() else {
            self.full_reads = 0;
            return None;
        };
        let most = usize::try_from(flow.unseen()?).unwrap_or(usize::MAX);
        let filled = pipe.poll_fill(cx, source, most);
        match &filled {
            Poll::Ready(Ok(bytes)) => {
                flow.skip(*bytes);
                self.woken_bytes = self.woken_bytes.saturating_add(count(*bytes));
                self.pipe = (*bytes > 0).then(|| Box::new(pipe));
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => return Some(self.silent()),
        }
        Some(filled)
    }

    fn silent<T>(&mut self) -> Poll<T> {
        if std::mem::take(&mut self.woken_bytes) < WAKE_BYTES_MIN {
            self.full_reads = 0;
        }
        Poll::Pending
    }

    /// Hands on what is in the pipe; ready with so many bytes once the sink has accepted some.
    pub(super) fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        sink: &impl Plain,
    ) -> Poll<io::Result<usize>> {
        let (Some(pipe), Some(sink)) = (&mut self.pipe, sink.plain()) else {
            return Poll::Ready(Ok(0));
        };
        let drained = ready!(pipe.poll_drain(cx, sink))?;
        if pipe.is_empty() {
            self.pipe = None;
        }
        Poll::Ready(Ok(drained))
    }
}

/// Takes in the header of the frame that the source has ready, without reading it. False where that
/// is better read: a short frame, an incomplete header, an end.
fn poll_enter(cx: &mut Context<'_>, source: &TcpStream, flow: &mut Flow) -> Poll<bool> {
    let mut header = [0; HEADER_BYTES_MAX];
    let mut buf = ReadBuf::new(&mut header);
    let peeked = ready!(source.poll_peek(cx, &mut buf));
    Poll::Ready(peeked.is_ok() && flow.enter(buf.filled(), FRAME_BYTES_MIN))
}

fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket, TcpStream};

    use crate::splice::close::Side;
    use crate::splice::pump::{Eof, Moves, Pump};
    use crate::splice::voice::Last;
    use crate::splice::{Limits, Params};
    use crate::wire::ws::rules::Sender;

    /// Whoever connected, and whoever accepted; `room` bounds what waits in between.
    async fn connected(room: Option<u32>) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(room) = room {
            socket.set_recv_buffer_size(room).unwrap();
        }
        let (near, far) = tokio::join!(socket.connect(address), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    async fn poll(pump: &mut Pump, source: &mut TcpStream, sink: &mut TcpStream) -> bool {
        poll_fn(|cx| Poll::Ready(matches!(pump.poll(cx, source, sink), Poll::Ready(Ok(()))))).await
    }

    fn pattern(from: usize, bytes: usize) -> Vec<u8> {
        (from..from + bytes).map(|n| (n / 7 % 251) as u8).collect()
    }

    /// A pump from one TCP connection to another that is in the middle of much, and all four ends.
    struct Busy {
        pump: Pump,
        far_source: TcpStream,
        source: TcpStream,
        sink: TcpStream,
        far_sink: TcpStream,
        sent: usize,
        arrived: usize,
    }

    impl Busy {
        async fn begun(room: Option<u32>) -> Self {
            let (far_source, source) = connected(None).await;
            let (far_sink, sink) = connected(room).await;
            let mut busy = Self {
                pump: Pump::new(
                    Bytes::new(),
                    Flow::of(Sender::Client, &Params::opaque(Limits::default()), None),
                    Last::to(Side::Backend),
                ),
                far_source,
                source,
                sink,
                far_sink,
                sent: 0,
                arrived: 0,
            };
            while busy.pump.bulk().full_reads < FULL_READS {
                busy.send(HELD_BYTES_MAX).await;
                busy.poll().await;
                if room.is_none() {
                    busy.receive_all().await;
                }
            }
            busy
        }

        async fn send(&mut self, bytes: usize) {
            let sent = pattern(self.sent, bytes);
            self.far_source.write_all(&sent).await.unwrap();
            self.sent += bytes;
            self.source.readable().await.unwrap();
        }

        async fn poll(&mut self) -> bool {
            poll(&mut self.pump, &mut self.source, &mut self.sink).await
        }

        /// Everything that the pump has delivered, compared.
        async fn receive_all(&mut self) {
            let mut buffer = vec![0; self.pump.delivered() as usize - self.arrived];
            self.far_sink.read_exact(&mut buffer).await.unwrap();
            assert!(buffer == pattern(self.arrived, buffer.len()));
            self.arrived += buffer.len();
        }
    }

    #[tokio::test]
    async fn much_goes_through_a_pipe_and_little_is_copied_again() {
        let mut busy = Busy::begun(None).await;
        busy.send(2 * HELD_BYTES_MAX).await;
        while busy.pump.delivered() < busy.sent as u64 {
            busy.poll().await;
            assert_eq!(busy.pump.bulk().full_reads, FULL_READS);
        }
        busy.receive_all().await;
        assert!(busy.pump.bulk().is_empty(), "an idle pump holds no pipe");
        busy.send(64).await;
        while busy.pump.delivered() < busy.sent as u64 || busy.pump.bulk().full_reads > 0 {
            busy.poll().await;
            tokio::task::yield_now().await;
        }
        busy.receive_all().await;
    }

    /// Each look at a silent source counted as bytes, so that a session was idle twice as long.
    #[tokio::test]
    async fn nothing_passes_where_nothing_comes() {
        let mut busy = Busy::begun(None).await;
        busy.pump.take_moves();
        assert!(!busy.poll().await);
        assert_eq!(busy.pump.take_moves(), Moves::default());
    }

    #[tokio::test]
    async fn a_slow_sink_leaves_a_bounded_rest_in_the_pipe_and_gets_all_of_it() {
        let mut busy = Busy::begun(Some(4096)).await;
        let mut blocked = 0;
        while blocked < 3 {
            busy.send(HELD_BYTES_MAX).await;
            let before = busy.pump.delivered();
            busy.poll().await;
            blocked += usize::from(busy.pump.delivered() == before);
        }
        let held = busy.pump.bulk().pipe.as_ref().map(|pipe| pipe.is_empty());
        assert_eq!(held, Some(false), "it waits in the pipe");
        busy.far_source.shutdown().await.unwrap();
        while !busy.poll().await {
            busy.receive_all().await;
            tokio::task::yield_now().await;
        }
        busy.receive_all().await;
        assert_eq!(busy.arrived, busy.sent);
        assert_eq!(busy.pump.eof(), Some(Eof::Orderly));
        assert_eq!(busy.far_sink.read(&mut [0]).await.unwrap(), 0);
    }
}
