//! CONNECT over HTTP/2 (RFC 9113 §8.5): method and authority, and nothing of a connection's.
//!
//! Knows neither what a status means nor who is asked.

use std::io;

use http::header::{HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use http::{Method, Request, Uri};
use zeroize::Zeroizing;

use super::{Ask, INTERIM_MAX, USER_AGENT as US};
use crate::egress::stumble::{Cause, ReplyFault};
use crate::net::Stream;
use crate::net::http2::{Answer, Client, Failure};
use crate::wire::connect::reply::{HEAD_BYTES_MAX, Reply};
use crate::wire::connect::request::{self, Unsendable};

/// As long as a reply in HTTP/1.1 may be; lengths are counted another way (RFC 9113 §6.5.2), but
/// nearly the same.
const LIST_BYTES_MAX: u32 = HEAD_BYTES_MAX as u32;

pub(super) async fn start(stream: Stream) -> Result<Client, Cause> {
    Client::start(stream, LIST_BYTES_MAX).await.map_err(cause)
}

/// Sends the request and waits for the head of its reply.
pub(super) async fn ask(
    client: &mut Client,
    ask: &Ask<'_>,
    authorization: Option<Zeroizing<String>>,
) -> Result<(Reply, Answer), Cause> {
    let request = head(ask, authorization)?;
    let answer = client.ask(request, INTERIM_MAX).await.map_err(cause)?;
    Ok((reply(&answer), answer))
}

fn head(ask: &Ask<'_>, authorization: Option<Zeroizing<String>>) -> Result<Request<()>, Cause> {
    let target = request::target(ask.host, ask.port)?;
    let mut head = Request::new(());
    *head.method_mut() = Method::CONNECT;
    *head.uri_mut() = Uri::try_from(target).map_err(|_| Unsendable::Target)?;
    head.headers_mut()
        .insert(USER_AGENT, HeaderValue::from_static(US));
    if let Some(authorization) = authorization {
        let value = HeaderValue::from_str(&authorization);
        let mut value = value.map_err(|_| Unsendable::Header("Proxy-Authorization"))?;
        // RFC 7541 §7.1.3: a literal that no table keeps, here or there.
        value.set_sensitive(true);
        head.headers_mut().insert(PROXY_AUTHORIZATION, value);
    }
    Ok(head)
}

// There is no reason phrase, and what a 1.0 in the line would mean is settled.
fn reply(answer: &Answer) -> Reply {
    let headers = answer.head.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    Reply {
        minor: 1,
        status: answer.head.status.as_u16(),
        reason: Vec::new(),
        headers: headers.collect(),
    }
}

fn cause(failure: Failure) -> Cause {
    use io::ErrorKind as K;
    Cause::Reply(match failure {
        Failure::Reset(code) => ReplyFault::Reset(code),
        Failure::GoneAway(code) => ReplyFault::GoneAway(code),
        Failure::Invalid(code) => ReplyFault::NotHttp2(code),
        Failure::Ended => ReplyFault::Ended(0),
        Failure::Lost(K::ConnectionReset | K::ConnectionAborted) => ReplyFault::Ended(0),
        Failure::Switching => ReplyFault::Switching,
        Failure::TooManyInterim => ReplyFault::TooManyInterim,
        Failure::Lost(kind) => return Cause::Lost(kind.to_string()),
        Failure::Unsendable => return Cause::Ours(failure.to_string()),
    })
}
