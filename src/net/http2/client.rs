//! Requests on a connection, one after the other, each until the head of its answer is there.
//!
//! Knows no deadline: whoever waits has one.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use h2::client::{Builder, ResponseFuture};
use h2::{RecvStream, SendStream};
use http::{Request, Response, response};

use super::fault::{Code, Failure};
use super::line::Line;
use super::socket::{Socket, State, Way};
use super::tunnel::Tunnel;
use super::{HELD_BYTES_MAX, SHORT_FRAMES_BUDGET, WINDOW_BYTES};
use crate::net::Stream;

/// A connection on which there is something to ask.
pub struct Client {
    line: Line,
}

/// The head of an answer. Its stream is open as far as neither side has ended it; dropped, it is
/// reset.
pub struct Answer {
    /// Status and headers.
    pub head: response::Parts,
    send: SendStream<Bytes>,
    recv: RecvStream,
}

impl Client {
    /// Says that this is HTTP/2 and what we take; the other side says the same with its first
    /// answer. A head of an answer may have up to `head_bytes_max`.
    pub async fn start(stream: Stream, head_bytes_max: u32) -> Result<Self, Failure> {
        let state = Arc::new(State::default());
        let socket = Socket::new(stream, state.clone());
        let (sender, connection) = Builder::new()
            .enable_push(false)
            .initial_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_send_buffer_size(HELD_BYTES_MAX)
            .data_frame_budget(SHORT_FRAMES_BUDGET)
            .max_header_list_size(head_bytes_max)
            .handshake(socket)
            .await?;
        let line = Line::new(sender, connection, state);
        Ok(Self { line })
    }

    /// Sends a head whose stream stays open, and waits for the head of the final answer, passing
    /// over up to `interim_max` others (RFC 9110 §15.2).
    pub async fn ask(
        &mut self,
        request: Request<()>,
        interim_max: usize,
    ) -> Result<Answer, Failure> {
        self.line.state().all_taken();
        poll_fn(|cx| self.poll_ready(cx)).await?;
        let (mut response, send) = self.line.sender()?.send_request(request, false)?;
        let mut interim = 0;
        let answered = poll_fn(|cx| {
            let polled = self.poll_answer(cx, &mut response, &mut interim);
            if interim > interim_max {
                return Poll::Ready(Err(Failure::TooManyInterim));
            }
            polled.map_err(|failure| self.line.reason(failure))
        });
        let (head, recv) = answered.await?.into_parts();
        Ok(Answer { head, send, recv })
    }

    // A stream before may still count.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let is_over = self.line.poll(Way::Writing, cx).is_ready();
        match self.line.sender()?.poll_ready(cx) {
            Poll::Pending if is_over => Poll::Ready(Err(self.line.reason(Failure::Ended))),
            polled => polled.map_err(|error| self.line.reason(error.into())),
        }
    }

    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        response: &mut ResponseFuture,
        interim: &mut usize,
    ) -> Poll<Result<Response<RecvStream>, Failure>> {
        let is_over = self.line.poll(Way::Reading, cx).is_ready();
        while let Poll::Ready(before) = response.poll_informational(cx) {
            match before.transpose().map_err(Failure::from)? {
                Some(before) if before.status() == 101 => {
                    return Poll::Ready(Err(Failure::Switching));
                }
                Some(_) => *interim += 1,
                None => return Pin::new(response).poll(cx).map_err(Failure::from),
            }
        }
        if is_over {
            return Poll::Ready(Err(Failure::Ended));
        }
        if self.line.state().is_full() {
            return Poll::Ready(Err(Failure::Invalid(Code::ENHANCE_YOUR_CALM)));
        }
        Poll::Pending
    }

    /// The stream of `answer` as bytes both ways, and the first of them: those that came with the
    /// head. Nothing else can be asked.
    pub fn into_tunnel(self, answer: Answer) -> (Tunnel, Bytes) {
        let Answer { send, mut recv, .. } = answer;
        let early = early(&mut recv);
        (Tunnel::new(self.line, send, recv), early)
    }
}

// Within the window. What ends or fails here does so again when the tunnel is read.
fn early(recv: &mut RecvStream) -> Bytes {
    let mut cx = Context::from_waker(Waker::noop());
    let mut early = BytesMut::new();
    while let Poll::Ready(Some(Ok(bytes))) = recv.poll_data(&mut cx) {
        early.extend_from_slice(&bytes);
        // Fails only for more than came.
        recv.flow_control().release_capacity(bytes.len()).ok();
    }
    early.freeze()
}
