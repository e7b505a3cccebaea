//! CONNECT over HTTP/1.1: the request as bytes, its reply read to the end of its head, and a 407
//! read past its body where its connection can carry another request.
//!
//! Knows neither what a status means nor who is asked.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::{Ask, INTERIM_MAX, USER_AGENT};
use crate::egress::hop::excerpt::{self, Masked};
use crate::egress::stumble::{Cause, ReplyFault, io_words};
use crate::net::Stream;
use crate::wire::connect::body::Skip;
use crate::wire::connect::reply::{HEAD_BYTES_MAX, HeadEnd, Reply, ReplyError};
use crate::wire::connect::request::Request;
use crate::wire::speaks::Speaks;

/// A 407's body beyond this is not read for the sake of its connection.
const DRAIN_BYTES_MAX: usize = 256 * 1024;
/// Nor is it waited for longer than a new connection would take.
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// One read of a reply; a usual head is 100 to 400 bytes.
const READ_BYTES: usize = 4096;

/// Sends the request and reads its reply; what was read past the head comes with it.
pub(super) async fn ask(
    stream: &mut Stream,
    ask: &Ask<'_>,
    authorization: Option<Zeroizing<String>>,
    masked: &Masked,
) -> Result<(Reply, BytesMut), Cause> {
    let mut request = Request::to(ask.host, ask.port)?
        // No standard knows it, but older proxies close without it.
        .header("Proxy-Connection", "Keep-Alive")?
        .header("User-Agent", USER_AGENT)?;
    if let Some(authorization) = authorization {
        request = request.header("Proxy-Authorization", &authorization)?;
    }
    let bytes = request.finish();
    let sent = async {
        stream.write_all(&bytes).await?;
        stream.flush().await
    };
    sent.await.map_err(|error| lost(&error, 0))?;
    hear(stream, masked).await
}

// The final reply, the interim ones before it passed over (RFC 9110 §15.2).
async fn hear(stream: &mut Stream, masked: &Masked) -> Result<(Reply, BytesMut), Cause> {
    let mut bytes = BytesMut::new();
    let mut spent = 0;
    for _ in 0..=INTERIM_MAX {
        let reply = hear_one(stream, &mut bytes, &mut spent, masked).await?;
        match reply.status {
            101 => return Err(Cause::Reply(ReplyFault::Switching)),
            100..=199 => {}
            _ => return Ok((reply, bytes)),
        }
    }
    Err(Cause::Reply(ReplyFault::TooManyInterim))
}

// Takes one head from the front of `bytes`, reading as long as it is not whole. `spent` counts
// the bytes of all heads of this reply.
async fn hear_one(
    stream: &mut Stream,
    bytes: &mut BytesMut,
    spent: &mut usize,
    masked: &Masked,
) -> Result<Reply, Cause> {
    let unreadable = |error: ReplyError, bytes: &[u8]| {
        let begins = masked.excerpt(bytes, excerpt::GARBAGE_BYTES_MAX);
        let (asked, speaks) = (Speaks::Http, Speaks::by(bytes));
        Cause::Reply(match speaks.filter(|speaks| *speaks != asked) {
            Some(speaks) if error == ReplyError::NotHttp => ReplyFault::WrongKind {
                asked,
                speaks,
                begins,
            },
            _ => ReplyFault::Unreadable { error, begins },
        })
    };
    let mut end = HeadEnd::default();
    loop {
        let found = end.find(bytes).map_err(|error| unreadable(error, bytes))?;
        let read = found.unwrap_or(bytes.len());
        if *spent + read > HEAD_BYTES_MAX {
            return Err(unreadable(ReplyError::TooLong, bytes));
        }
        if let Some(found) = found {
            *spent += found;
            let head = bytes.split_to(found);
            return Reply::parse(&head).map_err(|error| unreadable(error, &head));
        }
        bytes.reserve(READ_BYTES);
        match stream.read_buf(bytes).await {
            Ok(0) => return Err(Cause::Reply(ReplyFault::Ended(*spent + bytes.len()))),
            Ok(_) => {}
            Err(error) => return Err(lost(&error, *spent + bytes.len())),
        }
    }
}

// An end without its due ceremony (no close_notify, a reset) is an end like any other here.
pub(in crate::egress::hop) fn lost(error: &io::Error, heard: usize) -> Cause {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => Cause::Reply(ReplyFault::Ended(heard)),
        _ => Cause::Lost(io_words(error)),
    }
}

// Reads past the 407's body; whether the connection can carry the next request. A byte too many
// means that it cannot: it would be taken for the next reply.
pub(super) async fn drain(
    stream: &mut Stream,
    reply: &Reply,
    tail: BytesMut,
    deadline: Instant,
) -> bool {
    let Some(mut skip) = Skip::over(reply) else {
        return false;
    };
    let deadline = deadline.min(Instant::now() + DRAIN_TIME);
    let draining = drain_body(stream, &mut skip, tail);
    matches!(timeout_at(deadline, draining).await, Ok(true))
}

async fn drain_body(stream: &mut Stream, skip: &mut Skip, mut bytes: BytesMut) -> bool {
    let mut drained = 0;
    loop {
        match skip.feed(&bytes) {
            Ok(used) if used == bytes.len() => drained += used,
            Ok(_) | Err(_) => return false,
        }
        if skip.is_done() {
            return true;
        }
        if drained > DRAIN_BYTES_MAX {
            return false;
        }
        bytes.clear();
        bytes.reserve(READ_BYTES);
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
    }
}
