//! One request head over HTTP/1.1. There is never a second: a connection either becomes a
//! WebSocket or is closed with its answer.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, Interest};
use tokio::time::timeout;

use crate::net::Stream;
use crate::wire::head::{HeadError, RequestHead, Scanner, parse_request};

/// Bytes behind the head that a client may send before it has its 101. RFC 6455 §4.1 has it wait;
/// a few clients do not. They are kept for the backend's 101 and never sent ahead of it.
pub const EARLY_BYTES_MAX: usize = 4 * 1024;

/// What one read asks for: most requests of a browser are shorter. No measurement behind it.
const READ_BYTES: usize = 2 * 1024;

/// A request head with the stream it came on; what followed the head is the stream's tail.
#[derive(Debug)]
pub struct Offer {
    /// Where the answer goes.
    pub stream: Stream,
    /// Sound in syntax, not judged yet.
    pub head: RequestHead,
}

/// Why no request head came.
#[derive(Debug)]
pub enum ReceiveError {
    /// Not within the deadline.
    Timeout,
    /// Longer than `limits.head_bytes`.
    TooLarge,
    /// More early bytes than [`EARLY_BYTES_MAX`].
    TooEarly,
    /// Not HTTP as we take it.
    Head(HeadError),
    /// The client closed before its head was whole.
    Closed {
        /// How much of it had come.
        after: usize,
    },
    /// The stream broke.
    Lost(io::Error),
}

/// Reads one head of at most `head_bytes_max` bytes within `deadline`, however it is split. On an
/// error the stream comes back, so that it can be answered.
pub async fn receive(
    mut stream: Stream,
    head_bytes_max: usize,
    deadline: Duration,
) -> Result<Offer, (Stream, ReceiveError)> {
    let received = match timeout(deadline, read_head(&mut stream, head_bytes_max)).await {
        Ok(received) => received,
        Err(_) => Err(ReceiveError::Timeout),
    };
    match received {
        Ok((head, tail)) => Ok(Offer {
            stream: stream.with_tail(tail),
            head,
        }),
        Err(error) => Err((stream, error)),
    }
}

/// Returns when the client has gone, and never while it may still be there. Nothing is read, so
/// bytes that it sent too early stay where they are; behind such bytes its going is not seen.
pub async fn gone(stream: &Stream) {
    let closed = match stream.tcp() {
        Some(tcp) => tcp
            .ready(Interest::READABLE)
            .await
            .is_ok_and(|ready| ready.is_read_closed()),
        None => false,
    };
    if !closed {
        std::future::pending::<()>().await;
    }
}

async fn read_head(
    stream: &mut Stream,
    head_bytes_max: usize,
) -> Result<(RequestHead, Bytes), ReceiveError> {
    let mut buffer = BytesMut::new();
    let mut scanner = Scanner::default();
    let end = loop {
        let n = read_some(stream, &mut buffer)
            .await
            .map_err(ReceiveError::Lost)?;
        if n == 0 {
            return Err(ReceiveError::Closed {
                after: buffer.len(),
            });
        }
        match scanner.scan(&buffer).map_err(ReceiveError::Head)? {
            Some(end) if end > head_bytes_max => return Err(ReceiveError::TooLarge),
            Some(end) => break end,
            None if buffer.len() > head_bytes_max => return Err(ReceiveError::TooLarge),
            None => {}
        }
    };
    let head = buffer.split_to(end);
    read_early(stream, &mut buffer).await?;
    let head = parse_request(&head).map_err(ReceiveError::Head)?;
    Ok((head, buffer.freeze()))
}

/// Reads what came together with the head, without waiting for more. What a client sends later
/// stays in its socket until the 101, and the socket's buffer is the limit then.
async fn read_early(stream: &mut Stream, tail: &mut BytesMut) -> Result<(), ReceiveError> {
    while tail.len() <= EARLY_BYTES_MAX {
        let mut reading = pin!(read_some(stream, tail));
        let read = poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await;
        match read {
            // An end here is no end of the request: the client may still listen for its answer.
            Poll::Pending | Poll::Ready(Ok(0)) => return Ok(()),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => return Err(ReceiveError::Lost(error)),
        }
    }
    Err(ReceiveError::TooEarly)
}

async fn read_some(stream: &mut Stream, buffer: &mut BytesMut) -> io::Result<usize> {
    buffer.reserve(READ_BYTES);
    stream.take(READ_BYTES as u64).read_buf(buffer).await
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("the request head did not come in time"),
            Self::TooLarge => f.write_str("the request head is too large"),
            Self::TooEarly => f.write_str("too many bytes came before the 101"),
            Self::Head(error) => error.fmt(f),
            Self::Closed { after } => {
                write!(f, "the client closed after {after} bytes of its request")
            }
            Self::Lost(error) => write!(f, "the client was lost: {error}"),
        }
    }
}

impl std::error::Error for ReceiveError {}
