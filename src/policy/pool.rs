//! Which server of a backend is tried first, and which next.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Round robin: each session starts one server further on and tries them all in order.
#[derive(Debug, Default)]
pub struct RoundRobin {
    next: AtomicUsize,
}

impl RoundRobin {
    /// The indices of `servers` servers in the order to try them for one session.
    pub fn order(&self, servers: usize) -> impl Iterator<Item = usize> + use<> {
        // Only the spread matters, so no ordering between threads is asked for.
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        (0..servers).map(move |i| first.wrapping_add(i) % servers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_tried_once_and_each_session_starts_one_further() {
        let pool = RoundRobin::default();
        let orders: Vec<Vec<usize>> = (0..4).map(|_| pool.order(3).collect()).collect();
        assert_eq!(orders, [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]);
        assert_eq!(pool.order(0).count(), 0);
    }
}
