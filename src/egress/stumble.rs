//! What can go wrong at one step of a dial: which step, and why. The place (which hop, which
//! server) is added by whoever knows it.
//!
//! Every text that the other side made is escaped and bounded before it gets here, so that a
//! stumble is one line of a log whatever was received.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::auth::{Choice, NegotiateFault, NtlmFault, Scheme};
use super::shortage::Shortage;
use crate::net::http2::Code;
use crate::wire::connect::reply::ReplyError;
use crate::wire::connect::request::Unsendable;
use crate::wire::digest::Unanswerable;
use crate::wire::socks5;
use crate::wire::speaks::Speaks;
use crate::wire::ws::answer::AnswerError;

/// A step that failed.
#[derive(Debug)]
pub(super) struct Stumble {
    pub(super) step: Step,
    pub(super) cause: Cause,
    /// Whether a byte of the request may have reached the backend: after that, no other server
    /// may get the same request.
    pub(super) sent: bool,
}

/// The steps of a dial, each with what it was about.
#[derive(Debug, Clone)]
pub enum Step {
    /// Where the proxies come from.
    Find,
    /// The way to this server (`host:port`), by a PAC script.
    Pac(String),
    /// Resolution of a name.
    Resolve(String),
    /// TCP or a Unix socket.
    Connect(String),
    /// The TLS handshake.
    Tls,
    /// A SOCKS proxy choosing how it wants to know us.
    Greeting,
    /// Telling it.
    Login,
    /// CONNECT to `host:port`.
    Tunnel(String),
    /// The WebSocket handshake.
    Upgrade,
}

/// Why.
#[derive(Debug, Clone)]
pub enum Cause {
    /// Not done by its deadline.
    Timeout,
    /// The PAC script named no way.
    Pac(String),
    /// The name has no address.
    Resolve(String),
    /// Every address failed.
    Connect(Vec<(SocketAddr, Arc<io::Error>)>),
    /// The Unix socket failed.
    Unix(Arc<io::Error>),
    /// TLS failed.
    Tls(TlsFault),
    /// The proxy answered, and not with 2xx.
    Refused {
        /// As it came.
        status: u16,
        /// Status, reason and what else it said.
        reply: String,
    },
    /// The SOCKS proxy answered, and not with success.
    SocksRefused(socks5::Rep),
    /// The proxy wants other credentials than it can have.
    Auth(AuthFault),
    /// The proxy's reply is none.
    Reply(ReplyFault),
    /// The backend's answer is none.
    Answer(AnswerFault),
    /// The connection ended.
    Lost(String),
    /// We ourselves had too little of something to open a connection.
    Shortage(Shortage),
    /// We ourselves had nothing that could be sent.
    Ours(String),
}

/// Why TLS failed.
#[derive(Debug, Clone)]
pub enum TlsFault {
    /// Bytes came through the tunnel before our first one: they can be nobody's TLS.
    Ahead(usize),
    /// Something answered, but not in TLS.
    InClear {
        /// Inside a proxy's tunnel.
        tunnelled: bool,
    },
    /// The connection ended before the handshake did.
    Ended,
    /// Nobody here knows the issuer.
    UnknownIssuer {
        /// As the last certificate names it.
        issuer: String,
        /// Inside a proxy's tunnel.
        tunnelled: bool,
    },
    /// It speaks no HTTP that it was offered by ALPN.
    NoVersion,
    /// The certificate is another host's, in rustls's words.
    WrongName(String),
    /// The certificate is not valid any more, or not yet, in rustls's words.
    OutOfDate(String),
    /// Everything else, in rustls's words.
    Other(String),
}

/// Why authentication to a proxy failed.
#[derive(Debug, Clone)]
pub enum AuthFault {
    /// It asks, and for what; we have no credentials.
    NoCredentials {
        /// As in `Negotiate, NTLM`.
        offered: String,
    },
    /// It asks for none that was chosen.
    NotOffered {
        /// As in `Negotiate, NTLM`.
        offered: String,
        /// What was configured.
        choice: Choice,
    },
    /// It asks for one that was chosen, and in a way that has no answer.
    Unanswerable {
        /// As in `Negotiate, NTLM`.
        offered: String,
        /// What stands against an answer.
        why: Unanswerable,
    },
    /// It asks for a scheme that HTTP/2 cannot carry, and HTTP/2 is all that was configured.
    NeedsHttp1 {
        /// As in `Negotiate, NTLM`.
        offered: String,
    },
    /// It asks for NTLM and cannot be told by it.
    Ntlm {
        /// As in `Negotiate, NTLM`.
        offered: String,
        /// Which leg it failed at.
        why: NtlmFault,
    },
    /// It asks for Negotiate and cannot be told by it.
    Negotiate {
        /// As in `Negotiate, NTLM`.
        offered: String,
        /// What is lacking.
        why: NegotiateFault,
    },
    /// It let us pass by Negotiate, and is not who it should be.
    Unproven(NegotiateFault),
    /// It asks again after it was told.
    Rejected {
        /// As in `Negotiate, NTLM`.
        offered: String,
        /// By which schemes it was told, in order.
        by: Vec<Scheme>,
    },
    /// A SOCKS proxy takes neither of no authentication and, where `knows`, user and password.
    NoMethod {
        /// Whether we have user and password.
        knows: bool,
    },
    /// A SOCKS proxy says no to user and password.
    LoginRejected,
    /// A SOCKS proxy was told, and ended the connection.
    Unanswered,
}

/// Why a proxy's reply is none.
#[derive(Debug, Clone)]
pub enum ReplyFault {
    /// Bytes came before we asked.
    Ahead(usize),
    /// Its bytes are no reply; the first of them, escaped.
    Unreadable {
        /// What is wrong with them.
        error: ReplyError,
        /// The first of them.
        begins: String,
    },
    /// The same of a SOCKS proxy.
    NotSocks5 {
        /// What is wrong with them.
        error: socks5::Malformed,
        /// The first of them.
        begins: String,
    },
    /// Its bytes are another protocol's: the proxy, or the port, is of another kind than it was
    /// taken for.
    WrongKind {
        /// What it was taken to speak.
        asked: Speaks,
        /// What it speaks.
        speaks: Speaks,
        /// The first of its bytes.
        begins: String,
    },
    /// The connection ended after so many bytes of it.
    Ended(usize),
    /// It ended the stream of our request (RST_STREAM).
    Reset(Code),
    /// It ended the connection of HTTP/2 (GOAWAY).
    GoneAway(Code),
    /// Its frames are not valid HTTP/2, and this is what it was told.
    NotHttp2(Code),
    /// 101, which cannot answer CONNECT.
    Switching,
    /// Interim replies without an end.
    TooManyInterim,
}

/// Why a backend's answer is none.
#[derive(Debug, Clone)]
pub enum AnswerFault {
    /// A 101 that does not answer our handshake.
    Invalid(AnswerError),
    /// Not HTTP as we know it, in hyper's words.
    Unreadable(String),
}

impl Stumble {
    /// Before any byte of the request left.
    pub(super) fn new(step: Step, cause: Cause) -> Self {
        Self {
            step,
            cause,
            sent: false,
        }
    }
}

impl Step {
    /// The stable word for logs: of a closed set, whatever a step is about and a proxy speaks.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Find => "find",
            Self::Pac(_) => "pac",
            Self::Resolve(_) => "resolve",
            Self::Connect(_) => "connect",
            Self::Tls => "tls",
            Self::Greeting | Self::Login | Self::Tunnel(_) => "tunnel",
            Self::Upgrade => "upgrade",
        }
    }
}

impl Cause {
    /// The stable word for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Pac(_) => "pac",
            Self::Resolve(_) => "dns",
            Self::Connect(_) | Self::Unix(_) => "tcp",
            Self::Tls(_) => "tls",
            Self::Refused { .. } | Self::SocksRefused(_) => "proxy_refused",
            Self::Auth(_) => "proxy_auth",
            Self::Reply(_) => "proxy_reply",
            Self::Answer(_) => "answer_invalid",
            Self::Lost(_) => "lost",
            Self::Shortage(_) => "shortage",
            Self::Ours(_) => "request",
        }
    }

    /// Whether a proxy says that it could not reach the server just now. Any other refusal is
    /// policy, or a lack that lasts: asking again changes neither.
    pub(super) fn may_pass(&self) -> bool {
        use socks5::Rep;
        match self {
            Self::Refused { status, .. } => matches!(status, 502..=504),
            Self::SocksRefused(rep) => match rep {
                Rep::GeneralFailure
                | Rep::NetworkUnreachable
                | Rep::HostUnreachable
                | Rep::ConnectionRefused
                | Rep::TtlExpired => true,
                Rep::NotAllowed
                | Rep::CommandNotSupported
                | Rep::AddressTypeNotSupported
                | Rep::Unassigned(_) => false,
            },
            _ => false,
        }
    }
}

impl Stumble {
    /// For one inside a tunnel that has waited: whether it may be the tunnel's own end, so that the
    /// same in a new tunnel may succeed. Never after a byte of the request left: the backend may
    /// have seen it, and must not see it twice. What a certificate says, it says in every tunnel.
    pub(super) fn may_be_the_tunnels(&self) -> bool {
        let may_be = match &self.cause {
            Cause::Timeout | Cause::Lost(_) => true,
            Cause::Tls(fault) => match fault {
                TlsFault::Ahead(_)
                | TlsFault::InClear { .. }
                | TlsFault::Ended
                | TlsFault::Other(_) => true,
                TlsFault::UnknownIssuer { .. }
                | TlsFault::NoVersion
                | TlsFault::WrongName(_)
                | TlsFault::OutOfDate(_) => false,
            },
            Cause::Pac(_)
            | Cause::Resolve(_)
            | Cause::Connect(_)
            | Cause::Unix(_)
            | Cause::Shortage(_)
            | Cause::Refused { .. }
            | Cause::SocksRefused(_)
            | Cause::Auth(_)
            | Cause::Reply(_)
            | Cause::Answer(_)
            | Cause::Ours(_) => false,
        };
        may_be && !self.sent
    }
}

impl From<Unsendable> for Cause {
    fn from(error: Unsendable) -> Self {
        Self::Ours(error.to_string())
    }
}

impl From<socks5::Unsendable> for Cause {
    fn from(error: socks5::Unsendable) -> Self {
        Self::Ours(error.to_string())
    }
}

/// `text`, at most `chars_max` characters of it, on one line and without anything that a terminal
/// obeys.
pub(super) fn plain(text: &str, chars_max: usize) -> String {
    let mut plain = String::with_capacity(text.len().min(chars_max));
    for c in text.chars().take(chars_max) {
        match c {
            ' '..='~' => plain.push(c),
            _ => plain.extend(c.escape_default()),
        }
    }
    if text.chars().nth(chars_max).is_some() {
        plain.push_str("...");
    }
    plain
}

/// An I/O error in words, without the operating system's number.
pub(super) fn io_words(error: &io::Error) -> String {
    match error.kind() {
        kind if error.raw_os_error().is_some() && kind.to_string() != "uncategorized error" => {
            kind.to_string()
        }
        _ => plain(&error.to_string(), 200),
    }
}

impl fmt::Display for Stumble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Refused { reply, .. } => write!(f, "{} refused: {reply}", self.step),
            Cause::SocksRefused(rep) => write!(f, "{} refused: {rep}", self.step),
            // It waits for a line, and the greeting has none.
            Cause::Timeout if matches!(self.step, Step::Greeting) => {
                write!(
                    f,
                    "{}: timed out; an HTTP proxy would be silent, too",
                    self.step
                )
            }
            cause => write!(f, "{}: {cause}", self.step),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Find => f.write_str("find proxies"),
            Self::Pac(server) => write!(f, "PAC for {server}"),
            Self::Resolve(name) => write!(f, "resolve {name}"),
            Self::Connect(address) => write!(f, "connect to {address}"),
            Self::Tls => f.write_str("TLS"),
            Self::Greeting => f.write_str("SOCKS5 greeting"),
            Self::Login => f.write_str("SOCKS5 authentication"),
            Self::Tunnel(target) => write!(f, "CONNECT {target}"),
            Self::Upgrade => f.write_str("upgrade"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timed out"),
            Self::Pac(text)
            | Self::Resolve(text)
            | Self::Lost(text)
            | Self::Ours(text)
            | Self::Refused { reply: text, .. } => f.write_str(text),
            Self::SocksRefused(rep) => rep.fmt(f),
            Self::Connect(failures) => fmt_failures(failures, f),
            Self::Unix(error) => f.write_str(&io_words(error)),
            Self::Shortage(lacking) => write!(f, "{lacking}: {}", lacking.remedy()),
            Self::Tls(fault) => fault.fmt(f),
            Self::Auth(fault) => fault.fmt(f),
            Self::Reply(fault) => fault.fmt(f),
            Self::Answer(fault) => fault.fmt(f),
        }
    }
}

// The address is the step's already where there is only one.
fn fmt_failures(
    failures: &[(SocketAddr, Arc<io::Error>)],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    if let [(_, error)] = failures {
        return f.write_str(&io_words(error));
    }
    for (n, (address, error)) in failures.iter().enumerate() {
        let comma = if n == 0 { "" } else { ", " };
        write!(f, "{comma}{address} {}", io_words(error))?;
    }
    Ok(())
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ahead(n) => write!(f, "the proxy sent {n} bytes ahead of the TLS handshake"),
            Self::InClear { tunnelled: true } => f.write_str("answered in clear inside the tunnel"),
            Self::InClear { tunnelled: false } => f.write_str("answered in clear, not in TLS"),
            Self::Ended => f.write_str("the connection ended in the middle of the handshake"),
            Self::UnknownIssuer { issuer, tunnelled } => {
                write!(f, "unknown issuer: {issuer}")?;
                match tunnelled {
                    true => write!(f, " (looks like TLS inspection by {issuer})"),
                    false => Ok(()),
                }
            }
            Self::NoVersion => f.write_str("speaks no version of HTTP that it was offered"),
            Self::WrongName(text) | Self::OutOfDate(text) | Self::Other(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for AuthFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCredentials { offered } => {
                write!(f, "asks for {offered}; no credentials are configured")
            }
            Self::NotOffered { offered, choice } => {
                write!(f, "asks for {offered}; credentials are configured for ")?;
                fmt_choice(*choice, f)
            }
            Self::Unanswerable { offered, why } => write!(f, "asks for {offered}; {why}"),
            Self::NeedsHttp1 { offered } => {
                write!(
                    f,
                    "asks for {offered}; HTTP/2 carries neither NTLM nor Negotiate"
                )
            }
            Self::Ntlm { offered, why } => write!(f, "asks for {offered}; {why}"),
            Self::Negotiate { offered, why } => write!(f, "asks for {offered}; {why}"),
            Self::Unproven(why) => why.fmt(f),
            Self::Rejected { offered, by } => {
                f.write_str("credentials rejected")?;
                for (n, scheme) in by.iter().enumerate() {
                    let then = if n == 0 { " by" } else { ", then" };
                    write!(f, "{then} {scheme}")?;
                }
                write!(f, "; asks for {offered}")
            }
            Self::NoMethod { knows: false } => {
                f.write_str("lets nobody in without authentication; no credentials are configured")
            }
            Self::NoMethod { knows: true } => f.write_str(
                "takes neither user and password nor no authentication; it may want GSSAPI",
            ),
            Self::LoginRejected => f.write_str("credentials rejected"),
            Self::Unanswered => {
                f.write_str("the proxy closed the connection once it had the credentials")
            }
        }
    }
}

// `auto (digest, ntlm or basic)`, so that who reads of it knows what is lacking.
fn fmt_choice(choice: Choice, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{choice}")?;
    if choice != Choice::Auto {
        return Ok(());
    }
    let schemes: Vec<String> = choice.schemes().map(|s| s.to_string()).collect();
    match schemes.as_slice() {
        [rest @ .., last] if !rest.is_empty() => write!(f, " ({} or {last})", rest.join(", ")),
        schemes => write!(f, " ({})", schemes.concat()),
    }
}

impl fmt::Display for ReplyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ahead(n) => write!(f, "{n} bytes came ahead of our request"),
            Self::Unreadable { error, begins } => write!(f, "{error}: \"{begins}\""),
            Self::NotSocks5 { error, begins } => write!(f, "{error}: \"{begins}\""),
            Self::WrongKind {
                asked,
                speaks,
                begins,
            } => write!(f, "it speaks {speaks}, not {asked}: \"{begins}\""),
            Self::Ended(0) => f.write_str("the proxy closed the connection without a reply"),
            Self::Ended(n) => {
                write!(
                    f,
                    "the proxy closed the connection {n} bytes into its reply"
                )
            }
            Self::Reset(code) => write!(f, "the proxy reset the request: {code}"),
            Self::GoneAway(code) => write!(f, "the proxy ended the connection: {code}"),
            Self::NotHttp2(code) => write!(f, "its HTTP/2 is not valid: {code}"),
            Self::Switching => f.write_str("101 cannot answer CONNECT"),
            Self::TooManyInterim => f.write_str("too many interim replies"),
        }
    }
}

impl fmt::Display for AnswerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => write!(f, "the 101 is not valid: {error}"),
            Self::Unreadable(text) => write!(f, "the answer is not valid: {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_the_other_side_stays_on_one_line_and_is_bounded() {
        assert_eq!(plain("a b", 10), "a b");
        assert_eq!(plain("a\r\nb\x1b[31m", 20), "a\\r\\nb\\u{1b}[31m");
        assert_eq!(plain("\u{202e}x", 20), "\\u{202e}x");
        assert_eq!(plain("abcdef", 3), "abc...");
    }

    #[test]
    fn a_tunnel_that_waited_is_replaced_unless_the_request_left_or_another_would_end_the_same() {
        let check = |cause: Cause, sent: bool, expected: bool| {
            let step = Step::Tls;
            let stumble = Stumble { step, cause, sent };
            assert_eq!(stumble.may_be_the_tunnels(), expected, "{stumble}, {sent}");
        };
        let text = String::new;
        check(Cause::Timeout, false, true);
        check(Cause::Lost(text()), false, true);
        check(Cause::Tls(TlsFault::Other(text())), false, true);
        check(
            Cause::Tls(TlsFault::InClear { tunnelled: true }),
            false,
            true,
        );
        check(Cause::Timeout, true, false);
        check(Cause::Lost(text()), true, false);
        check(Cause::Tls(TlsFault::WrongName(text())), false, false);
        check(Cause::Tls(TlsFault::OutOfDate(text())), false, false);
        check(Cause::Answer(AnswerFault::Unreadable(text())), false, false);
        check(Cause::Ours(text()), false, false);
    }

    #[test]
    fn an_io_error_is_told_without_its_number() {
        let refused = io::Error::from_raw_os_error(111);
        assert_eq!(io_words(&refused), "connection refused");
        assert_eq!(io_words(&io::Error::other("a\nb")), "a\\nb");
    }
}
