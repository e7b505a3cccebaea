//! A stream whose first bytes were already read: a stream and its tail.
//!
//! Whoever reads to the end of a message may have read past it. Those bytes belong to the next
//! reader, so they travel in front of the stream until they are drained.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// `stream`, read as if `tail` still stood in front of it. Writes pass straight through.
#[derive(Debug)]
pub struct Prefixed<S> {
    /// What was read too early; shrinks from the front, empty once replayed.
    tail: Bytes,
    stream: S,
}

impl<S> Prefixed<S> {
    /// Puts `tail` back in front of `stream`.
    pub fn new(stream: S, tail: Bytes) -> Self {
        Self { tail, stream }
    }

    /// The stream, and what of the tail has not been read yet.
    pub fn into_parts(self) -> (S, Bytes) {
        (self.stream, self.tail)
    }

    /// The bytes still waiting in front of the stream.
    pub fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// The stream behind the tail.
    pub fn stream(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.tail.is_empty() {
            let n = self.tail.len().min(buf.remaining());
            buf.put_slice(&self.tail[..n]);
            self.tail.advance(n);
            if self.tail.is_empty() {
                // An empty `Bytes` may still hold its allocation; an idle session holds none.
                self.tail = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn the_tail_comes_first_and_nothing_is_lost() {
        let (mut far, near) = tokio::io::duplex(64);
        far.write_all(b" and then the stream").await.unwrap();
        drop(far);
        let mut stream = Prefixed::new(near, Bytes::from_static(b"first the tail"));
        let mut all = Vec::new();
        // One byte at a time, so that the seam falls between two reads.
        while let Ok(byte) = stream.read_u8().await {
            all.push(byte);
        }
        assert_eq!(all, b"first the tail and then the stream");
    }
}
