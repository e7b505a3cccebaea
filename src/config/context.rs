//! What a reading shares: the text, the environment, the faults so far, and how a message repeats
//! a value.
//!
//! Knows no keys and no types.

use std::cell::{OnceCell, RefCell};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;

use super::fault::{Fault, Faults, Source};
use super::{mask, suggest};

/// Longest piece of a value that a message repeats.
const QUOTED_CHARS_MAX: usize = 80;

/// What the whole file is read with.
pub(super) struct Context<'a> {
    pub(super) source: Source<'a>,
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// The OS store, read once and only when a TLS leg needs it.
    pub(super) os_roots: OnceCell<RootCertStore>,
    faults: RefCell<Vec<Fault>>,
}

/// A string of the file.
#[derive(Clone)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) span: Range<usize>,
}

impl<'a> Context<'a> {
    pub(super) fn new(source: Source<'a>, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            source,
            env,
            os_roots: OnceCell::new(),
            faults: RefCell::new(Vec::new()),
        }
    }

    pub(super) fn report(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    /// A path of the file, which is relative to the file's own directory.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        let directory = self.source.path.parent().unwrap_or(Path::new(""));
        directory.join(path)
    }

    pub(super) fn line_of(&self, span: &Range<usize>) -> usize {
        self.source.line_of(span.start)
    }

    /// All faults in the order of the file. Next to syntax errors, what shares a line with one
    /// or only misses something is left out: it is most likely the same mistake. So is what stands
    /// in a hidden stretch: a broken file makes keys of what was meant as a secret's value, and a
    /// message repeats keys.
    pub(super) fn finish(self, syntax: Vec<Fault>) -> Result<(), Faults> {
        let line = |fault: &Fault| self.source.line_of(fault.start());
        let mut faults = self.faults.into_inner();
        if !syntax.is_empty() {
            let broken: Vec<usize> = syntax.iter().map(line).collect();
            let end = syntax.iter().find(|f| f.ends_sense).map(Fault::start);
            faults.retain(|f| {
                let makes_sense = end.is_none_or(|end| f.start() < end);
                let follows = f.may_follow || broken.contains(&line(f));
                makes_sense && !follows && !self.source.hides(f)
            });
        }
        faults.extend(syntax);
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort_by_key(Fault::start);
        // What is read twice is told once.
        faults.dedup_by(|a, b| a.is_same(b));
        Err(Faults::new(&self.source, &faults))
    }
}

impl Text<'_> {
    /// For a message: clipped, and without user information.
    pub(super) fn quoted(&self) -> String {
        quoted(self.text)
    }
}

/// `text` in backticks for a message: clipped, without the user information of a URL and without
/// characters that a terminal would act on.
pub(super) fn quoted(text: &str) -> String {
    let shown = mask::for_message(text).replace(char::is_control, " ");
    match shown.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((at, _)) => format!("`{}…`", &shown[..at]),
        None => format!("`{shown}`"),
    }
}

/// Reports a reference to a name that is none of `known`.
pub(super) fn unknown_name<'k>(
    cx: &Context<'_>,
    name: &Text<'_>,
    kind: &str,
    known: impl Iterator<Item = &'k str> + Clone,
) {
    let near = suggest::nearest(name.text, known.clone());
    let near = near.map(|n| format!("did you mean `{n}`?"));
    let names: Vec<&str> = known.collect();
    let expected = match names.is_empty() {
        true => format!("a configured {kind}, and there is none"),
        false => format!("one of {}", names.join(", ")),
    };
    let fault = Fault::at(name.span.clone(), format!("no {kind} has this name"));
    let fault = fault.found(name.quoted()).expected(expected);
    cx.report(fault.help_if_any(near).may_follow());
}
