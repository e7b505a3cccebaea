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

/// How a pump has fared.
#[derive(Debug, Default)]
pub(super) struct Bulk {
    /// Up to [`FULL_READS`].
    full_reads: u8,
    /// Why reading failed behind what is in the pipe. A socket tells that once.
    fault: Option<io::ErrorKind>,
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

    /// Takes bytes from the source into a pipe; an empty one means its end. `None`: they are to be read.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &impl Plain,
        sink: &impl Plain,
        flow: &mut Flow,
    ) -> Option<Poll<io::Result<Pipe>>> {
        if self.full_reads < FULL_READS {
            return None;
        }
        let (source, _) = (source.plain()?, sink.plain()?);
        match poll_enter(cx, source, flow) {
            Poll::Ready(Ok(true)) => {}
            Poll::Ready(Ok(false)) => {
                self.full_reads = 0;
                return None;
            }
            Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
            Poll::Pending => return Some(self.silent()),
        }
        let Some(mut pipe) = Pipe::empty() else {
            self.full_reads = 0;
            return None;
        };
        match pipe.poll_fill(cx, source, unseen(flow)) {
            Poll::Ready(Ok(0)) => return Some(Poll::Ready(Ok(pipe))),
            Poll::Ready(Ok(bytes)) => flow.skip(bytes),
            Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
            Poll::Pending => return Some(self.silent()),
        }
        self.fault = fill_up(cx, source, &mut pipe, flow).err();
        self.woken_bytes = self.woken_bytes.saturating_add(count(pipe.held()));
        Some(Poll::Ready(Ok(pipe)))
    }

    /// Why nothing can be read any more, told once.
    pub(super) fn take_fault(&mut self) -> Option<io::ErrorKind> {
        self.fault.take()
    }

    fn silent<T>(&mut self) -> Poll<T> {
        if std::mem::take(&mut self.woken_bytes) < WAKE_BYTES_MIN {
            self.full_reads = 0;
        }
        Poll::Pending
    }
}

/// Takes in the header of the frame that the source has ready, without reading it, unless the last one
/// still goes on. False where it is better read: a short frame, an incomplete header, an end.
fn poll_enter(cx: &mut Context<'_>, source: &TcpStream, flow: &mut Flow) -> Poll<io::Result<bool>> {
    match flow.unseen() {
        None => return Poll::Ready(Ok(false)),
        Some(0) => {}
        Some(_) => return Poll::Ready(Ok(true)),
    }
    let mut header = [0; HEADER_BYTES_MAX];
    let mut buf = ReadBuf::new(&mut header);
    ready!(source.poll_peek(cx, &mut buf))?;
    Poll::Ready(Ok(flow.enter(buf.filled(), FRAME_BYTES_MIN)))
}

/// Puts what the source has ready behind what is in the pipe, if that is little. A frame rarely ends
/// where a segment does, and two pieces cost the way to the sink twice.
fn fill_up(
    cx: &mut Context<'_>,
    source: &TcpStream,
    pipe: &mut Pipe,
    flow: &mut Flow,
) -> Result<(), io::ErrorKind> {
    while pipe.held() < HELD_BYTES_MAX {
        match poll_enter(cx, source, flow) {
            Poll::Ready(Ok(true)) => {}
            Poll::Ready(Err(error)) => return Err(error.kind()),
            Poll::Ready(Ok(false)) | Poll::Pending => return Ok(()),
        }
        match pipe.try_fill(source, unseen(flow)) {
            // Whoever asks again is told of the end again.
            Ok(0) => return Ok(()),
            Ok(bytes) => flow.skip(bytes),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.kind()),
        }
    }
    Ok(())
}

fn unseen(flow: &Flow) -> usize {
    usize::try_from(flow.unseen().unwrap_or_default()).unwrap_or(usize::MAX)
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
    use crate::splice::pump::{Eof, Fault, Moves, Pump};
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
        assert!(!busy.pump.holds_pipe(), "an idle pump holds no pipe");
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
        assert!(busy.pump.holds_pipe(), "it waits in the pipe");
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

    /// What a socket says of its end it says once, and the fill that finds it has bytes to deliver.
    #[tokio::test]
    async fn a_reset_behind_the_last_bytes_is_told_when_they_are_delivered() {
        let mut busy = Busy::begun(None).await;
        busy.send(5_000).await;
        busy.far_source.set_zero_linger().unwrap();
        let Busy {
            pump,
            far_source,
            source,
            sink,
            ..
        } = &mut busy;
        drop(std::mem::replace(far_source, connected(None).await.0));
        // Whatever is read next comes with the news.
        source.ready(tokio::io::Interest::ERROR).await.unwrap();
        let polled = poll_fn(|cx| Poll::Ready(pump.poll(cx, source, sink))).await;
        let reset = Poll::Ready(Err(Fault::Source(io::ErrorKind::ConnectionReset)));
        assert_eq!(polled, reset);
        busy.receive_all().await;
        assert_eq!(busy.arrived, busy.sent);
    }

    /// A binary frame as a server sends it.
    fn frame(bytes: usize) -> Vec<u8> {
        let len = (bytes as u64).to_be_bytes();
        [&[0x82, 127][..], &len, &vec![7; bytes]].concat()
    }

    /// What leaves in one piece when the last bytes of a frame are followed by `next`, and what is
    /// still to come of that.
    async fn filled_up(next: &[u8]) -> (usize, Option<u64>) {
        let (mut far_source, source) = connected(None).await;
        let first = frame(1_000);
        far_source
            .write_all(&[&first, next].concat())
            .await
            .unwrap();
        source.readable().await.unwrap();
        let mut flow = Flow::of(Sender::Server, &Params::default(), None);
        let mut pipe = Pipe::empty().unwrap();
        assert!(flow.enter(&first, 0));
        let fill = poll_fn(|cx| {
            let filled = ready!(pipe.poll_fill(cx, &source, unseen(&flow)));
            flow.skip(filled.unwrap());
            Poll::Ready(fill_up(cx, &source, &mut pipe, &mut flow))
        });
        fill.await.unwrap();
        (pipe.held() - first.len(), flow.unseen())
    }

    #[tokio::test]
    async fn the_end_of_a_frame_leaves_in_one_piece_with_what_is_behind_it() {
        let next = frame(HELD_BYTES_MAX);
        let some = &next[..10_000];
        let rest = (next.len() - some.len()) as u64;
        assert_eq!(filled_up(some).await, (some.len(), Some(rest)));
        assert_eq!(filled_up(&next[..5]).await, (0, Some(0)), "half a header");
        assert_eq!(filled_up(&frame(100)).await, (0, Some(0)), "better read");
        assert_eq!(filled_up(&[]).await, (0, Some(0)));
    }
}
