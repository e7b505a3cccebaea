//! One proxy asked for a tunnel by CONNECT, and told who we are when it asks.
//!
//! The bytes it sends after its 2xx are the tunnel's and stay in front of the stream. Its
//! credentials are in the CONNECT to it and in nothing else. Knows neither the hops before nor
//! those after it.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use tracing::debug;
use zeroize::Zeroizing;

use super::super::auth::Dialogue;
use super::super::budget::Budget;
use super::super::params::Hop;
use super::super::steps::{Detail, Steps};
use super::super::stumble::{Cause, ReplyFault, Step, Stumble};
use super::excerpt::{self, Masked};
use crate::net::{Stream, binding};
use crate::wire::authority::Host;
use crate::wire::challenge::{self, Challenge};
use crate::wire::connect::body::Skip;
use crate::wire::connect::reply::{HEAD_BYTES_MAX, HeadEnd, Reply, ReplyError};
use crate::wire::connect::request::Request;
use crate::wire::digest;
use crate::wire::speaks::Speaks;

/// Interim replies (1xx) before the final one. Proxies send none or one.
const INTERIM_MAX: usize = 8;
/// A 407's body beyond this is not read for the sake of its connection.
const DRAIN_BYTES_MAX: usize = 256 * 1024;
/// Nor is it waited for longer than a new connection would take.
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// One read of a reply; a usual head is 100 to 400 bytes.
const READ_BYTES: usize = 4096;
const USER_AGENT: &str = concat!("throughway/", env!("CARGO_PKG_VERSION"));

/// What CONNECT is asked for, and of whom.
pub(in crate::egress) struct Ask<'a> {
    pub(in crate::egress) hop: &'a Hop,
    /// The next hop or the server; the proxy resolves it.
    pub(in crate::egress) host: &'a Host,
    pub(in crate::egress) port: u16,
    /// For each request and its reply.
    pub(in crate::egress) reply: Duration,
    /// Who is told how it goes.
    pub(in crate::egress) steps: &'a Steps,
}

/// What came of it.
pub(in crate::egress) enum Asked {
    /// The tunnel.
    Open(Stream),
    /// The proxy asked for credentials and its connection cannot be used again: from the start.
    /// The dialogue knows what to tell it then.
    AgainFromStart,
}

/// A reply and what was read past its head.
struct Heard {
    reply: Reply,
    tail: BytesMut,
}

impl Ask<'_> {
    fn target(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Asks for the tunnel, and again on the same connection after each 407 that leaves it open and
/// that the dialogue has an answer to.
pub(in crate::egress) async fn tunnel(
    stream: Stream,
    ask: &Ask<'_>,
    dialogue: &mut Dialogue<'_>,
    budget: Budget,
) -> Result<Asked, Stumble> {
    let step = || Step::Tunnel(ask.target());
    let doing = exchange(stream, ask, dialogue, budget);
    ask.steps.run(step, doing).await
}

async fn exchange(
    mut stream: Stream,
    ask: &Ask<'_>,
    dialogue: &mut Dialogue<'_>,
    budget: Budget,
) -> Result<Asked, Cause> {
    let ahead = stream.tail().len();
    if ahead > 0 {
        return Err(Cause::Reply(ReplyFault::Ahead(ahead)));
    }
    dialogue.on_new_connection(end_point(&stream, ask.hop));
    let mut asked_here = false;
    loop {
        let ready = dialogue.ready(budget.step(ask.reply)).await;
        ready.map_err(Cause::Auth)?;
        let deadline = budget.step(ask.reply);
        let authorization = dialogue.speak(&ask.target());
        if let Some(scheme) = dialogue.scheme().filter(|_| authorization.is_some()) {
            ask.steps.learned(|| Detail::Presents(scheme.name()));
        }
        let masked = Masked::of(dialogue.secrets());
        let heard = match request(&mut stream, ask, authorization, &masked, deadline).await {
            // The proxy asked for credentials here and closed before it looked at them.
            Err(Cause::Reply(ReplyFault::Ended(0))) if asked_here => {
                ask.steps.learned(|| Detail::FromStart);
                return Ok(Asked::AgainFromStart);
            }
            heard => heard?,
        };
        let status = heard.reply.status;
        ask.steps.learned(|| Detail::Replied(status));
        if status != 407 {
            if (200..=299).contains(&status) {
                let confirmed = dialogue.confirm(&heard.reply, deadline).await;
                confirmed.map_err(Cause::Auth)?;
            }
            dialogue.settled(&heard.reply);
            log_told(ask, dialogue);
            return settled(stream, heard, &masked, deadline).await;
        }
        let challenges = challenge::parse(heard.reply.texts("proxy-authenticate"));
        let offered = offered(&challenges, &masked);
        ask.steps.learned(|| Detail::Offered(offered.clone()));
        dialogue
            .challenged(&challenges, offered)
            .map_err(Cause::Auth)?;
        if !drain(&mut stream, heard, deadline).await {
            ask.steps.learned(|| Detail::FromStart);
            return Ok(Asked::AgainFromStart);
        }
        debug!(hop = %ask.hop, "proxy asks for credentials, connection kept");
        asked_here = true;
    }
}

// TLS that leads to an earlier proxy says nothing of this one.
fn end_point(stream: &Stream, hop: &Hop) -> Option<Vec<u8>> {
    let is_ours = hop.tls.is_some() && hop.credentials.is_some();
    is_ours
        .then(|| binding::tls_server_end_point(stream))
        .flatten()
}

fn log_told(ask: &Ask<'_>, dialogue: &Dialogue<'_>) {
    if let Some(scheme) = dialogue.scheme() {
        debug!(hop = %ask.hop, %scheme, legs = dialogue.legs(), "proxy was told who we are");
    }
}

// A reply that asks for nothing.
async fn settled(
    stream: Stream,
    heard: Heard,
    masked: &Masked,
    deadline: Instant,
) -> Result<Asked, Cause> {
    match heard.reply.status {
        200..=299 => Ok(Asked::Open(stream.with_tail(heard.tail.freeze()))),
        _ => Err(refused(stream, heard, masked, deadline).await),
    }
}

// --- one request and its reply -----------------------------------------------------------------

async fn request(
    stream: &mut Stream,
    ask: &Ask<'_>,
    authorization: Option<Zeroizing<String>>,
    masked: &Masked,
    deadline: Instant,
) -> Result<Heard, Cause> {
    let mut request = Request::to(ask.host, ask.port)?
        // No standard knows it, but older proxies close without it.
        .header("Proxy-Connection", "Keep-Alive")?
        .header("User-Agent", USER_AGENT)?;
    if let Some(authorization) = authorization {
        request = request.header("Proxy-Authorization", &authorization)?;
    }
    let bytes = request.finish();
    let exchange = async {
        let sent = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        sent.await.map_err(|error| lost(&error, 0))?;
        hear(stream, masked).await
    };
    timeout_at(deadline, exchange)
        .await
        .unwrap_or(Err(Cause::Timeout))
}

// The final reply, the interim ones before it passed over (RFC 9110 §15.2).
async fn hear(stream: &mut Stream, masked: &Masked) -> Result<Heard, Cause> {
    let mut bytes = BytesMut::new();
    let mut spent = 0;
    for _ in 0..=INTERIM_MAX {
        let reply = hear_one(stream, &mut bytes, &mut spent, masked).await?;
        match reply.status {
            101 => return Err(Cause::Reply(ReplyFault::Switching)),
            100..=199 => {}
            _ => return Ok(Heard { reply, tail: bytes }),
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
pub(super) fn lost(error: &io::Error, heard: usize) -> Cause {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => Cause::Reply(ReplyFault::Ended(heard)),
        _ => Cause::Lost(super::super::stumble::io_words(error)),
    }
}

// --- 407 ---------------------------------------------------------------------------------------

// The schemes by name; of Digest also what it can fail for.
fn offered(challenges: &[Challenge], masked: &Masked) -> String {
    let named: Vec<String> = challenges.iter().map(named).collect();
    match named.as_slice() {
        [] => "nothing it names".to_owned(),
        named => masked.excerpt(named.join(", ").as_bytes(), excerpt::FIELD_BYTES_MAX),
    }
}

fn named(challenge: &Challenge) -> String {
    let mut text = challenge.scheme.clone();
    if challenge.asks_for(digest::SCHEME) {
        for name in ["algorithm", "qop"] {
            let value = challenge.param(name).unwrap_or_default();
            if !value.is_empty() {
                text.push_str(&format!(" {name}={value}"));
            }
        }
    }
    text
}

// Reads past the 407's body; whether the connection can carry the next request. A byte too many
// means that it cannot: it would be taken for the next reply.
async fn drain(stream: &mut Stream, heard: Heard, deadline: Instant) -> bool {
    let Some(mut skip) = Skip::over(&heard.reply) else {
        return false;
    };
    let deadline = deadline.min(Instant::now() + DRAIN_TIME);
    let draining = drain_body(stream, &mut skip, heard.tail);
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

// --- refusals ----------------------------------------------------------------------------------

// What the proxy says goes into our log, never to the client: it is not the backend's answer. A
// redirection (3xx) is a refusal like any other.
async fn refused(mut stream: Stream, heard: Heard, masked: &Masked, deadline: Instant) -> Cause {
    let wanted = masked.window();
    let body = excerpt::read_some(&mut stream, heard.tail, wanted, deadline).await;
    Cause::Refused {
        status: heard.reply.status,
        reply: excerpt::told(&heard.reply, &Bytes::from(body), masked),
    }
}
