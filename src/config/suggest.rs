//! "Did you mean": the nearest known word to one that is unknown.
//!
//! Knows words only, not what they name.

/// Further away than this, a suggestion is a guess.
const DISTANCE_MAX: usize = 2;

/// Longer words are not compared: no name we know is near them.
const WORD_CHARS_MAX: usize = 64;

/// The nearest of `known` to `word`, if any is near enough; of equals the first.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = word.to_lowercase().replace('-', "_");
    let length = folded.chars().count();
    if length > WORD_CHARS_MAX {
        return None;
    }
    // A short word is near every other short word: one change in three letters at most.
    let max = DISTANCE_MAX.min(length.div_ceil(3));
    known
        .into_iter()
        .map(|candidate| (distance(&folded, candidate), candidate))
        .filter(|(distance, _)| *distance <= max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that make `b` of `a`.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("origins", "orgins", 1),
            ("origins", "oirgins", 1),
            ("origins", "origin", 1),
            ("listen", "listener", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_word_and_only_a_near_one() {
        let known = ["origins", "backend", "ca", "no_proxy"];
        for (word, expected) in [
            ("orgins", Some("origins")),
            ("Backends", Some("backend")),
            ("no-proxy", Some("no_proxy")),
            ("cas", Some("ca")),
            ("xy", None),
            ("upstream", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"a".repeat(1000), known), None);
    }
}
