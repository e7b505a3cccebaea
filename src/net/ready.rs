//! System calls of our own on a socket of the runtime's, made when it is ready for them.
//!
//! Knows nothing of what they do. A call that finds nothing to do says `WouldBlock`, and is made again
//! when there is.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::net::TcpStream;

/// Makes `call` once `stream` may have something to read.
pub(super) fn poll_reading<T>(
    cx: &mut Context<'_>,
    stream: &TcpStream,
    mut call: impl FnMut() -> io::Result<T>,
) -> Poll<io::Result<T>> {
    loop {
        ready!(stream.poll_read_ready(cx))?;
        match stream.try_io(Interest::READABLE, &mut call) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}

/// Makes `call` once `stream` may take something.
pub(super) fn poll_writing<T>(
    cx: &mut Context<'_>,
    stream: &TcpStream,
    mut call: impl FnMut() -> io::Result<T>,
) -> Poll<io::Result<T>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        match stream.try_io(Interest::WRITABLE, &mut call) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}
