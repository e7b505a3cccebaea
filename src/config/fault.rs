//! What is wrong with a file, all of it, each with its place: text in, text out.
//!
//! Knows no keys. What may not be shown is masked before it gets in here, so that neither the
//! text nor a debug print of it can tell a secret or its length.

use std::fmt;
use std::ops::Range;
use std::path::Path;

/// One thing that is wrong.
pub(super) struct Fault {
    /// Where, in bytes; `None`: the file as a whole.
    span: Option<Range<usize>>,
    message: String,
    found: Option<String>,
    expected: Option<String>,
    help: Option<String>,
    /// It may only follow from a syntax error elsewhere: something seems to be missing.
    pub(super) may_follow: bool,
    /// What the file says from here on was not meant so.
    pub(super) ends_sense: bool,
}

/// Everything that is wrong with a file: never empty, in the order of the file.
#[derive(Debug, PartialEq, Eq)]
pub struct Faults {
    file: String,
    /// As they are printed, secrets masked.
    rendered: Vec<String>,
}

/// A file's text and which stretches of it are secret.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    /// Sorted and apart from each other.
    pub(super) masks: Vec<Range<usize>>,
}

/// A line as it may be shown.
struct Excerpt {
    line: usize,
    /// From 1, in characters of the shown text: a column of the real one would tell how long a
    /// secret before it is.
    column: usize,
    width: usize,
    shown: String,
}

impl Fault {
    pub(super) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span: Some(span),
            ..Self::of_file(message)
        }
    }

    pub(super) fn of_file(message: impl Into<String>) -> Self {
        Self {
            span: None,
            message: message.into(),
            found: None,
            expected: None,
            help: None,
            may_follow: false,
            ends_sense: false,
        }
    }

    pub(super) fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    pub(super) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn help_if_any(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Something is missing, perhaps only because of a syntax error before it.
    pub(super) fn may_follow(mut self) -> Self {
        self.may_follow = true;
        self
    }

    /// Nothing can be said about what follows.
    pub(super) fn ends_sense(mut self) -> Self {
        self.ends_sense = true;
        self
    }

    pub(super) fn start(&self) -> usize {
        self.span.as_ref().map_or(0, |s| s.start)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.span == other.span && self.message == other.message
    }

    fn render(&self, source: &Source<'_>) -> String {
        let mut text = format!("error: {}\n", plain(&self.message));
        let file = source.path.display();
        let excerpt = self.span.as_ref().and_then(|s| source.excerpt(s));
        let gutter = match &excerpt {
            None => {
                text += &format!(" --> {file}\n");
                1
            }
            Some(e) => {
                let gutter = e.line.to_string().len();
                let (pad, line, column) = (" ".repeat(gutter), e.line, e.column);
                let caret = " ".repeat(column - 1) + &"^".repeat(e.width);
                text += &format!("{pad}--> {file}:{line}:{column}\n{pad} |\n");
                text += &format!("{line} | {}\n{pad} | {caret}\n", e.shown);
                gutter
            }
        };
        for note in self.notes() {
            text += &format!("{} = {}\n", " ".repeat(gutter), plain(&note));
        }
        text
    }

    fn notes(&self) -> Vec<String> {
        let what = match (&self.found, &self.expected) {
            (Some(found), Some(expected)) => Some(format!("found {found}, expected {expected}")),
            (Some(found), None) => Some(format!("found {found}")),
            (None, Some(expected)) => Some(format!("expected {expected}")),
            (None, None) => None,
        };
        let help = self.help.as_ref().map(|help| format!("help: {help}"));
        what.into_iter().chain(help).collect()
    }
}

impl Source<'_> {
    /// From 1.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        1 + before.iter().filter(|b| **b == b'\n').count()
    }

    /// Whether `fault` is about something that may not be shown.
    pub(super) fn hides(&self, fault: &Fault) -> bool {
        let hides = |at| self.masks.iter().any(|mask| mask.contains(&at));
        fault.span.as_ref().is_some_and(|span| hides(span.start))
    }

    /// The line on which `span` begins; `None` for the file as a whole.
    fn excerpt(&self, span: &Range<usize>) -> Option<Excerpt> {
        // The end of the file is shown as the end of its last line.
        let last = self.text.trim_end_matches(['\n', '\r']).len();
        let start = span.start.min(last);
        if span.end == 0 {
            return None;
        }
        let from = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let to = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |at| start + at);
        let to = from + self.text[from..to].trim_end_matches('\r').len();
        let column = self.shown(from..start).chars().count() + 1;
        let through = self.shown(from..span.end.clamp(start, to)).chars().count();
        Some(Excerpt {
            line: self.line_of(start),
            column,
            width: (through + 1).saturating_sub(column).max(1),
            shown: self.shown(from..to),
        })
    }

    /// A stretch of one line with `***` in place of each secret that it touches.
    fn shown(&self, range: Range<usize>) -> String {
        let mut shown = String::new();
        let mut at = range.start;
        for mask in &self.masks {
            if mask.end <= at || mask.start >= range.end {
                continue;
            }
            shown.push_str(&self.text[at..mask.start.max(at)]);
            shown.push_str("***");
            at = mask.end.min(range.end);
        }
        shown.push_str(&self.text[at..range.end]);
        plain(&shown)
    }
}

/// Without characters that a terminal would act on: an escape in the file makes them.
fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

impl Faults {
    /// Renders `faults`, which are not empty, against the file they are about.
    pub(super) fn new(source: &Source<'_>, faults: &[Fault]) -> Self {
        Self {
            file: source.path.display().to_string(),
            rendered: faults.iter().map(|f| f.render(source)).collect(),
        }
    }

    /// The one fault of a file that could not be read.
    pub(super) fn of_file(path: &Path, fault: Fault) -> Self {
        let source = Source {
            path,
            text: "",
            masks: Vec::new(),
        };
        Self::new(&source, &[fault])
    }

    /// How many there are.
    #[expect(
        clippy::len_without_is_empty,
        reason = "there is no value without a fault"
    )]
    pub fn len(&self) -> usize {
        self.rendered.len()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.rendered {
            writeln!(f, "{fault}")?;
        }
        let word = if self.len() == 1 { "error" } else { "errors" };
        write!(f, "{} {word} in {}", self.len(), self.file)
    }
}

impl std::error::Error for Faults {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, mask: Option<Range<usize>>, span: Range<usize>, expected: &str) {
        let source = Source {
            path: Path::new("a.toml"),
            text,
            masks: mask.into_iter().collect(),
        };
        let fault = Fault::at(span, "wrong")
            .found("this")
            .expected("that")
            .help("try");
        let printed = Faults::new(&source, &[fault]).to_string();
        assert_eq!(printed, format!("{expected}\n\n1 error in a.toml"));
    }

    #[test]
    fn a_fault_is_printed_with_its_line_and_a_caret_run() {
        check(
            "a = 1\nbé = 2\r\n",
            None,
            6..9,
            "error: wrong\n --> a.toml:2:1\n  |\n2 | bé = 2\n  | ^^\n  = found this, expected that\n  = help: try",
        );
    }

    #[test]
    fn a_fault_at_the_end_points_behind_the_last_line() {
        check(
            "a = \n",
            None,
            5..5,
            "error: wrong\n --> a.toml:1:5\n  |\n1 | a = \n  |     ^\n  = found this, expected that\n  = help: try",
        );
    }

    #[test]
    fn a_span_over_several_lines_is_marked_on_its_first() {
        check(
            "a = [\n1,\n]\n",
            None,
            4..10,
            "error: wrong\n --> a.toml:1:5\n  |\n1 | a = [\n  |     ^\n  = found this, expected that\n  = help: try",
        );
    }

    #[test]
    fn neither_a_secret_nor_its_length_is_shown() {
        for secret in ["'x'", "'a long secret'"] {
            let text = format!("p = {secret}, b = 1");
            let end = 4 + secret.len();
            let expected = "error: wrong\n --> a.toml:1:10\n  |\n1 | p = ***, b = 1\n  |          ^\n  = found this, expected that\n  = help: try";
            check(&text, Some(4..end), end + 2..end + 3, expected);
            let expected = "error: wrong\n --> a.toml:1:5\n  |\n1 | p = ***, b = 1\n  |     ^^^\n  = found this, expected that\n  = help: try";
            check(&text, Some(4..end), 4..end, expected);
        }
    }

    #[test]
    fn a_control_character_does_not_reach_the_terminal() {
        check(
            "a\t= '\u{1b}[1m'\n",
            None,
            0..1,
            "error: wrong\n --> a.toml:1:1\n  |\n1 | a = ' [1m'\n  | ^\n  = found this, expected that\n  = help: try",
        );
    }

    /// A path that a file names is repeated as it is meant, its escapes undone.
    #[test]
    fn nor_does_one_that_a_message_repeats() {
        let source = Source {
            path: Path::new("a.toml"),
            text: "",
            masks: Vec::new(),
        };
        let fault = Fault::of_file("no \u{1b}[1m").found("a\tb").help("c\nd");
        let printed = Faults::new(&source, &[fault]).to_string();
        let expected =
            "error: no  [1m\n --> a.toml\n  = found a b\n  = help: c d\n\n1 error in a.toml";
        assert_eq!(printed, expected);
    }
}
