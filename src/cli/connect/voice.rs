//! What is said beside the messages: lines of standard error, and how much of it.
//!
//! Knows no standard output, and makes harmless what the other side wrote.

use std::io::Write;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Voice {
    /// Errors.
    Quiet,
    /// And what a user wants to know: connected, pongs, closed.
    Usual,
    /// And each step, header and frame.
    Verbose,
}

impl Voice {
    /// What is said unless it was asked to be quiet.
    pub(super) fn say(self, words: impl FnOnce() -> String) {
        self.print(Self::Usual, words);
    }

    /// What is said if it was asked to be verbose.
    pub(super) fn tell(self, words: impl FnOnce() -> String) {
        self.print(Self::Verbose, words);
    }

    // A standard error that is gone ends nothing: the messages count.
    fn print(self, from: Self, words: impl FnOnce() -> String) {
        if self >= from {
            writeln!(std::io::stderr(), "* {}", words()).ok();
        }
    }
}

/// Text of the other side's making on one line, without anything that a terminal obeys.
pub(super) fn harmless(text: &str) -> String {
    escaped(text, |c| c.is_control())
}

/// A message for a terminal: lines and tabs are its own affair.
pub(super) fn for_terminal(text: &str) -> String {
    escaped(text, |c| c.is_control() && !matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, is_obeyed: impl Fn(char) -> bool) -> String {
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        match is_obeyed(c) || is_bidi(c) {
            true => harmless.extend(c.escape_default()),
            false => harmless.push(c),
        }
    }
    harmless
}

// UAX #9: what turns the direction of a line can make it read as another.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_nothing_by_the_other_side() {
        let text = "grün\t\x1b[1m\n\u{202e}\u{9b}";
        assert_eq!(harmless(text), "grün\\t\\u{1b}[1m\\n\\u{202e}\\u{9b}");
        assert_eq!(for_terminal(text), "grün\t\\u{1b}[1m\n\\u{202e}\\u{9b}");
    }

    #[test]
    fn quiet_says_nothing_and_verbose_all() {
        let unheard = || unreachable!("nobody makes what nobody hears");
        Voice::Quiet.say(unheard);
        Voice::Quiet.tell(unheard);
        Voice::Usual.tell(unheard);
        assert!(Voice::Verbose > Voice::Usual && Voice::Usual > Voice::Quiet);
    }
}
