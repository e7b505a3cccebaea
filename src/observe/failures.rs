//! How often dials failed: where, at which step and why.
//!
//! One count a gateway, shared by its sessions. Knows neither steps nor causes: who counts brings
//! words that are in the program's text, so that what is kept is bounded whatever happens.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The counts of one gateway; a clone is another handle to the same.
#[derive(Debug, Clone, Default)]
pub struct DialFailures(Arc<Mutex<BTreeMap<DialFailure, u64>>>);

/// What one attempt failed of, in stable words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DialFailure {
    /// What it failed at: a proxy by its scheme (`http`, `https`, `socks5`, `socks5h`), or `server`.
    pub hop: &'static str,
    /// `pac`, `resolve`, `connect`, `tls`, `tunnel` or `upgrade`.
    pub step: &'static str,
    /// As in the record of a refusal.
    pub reason: &'static str,
}

/// What had been counted at one moment, in the order of the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals(pub Vec<(DialFailure, u64)>);

impl DialFailures {
    /// Counts one.
    pub fn count(&self, failure: DialFailure) {
        *self.counts().entry(failure).or_default() += 1;
    }

    /// What has been counted so far.
    pub fn totals(&self) -> Totals {
        let counts = self.counts();
        Totals(counts.iter().map(|(failure, n)| (*failure, *n)).collect())
    }

    // A count is whole at every moment, so that a panic elsewhere cannot have broken it.
    fn counts(&self) -> MutexGuard<'_, BTreeMap<DialFailure, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Totals {
    /// All of them together.
    pub fn sum(&self) -> u64 {
        self.0.iter().map(|(_, n)| n).sum()
    }
}

impl fmt::Display for Totals {
    /// As in `2 http/tunnel/proxy_refused, 1 server/connect/tcp`; empty without any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (DialFailure { hop, step, reason }, n)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{n} {hop}/{step}/{reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_all_three_words_and_shown_in_their_order() {
        let failures = DialFailures::default();
        assert_eq!(
            (failures.totals().sum(), failures.totals().to_string()),
            (0, String::new())
        );
        let other = failures.clone();
        let failed = |hop, step, reason| other.count(DialFailure { hop, step, reason });
        failed("server", "connect", "tcp");
        failed("http", "tunnel", "proxy_refused");
        failed("http", "tunnel", "proxy_auth");
        failed("http", "tunnel", "proxy_refused");
        assert_eq!(failures.totals().sum(), 4);
        assert_eq!(
            failures.totals().to_string(),
            "1 http/tunnel/proxy_auth, 2 http/tunnel/proxy_refused, 1 server/connect/tcp"
        );
    }
}
