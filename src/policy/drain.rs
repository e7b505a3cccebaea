//! How a drain ends the sessions that run, as values. Knows no sessions.

use std::time::Duration;

/// What is told to the sessions of a gateway that is about to end, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// How long sessions may go on; then they are cut.
    pub timeout: Duration,
    /// The time over which they are sent their Close, not longer than `timeout`; zero: all at once.
    pub spread: Duration,
    /// What stands in that Close: one of those that [`may_be_told`] lets through.
    pub close_code: u16,
}

/// RFC 6455 §7.4.1: a server goes down.
pub const GOING_AWAY: u16 = 1001;

impl Drain {
    /// With the spread and the code that hold where none is written. Half of the time, so that the
    /// last of the sessions has the other half to say its last words in.
    pub fn within(timeout: Duration) -> Self {
        Self {
            timeout,
            spread: timeout / 2,
            close_code: GOING_AWAY,
        }
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::within(Duration::from_secs(30))
    }
}

/// Whether a Close with this code says what a drain means: go away, and come again elsewhere. 1000
/// says that all is done, and clients stay away after it; the others blame somebody.
pub fn may_be_told(close_code: u16) -> bool {
    // 1012 and 1013 are IANA's (service restart, try again later); from 3000 on they belong to
    // libraries and applications (RFC 6455 §7.4.2).
    matches!(close_code, GOING_AWAY | 1012 | 1013 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_a_drain() {
        for code in [1001, 1012, 1013, 3000, 4000, 4999] {
            assert!(may_be_told(code), "{code}");
        }
        for code in [
            0, 999, 1000, 1002, 1003, 1004, 1005, 1006, 1007, 1011, 1014, 1015, 1016, 2999, 5000,
        ] {
            assert!(!may_be_told(code), "{code}");
        }
    }

    #[test]
    fn the_spread_leaves_time_for_the_last() {
        let drain = Drain::default();
        assert_eq!(drain.timeout, Duration::from_secs(30));
        assert!(drain.spread < drain.timeout);
        assert!(may_be_told(drain.close_code));
    }
}
