//! What is remembered of client addresses: how many sessions each has, and what they took together.
//!
//! An attacker chooses the keys. So the table is a tree, which no choice of keys makes slow; an IPv6
//! client is its /64, which is what one gets; who has no session and owes nothing is forgotten at
//! once, for a new entry would be the same; and of those who only owe, so many are kept. Who has a
//! session is never forgotten: the sessions have a limit of their own. Knows no sessions, and time is
//! an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::rate::{Bucket, Rate, Verdict};

/// Clients without a session that are remembered for what they owe. They take some 3 MiB; to owe,
/// each has needed an address of its own.
pub const OWING_MAX: usize = 16 * 1024;

/// The clients of a route, as its sessions on all threads share them.
pub type SharedClients = Arc<Mutex<Clients>>;

/// Who counts as one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(IpAddr);

/// The clients of one route: at most as many as it has sessions, and [`OWING_MAX`] besides.
#[derive(Debug)]
pub struct Clients {
    rate: Rate,
    known: BTreeMap<Client, Entry>,
    /// Those without a session, by when they will owe nothing.
    owing: BTreeSet<(Instant, Client)>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where zero, it is in `owing`, at its `full_at`.
    sessions: usize,
    bucket: Bucket,
}

impl Client {
    /// The client at this address.
    pub fn at(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            v4 @ IpAddr::V4(_) => v4,
            IpAddr::V6(v6) => {
                let network = u128::from(v6) >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from(network))
            }
        })
    }
}

impl Clients {
    /// Nobody yet; each may say so much.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            known: BTreeMap::new(),
            owing: BTreeSet::new(),
        }
    }

    /// A session of this client begins; each must be told to [`leave`](Self::leave) once.
    pub fn enter(&mut self, client: Client, now: Instant) {
        self.forget(now);
        let entry = self.known.entry(client).or_insert_with(|| Entry {
            sessions: 0,
            bucket: Bucket::full(now),
        });
        self.owing.remove(&(entry.bucket.full_at(), client));
        entry.sessions += 1;
    }

    /// One ended.
    pub fn leave(&mut self, client: Client, now: Instant) {
        let Some(entry) = self.known.get_mut(&client).filter(|e| e.sessions > 0) else {
            return;
        };
        entry.sessions -= 1;
        if entry.sessions == 0 {
            self.owing.insert((entry.bucket.full_at(), client));
        }
        self.forget(now);
    }

    /// One said so much; as [`Bucket::take`].
    pub fn take(&mut self, client: Client, now: Instant, messages: u64, bytes: u64) -> Verdict {
        match self.known.get_mut(&client).filter(|e| e.sessions > 0) {
            Some(entry) => entry.bucket.take(&self.rate, now, messages, bytes),
            // Whoever has no session says nothing.
            None => Verdict::Now,
        }
    }

    /// How many sessions this client has.
    pub fn sessions(&self, client: Client) -> usize {
        self.known.get(&client).map_or(0, |entry| entry.sessions)
    }

    /// How many clients are remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    // Those that owe nothing any more, and of too many those that owe least: however many others an
    // attacker sends, they never make room for the one that owes much.
    fn forget(&mut self, now: Instant) {
        while let Some((full_at, client)) = self.owing.first().copied() {
            if full_at > now && self.owing.len() <= OWING_MAX {
                return;
            }
            self.owing.pop_first();
            self.known.remove(&client);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::rate::{Action, Per};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Ten messages a second, ten at once.
    const RATE: Rate = Rate {
        messages: Some(Per {
            count: 10,
            period: SECOND,
        }),
        bytes: None,
        burst: SECOND,
        action: Action::Delay,
    };

    fn client(text: &str) -> Client {
        Client::at(text.parse().unwrap())
    }

    fn number(n: u32) -> Client {
        Client::at(IpAddr::V4(n.into()))
    }

    #[test]
    fn a_client_is_an_address_of_ipv4_or_a_64_of_ipv6() {
        for (a, b, same) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::1", "127.0.0.1", false),
        ] {
            assert_eq!(client(a) == client(b), same, "{a} {b}");
        }
    }

    #[test]
    fn the_sessions_of_a_client_take_from_one_bucket_and_those_of_two_do_not() {
        let now = Instant::now();
        let mut clients = Clients::new(RATE);
        let (one, other) = (number(1), number(2));
        for client in [one, one, other] {
            clients.enter(client, now);
        }
        assert_eq!((clients.sessions(one), clients.sessions(other)), (2, 1));
        assert_eq!(clients.take(one, now, 10, 0), Verdict::Now);
        assert_eq!(clients.take(one, now, 10, 0), Verdict::Wait(SECOND));
        assert_eq!(clients.take(other, now, 10, 0), Verdict::Now);
    }

    #[test]
    fn who_comes_again_still_owes_and_who_owes_nothing_is_forgotten() {
        let now = Instant::now();
        let mut clients = Clients::new(RATE);
        clients.enter(number(1), now);
        clients.take(number(1), now, 30, 0);
        clients.leave(number(1), now);
        assert_eq!((clients.sessions(number(1)), clients.len()), (0, 1));
        clients.enter(number(1), now + SECOND);
        let waits = clients.take(number(1), now + SECOND, 0, 0);
        assert_eq!(waits, Verdict::Wait(SECOND));
        clients.leave(number(1), now + SECOND);
        // Somebody else's coming is the occasion.
        clients.enter(number(2), now + 3 * SECOND);
        clients.leave(number(2), now + 3 * SECOND);
        assert!(clients.is_empty());
    }

    #[test]
    fn who_has_a_session_is_not_forgotten_and_leaves_once_for_each() {
        let now = Instant::now();
        let mut clients = Clients::new(RATE);
        clients.enter(number(1), now);
        clients.enter(number(2), now + 100 * SECOND);
        assert_eq!(clients.len(), 2);
        clients.leave(number(1), now);
        clients.leave(number(1), now);
        assert_eq!(clients.sessions(number(1)), 0);
        assert_eq!(clients.take(number(1), now, 1000, 0), Verdict::Now);
        assert_eq!(clients.len(), 1);
    }

    #[test]
    fn a_flood_of_addresses_makes_no_room_for_the_one_that_owes_most() {
        let now = Instant::now();
        let mut clients = Clients::new(RATE);
        let owes = number(u32::MAX);
        clients.enter(owes, now);
        clients.take(owes, now, 100, 0);
        clients.leave(owes, now);
        for n in 0..2 * OWING_MAX as u32 {
            clients.enter(number(n), now);
            clients.take(number(n), now, 1 + u64::from(n % 5), 0);
            clients.leave(number(n), now);
            assert!(clients.len() <= OWING_MAX + 1);
        }
        clients.enter(owes, now);
        assert_eq!(clients.take(owes, now, 0, 0), Verdict::Wait(9 * SECOND));
    }

    /// The same with a map that forgets nothing: as long as there is room, nobody can tell.
    #[test]
    fn it_answers_as_a_table_without_bounds_would() {
        for seed in 1..=50_u64 {
            let mut random = seed;
            let mut next = |below: u64| {
                random = random.wrapping_mul(6_364_136_223_846_793_005);
                random = random.wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) % below
            };
            let mut clients = Clients::new(RATE);
            let mut model: BTreeMap<Client, (usize, Bucket)> = BTreeMap::new();
            let mut now = Instant::now();
            for step in 0..2000 {
                now += Duration::from_millis(next(300));
                let client = number(next(8) as u32);
                let (sessions, bucket) = model
                    .entry(client)
                    .or_insert_with(|| (0, Bucket::full(now)));
                match next(4) {
                    0 => {
                        *sessions += 1;
                        clients.enter(client, now);
                    }
                    1 => {
                        *sessions = sessions.saturating_sub(1);
                        clients.leave(client, now);
                    }
                    _ if *sessions == 0 => {}
                    _ => {
                        let count = next(6);
                        let expected = bucket.take(&RATE, now, count, 0);
                        let verdict = clients.take(client, now, count, 0);
                        assert_eq!(verdict, expected, "seed {seed} step {step}");
                    }
                }
                assert_eq!(
                    clients.sessions(client),
                    *sessions,
                    "seed {seed} step {step}"
                );
                let running = model.values().filter(|(sessions, _)| *sessions > 0);
                let running = running.count();
                assert!((running..=8).contains(&clients.len()), "seed {seed}");
                let idle = clients.len() - running;
                assert_eq!(clients.owing.len(), idle, "seed {seed} step {step}");
            }
        }
    }
}
