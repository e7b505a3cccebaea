//! Values with a unit: durations and sizes. A number alone is none, because nobody remembers
//! which unit a key had.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Longest duration: more is a mistake, and timers count in milliseconds.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const SIZE_UNITS: [(&str, usize); 4] = [
    // `B` is last: every other unit ends in it.
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("B", 1),
];

/// `500ms`, `30s`, `5m`, `1h 30m`, `1d`. The error says what is wrong in half a sentence.
pub fn duration(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    if !trimmed.is_empty() && trimmed.bytes().all(|b| b.is_ascii_digit()) {
        return Err("the unit is missing".to_owned());
    }
    let duration = humantime::parse_duration(trimmed).map_err(|_| "not a duration".to_owned())?;
    if duration.is_zero() {
        return Err("must be longer than nothing".to_owned());
    }
    if duration > DURATION_MAX {
        return Err("must be at most 365d".to_owned());
    }
    Ok(duration)
}

/// `512B`, `16KiB`, `8MiB`, `1GiB`.
pub fn size(text: &str, bounds: &RangeInclusive<usize>) -> Result<usize, String> {
    let text = text.trim();
    let unit = SIZE_UNITS.iter().find_map(|(unit, bytes)| {
        let number = text.strip_suffix(unit)?.trim_end();
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        is_number.then_some((number, *bytes))
    });
    let Some((number, bytes)) = unit else {
        return Err("not a size: a whole number and B, KiB, MiB or GiB".to_owned());
    };
    let size = number
        .parse::<usize>()
        .ok()
        .and_then(|n| n.checked_mul(bytes));
    size.filter(|size| bounds.contains(size)).ok_or_else(|| {
        let (min, max) = (show_size(*bounds.start()), show_size(*bounds.end()));
        format!("must be from {min} to {max}")
    })
}

/// A size in the largest unit that divides it.
pub(super) fn show_size(bytes: usize) -> String {
    let mut units = [SIZE_UNITS[2], SIZE_UNITS[1], SIZE_UNITS[0]].into_iter();
    let whole = units.find(|(_, unit)| bytes != 0 && bytes.is_multiple_of(*unit));
    let (name, unit) = whole.unwrap_or(SIZE_UNITS[3]);
    format!("{}{name}", bytes / unit)
}

/// A duration as the file would write it.
pub(super) fn show_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_have_bounds() {
        for (text, ms) in [
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            (" 5m ", Some(300_000)),
            ("1h 30m", Some(5_400_000)),
            ("24h", Some(86_400_000)),
            ("365d", Some(31_536_000_000)),
            ("30", None),
            ("0s", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("366d", None),
            ("99999999999999999999s", None),
            ("none", None),
        ] {
            let parsed = duration(text).ok().map(|d| d.as_millis());
            assert_eq!(parsed, ms, "{text:?}");
        }
    }

    #[test]
    fn sizes_need_a_unit_and_have_bounds() {
        let bounds = 1..=8 << 20;
        for (text, bytes) in [
            ("512B", Some(512)),
            ("16KiB", Some(16 << 10)),
            ("16 KiB", Some(16 << 10)),
            ("8MiB", Some(8 << 20)),
            ("9MiB", None),
            ("1GiB", None),
            ("16", None),
            ("16KB", None),
            ("16k", None),
            ("KiB", None),
            ("-1B", None),
            ("1.5KiB", None),
            ("0B", None),
            ("99999999999999999999GiB", None),
        ] {
            assert_eq!(size(text, &bounds).ok(), bytes, "{text:?}");
        }
    }

    #[test]
    fn sizes_and_durations_are_shown_as_the_file_would_write_them() {
        for text in ["512B", "16KiB", "1MiB", "1025B", "3GiB"] {
            assert_eq!(show_size(size(text, &(1..=usize::MAX)).unwrap()), text);
        }
        for text in ["500ms", "30s", "5m", "1h 30m"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
    }
}
