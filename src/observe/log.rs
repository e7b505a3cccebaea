//! Where log lines go and what they look like.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;

/// How the log is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// A filter in tracing's syntax, such as `info` or `throughway=debug`.
    pub level: String,
    /// The shape of a line.
    pub format: Format,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: Format::Auto,
        }
    }
}

/// A filter that tracing does not understand.
#[derive(Debug)]
pub struct BadFilter(String);

/// Sends log lines to standard error from here on. `filter` (from the environment) wins over the
/// level of `params`.
pub fn start(params: &Params, filter: Option<&str>) -> Result<(), BadFilter> {
    let filter = filter.unwrap_or(&params.level);
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|error| BadFilter(format!("{filter}: {error}")))?;
    let json = match params.format {
        Format::Json => true,
        Format::Text => false,
        Format::Auto => !io::stderr().is_terminal(),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter);
    // A second start in one process keeps the first: there is one standard error.
    let started = if json {
        lines
            .with_writer(|| Unseen(io::stderr()))
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init()
    } else {
        lines
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .try_init()
    };
    if started.is_err() {
        tracing::debug!("the log was started already");
    }
    Ok(())
}

/// Writes lines of JSON with every character escaped that is not seen when it is printed. JSON
/// itself asks for that below U+0020 only (RFC 8259 §7), which leaves a client's path free to hold
/// a CSI (U+009B), a line separator that some readers split at, or text that runs backwards.
///
/// Such a character can only stand inside a string, so its escape means the same.
struct Unseen<W>(W);

impl<W: Write> Write for Unseen<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(line) {
            Ok(text) => self.0.write_all(escaped(text).as_bytes())?,
            Err(_) => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn escaped(line: &str) -> Cow<'_, str> {
    if !line.contains(is_unseen) {
        return Cow::Borrowed(line);
    }
    let mut seen = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        match is_unseen(c) {
            true => write!(seen, "\\u{:04x}", u32::from(c)).expect("a string takes it all"),
            false => seen.push(c),
        }
    }
    Cow::Owned(seen)
}

/// DEL and the C1 controls, the separators of lines and paragraphs, and what turns the direction
/// of the text (Unicode UAX #9); all within the first plane, so one escape is enough.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{7f}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    )
}

impl fmt::Display for BadFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a log filter: {}", self.0)
    }
}

impl std::error::Error for BadFilter {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &str) {
        let mut unseen = Unseen(Vec::new());
        unseen.write_all(line.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(unseen.0).unwrap(), expected);
    }

    #[test]
    fn what_is_not_seen_is_escaped_and_nothing_else() {
        check("{\"a\":\"b\"}\n", "{\"a\":\"b\"}\n");
        check("\"café ☕\"", "\"café ☕\"");
        check("\"\u{7f}\u{9b}31m\"", r#""\u007f\u009b31m""#);
        check(
            "\"a\u{2028}b\u{202e}c\u{feff}\"",
            r#""a\u2028b\u202ec\ufeff""#,
        );
    }
}
