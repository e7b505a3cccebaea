//! The last step: our request to the backend, and its answer held against it.
//!
//! The usual answer, a 101 and nothing before it, is read here; every other is hyper's to read. The
//! connection is never used for a second request, whatever the answer was. Knows no proxies.

use std::io;

use bytes::{Bytes, BytesMut};
use http::header::SEC_WEBSOCKET_ACCEPT;
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::time::{Instant, timeout_at};

use super::super::stumble::{AnswerFault, Cause, Step, Stumble, plain};
use super::answer;
use crate::net::Stream;
use crate::wire::ws::answer::{Agreed, AnswerError, Offered, check_answer};
use crate::wire::ws::switching::Reader;

/// Longest answer head, and what hyper buffers at most.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;
pub(super) const TEXT_CHARS_MAX: usize = 200;
/// What one read of the answer asks for: a 101 is shorter, and most tails are.
const READ_BYTES: usize = 1024;

/// The backend's answer.
pub(in crate::egress) enum Answer {
    /// A 101 that holds.
    Switched {
        stream: Stream,
        tail: Bytes,
        headers: HeaderMap,
        accept: HeaderValue,
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

/// Sends `request`, a whole head, over `stream` and returns the answer. The deadline is for all of it.
pub(in crate::egress) async fn upgrade(
    mut stream: Stream,
    request: &[u8],
    offered: &Offered<'_>,
    deadline: Instant,
) -> Result<Answer, Stumble> {
    let mut unsent = request;
    let mut read = BytesMut::new();
    let asking = async {
        match send(&mut stream, &mut unsent, &mut read).await? {
            Sent::Whole => read_switching(&mut stream, &mut read).await,
            Sent::Answered => Ok(None),
        }
    };
    let asked = timeout_at(deadline, asking).await;
    let sent = unsent.len() < request.len();
    let answer = match asked {
        Err(_) => Err(Cause::Timeout),
        Ok(Err(error)) => Err(lost(&error)),
        Ok(Ok(Some(headers))) => checked(Version::HTTP_11, headers, stream, read.freeze(), offered),
        Ok(Ok(None)) => {
            let stream = stream.with_tail(read.freeze());
            // Boxed, because it is rare and large.
            Box::pin(answer::read(stream, offered, deadline)).await
        }
    };
    answer.map_err(|cause| Stumble {
        step: Step::Upgrade,
        cause,
        sent,
    })
}

/// How sending the request ended.
enum Sent {
    Whole,
    /// An answer came before all of it was taken; its first bytes are read.
    Answered,
}

async fn send(stream: &mut Stream, unsent: &mut &[u8], read: &mut BytesMut) -> io::Result<Sent> {
    let taken = stream.write(unsent).await?;
    *unsent = &unsent[taken..];
    if !unsent.is_empty() {
        // Whoever finds a head too long may say so and read no more of it.
        let (mut from, mut to) = split(&mut *stream);
        tokio::select! {
            biased;
            answered = from.read_buf(read) => return answered.map(|_| Sent::Answered),
            sent = to.write_all_buf(unsent) => sent?,
        }
    }
    stream.flush().await?;
    Ok(Sent::Whole)
}

/// Reads a 101 and leaves its tail in `read`; `None` as soon as it is seen to be anything else, all of
/// which is in `read` then.
async fn read_switching(stream: &mut Stream, read: &mut BytesMut) -> io::Result<Option<HeaderMap>> {
    let mut reader = Reader::default();
    loop {
        read.reserve(READ_BYTES);
        if stream.read_buf(read).await? == 0 || read.len() > HEAD_BYTES_MAX {
            return Ok(None);
        }
        match reader.read(read) {
            Ok(None) => {}
            Ok(Some(headers)) => return Ok(Some(headers)),
            Err(_) => return Ok(None),
        }
    }
}

fn lost(error: &io::Error) -> Cause {
    Cause::Lost(plain(&format!("connection error: {error}"), TEXT_CHARS_MAX))
}

/// The link that a 101 makes, if it holds.
pub(super) fn checked(
    version: Version,
    headers: HeaderMap,
    stream: Stream,
    tail: Bytes,
    offered: &Offered<'_>,
) -> Result<Answer, Cause> {
    let invalid = |error| Cause::Answer(AnswerFault::Invalid(error));
    let agreed = check_answer(version, &headers, offered).map_err(invalid)?;
    let accept = headers.get(SEC_WEBSOCKET_ACCEPT).cloned();
    let accept = accept.ok_or_else(|| invalid(AnswerError::AcceptMissing))?;
    Ok(Answer::Switched {
        stream,
        tail,
        headers,
        accept,
        agreed,
    })
}

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
        let request = b"GET / HTTP/1.1\r\n\r\n";
        let answer = upgrade(Stream::Unix(near), request, &offered, deadline).await;
        let Err(stumble) = answer else {
            panic!("nobody could have answered");
        };
        assert!(!stumble.sent, "{stumble}");
        assert_eq!(stumble.cause.reason(), "lost");
    }

    #[tokio::test]
    async fn an_answer_instead_of_the_rest_of_a_long_request_is_heard() {
        let (near, mut far) = tokio::net::UnixStream::pair().expect("a pair of sockets");
        let answer = b"HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n";
        far.write_all(answer).await.expect("room for an answer");
        let offered = Offered {
            key: "",
            subprotocols: &[],
            required: &[],
            extensions: &[],
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        let request = vec![b'x'; 8 * 1024 * 1024];
        let answer = upgrade(Stream::Unix(near), &request, &offered, deadline).await;
        let Ok(Answer::Declined { status, .. }) = answer else {
            panic!("no answer");
        };
        assert_eq!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
}
