//! What a client is told: a 101, somebody else's answer, a refusal, or the one page.

use std::io;
use std::time::Duration;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::net::Stream;
use crate::wire::answer_head;

/// How long a client may take to accept an answer that ends its connection.
const ANSWER: Duration = Duration::from_secs(10);
/// How long it may then go on sending before the connection is closed all the same.
const LINGER: Duration = Duration::from_secs(2);
/// How much of what it still sends is read and thrown away meanwhile.
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// Writes the 101; from then on the stream is a WebSocket. `headers` are the backend's, already
/// freed of what ends at this hop; the handshake's own are set here.
pub async fn switch(
    mut stream: Stream,
    mut headers: HeaderMap,
    accept: HeaderValue,
    deadline: Duration,
) -> io::Result<Stream> {
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    let head = answer_head::encode(StatusCode::SWITCHING_PROTOCOLS, &headers);
    timeout(deadline, send(&mut stream, &head, &[])).await??;
    Ok(stream)
}

/// The body of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// All of it; its length is told.
    Whole(&'a [u8]),
    /// The beginning of it: no length would be honest, so the end of the connection ends it.
    Cut(&'a [u8]),
}

/// Writes an answer that is not a 101 and closes the connection, in the order that lets the client
/// read it (RFC 9112 §9.6): our end first, then what it still sends is read away for a while, then
/// the socket. A reset would take the answer with it.
pub async fn close_with(
    mut stream: Stream,
    status: StatusCode,
    mut headers: HeaderMap,
    body: Body<'_>,
) -> io::Result<()> {
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = match body {
        _ if bodiless => &[],
        Body::Cut(body) => body,
        Body::Whole(body) => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            body
        }
    };
    let head = answer_head::encode(status, &headers);
    timeout(ANSWER, async {
        send(&mut stream, &head, body).await?;
        stream.shutdown().await
    })
    .await??;
    // Whoever still talks has been answered; that it does is no failure.
    timeout(LINGER, drain(&mut stream)).await.unwrap_or(Ok(()))
}

async fn send(stream: &mut Stream, head: &[u8], body: &[u8]) -> io::Result<()> {
    stream.write_all(head).await?;
    stream.write_all(body).await?;
    stream.flush().await
}

async fn drain(stream: &mut Stream) -> io::Result<()> {
    let mut scratch = [0; 1024];
    let mut seen = 0;
    while seen < LINGER_BYTES_MAX {
        match stream.read(&mut scratch).await? {
            0 => break,
            n => seen += n,
        }
    }
    Ok(())
}
