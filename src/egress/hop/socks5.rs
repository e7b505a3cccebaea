//! One SOCKS5 proxy asked for a tunnel (RFC 1928), and told user and password (RFC 1929) if it
//! chooses to be.
//!
//! The bytes behind its last reply are the tunnel's and stay in front of the stream; bytes behind
//! an earlier one are nobody's. Knows neither the hops before nor those after it.

use std::collections::VecDeque;
use std::net::IpAddr;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::super::budget::Budget;
use super::super::params::{Credentials, Hop, HopTimeouts, Resolve};
use super::super::steps::Steps;
use super::super::stumble::{AuthFault, Cause, ReplyFault, Step, Stumble};
use super::connect::lost;
use super::excerpt::{GARBAGE_BYTES_MAX, Masked};
use super::tcp;
use crate::net::Stream;
use crate::observe::phases::Phase;
use crate::wire::authority::Host;
use crate::wire::socks5::{self, Answer, Login, Malformed, Method, Offer, Read, Rep};
use crate::wire::speaks::Speaks;

/// Addresses of one name that are asked for, each on a connection of its own: two of each family.
const ADDRESSES_MAX: usize = 4;
/// One read; the longest reply has 262 bytes, the usual one 10.
const READ_BYTES: usize = 512;

/// What the proxy is asked for.
pub(in crate::egress) struct Ask<'a> {
    pub(in crate::egress) hop: &'a Hop,
    /// The next hop or the server.
    pub(in crate::egress) host: &'a Host,
    pub(in crate::egress) port: u16,
    /// Who finds the host's address.
    pub(in crate::egress) resolves: Resolve,
    /// `resolve` for the host's name, where we do; `reply` from the first byte of the greeting to
    /// the end of the last reply.
    pub(in crate::egress) timeouts: &'a HopTimeouts,
    /// Who is told how it goes.
    pub(in crate::egress) steps: &'a Steps,
}

/// What came of it.
pub(in crate::egress) enum Asked {
    /// The tunnel.
    Open(Stream),
    /// This address cannot be reached from the proxy, and the name has another. The proxy ends the
    /// connection after a refusal (RFC 1928 §6), so: from the start.
    NextAddress,
}

/// The addresses of one hop's target that were not refused yet, the one to ask for first; `None`
/// before they were looked for. Lives as long as one way through the hops.
#[derive(Debug, Clone, Default)]
pub(in crate::egress) struct Addresses(Option<VecDeque<IpAddr>>);

/// Asks for the tunnel.
pub(in crate::egress) async fn tunnel(
    stream: Stream,
    ask: &Ask<'_>,
    addresses: &mut Addresses,
    budget: Budget,
) -> Result<Asked, Stumble> {
    let target = match ask.resolves {
        Resolve::There => ask.host.clone(),
        Resolve::Here => Host::Ip(addresses.first(ask, budget).await?),
    };
    let deadline = budget.step(ask.timeouts.reply);
    match exchange(stream, ask, &target, deadline).await {
        Err(stumble) if may_differ(&stumble.cause) && addresses.drop_first() => {
            debug!(hop = %ask.hop, %stumble, "asking for the next address");
            Ok(Asked::NextAddress)
        }
        ended => ended.map(Asked::Open),
    }
}

impl Addresses {
    async fn first(&mut self, ask: &Ask<'_>, budget: Budget) -> Result<IpAddr, Stumble> {
        if self.0.is_none() {
            let deadline = budget.step(ask.timeouts.resolve);
            let found = tcp::resolve(ask.host, ask.port, deadline, ask.steps).await?;
            let found = found.iter().take(ADDRESSES_MAX).map(|a| a.ip());
            self.0 = Some(found.collect());
        }
        let first = self.0.as_ref().and_then(VecDeque::front);
        first.copied().ok_or_else(|| {
            let cause = Cause::Resolve("no address".to_owned());
            Stumble::new(Step::Resolve(ask.host.to_string()), cause)
        })
    }

    /// Whether there is another.
    fn drop_first(&mut self) -> bool {
        let Some(left) = &mut self.0 else {
            return false;
        };
        left.pop_front();
        !left.is_empty()
    }
}

// Whether another address may fare better: all that says something of the address, and the one
// that says nothing, with which proxies without IPv6 answer. A ruleset is not walked around.
fn may_differ(cause: &Cause) -> bool {
    let Cause::SocksRefused(rep) = cause else {
        return false;
    };
    match rep {
        Rep::GeneralFailure
        | Rep::NetworkUnreachable
        | Rep::HostUnreachable
        | Rep::ConnectionRefused
        | Rep::TtlExpired
        | Rep::AddressTypeNotSupported => true,
        Rep::NotAllowed | Rep::CommandNotSupported | Rep::Unassigned(_) => false,
    }
}

// --- the exchange ------------------------------------------------------------------------------

async fn exchange(
    mut stream: Stream,
    ask: &Ask<'_>,
    target: &Host,
    deadline: Instant,
) -> Result<Stream, Stumble> {
    let steps = ask.steps;
    let credentials = ask.hop.credentials.as_ref();
    let greeting = greet(&mut stream, credentials.is_some(), deadline);
    let asks_password = steps
        .run(Phase::Tunnel, || Step::Greeting, greeting)
        .await?;
    // None are sent to a proxy that did not ask for them, and then none can come back.
    let told = credentials.filter(|_| asks_password);
    if let Some(credentials) = told {
        let login = log_in(&mut stream, credentials, deadline);
        steps.run(Phase::Tunnel, || Step::Login, login).await?;
    }
    let masked = masked(told);
    let connecting = connect(&mut stream, target, ask.port, &masked, deadline);
    let step = || Step::Tunnel(shown(ask, target));
    let tail = steps.run(Phase::Tunnel, step, connecting).await?;
    Ok(stream.with_tail(tail))
}

// What a proxy that was told may repeat.
fn masked(told: Option<&Credentials>) -> Masked {
    let secrets = told.map(|c| [c.password.reveal(), c.user.reveal()]);
    Masked::of(secrets.into_iter().flatten())
}

// What was asked for, and the name that it came of.
fn shown(ask: &Ask<'_>, target: &Host) -> String {
    match ask.host == target {
        true => format!("{target}:{}", ask.port),
        false => format!("{target}:{} ({})", ask.port, ask.host),
    }
}

/// Whether the proxy asks for user and password.
async fn greet(stream: &mut Stream, knows: bool, deadline: Instant) -> Result<bool, Cause> {
    let ahead = stream.tail().len();
    if ahead > 0 {
        return Err(Cause::Reply(ReplyFault::Ahead(ahead)));
    }
    let offer = match knows {
        true => Offer::NoAuthOrPassword,
        false => Offer::NoAuth,
    };
    let read = |bytes: &[u8]| socks5::method(bytes, offer);
    let greeting = socks5::greeting(offer);
    let (method, tail) = say(stream, greeting, read, &masked(None), deadline).await?;
    if method == Method::NoneAcceptable {
        return Err(Cause::Auth(AuthFault::NoMethod { knows }));
    }
    nothing_behind(&tail)?;
    Ok(method == Method::Password)
}

async fn log_in(
    stream: &mut Stream,
    credentials: &Credentials,
    deadline: Instant,
) -> Result<(), Cause> {
    let (user, password) = (credentials.user.reveal(), credentials.password.reveal());
    let bytes = socks5::login(user, password)?;
    let masked = masked(Some(credentials));
    match say(stream, &bytes, socks5::verdict, &masked, deadline).await {
        // RFC 1929 §2 wants an answer before the end; some end without one. Taken for what it most
        // likely is, so that the same credentials are not tried for the next server.
        Err(Cause::Reply(ReplyFault::Ended(_))) => Err(Cause::Auth(AuthFault::Unanswered)),
        Err(cause) => Err(cause),
        Ok((Login::Rejected, _)) => Err(Cause::Auth(AuthFault::LoginRejected)),
        Ok((Login::Accepted, tail)) => nothing_behind(&tail),
    }
}

async fn connect(
    stream: &mut Stream,
    target: &Host,
    port: u16,
    masked: &Masked,
    deadline: Instant,
) -> Result<Bytes, Cause> {
    let bytes = socks5::connect(target, port)?;
    match say(stream, &bytes, socks5::answer, masked, deadline).await? {
        (Answer::Granted, tail) => Ok(tail.freeze()),
        (Answer::Refused(rep), _) => Err(Cause::SocksRefused(rep)),
    }
}

// --- one message and its answer ----------------------------------------------------------------

// The answer to `message`, and what was read past it.
async fn say<T>(
    stream: &mut Stream,
    message: &[u8],
    read: impl Fn(&[u8]) -> Read<T>,
    masked: &Masked,
    deadline: Instant,
) -> Result<(T, BytesMut), Cause> {
    let exchange = async {
        let sent = async {
            stream.write_all(message).await?;
            stream.flush().await
        };
        sent.await.map_err(|error| lost(&error, 0))?;
        hear(stream, read, masked).await
    };
    timeout_at(deadline, exchange)
        .await
        .unwrap_or(Err(Cause::Timeout))
}

// Every answer says within its first bytes how long it is, so that this reads no more than one.
async fn hear<T>(
    stream: &mut Stream,
    read: impl Fn(&[u8]) -> Read<T>,
    masked: &Masked,
) -> Result<(T, BytesMut), Cause> {
    let mut bytes = BytesMut::new();
    loop {
        bytes.reserve(READ_BYTES);
        match stream.read_buf(&mut bytes).await {
            Ok(0) => return Err(Cause::Reply(ReplyFault::Ended(bytes.len()))),
            Ok(_) => {}
            Err(error) => return Err(lost(&error, bytes.len())),
        }
        let value = read(&bytes).map_err(|error| {
            let begins = masked.excerpt(&bytes, GARBAGE_BYTES_MAX);
            let (asked, speaks) = (Speaks::Socks5, Speaks::by(&bytes));
            Cause::Reply(match speaks.filter(|speaks| *speaks != asked) {
                Some(speaks) if error == Malformed::NotSocks5 => ReplyFault::WrongKind {
                    asked,
                    speaks,
                    begins,
                },
                _ => ReplyFault::NotSocks5 { error, begins },
            })
        })?;
        if let Some((value, used)) = value {
            bytes.advance(used);
            return Ok((value, bytes));
        }
    }
}

// Whatever comes before we asked for the tunnel cannot be its answer, nor the tunnel's.
fn nothing_behind(tail: &BytesMut) -> Result<(), Cause> {
    match tail.len() {
        0 => Ok(()),
        ahead => Err(Cause::Reply(ReplyFault::Ahead(ahead))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::UnixStream;

    use super::*;
    use crate::egress::params::Protocol;

    const GRANTED: &[u8] = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";

    fn addresses(texts: &[&str]) -> Addresses {
        let parsed = texts.iter().map(|t| t.parse().expect("an address"));
        Addresses(Some(parsed.collect()))
    }

    /// Asks a proxy that says `reply` for the first of these addresses; what it was asked for.
    async fn ask(addresses: &mut Addresses, reply: &[u8]) -> (Result<Asked, Stumble>, Vec<u8>) {
        let (near, mut far) = UnixStream::pair().expect("a pair of sockets");
        let hop = Hop {
            host: Host::Name("proxy-b".to_owned()),
            port: 1080,
            protocol: Protocol::Socks5(Resolve::Here),
            tls: None,
            credentials: None,
            auth: crate::egress::auth::Auth::default(),
            versions: crate::egress::Versions::default(),
        };
        let ask = Ask {
            hop: &hop,
            host: &Host::Name("chat.internal".to_owned()),
            port: 443,
            resolves: Resolve::Here,
            timeouts: &HopTimeouts::default(),
            steps: &Steps::deaf(),
        };
        let proxy = async {
            let mut asked = vec![0; 512];
            far.read_exact(&mut asked[..3]).await.expect("a greeting");
            far.write_all(&[5, 0]).await.expect("a method");
            let length = far.read(&mut asked).await.expect("a request");
            far.write_all(reply).await.expect("a reply");
            asked.truncate(length);
            asked
        };
        let budget = Budget::new(Duration::from_secs(5));
        tokio::join!(tunnel(Stream::Unix(near), &ask, addresses, budget), proxy)
    }

    #[tokio::test]
    async fn an_address_that_the_proxy_cannot_reach_gives_way_to_the_next_until_there_is_none() {
        for code in [1, 3, 4, 5, 6, 8] {
            let mut addresses = addresses(&["2001:db8::1", "10.0.0.1"]);
            let (asked, request) = ask(&mut addresses, &[5, code]).await;
            assert!(matches!(asked, Ok(Asked::NextAddress)), "{code}");
            assert_eq!(request[3], 4);
            let (asked, request) = ask(&mut addresses, &[5, code]).await;
            let stumble = asked.err().expect("there is no third");
            assert_eq!(request, b"\x05\x01\x00\x01\x0a\x00\x00\x01\x01\xbb");
            let expected = "CONNECT 10.0.0.1:443 (chat.internal) refused: ";
            assert!(stumble.to_string().starts_with(expected), "{stumble}");
        }
    }

    #[tokio::test]
    async fn the_address_that_is_reached_stays_the_first() {
        let mut addresses = addresses(&["10.0.0.1", "10.0.0.2"]);
        for _ in 0..2 {
            let (asked, request) = ask(&mut addresses, GRANTED).await;
            assert!(matches!(asked, Ok(Asked::Open(_))));
            assert_eq!(request[4..8], [10, 0, 0, 1]);
        }
    }

    #[tokio::test]
    async fn no_other_refusal_is_worked_around() {
        for code in [2, 7, 9, 0xff] {
            let (asked, _) = ask(&mut addresses(&["10.0.0.1", "10.0.0.2"]), &[5, code]).await;
            let stumble = asked.err().expect("one refusal is all");
            assert!(matches!(stumble.cause, Cause::SocksRefused(_)), "{stumble}");
        }
    }
}
