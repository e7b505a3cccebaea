//! The last step: our request to the backend, and its answer held against it.
//!
//! hyper writes and parses; nothing is spawned, the connection is driven beside what is awaited
//! of it. It is never used for a second request, whatever the answer was. Knows no proxies.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};

use super::super::stumble::{AnswerFault, Cause, Step, Stumble, plain};
use crate::net::Stream;
use crate::wire::ws::answer::{Agreed, Offered, check_answer};

/// Longest answer head, and what hyper buffers at most.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 100;
/// Everything that is read before the answer: a longest head, what hyper reads past it, and so
/// also all interim answers (1xx) together. hyper skips those without an end, and in one poll as
/// long as they keep coming, during which no deadline is looked at.
const AHEAD_BYTES_MAX: usize = 2 * HEAD_BYTES_MAX;
/// Of the body of an answer that is not a 101.
const BODY_BYTES_MAX: usize = 64 * 1024;
const TEXT_CHARS_MAX: usize = 200;

/// The backend's answer.
pub(in crate::egress) enum Answer {
    /// A 101 that holds.
    Switched {
        stream: Stream,
        tail: Bytes,
        headers: HeaderMap,
        agreed: Agreed,
    },
    /// Anything else that is HTTP.
    Declined {
        status: StatusCode,
        headers: HeaderMap,
        body: Bytes,
        truncated: bool,
    },
}

impl Answer {
    pub(in crate::egress) fn status(&self) -> StatusCode {
        match self {
            Self::Switched { .. } => StatusCode::SWITCHING_PROTOCOLS,
            Self::Declined { status, .. } => *status,
        }
    }
}

type Connection = http1::Connection<TokioIo<AskFirst>, Empty<Bytes>>;
type Response = http::Response<Incoming>;

/// Sends `request` over `stream` and returns the answer. The deadline is for all of it.
pub(in crate::egress) async fn upgrade(
    stream: Stream,
    request: http::Request<Empty<Bytes>>,
    offered: &Offered<'_>,
    deadline: Instant,
) -> Result<Answer, Stumble> {
    let answered = Arc::new(AtomicBool::new(false));
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .handshake(TokioIo::new(AskFirst::new(stream, answered.clone())))
        .await
        .map_err(|error| stumble(cause_of(&error), false))?;
    let mut driven = Driven {
        connection,
        is_over: false,
    };
    let asking = driven.beside(sender.send_request(request));
    let response = match timeout_at(deadline, asking).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(stumble(cause_of(&error), driven.asked())),
        Err(_) => return Err(stumble(Cause::Timeout, driven.asked())),
    };
    answered.store(true, Ordering::Relaxed);
    let answer = match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => switched(response, driven, offered),
        _ => declined(response, driven, deadline).await,
    };
    answer.map_err(|cause| stumble(cause, true))
}

fn stumble(cause: Cause, sent: bool) -> Stumble {
    Stumble {
        step: Step::Upgrade,
        cause,
        sent,
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

fn switched(response: Response, driven: Driven, offered: &Offered<'_>) -> Result<Answer, Cause> {
    let agreed = check_answer(response.version(), response.headers(), offered)
        .map_err(|error| Cause::Answer(AnswerFault::Invalid(error)))?;
    let (head, _) = response.into_parts();
    let parts = driven.connection.into_parts();
    Ok(Answer::Switched {
        stream: parts.io.into_inner().stream,
        tail: parts.read_buf,
        headers: head.headers,
        agreed,
    })
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

    /// Whether a byte of the request was written.
    fn asked(self) -> bool {
        self.connection.into_parts().io.into_inner().asked
    }
}

/// A stream from which nothing is read before something was written to it, and not without an end
/// before it was answered. hyper would take bytes that came early, such as those glued to a proxy's
/// 2xx, for a breach and drop them; the backend they came from is to be judged by them instead.
struct AskFirst {
    stream: Stream,
    asked: bool,
    reader: Option<Waker>,
    answered: Arc<AtomicBool>,
    /// Read while there was no answer.
    ahead: usize,
}

impl AskFirst {
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

impl AsyncRead for AskFirst {
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

impl AsyncWrite for AskFirst {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(1..)) = written {
            self.asked = true;
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_backend_that_is_gone_before_the_request_was_not_asked() {
        let (near, far) = tokio::net::UnixStream::pair().expect("a pair of sockets");
        drop(far);
        let offered = Offered {
            key: "",
            subprotocols: &[],
            required: &[],
            extensions: &[],
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        let request = http::Request::new(Empty::new());
        let answer = upgrade(Stream::Unix(near), request, &offered, deadline).await;
        let Err(stumble) = answer else {
            panic!("nobody could have answered");
        };
        assert!(!stumble.sent, "{stumble}");
        assert_eq!(stumble.cause.reason(), "lost");
    }
}
