//! Several chains for one egress: which one a session tries, and what its try tells the others.
//!
//! The judgement is [`Health`]'s; this asks it, holds no lock while anything is awaited, and logs
//! each change once. Knows no servers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tracing::{info, warn};

use super::budget::Budget;
use super::chain;
use super::error::Place;
use super::params::Egress;
use super::steps::Steps;
use super::stumble::{Cause, Step, Stumble};
use crate::net::Stream;
use crate::policy::health::{Health, Trial, Verdict};
use crate::policy::no_proxy::NoProxy;
use crate::policy::pool::RoundRobin;
use crate::wire::authority::Host;

/// A named way out with several chains of proxies, each as good as the other.
#[derive(Debug)]
pub struct Alternatives {
    /// Its name in the file and in every record.
    pub name: String,
    /// Who goes direct all the same; the chains' own lists play no part.
    pub no_proxy: NoProxy,
    /// In the order of the file. Never empty.
    pub chains: Vec<Arc<Egress>>,
    /// Whether the straight way is tried when no chain is left.
    pub ends_direct: bool,
    /// Which chain a session tries first.
    pub order: Order,
    /// Whose turn it is, for [`Order::RoundRobin`].
    pub turn: RoundRobin,
    /// Of the chains, by their places in `chains`.
    pub health: Arc<Mutex<Health>>,
}

/// Which chain a session tries first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The first that is usable.
    Failover,
    /// One further on with each session.
    RoundRobin,
}

/// What a session tries next.
#[derive(Debug)]
pub(super) enum Pick<'a> {
    Chain(Attempt<'a>),
    Direct,
}

/// What one session has left to try for one server.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    of: &'a Alternatives,
    untried: Vec<usize>,
    /// The straight way is still to be tried.
    has_direct: bool,
    /// What follows it.
    after_direct: Vec<usize>,
    /// So is one of the chains that are aside, should nothing else be left.
    has_forced: bool,
}

/// A try of one chain. Dropped without an end, as with a client that left, it tells nothing.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    of: &'a Alternatives,
    chain: &'a Egress,
    trial: Option<Trial>,
}

/// What a failure says about the chain in which it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// The chain does not lead to its end: aside with it, and on to the next.
    Unreachable,
    /// The chain stands, and cannot reach the server just now: on to the next.
    NotJustNow,
    /// The chain stands, and the next would end the same or must not be asked.
    Final,
}

impl Finding {
    pub(super) fn of(place: &Place, stumble: &Stumble) -> Self {
        let (number, of, name) = match (place, &stumble.step) {
            (Place::Hop { number, of, name }, _) => (number, of, name),
            // On the straight way alone: a proxy resolves and connects by itself.
            (Place::Server, Step::Resolve(_) | Step::Connect(_)) => return Self::NotJustNow,
            (Place::Server, _) => return Self::Final,
        };
        // Of the next hop or of the server, whose name it may be to resolve for the hop.
        let is_of_next = match &stumble.step {
            Step::Resolve(resolved) => !is_named(name, resolved),
            _ => stumble.cause.may_pass(),
        };
        match &stumble.cause {
            // Nothing is said of the chain, and another may need less.
            Cause::Shortage(_) => Self::NotJustNow,
            // What is said of the next hop is said of the chain, not of the server.
            _ if is_of_next && number < of => Self::Unreachable,
            _ if is_of_next => Self::NotJustNow,
            Cause::Pac(_)
            | Cause::Refused { .. }
            | Cause::SocksRefused(_)
            | Cause::Auth(_)
            | Cause::Answer(_)
            | Cause::Ours(_) => Self::Final,
            Cause::Timeout
            | Cause::Resolve(_)
            | Cause::Connect(_)
            | Cause::Unix(_)
            | Cause::Tls(_)
            | Cause::Reply(_)
            | Cause::Lost(_) => Self::Unreachable,
        }
    }
}

/// Whether `name`, as in `http proxy.corp.example:3128`, is that of the hop at `host`.
fn is_named(name: &str, host: &str) -> bool {
    let address = name.split_once(' ').map(|(_, address)| address);
    let of_name = address.and_then(|address| address.rsplit_once(':'));
    of_name.is_some_and(|(named, _)| named == host)
}

impl Alternatives {
    /// What a session tries for one server.
    pub(super) fn turn(&self) -> Turn<'_> {
        let chains = self.chains.len();
        let untried = match self.order {
            Order::Failover => (0..chains).collect(),
            Order::RoundRobin => self.turn.order(chains).collect(),
        };
        self.turn_of(untried, self.ends_direct, Vec::new())
    }

    /// The same for some of the chains, by their places: those before the straight way, whether
    /// that is tried at all, and those after it.
    pub(super) fn turn_of(&self, before: Vec<usize>, direct: bool, after: Vec<usize>) -> Turn<'_> {
        Turn {
            of: self,
            untried: before,
            has_direct: direct,
            after_direct: after,
            has_forced: true,
        }
    }

    /// The chains that are aside, each with its name in a record and the reason.
    pub(super) fn aside(&self) -> Vec<(String, String)> {
        let health = self.health();
        let chains = self.chains.iter().enumerate();
        let aside = chains.filter_map(|(n, chain)| {
            let why = health.why_aside(n)?;
            Some((self.label(chain), why.to_owned()))
        });
        aside.collect()
    }

    /// How long a chain that failed is left aside.
    pub fn retry_after(&self) -> std::time::Duration {
        self.health().retry_after()
    }

    fn label(&self, chain: &Egress) -> String {
        format!("{}/{}", self.name, chain.name)
    }

    // A panic elsewhere does not make what is known of proxies less true.
    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Turn<'a> {
    /// The next chain in order that is not aside. After them the straight way, where it is
    /// written; and at the very end the chain that has been aside the longest, rather than nothing.
    pub(super) fn next(&mut self) -> Option<Pick<'a>> {
        let mut health = self.of.health();
        let now = Instant::now().into_std();
        let is_tried = |n: &&usize| health.judge(**n, now) != Verdict::Aside;
        let mut next = self.untried.iter().find(is_tried).copied();
        if next.is_none() && std::mem::take(&mut self.has_direct) {
            self.untried.append(&mut self.after_direct);
            return Some(Pick::Direct);
        }
        if next.is_none() && std::mem::take(&mut self.has_forced) {
            next = health.longest_aside(&self.untried);
        }
        let next = next?;
        self.untried.retain(|n| *n != next);
        Some(Pick::Chain(Attempt {
            of: self.of,
            chain: self.of.chains.get(next)?,
            trial: Some(health.begin(next, now)),
        }))
    }
}

impl Attempt<'_> {
    /// As it stands in a record: `corp/proxy-b`.
    pub(super) fn label(&self) -> String {
        self.of.label(self.chain)
    }

    /// The chain that is tried.
    pub(super) fn chain(&self) -> &Egress {
        self.chain
    }

    /// A tunnel to `host:port` through the chain, and what became of it told to the others.
    pub(super) async fn through(
        &mut self,
        host: &Host,
        port: u16,
        budget: Budget,
        steps: &Steps,
    ) -> Result<Stream, (Place, Stumble)> {
        let has_time = budget.half_is_left();
        let reached = chain::through(self.chain, host, port, budget, steps).await;
        match &reached {
            Ok(_) => self.stands(),
            // Cut short by the end of the dial, most of which others had spent.
            Err((_, stumble))
                if matches!(stumble.cause, Cause::Timeout) && budget.is_spent() && !has_time => {}
            Err((_, stumble)) if matches!(stumble.cause, Cause::Ours(_) | Cause::Shortage(_)) => {}
            Err((place, stumble)) => match Finding::of(place, stumble) {
                Finding::Unreachable => self.failed(place, stumble),
                Finding::NotJustNow | Finding::Final => self.stands(),
            },
        }
        reached
    }

    /// The chain leads to its end, which is told to the others.
    pub(super) fn stands(&mut self) {
        let Some(trial) = self.trial.take() else {
            return;
        };
        let now = Instant::now().into_std();
        let is_back = self.of.health().answered(&trial, now);
        if is_back {
            info!(egress = %self.of.name, chain = %self.chain.name, "chain is back");
        }
    }

    fn failed(&mut self, place: &Place, stumble: &Stumble) {
        let Some(trial) = self.trial.take() else {
            return;
        };
        let now = Instant::now().into_std();
        let why = format!("{place}: {stumble}");
        let is_news = self.of.health().failed(&trial, why.clone(), now);
        if is_news {
            warn!(
                egress = %self.of.name,
                chain = %self.chain.name,
                retry_after = ?self.of.retry_after(),
                error = why,
                "chain put aside",
            );
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(trial) = self.trial.take() {
            self.of.health().left(&trial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::shortage::Shortage;
    use crate::egress::stumble::AuthFault;
    use crate::wire::socks5::Rep;

    fn check(number: usize, cause: Cause, expected: Finding) {
        let place = Place::Hop {
            number,
            of: 2,
            name: String::new(),
        };
        let stumble = Stumble::new(Step::Tunnel(String::new()), cause);
        let found = Finding::of(&place, &stumble);
        assert_eq!(found, expected, "{number} {stumble:?}");
    }

    #[test]
    fn only_what_bars_the_way_through_the_chain_puts_it_aside() {
        use Finding::{Final, NotJustNow, Unreachable};
        let refused = |status| Cause::Refused {
            status,
            reply: String::new(),
        };
        for hop in [1, 2] {
            check(hop, Cause::Timeout, Unreachable);
            check(hop, Cause::Resolve(String::new()), Unreachable);
            check(hop, Cause::Connect(Vec::new()), Unreachable);
            check(hop, Cause::Lost(String::new()), Unreachable);
            let offered = String::new();
            check(
                hop,
                Cause::Auth(AuthFault::NoCredentials { offered }),
                Final,
            );
            check(hop, Cause::Ours(String::new()), Final);
            check(hop, Cause::Shortage(Shortage::Descriptors), NotJustNow);
            for status in [400, 403, 404, 405, 407, 500, 501, 505] {
                check(hop, refused(status), Final);
            }
        }
        for status in [502, 503, 504] {
            check(1, refused(status), Unreachable);
            check(2, refused(status), NotJustNow);
        }
        for rep in [Rep::GeneralFailure, Rep::HostUnreachable, Rep::TtlExpired] {
            check(1, Cause::SocksRefused(rep), Unreachable);
            check(2, Cause::SocksRefused(rep), NotJustNow);
        }
        for rep in [Rep::NotAllowed, Rep::CommandNotSupported] {
            check(1, Cause::SocksRefused(rep), Final);
            check(2, Cause::SocksRefused(rep), Final);
        }
        let resolving = |number: usize, resolved: &str| {
            let place = Place::Hop {
                number,
                of: 2,
                name: "http a.test:3128".to_owned(),
            };
            let cause = Cause::Resolve(String::new());
            Finding::of(&place, &Stumble::new(Step::Resolve(resolved.into()), cause))
        };
        assert_eq!(resolving(1, "a.test"), Unreachable);
        assert_eq!(resolving(1, "b.test"), Unreachable);
        assert_eq!(resolving(2, "chat.internal"), NotJustNow);
        assert_eq!(resolving(2, "test"), NotJustNow);
        let at_server = |step| Finding::of(&Place::Server, &Stumble::new(step, Cause::Timeout));
        assert_eq!(at_server(Step::Connect(String::new())), NotJustNow);
        assert_eq!(at_server(Step::Resolve(String::new())), NotJustNow);
        assert_eq!(at_server(Step::Tls), Final);
        assert_eq!(at_server(Step::Upgrade), Final);
    }
}
