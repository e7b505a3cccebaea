//! Tunnels opened ahead of the sessions that will need them: through all hops, authenticated, and
//! each used by one session and never again.
//!
//! They stand beside the hops of one egress and are found through it alone, so whoever gets one is
//! whom its proxies were told of; another egress, be it to the same proxies, has its own. Knows
//! nothing of sessions.

mod keeper;
mod shelf;
mod trust;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use keeper::{Keeper, keepers};

use crate::net::Stream;
use crate::wire::authority::Host;
use shelf::Shelf;
use trust::Trust;

/// What of an egress is kept warm.
#[derive(Debug)]
pub struct Warm {
    /// So many tunnels for each server; not zero.
    pub count: usize,
    /// None is used that is older.
    pub age_max: Duration,
    /// Those of servers that have a keeper.
    shelves: Mutex<HashMap<Target, Arc<Shelf>>>,
    /// Of the proxies in the keepers.
    trust: Arc<Trust>,
}

/// Where a tunnel ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Target {
    host: Host,
    port: u16,
}

impl Warm {
    /// Nothing is opened before [`keepers`] run.
    pub fn new(count: usize, age_max: Duration) -> Self {
        Self {
            count,
            age_max,
            shelves: Mutex::default(),
            trust: Arc::default(),
        }
    }

    /// How many tunnels stand ready now, to all servers together.
    pub fn ready(&self) -> usize {
        self.lock().values().map(|shelf| shelf.ready()).sum()
    }

    /// A tunnel to `host:port` that was alive a moment ago, if there is one.
    pub(super) fn take(&self, host: &Host, port: u16) -> Option<Stream> {
        let target = Target {
            host: host.clone(),
            port,
        };
        let shelf = self.lock().get(&target)?.clone();
        shelf.take()
    }

    /// A session was let through by the proxies.
    pub(super) fn let_through(&self) {
        self.trust.gained();
    }

    /// The place for tunnels to `target`; `None` if there is one already, and somebody fills it.
    fn shelf(&self, egress: &str, target: &Target) -> Option<Arc<Shelf>> {
        let mut shelves = self.lock();
        if shelves.contains_key(target) {
            return None;
        }
        let server = format!("{}:{}", target.host, target.port);
        let shelf = Shelf::new(egress.to_owned(), server, self.count, self.age_max);
        let shelf = Arc::new(shelf);
        shelves.insert(target.clone(), shelf.clone());
        Some(shelf)
    }

    // Shelves are put in whole, so that a panic elsewhere cannot have broken the map.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Target, Arc<Shelf>>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
