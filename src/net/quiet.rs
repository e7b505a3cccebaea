//! Whether a stream on which nobody may speak yet is still open and silent.
//!
//! For connections that wait to be used: an end, an error and a byte all mean that the wait was in
//! vain. Knows nothing of what a stream waits for.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

use super::Stream;

/// Ready once the stream has ended, failed or said something, which is lost with it. What TLS says
/// on its own account, such as a session ticket, is read and is no noise.
pub fn poll_noise(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<()> {
    let mut byte = [0; 1];
    let mut buf = ReadBuf::new(&mut byte);
    Pin::new(stream).poll_read(cx, &mut buf).map(drop)
}

/// Whether it is open and silent at this moment, as far as this end can know.
pub fn is_quiet(stream: &mut Stream) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    poll_noise(stream, &mut cx).is_pending() && stream.tcp().is_none_or(has_nothing)
}

// The runtime learns of an event a moment after the kernel, so the kernel is asked. Under TLS what
// waits there may be harmless; a wrong no costs one connection.
fn has_nothing(tcp: &TcpStream) -> bool {
    let mut byte = [MaybeUninit::uninit()];
    let peeked = SockRef::from(tcp).peek(&mut byte);
    peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    #[allow(clippy::disallowed_methods, reason = "a test may connect")]
    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (Stream::Tcp(near.unwrap()), far.unwrap().0)
    }

    #[tokio::test]
    async fn an_open_and_silent_stream_is_quiet_and_no_other() {
        let (mut near, far) = pair().await;
        assert!(is_quiet(&mut near));
        drop(far);
        // At once: the runtime has had no moment to notice.
        assert!(!is_quiet(&mut near), "ended");

        let (mut near, mut far) = pair().await;
        far.write_all(b"x").await.unwrap();
        assert!(!is_quiet(&mut near), "a byte");

        let (mut near, far) = pair().await;
        far.set_zero_linger().unwrap();
        drop(far);
        assert!(!is_quiet(&mut near), "reset");

        let (near, _far) = pair().await;
        let mut near = near.with_tail(Bytes::from_static(b"x"));
        assert!(!is_quiet(&mut near), "a tail");
    }
}
