//! A dial that reached nothing: what happened at each server that was tried.
//!
//! For the log it names hop, address and step; for the client it says one sentence that tells
//! nothing of the inside; for the status it knows whose fault it was. Knows no status.

use std::fmt;

use super::alternatives::Finding;
use super::params::Hop;
use super::stumble::{Cause, Step, Stumble};
use crate::observe::failures::DialFailure;

/// Nothing was reached.
#[derive(Debug)]
pub struct DialError {
    /// One for each server that was tried, in order. Never empty.
    failures: Vec<Failure>,
    /// The chains that were not tried because they are aside, each with the reason.
    aside: Vec<(String, String)>,
}

/// Whose fault it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The backend's server, or the straight way to it.
    Backend,
    /// The proxy with this number, counted from 1, or the way to it.
    Hop(usize),
    /// The gateway's.
    Ours,
}

/// What happened at one server.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) place: Place,
    /// The server's URL, whatever the place.
    pub(super) server: String,
    /// Which of several chains, as in `corp/proxy-b`.
    pub(super) chain: Option<String>,
    pub(super) stumble: Stumble,
}

/// Where on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At the proxy that is number `number` of `of`.
    Hop {
        /// Counted from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// As in `http proxy.corp.example:3128`.
        name: String,
    },
    /// At the server.
    Server,
}

impl Place {
    /// What stands there, in one word of a closed set: a proxy's scheme, or `server`.
    pub fn word(&self) -> &'static str {
        let Self::Hop { name, .. } = self else {
            return "server";
        };
        let scheme = name.split(' ').next().unwrap_or_default();
        let mut known = Hop::SCHEMES.into_iter();
        known.find(|known| *known == scheme).unwrap_or("proxy")
    }
}

impl Failure {
    /// As it is counted.
    pub(super) fn counted(&self) -> DialFailure {
        DialFailure {
            hop: self.place.word(),
            step: self.stumble.step.word(),
            reason: self.stumble.cause.reason(),
        }
    }

    fn fault(&self) -> Fault {
        match (&self.stumble.cause, &self.place) {
            (Cause::Ours(_) | Cause::Shortage(_), _) => Fault::Ours,
            (_, Place::Hop { number, .. }) => Fault::Hop(*number),
            (_, Place::Server) => Fault::Backend,
        }
    }

    fn is_for_a_shortage(&self) -> bool {
        matches!(self.stumble.cause, Cause::Shortage(_))
    }

    /// Whether the next server may be tried. A request that cannot be built for one server cannot
    /// be built for the next, and one that may have arrived must not arrive twice.
    pub(super) fn ends_the_dial(&self) -> bool {
        self.stumble.sent || matches!(self.stumble.cause, Cause::Ours(_))
    }

    /// Whether every other way through the same egress would end the same. Trying rejected
    /// credentials once per server locks accounts.
    pub(super) fn condemns_the_egress(&self) -> bool {
        matches!(self.stumble.cause, Cause::Auth(_))
    }

    /// Whether another chain to the same server may be tried.
    pub(super) fn spares_other_chains(&self) -> bool {
        self.finding() != Finding::Final
    }

    /// Whether one of several chains was put aside by it, which has been logged.
    pub(super) fn put_a_chain_aside(&self) -> bool {
        self.chain.is_some() && self.finding() == Finding::Unreachable
    }

    fn finding(&self) -> Finding {
        Finding::of(&self.place, &self.stumble)
    }
}

impl DialError {
    /// `last` failed after `earlier`.
    pub(super) fn new(mut earlier: Vec<Failure>, last: Failure) -> Self {
        earlier.push(last);
        Self {
            failures: earlier,
            aside: Vec::new(),
        }
    }

    /// The same, with the chains that are `aside` and were therefore not tried.
    pub(super) fn beside(mut self, mut aside: Vec<(String, String)>) -> Self {
        aside.retain(|(chain, _)| {
            let is_this = |f: &Failure| f.chain.as_ref() == Some(chain);
            !self.failures.iter().any(is_this)
        });
        self.aside = aside;
        self
    }

    /// Whether the same may succeed in a moment: every proxy that was asked says that it could not
    /// reach the server just now. Any other refusal is policy, and asking again changes none.
    /// Chains that have just been put aside were not asked, and will not be.
    pub(super) fn may_pass(&self) -> bool {
        let mut asked = self.failures.iter().filter(|f| !f.put_a_chain_aside());
        let may_pass = |f: &Failure| f.stumble.cause.may_pass();
        self.failures.iter().any(may_pass) && asked.all(may_pass)
    }

    /// The failure that says what became of all: the last, or one that was for our own lack, since
    /// without that the dial might not have failed.
    fn decisive(&self) -> &Failure {
        let mut short = self.failures.iter().filter(|f| f.is_for_a_shortage());
        let last = || self.failures.last();
        short
            .next()
            .or_else(last)
            .expect("a dial error is made with its last failure")
    }

    /// Whose fault it was.
    pub fn fault(&self) -> Fault {
        self.decisive().fault()
    }

    /// Whether we ourselves lacked what a connection needs: later it may be there.
    pub fn is_for_a_shortage(&self) -> bool {
        self.decisive().is_for_a_shortage()
    }

    /// The step that failed in one stable word: `find`, `pac`, `resolve`, `connect`, `tls`,
    /// `tunnel` or `upgrade`.
    pub fn step(&self) -> &'static str {
        self.decisive().stumble.step.word()
    }

    /// The step that failed and why, as values.
    pub fn failed(&self) -> (&Step, &Cause) {
        let Stumble { step, cause, .. } = &self.decisive().stumble;
        (step, cause)
    }

    /// Whether every server that was tried failed for want of time.
    pub fn timed_out(&self) -> bool {
        let is_timeout = |f: &Failure| matches!(f.stumble.cause, Cause::Timeout);
        self.failures.iter().all(is_timeout)
    }

    /// Whether the same request may be sent again: no byte of it reached a backend.
    pub fn retry_safe(&self) -> bool {
        self.failures.iter().all(|f| !f.stumble.sent)
    }

    /// What may be told to the client: one sentence.
    pub fn outside(&self) -> &'static str {
        match &self.decisive().stumble.cause {
            Cause::Timeout => "The backend did not answer in time.",
            Cause::Answer(_) => "The backend did not answer with a valid WebSocket handshake.",
            Cause::Lost(_) => "The backend closed the connection during the handshake.",
            Cause::Ours(_) => "The request could not be passed on.",
            Cause::Shortage(_) => {
                "This gateway cannot open another connection just now; try again in a moment."
            }
            Cause::Pac(_)
            | Cause::Resolve(_)
            | Cause::Connect(_)
            | Cause::Unix(_)
            | Cause::Tls(_)
            | Cause::Refused { .. }
            | Cause::SocksRefused(_)
            | Cause::Auth(_)
            | Cause::Reply(_) => "The backend could not be reached.",
        }
    }

    /// Why in one stable word, for logs and metrics: `pac`, `dns`, `tcp`, `tls`, `proxy_refused`,
    /// `proxy_auth`, `proxy_reply`, `answer_invalid`, `lost`, `timeout`, `shortage` or `request`.
    pub fn reason(&self) -> &'static str {
        self.decisive().stumble.cause.reason()
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ([only], []) = (self.failures.as_slice(), self.aside.as_slice()) {
            return only.fmt(f);
        }
        for (n, failure) in self.failures.iter().enumerate() {
            if n > 0 {
                f.write_str("; ")?;
            }
            // A hop alone does not say on the way to which of several servers it failed.
            if let Place::Hop { .. } = failure.place {
                write!(f, "server {} by ", failure.server)?;
            }
            failure.fmt(f)?;
        }
        for (chain, why) in &self.aside {
            write!(f, "; {chain} is aside: {why}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.place, &self.chain) {
            (Place::Server, None) => write!(f, "server {}", self.server)?,
            (Place::Server, Some(chain)) => write!(f, "server {} by {chain}", self.server)?,
            (hop, None) => hop.fmt(f)?,
            (hop, Some(chain)) => write!(f, "{chain}, {hop}")?,
        }
        write!(f, ": {}", self.stumble)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hop { number, of, name } => write!(f, "hop {number} of {of} ({name})"),
            Self::Server => f.write_str("server"),
        }
    }
}

impl std::error::Error for DialError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::Shortage;

    fn at_server(server: &str, cause: Cause) -> Failure {
        let step = Step::Connect("10.0.0.11:9000".to_owned());
        Failure {
            place: Place::Server,
            server: server.to_owned(),
            chain: None,
            stumble: Stumble::new(step, cause),
        }
    }

    fn at_hop(server: &str, cause: Cause) -> Failure {
        Failure {
            place: Place::Hop {
                number: 1,
                of: 1,
                name: "http proxy.corp.example:3128".to_owned(),
            },
            server: server.to_owned(),
            chain: None,
            stumble: Stumble::new(Step::Tunnel("chat.internal:443".to_owned()), cause),
        }
    }

    #[test]
    fn an_error_names_hop_address_and_step() {
        let refused = at_hop(
            "wss://chat.internal",
            Cause::Refused {
                status: 403,
                reply: "403 Forbidden".to_owned(),
            },
        );
        let error = DialError::new(Vec::new(), refused);
        assert_eq!(
            error.to_string(),
            "hop 1 of 1 (http proxy.corp.example:3128): \
             CONNECT chat.internal:443 refused: 403 Forbidden"
        );
        assert_eq!((error.fault(), error.step()), (Fault::Hop(1), "tunnel"));
        assert!(error.retry_safe() && !error.timed_out());
    }

    #[test]
    fn a_failure_is_counted_by_the_scheme_of_its_proxy_or_at_the_server() {
        let check = |failure: Failure, expected| {
            let DialFailure { hop, step, reason } = failure.counted();
            assert_eq!((hop, step, reason), expected);
        };
        check(
            at_server("ws://a", Cause::Timeout),
            ("server", "connect", "timeout"),
        );
        for scheme in Hop::SCHEMES {
            let mut failure = at_hop("ws://a", Cause::Timeout);
            let name = format!("{scheme} proxy.corp.example:3128");
            failure.place = Place::Hop {
                number: 1,
                of: 2,
                name,
            };
            check(failure, (scheme, "tunnel", "timeout"));
        }
    }

    #[test]
    fn every_server_that_failed_is_listed() {
        let first = at_server("ws://10.0.0.11:9000", Cause::Timeout);
        let second = at_hop("wss://chat.internal", Cause::Timeout);
        let error = DialError::new(vec![first], second);
        assert_eq!(
            error.to_string(),
            "server ws://10.0.0.11:9000: connect to 10.0.0.11:9000: timed out; \
             server wss://chat.internal by hop 1 of 1 (http proxy.corp.example:3128): \
             CONNECT chat.internal:443: timed out"
        );
        assert!(error.timed_out());
    }

    #[test]
    fn a_shortage_of_ours_decides_whatever_came_after_it() {
        let short = at_server("ws://a", Cause::Shortage(Shortage::Descriptors));
        let error = DialError::new(vec![short], at_server("ws://b", Cause::Timeout));
        assert!(error.is_for_a_shortage() && !error.timed_out());
        assert_eq!((error.fault(), error.reason()), (Fault::Ours, "shortage"));
        let begin = "server ws://a: connect to 10.0.0.11:9000: this process has no file descriptor \
                     left: raise the limit of open files (LimitNOFILE in a unit, ulimit -n); ";
        assert!(error.to_string().starts_with(begin), "{error}");
    }

    #[test]
    fn one_failure_of_another_kind_makes_it_no_timeout() {
        let first = at_server("ws://a", Cause::Connect(Vec::new()));
        let error = DialError::new(vec![first], at_server("ws://b", Cause::Timeout));
        assert!(!error.timed_out());
        assert_eq!((error.reason(), error.step()), ("timeout", "connect"));
        assert_eq!(error.fault(), Fault::Backend);
    }
}
