//! An answer that is no plain 101, with all the framings that HTTP has for one.
//!
//! hyper reads it; nothing is spawned, the connection is driven beside what is awaited of it. Knows
//! nothing of the request, which was sent before.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};

use super::super::stumble::{AnswerFault, Cause, plain};
use super::upgrade::{Answer, HEAD_BYTES_MAX, TEXT_CHARS_MAX, checked};
use crate::net::Stream;
use crate::wire::head::HEADERS_MAX;
use crate::wire::ws::answer::Offered;

/// Everything that is read before the answer: a longest head, what hyper reads past it, and so
/// also all interim answers (1xx) together. hyper skips those without an end, and in one poll as
/// long as they keep coming, during which no deadline is looked at.
const AHEAD_BYTES_MAX: usize = 2 * HEAD_BYTES_MAX;
/// Of the body of an answer that is not a 101.
const BODY_BYTES_MAX: usize = 64 * 1024;

type Connection = http1::Connection<TokioIo<Asked>, Empty<Bytes>>;
type Response = http::Response<Incoming>;

/// Reads the answer to a request that `stream` has carried. The deadline is for all of it.
pub(super) async fn read(
    stream: Stream,
    offered: &Offered<'_>,
    deadline: Instant,
) -> Result<Answer, Cause> {
    let answered = Arc::new(AtomicBool::new(false));
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .handshake(TokioIo::new(Asked::new(stream, answered.clone())))
        .await
        .map_err(|error| cause_of(&error))?;
    let mut driven = Driven {
        connection,
        is_over: false,
    };
    // Any GET will do: it goes nowhere.
    let asking = driven.beside(sender.send_request(http::Request::new(Empty::new())));
    let response = timeout_at(deadline, asking)
        .await
        .map_err(|_| Cause::Timeout)?
        .map_err(|error| cause_of(&error))?;
    answered.store(true, Ordering::Relaxed);
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => switched(response, driven, offered),
        _ => declined(response, driven, deadline).await,
    }
}

fn cause_of(error: &hyper::Error) -> Cause {
    let text = match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    let text = plain(&text, TEXT_CHARS_MAX);
    // hyper wraps the stream's error, which wraps ours.
    let io = error.source().and_then(|s| s.downcast_ref::<io::Error>());
    let too_much = io
        .and_then(io::Error::get_ref)
        .is_some_and(|e| e.is::<TooMuch>());
    match error.is_parse() || too_much {
        true => Cause::Answer(AnswerFault::Unreadable(text)),
        false => Cause::Lost(text),
    }
}

// Behind interim answers, or in a head that only hyper takes.
fn switched(response: Response, driven: Driven, offered: &Offered<'_>) -> Result<Answer, Cause> {
    let (head, _) = response.into_parts();
    let parts = driven.connection.into_parts();
    let stream = parts.io.into_inner().stream;
    checked(head.version, head.headers, stream, parts.read_buf, offered)
}

// A body that is too long, or not at its end by the deadline, is cut and said to be.
async fn declined(
    response: Response,
    mut driven: Driven,
    deadline: Instant,
) -> Result<Answer, Cause> {
    let (head, mut incoming) = response.into_parts();
    let mut body = BytesMut::new();
    let truncated = loop {
        let frame = match timeout_at(deadline, driven.beside(incoming.frame())).await {
            Err(_) => break true,
            Ok(None) => break false,
            Ok(Some(Err(error))) => return Err(cause_of(&error)),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let room = BODY_BYTES_MAX - body.len();
        body.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            break true;
        }
    };
    Ok(Answer::Declined {
        status: head.status,
        headers: head.headers,
        body: body.freeze(),
        truncated,
    })
}

/// The connection, polled beside whatever is awaited of it.
struct Driven {
    connection: Connection,
    is_over: bool,
}

impl Driven {
    async fn beside<F: Future>(&mut self, awaited: F) -> F::Output {
        let mut awaited = pin!(awaited);
        poll_fn(|cx| {
            if !self.is_over {
                // Its error, if any, has already been given to whoever awaits an answer.
                self.is_over = self.connection.poll_without_shutdown(cx).is_ready();
            }
            awaited.as_mut().poll(cx)
        })
        .await
    }
}

/// A stream whose request has been sent: what hyper writes goes nowhere. Nothing is read before hyper
/// has written, because it would take an answer that is there already for a breach and drop it; and
/// not without an end before it was answered.
struct Asked {
    stream: Stream,
    asked: bool,
    reader: Option<Waker>,
    answered: Arc<AtomicBool>,
    /// Read while there was no answer.
    ahead: usize,
}

impl Asked {
    fn new(stream: Stream, answered: Arc<AtomicBool>) -> Self {
        Self {
            stream,
            asked: false,
            reader: None,
            answered,
            ahead: 0,
        }
    }
}

impl AsyncRead for Asked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.asked {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.ahead > AHEAD_BYTES_MAX && !self.answered.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, TooMuch)));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.ahead += buf.filled().len() - before;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Asked {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.asked = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// More than [`AHEAD_BYTES_MAX`] came, and no answer in it.
#[derive(Debug)]
struct TooMuch;

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{AHEAD_BYTES_MAX} bytes came without an answer")
    }
}

impl Error for TooMuch {}
