//! How fast a client may talk: its session's bucket, and the one that it shares with its others.
//!
//! Knows no frames: it is told what comes, and says how long that has to wait.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use crate::policy::clients::{Client, SharedClients};
use crate::policy::rate::{Action, Bucket, Rate, Verdict};

/// What one session may say.
#[derive(Debug)]
pub struct Throttle {
    session: Option<(Rate, Bucket)>,
    guest: Option<Guest>,
}

/// One session among those of its client.
#[derive(Debug)]
struct Guest {
    clients: SharedClients,
    client: Client,
    action: Action,
}

/// How far a frame has come.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Its header has.
    Begins,
    /// Some of its payload has.
    Came,
}

/// Too much was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Excess {
    /// Nothing more is taken for so long.
    Delay(Duration),
    /// The session ends.
    Close,
}

impl Throttle {
    /// What the rates of a route allow a session of `client`; `None`: everything.
    pub fn of(
        session: Option<Rate>,
        clients: Option<(&SharedClients, Action)>,
        client: Client,
    ) -> Option<Self> {
        let now = Instant::now().into_std();
        let session = session.map(|rate| (rate, Bucket::full(now)));
        let guest = clients.map(|(clients, action)| Guest::new(clients, client, action));
        (session.is_some() || guest.is_some()).then_some(Self { session, guest })
    }

    /// A frame begins and says how long it will be. Those that go on with a message are no message
    /// of their own.
    pub(super) fn begin(&mut self, goes_on: bool, announced: u64) -> Option<Excess> {
        self.take(Step::Begins, u64::from(!goes_on), announced)
    }

    /// So many bytes of payload came. Whoever is closed for too many was so when it announced them.
    pub(super) fn came(&mut self, bytes: usize) -> Option<Excess> {
        self.take(Step::Came, 0, bytes as u64)
    }

    fn take(&mut self, step: Step, messages: u64, bytes: u64) -> Option<Excess> {
        let now = Instant::now().into_std();
        // Of a frame that begins, bytes are counted only where they would end the session.
        let counted = |action| match (action, step) {
            (Action::Delay, Step::Begins) | (Action::Close, Step::Came) => 0,
            (Action::Delay, Step::Came) | (Action::Close, Step::Begins) => bytes,
        };
        let of_session = self.session.as_mut().map(|(rate, bucket)| {
            let verdict = bucket.take(rate, now, messages, counted(rate.action));
            excess(rate.action, verdict)
        });
        let of_client = self.guest.as_ref().map(|guest| {
            let clients = &mut guest.clients.lock().unwrap_or_else(PoisonError::into_inner);
            let verdict = clients.take(guest.client, now, messages, counted(guest.action));
            excess(guest.action, verdict)
        });
        match (of_session.flatten(), of_client.flatten()) {
            (Some(Excess::Close), _) | (_, Some(Excess::Close)) => Some(Excess::Close),
            (Some(Excess::Delay(a)), Some(Excess::Delay(b))) => Some(Excess::Delay(a.max(b))),
            (one, other) => one.or(other),
        }
    }
}

fn excess(action: Action, verdict: Verdict) -> Option<Excess> {
    match (verdict, action) {
        (Verdict::Now, _) => None,
        (Verdict::Wait(wait), Action::Delay) => Some(Excess::Delay(wait)),
        (Verdict::Wait(_), Action::Close) => Some(Excess::Close),
    }
}

impl Guest {
    fn new(clients: &SharedClients, client: Client, action: Action) -> Self {
        let now = Instant::now().into_std();
        let mut table = clients.lock().unwrap_or_else(PoisonError::into_inner);
        table.enter(client, now);
        drop(table);
        Self {
            clients: clients.clone(),
            client,
            action,
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let now = Instant::now().into_std();
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.leave(self.client, now);
    }
}
