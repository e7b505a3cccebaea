//! Durations as they are shown.
//!
//! Knows only the number.

use std::time::Duration;

/// A duration in the unit that a reader would choose.
pub(in crate::cli) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let whole = Duration::from_secs(duration.as_secs());
    match duration.as_millis() {
        0..10 => format!("{:.1} ms", seconds * 1000.0),
        millis @ 10..1000 => format!("{millis} ms"),
        1000..60_000 => format!("{seconds:.1} s"),
        _ => humantime::format_duration(whole).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_the_unit_that_it_wants() {
        let check = |millis: f64, expected: &str| {
            assert_eq!(span(Duration::from_secs_f64(millis / 1000.0)), expected);
        };
        check(0.04, "0.0 ms");
        check(9.94, "9.9 ms");
        check(10.0, "10 ms");
        check(999.9, "999 ms");
        check(1000.0, "1.0 s");
        check(59_900.0, "59.9 s");
        check(600_000.0, "10m");
    }
}
