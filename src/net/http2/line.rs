//! The connection, driven by whoever has need of it.
//!
//! Knows no requests and no tunnel.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{Connection, SendRequest};

use super::fault::Failure;
use super::socket::{Socket, State, Way};

/// A connection and how it ended, once it did.
pub(super) struct Line {
    connection: Connection<Socket, Bytes>,
    /// Asks, and knows of a GOAWAY; `None` once nothing is left to ask or to know, for the
    /// connection does not end before.
    sender: Option<SendRequest<Bytes>>,
    state: Arc<State>,
    /// Wakes everybody who waits on the socket: that of the connection, whoever polls it.
    waker: Waker,
    end: Option<Result<(), Failure>>,
}

impl Line {
    pub(super) fn new(
        sender: SendRequest<Bytes>,
        connection: Connection<Socket, Bytes>,
        state: Arc<State>,
    ) -> Self {
        Self {
            connection,
            sender: Some(sender),
            waker: Waker::from(state.clone()),
            state,
            end: None,
        }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Writes and reads what can be written and read now; frames for us are the stream's to hand
    /// out. Ready once the connection is over: its streams may have words from before, but none
    /// will come.
    pub(super) fn poll(&mut self, way: Way, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if let Some(end) = self.end {
            return Poll::Ready(end);
        }
        self.state.waits(way, cx.waker());
        let polled = Pin::new(&mut self.connection).poll(&mut Context::from_waker(&self.waker));
        polled.map(|end| *self.end.insert(end.map_err(Failure::from)))
    }

    /// Who sends requests, while there may be any.
    pub(super) fn sender(&mut self) -> Result<&mut SendRequest<Bytes>, Failure> {
        self.sender.as_mut().ok_or(Failure::Ended)
    }

    /// Nothing more is asked: the connection may end once its streams have.
    pub(super) fn release(&mut self) {
        self.sender = None;
    }

    /// Why a stream failed. Of an end there may be a reason: a GOAWAY that spared the stream and
    /// was followed by the end of everything.
    pub(super) fn reason(&mut self, failure: Failure) -> Failure {
        let Some(sender) = self.sender.as_mut().filter(|_| failure == Failure::Ended) else {
            return failure;
        };
        match sender.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Err(error)) => error.into(),
            Poll::Ready(Ok(())) | Poll::Pending => failure,
        }
    }
}
