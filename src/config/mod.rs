//! The configuration file: text in, a [`Plan`] out, or everything that is wrong with it at once.
//!
//! No other room knows that there is a file. Each declares its own parameters, and here they are
//! made of the file's sections. The order of a reading: the text becomes a tree with places
//! (`toml`), [`schema`] says which keys there are, `reader` takes them out, and one file a section
//! turns them into parameters.

mod automatic;
mod backend;
mod certificate;
mod context;
mod drain;
mod egress;
mod environment;
mod fault;
mod field;
mod file;
mod kerberos;
mod keys;
mod leg;
mod limits;
mod listener;
mod lower;
mod mask;
mod membership;
mod name;
mod offers;
mod one;
mod origin;
mod pac;
mod ping;
mod rate;
mod reader;
mod rewrite;
mod route;
pub mod schema;
mod secret;
mod socks;
mod suggest;
mod summary;
mod url;
mod value;
mod versions;
mod via;
mod warm;
mod ways;
mod words;

use std::path::Path;

use toml::de::DeTable;

use crate::plan::Plan;

pub use fault::Faults;
pub use one::{Found, Proxy, Wanted, one};
pub use summary::summary;
pub use value::{duration, size};

use context::Context;
use fault::{Fault, Source};
use reader::Section;

/// Longest file: a thousand routes take a tenth of it.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Reads the file at `path`. Paths in it are relative to its directory.
pub fn load(path: &Path) -> Result<Plan, Faults> {
    parse(&read(path)?, path, &environment)
}

fn read(path: &Path) -> Result<String, Faults> {
    file::read_text(path, FILE_BYTES_MAX).map_err(|reason| {
        let fault = Fault::of_file(format!("cannot read the configuration: {reason}"));
        Faults::of_file(path, fault)
    })
}

#[allow(
    clippy::disallowed_methods,
    reason = "secrets, `egress = \"env\"` and `egress = \"auto\"` refer to it, and this is one of the two doors to it"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The same for a text that is at hand. `path` is for the errors and for relative paths; `env`
/// is asked for the variables that secrets refer to, and for those of proxies where a backend
/// wants them.
pub fn parse(
    text: &str,
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Plan, Faults> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let source = Source {
        path,
        text,
        masks: mask::ranges(text, root.get_ref(), errors.is_empty()),
    };
    let syntax = syntax_faults(&source, &errors);
    let cx = Context::new(source, env);
    let plan = lower::file(Section::open(
        &cx,
        &schema::FILE,
        root.get_ref(),
        root.span(),
    ));
    cx.finish(syntax)?;
    Ok(plan)
}

/// What the parser says when a list never ends.
const UNCLOSED_LIST: &str = "unclosed array";

/// The first syntax error of each line, and of several that say the same in a row only the first:
/// the others follow from it.
fn syntax_faults(source: &Source<'_>, errors: &[toml::de::Error]) -> Vec<Fault> {
    let mut errors: Vec<(usize, &toml::de::Error)> = errors
        .iter()
        .map(|error| (error.span().map_or(0, |span| span.start), error))
        .collect();
    errors.sort_by_key(|(start, _)| *start);
    let in_list = end_of_sense(&errors);
    errors.retain(|(start, _)| in_list.is_none_or(|end| *start <= end));
    errors.dedup_by_key(|(start, _)| source.line_of(*start));
    errors.dedup_by_key(|(_, error)| error.message());
    let fault = |(start, error): (usize, &toml::de::Error)| {
        // The parser's messages name what it expected and never quote the text.
        let fault = Fault::at(error.span().unwrap_or(start..start), error.message());
        match in_list == Some(start) {
            true => fault
                .help("a list that begins before this has no `]`")
                .ends_sense(),
            false => fault,
        }
    };
    errors.into_iter().map(fault).collect()
}

/// Where the items of a list that never ends stop being items: what follows was meant as
/// something else, and nothing can be said about it. `errors` are in the order of the file.
fn end_of_sense(errors: &[(usize, &toml::de::Error)]) -> Option<usize> {
    errors
        .iter()
        .find(|(_, e)| e.message().starts_with(UNCLOSED_LIST))?;
    let first = errors.iter().find(|(_, e)| e.message().contains("array"));
    first.map(|(start, _)| *start)
}
