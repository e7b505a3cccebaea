//! How long to leave a way alone that failed, when nobody waits for it.
//!
//! Knows neither a clock nor dice: what the dice showed is an argument.

use std::time::Duration;

/// After the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// After the tenth and each one more. A way that fails for hours costs its owner twelve questions
/// an hour.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// Failures in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// One failure more: how long to wait. Twice as long each time, of which the dice (0 to 255)
    /// take up to a half, so that those who failed together do not come back together.
    pub fn failed(&mut self, dice: u8) -> Duration {
        let whole = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        whole - whole / 2 * u32::from(dice) / 255
    }

    /// It works: the next failure is the first.
    pub fn worked(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_up_to_the_longest_and_success_forgets_them() {
        let mut backoff = Backoff::default();
        let waits = |backoff: &mut Backoff, dice| -> Vec<u128> {
            (0..11).map(|_| backoff.failed(dice).as_millis()).collect()
        };
        let expected = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map(|s| s * 1000);
        assert_eq!(waits(&mut backoff, 0), expected);
        backoff.worked();
        assert_eq!(waits(&mut backoff, 255), expected.map(|ms| ms / 2));
        for _ in 0..100 {
            assert_eq!(backoff.failed(0), LONGEST);
        }
    }
}
