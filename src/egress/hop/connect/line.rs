//! The connection to a proxy in the version of HTTP that was agreed on: from a request to a reply,
//! and from a reply to the next request or to the tunnel.
//!
//! Knows no status and no credentials but as text.

use bytes::BytesMut;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::{Ask, http1, http2};
use crate::egress::hop::excerpt::Masked;
use crate::egress::steps::Detail;
use crate::egress::stumble::Cause;
use crate::net::Stream;
use crate::net::http2::{Answer, Client};
use crate::wire::connect::reply::Reply;

/// A connection on which CONNECT can be asked.
pub(super) enum Line {
    Http1(Stream),
    Http2(Box<Client>),
}

/// A reply, and the connection it came on.
pub(super) struct Heard {
    pub(super) reply: Reply,
    rest: Rest,
}

/// What follows the head of a reply.
enum Rest {
    /// And what was read past it.
    Http1(Stream, BytesMut),
    /// And the stream it is the head of.
    Http2(Box<Client>, Box<Answer>),
}

impl Line {
    /// In what TLS to this proxy agreed on. Who is reached without it is asked in HTTP/1.1.
    pub(super) async fn over(
        stream: Stream,
        ask: &Ask<'_>,
        deadline: Instant,
    ) -> Result<Self, Cause> {
        if ask.hop.tls.is_none() {
            return Ok(Self::Http1(stream));
        }
        if !stream.speaks_http2() {
            ask.steps.learned(|| Detail::Http("1.1"));
            return Ok(Self::Http1(stream));
        }
        ask.steps.learned(|| Detail::Http("2"));
        let starting = timeout_at(deadline, http2::start(stream));
        let client = starting.await.unwrap_or(Err(Cause::Timeout))?;
        Ok(Self::Http2(Box::new(client)))
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Sends one CONNECT and waits for its reply.
    pub(super) async fn ask(
        self,
        ask: &Ask<'_>,
        authorization: Option<Zeroizing<String>>,
        masked: &Masked,
        deadline: Instant,
    ) -> Result<Heard, Cause> {
        let asking = async {
            match self {
                Self::Http1(mut stream) => {
                    let asked = http1::ask(&mut stream, ask, authorization, masked).await;
                    let (reply, tail) = asked?;
                    let rest = Rest::Http1(stream, tail);
                    Ok(Heard { reply, rest })
                }
                Self::Http2(mut client) => {
                    let (reply, answer) = http2::ask(&mut client, ask, authorization).await?;
                    let rest = Rest::Http2(client, Box::new(answer));
                    Ok(Heard { reply, rest })
                }
            }
        };
        timeout_at(deadline, asking)
            .await
            .unwrap_or(Err(Cause::Timeout))
    }
}

impl Heard {
    /// The connection for another request, if it can carry one. In HTTP/2 the rest of the reply is
    /// reset with its stream, and costs nobody anything.
    pub(super) async fn kept(self, deadline: Instant) -> Option<Line> {
        match self.rest {
            Rest::Http1(mut stream, tail) => {
                let is_kept = http1::drain(&mut stream, &self.reply, tail, deadline).await;
                is_kept.then_some(Line::Http1(stream))
            }
            Rest::Http2(client, _) => Some(Line::Http2(client)),
        }
    }

    /// What follows the head, as a stream: the tunnel after a 2xx, else the body. What has come of
    /// it stands in front.
    pub(super) fn open(self) -> Stream {
        match self.rest {
            Rest::Http1(stream, tail) => stream.with_tail(tail.freeze()),
            Rest::Http2(client, answer) => {
                let (tunnel, early) = client.into_tunnel(*answer);
                Stream::Http2(Box::new(tunnel)).with_tail(early)
            }
        }
    }
}
