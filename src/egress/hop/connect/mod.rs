//! One proxy asked for a tunnel by CONNECT, and told who we are when it asks.
//!
//! The bytes it sends after its 2xx are the tunnel's and stay in front of the stream. Its
//! credentials are in the CONNECT to it and in nothing else. Knows neither the hops before nor
//! those after it, and of the version of HTTP only when it must be another.

mod http1;
mod http2;
mod line;

use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;
use tracing::debug;

use super::super::auth::Dialogue;
use super::super::budget::Budget;
use super::super::params::Hop;
use super::super::steps::{Detail, Steps};
use super::super::stumble::{Cause, ReplyFault, Step, Stumble};
use super::excerpt::{self, Masked};
use crate::net::http2::Code;
use crate::net::{Stream, binding};
use crate::observe::phases::Phase;
use crate::wire::authority::Host;
use crate::wire::challenge::{self, Challenge};
use crate::wire::digest;

pub(super) use http1::lost;
use line::{Heard, Line};

/// Interim replies (1xx) before the final one. Proxies send none or one.
const INTERIM_MAX: usize = 8;
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
    ask.steps.run(Phase::Tunnel, step, doing).await
}

async fn exchange(
    stream: Stream,
    ask: &Ask<'_>,
    dialogue: &mut Dialogue<'_>,
    budget: Budget,
) -> Result<Asked, Cause> {
    let ahead = stream.tail().len();
    if ahead > 0 {
        return Err(Cause::Reply(ReplyFault::Ahead(ahead)));
    }
    dialogue.on_new_connection(end_point(&stream, ask.hop));
    let mut line = Line::over(stream, ask, budget.step(ask.reply)).await?;
    let mut asked_here = false;
    loop {
        if line.is_http2() && dialogue.needs_http1() {
            return Ok(in_http1(ask));
        }
        let said = match say(line, ask, dialogue, budget).await {
            // The proxy asked for credentials here and closed before it looked at them.
            Err(cause) if asked_here && is_goodbye(&cause) => return Ok(from_start(ask)),
            Err(cause) if wants_http1(&cause) && ask.hop.versions.fall_back() => {
                return Ok(in_http1(ask));
            }
            said => said?,
        };
        if said.heard.reply.status != 407 {
            return settled(said, ask, dialogue).await;
        }
        challenged(&said, ask, dialogue)?;
        line = match said.heard.kept(said.deadline).await {
            Some(line) => line,
            None => return Ok(from_start(ask)),
        };
        debug!(hop = %ask.hop, "proxy asks for credentials, connection kept");
        asked_here = true;
    }
}

/// What a request came to.
struct Said {
    heard: Heard,
    /// What was told in confidence until then.
    masked: Masked,
    /// Of this request and its reply.
    deadline: Instant,
}

// One request, with what the dialogue has to say, and its reply.
async fn say(
    line: Line,
    ask: &Ask<'_>,
    dialogue: &mut Dialogue<'_>,
    budget: Budget,
) -> Result<Said, Cause> {
    let ready = dialogue.ready(budget.step(ask.reply)).await;
    ready.map_err(Cause::Auth)?;
    let deadline = budget.step(ask.reply);
    let authorization = dialogue.speak(&ask.target());
    if let Some(scheme) = dialogue.scheme().filter(|_| authorization.is_some()) {
        ask.steps.learned(|| Detail::Presents(scheme.name()));
    }
    let masked = Masked::of(dialogue.secrets());
    let heard = line.ask(ask, authorization, &masked, deadline).await?;
    ask.steps.learned(|| Detail::Replied(heard.reply.status));
    Ok(Said {
        heard,
        masked,
        deadline,
    })
}

fn from_start(ask: &Ask<'_>) -> Asked {
    ask.steps.learned(|| Detail::FromStart);
    Asked::AgainFromStart
}

// What has to be said or heard needs HTTP/1.1, now and in every dial after this one.
fn in_http1(ask: &Ask<'_>) -> Asked {
    ask.hop.versions.fall_back();
    debug!(hop = %ask.hop, "proxy is asked in HTTP/1.1 from here on");
    from_start(ask)
}

// RFC 9113 §7: the code may end the stream or the connection, which means the same to us.
fn wants_http1(cause: &Cause) -> bool {
    use ReplyFault::{GoneAway, Reset};
    const REQUIRED: Code = Code::HTTP_1_1_REQUIRED;
    matches!(cause, Cause::Reply(Reset(REQUIRED) | GoneAway(REQUIRED)))
}

// An end of the connection without a word about what was asked.
fn is_goodbye(cause: &Cause) -> bool {
    use ReplyFault::{Ended, GoneAway};
    matches!(cause, Cause::Reply(Ended(0) | GoneAway(Code::NO_ERROR)))
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
async fn settled(said: Said, ask: &Ask<'_>, dialogue: &mut Dialogue<'_>) -> Result<Asked, Cause> {
    let reply = &said.heard.reply;
    let opens = (200..=299).contains(&reply.status);
    if opens {
        let confirmed = dialogue.confirm(reply, said.deadline).await;
        confirmed.map_err(Cause::Auth)?;
    }
    dialogue.settled(reply);
    log_told(ask, dialogue);
    match opens {
        true => Ok(Asked::Open(said.heard.open())),
        false => Err(refused(said).await),
    }
}

// --- 407 ---------------------------------------------------------------------------------------

// Whether the dialogue has an answer to it.
fn challenged(said: &Said, ask: &Ask<'_>, dialogue: &mut Dialogue<'_>) -> Result<(), Cause> {
    let challenges = challenge::parse(said.heard.reply.texts("proxy-authenticate"));
    let offered = offered(&challenges, &said.masked);
    ask.steps.learned(|| Detail::Offered(offered.clone()));
    let challenged = dialogue.challenged(&challenges, offered);
    challenged.map_err(Cause::Auth)
}

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

// --- refusals ----------------------------------------------------------------------------------

// What the proxy says goes into our log, never to the client: it is not the backend's answer. A
// redirection (3xx) is a refusal like any other.
async fn refused(said: Said) -> Cause {
    let Said {
        heard,
        masked,
        deadline,
    } = said;
    let reply = heard.reply.clone();
    let mut stream = heard.open();
    let body = excerpt::read_some(&mut stream, BytesMut::new(), masked.window(), deadline).await;
    Cause::Refused {
        status: reply.status,
        reply: excerpt::told(&reply, &body, &masked),
    }
}
