//! Which stretches of a configuration file must never be shown.
//!
//! Where the file is valid TOML the tree says so exactly. Where it is not, keys may be missing
//! from the tree, so the text is searched as well, and rather too much is hidden than too little.
//! Knows nothing of what the values mean.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::suggest;

/// The table whose values are all secret, but for the one that names the scheme.
const AUTH: &str = "auth";
const NOT_SECRET_IN_AUTH: &str = "scheme";

/// Header values are often tokens.
const SET_HEADERS: &str = "set_headers";

/// Parts of a word that make its value a secret, whoever wrote it and wherever.
const SECRET_PARTS: [&str; 7] = [
    "pass",
    "passwd",
    "pwd",
    "secret",
    "token",
    "credential",
    "authorization",
];

/// The stretches of `text` to hide, sorted and apart from each other. `valid` says that `root` is
/// the whole file.
pub(super) fn ranges(text: &str, root: &DeTable<'_>, valid: bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    in_table(text, root, false, &mut found);
    for (start, line) in lines(text) {
        found.extend(userinfo(line).map(|r| shift(r, start)));
    }
    if !valid {
        found.extend(in_broken_text(text));
    }
    merged(found)
}

/// Whether a key's value is a secret by its name, also when the name is mistyped.
pub(super) fn is_secret_key(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_PARTS.iter().any(|part| name.contains(part))
        || name.contains("user")
        || suggest::distance(&name, "user") <= 1
        || suggest::distance(&name, "password") <= 2
}

/// A value as a message may repeat it: its first line, without the user information of a URL
/// (RFC 3986 §3.2.1), and without a secret that a missing quote has drawn into it.
pub(super) fn for_message(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let end = if line.len() < text.len() { "…" } else { "" };
    let line = match after_secret_word(line).filter(|_| line.contains('=')) {
        Some(hidden) => format!("{}***", &line[..hidden.start]),
        None => line.to_owned(),
    };
    match userinfo(&line) {
        Some(range) => format!("{}***{}{end}", &line[..range.start], &line[range.end..]),
        None => line + end,
    }
}

fn in_table(text: &str, table: &DeTable<'_>, secret: bool, found: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let hidden = name == AUTH || name == SET_HEADERS || is_secret_key(name);
        let shown = secret && name == NOT_SECRET_IN_AUTH;
        in_value(text, value, (secret || hidden) && !shown, found);
    }
}

fn in_value(text: &str, value: &Spanned<DeValue<'_>>, secret: bool, found: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(table) => in_table(text, table, secret, found),
        DeValue::Array(array) => array.iter().for_each(|v| in_value(text, v, secret, found)),
        DeValue::String(string) if hides_userinfo(text, &value.span(), string) => {
            found.push(value.span());
        }
        _ if secret => found.push(value.span()),
        _ => {}
    }
}

/// An `@` that the search by lines would miss or cut in two: one that is written as an escape, or
/// that stands in a string over several lines.
fn hides_userinfo(text: &str, span: &Range<usize>, value: &str) -> bool {
    let raw = text.get(span.clone()).unwrap_or_default();
    value.contains('@') && (!raw.contains('@') || raw.contains('\n'))
}

/// From `://` (or else the quote or the `=`) to the last `@` of a line.
fn userinfo(line: &str) -> Option<Range<usize>> {
    let end = line.rfind('@')?;
    let before = &line[..end];
    let start = before
        .find("://")
        .map(|at| at + 3)
        .or_else(|| before.find(['"', '\'', '=']).map(|at| at + 1))
        .unwrap_or(0);
    Some(start..end)
}

/// How far a secret that began on an earlier line goes on.
enum Inside {
    Nothing,
    /// To the line that closes it: `"""` or `'''`.
    String(&'static str),
    /// To the next line that begins a key or a table.
    Value,
    /// Of a table in braces, to the brace that ends it.
    Braces,
    /// Of a table with a header, to the next header.
    Table,
}

fn in_broken_text(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut inside = Inside::Nothing;
    for (start, line) in lines(text) {
        let (hidden, next) = in_broken_line(line, inside);
        inside = next;
        found.extend(hidden.filter(|h| !h.is_empty()).map(|h| shift(h, start)));
    }
    found
}

fn in_broken_line(line: &str, inside: Inside) -> (Option<Range<usize>>, Inside) {
    let everything = Some(0..line.len());
    match inside {
        Inside::String(quotes) if line.contains(quotes) => return (everything, Inside::Value),
        Inside::String(_) => return (everything, inside),
        Inside::Value if !begins_anew(line) => return (everything, inside),
        Inside::Braces if line.contains('}') => return (everything, Inside::Value),
        Inside::Braces => return (everything, inside),
        Inside::Nothing | Inside::Value | Inside::Table => {}
    }
    if line.trim_start().starts_with('[') && !line.contains('=') {
        let is_auth = line.to_lowercase().contains(AUTH);
        let next = if is_auth {
            Inside::Table
        } else {
            Inside::Nothing
        };
        return (None, next);
    }
    if matches!(inside, Inside::Table) {
        return (everything, inside);
    }
    let Some(hidden) = after_secret_word(line) else {
        return (None, Inside::Nothing);
    };
    let rest = &line[hidden.start..];
    let quotes = ["\"\"\"", "'''"].into_iter().find(|q| rest.contains(q));
    let next = match quotes {
        Some(quotes) if rest.matches(quotes).count() == 1 => Inside::String(quotes),
        _ if rest.contains('{') && !rest.contains('}') => Inside::Braces,
        _ => Inside::Value,
    };
    (Some(hidden), next)
}

fn begins_anew(line: &str) -> bool {
    let line = line.trim_start();
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let after_key = line.trim_start_matches(is_key);
    let has_key = after_key.len() < line.len() && after_key.trim_start().starts_with('=');
    has_key || line.starts_with('[')
}

/// What follows the first word of the line that makes its value a secret, and the `=`.
fn after_secret_word(line: &str) -> Option<Range<usize>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut from = 0;
    while let Some(offset) = line[from..].find(is_word) {
        let start = from + offset;
        let length = line[start..].find(|c| !is_word(c));
        let end = length.map_or(line.len(), |l| start + l);
        let word = &line[start..end];
        if is_secret_key(word) || word == AUTH || word == SET_HEADERS {
            let rest = &line[end..];
            let value = rest
                .trim_start_matches(['"', '\'', ' ', '\t'])
                .strip_prefix('=');
            // Quotes behind the `=` belong to the value, and those before it to the key.
            let value = value.map_or(rest, |value| value.trim_start_matches([' ', '\t']));
            return Some(line.len() - value.len()..line.len());
        }
        from = end;
    }
    None
}

/// Each line with its offset, without its end.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |offset, line| {
        let start = *offset;
        *offset += line.len();
        Some((start, line.trim_end_matches(['\n', '\r'])))
    })
}

fn shift(range: Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}

fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|r| r.start);
    let mut apart: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `hunter…` of the text must be hidden, and every `open…` must not.
    fn check(text: &str) {
        let (root, errors) = DeTable::parse_recoverable(text);
        let hidden = ranges(text, root.get_ref(), errors.is_empty());
        let is_hidden = |at: usize| hidden.iter().any(|r| r.contains(&at));
        for (at, _) in text.match_indices("hunter") {
            assert!((at..at + 6).all(is_hidden), "{text:?} shows {at}");
        }
        for (at, _) in text.match_indices("open") {
            assert!(!is_hidden(at), "{text:?} hides {at}");
        }
    }

    #[test]
    fn in_valid_text_exactly_the_values_are_hidden() {
        for text in [
            "password = 'hunter2' # open\nname = 'open'",
            "auth = { scheme = 'open', user = 'hunter', pasword = 'hunter', x = ['hunter'] }",
            "auth = 'hunter'",
            "auth = { user = { name = 'hunter' } }\nurl = 'open'",
            "[egress.open.hop.auth]\nscheme = 'open'\nfoo = 'hunter'\n[open]\na = 'open'",
            "url = 'http://hunter:hunter@open:3128'",
            "url = 'hunter:hunter@open:3128'",
            "url = 'http://hunter:hunt/er@hunter@open'",
            "url = 'http://hunter\\u0040open'"
                .replace('\'', "\"")
                .replace("open", "x")
                .as_str(),
            "url = '''http://hunter\nhunter@x'''",
            "password = '''\nhunter\nhunter'''\nname = 'open'",
            "set_headers = { Authorization = 'Bearer hunter' }",
            "users = 'hunter'\nproxy_passwd = 'hunter'\napi_token = 'hunter'\nPassword = 'hunter'",
        ] {
            check(text);
        }
    }

    #[test]
    fn a_message_repeats_no_secret_that_got_into_a_value() {
        for (text, expected) in [
            ("http://a.test:80", "http://a.test:80"),
            ("http://u:p@a.test", "http://***@a.test"),
            ("u:p@a.test", "***@a.test"),
            ("user-service", "user-service"),
            ("a\npassword = hunter", "a…"),
            ("a, user = 'hunter', password = 'hunter'", "a, user = ***"),
        ] {
            assert_eq!(for_message(text), expected);
        }
    }

    #[test]
    fn in_broken_text_whatever_could_be_one_is_hidden() {
        for text in [
            "password = \"hunter2\nopen = 1\n",
            "password = hunter2\n",
            "password: hunter2\n",
            "password \"hunter2\"\nopen = \n",
            "\"password\" = hunter2\n",
            "auth = { password = 'hunter2' foo = 1 }\nopen = 1\n",
            "password = \"\"\"\nhunter\nfoo = hunter\n",
            "password = \"\"\"\nhunter\nfoo = hunter\n\"\"\"\nopen = \n",
            "password = [\n'hunter',\n'hunter'\n",
            "[egress.open.hop.auth\nfoo = hunter\n",
            "auth = {\n user = hunter,\n foo = hunter }\n[open]\n",
            "url = 'http://hunter:hunter@open\n",
            "open = \npassword = 'hunter'",
        ] {
            check(text);
        }
    }
}
