//! Names: what may be one, and that each is there once.

use super::context::{Context, Text, quoted};
use super::fault::Fault;
use super::field::Field;
use super::reader::Section;

/// They stand in every record.
const NAME_CHARS_MAX: usize = 64;

/// The names of listeners or routes, each of which needs one of its own.
pub(super) fn unique<'a>(sections: &[Section<'a>], kind: &str) -> Vec<Text<'a>> {
    let mut names: Vec<Text<'a>> = Vec::new();
    for section in sections {
        let Some(name) = section.required("name").and_then(|f| f.text()) else {
            continue;
        };
        check(section.cx, name.text, &name.span);
        if let Some(other) = names.iter().find(|n| n.text == name.text) {
            let line = section.cx.line_of(&other.span);
            let message = format!(
                "the {kind} {} is already there in line {line}",
                name.quoted()
            );
            section.cx.report(Fault::at(name.span.clone(), message));
        }
        names.push(name);
    }
    names
}

/// The tables of `[kind.NAME]`, in the order of the file; a reserved name is a fault.
pub(super) fn named<'a>(
    file: Section<'a>,
    kind: &'static str,
    reserved: &[&str],
) -> Vec<Field<'a>> {
    let Some(all) = file.named_tables(kind) else {
        return Vec::new();
    };
    for field in &all {
        if reserved.contains(&field.key) {
            let message = format!("`{}` cannot be the name of an entry in `{kind}`", field.key);
            let fault = Fault::at(field.key_span(), message);
            file.cx
                .report(fault.help("the word has a meaning of its own; choose another"));
        }
        check(file.cx, field.key, &field.key_span());
    }
    all
}

fn check(cx: &Context<'_>, name: &str, span: &std::ops::Range<usize>) {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(is_allowed) {
        let fault = Fault::at(span.clone(), "not a name").found(quoted(name));
        let expected = format!("1 to {NAME_CHARS_MAX} letters, digits, `-`, `_` or `.`");
        cx.report(fault.expected(expected));
    }
}
