//! Secrets: `${env:NAME}` and `${file:PATH}` inside a `user` or a `password`.
//!
//! The environment comes as an argument, and no error repeats what was found there.

use std::ops::Range;

use crate::egress::Secret;

use super::context::Context;
use super::fault::Fault;
use super::field::Field;
use super::file;

/// Longest content of a secret's file; a password of this length is a mistaken path.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// One piece of a value.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Literal(&'a str),
    Env(&'a str),
    File(&'a str),
}

/// The text a secret field stands for; `None` after a fault.
pub(super) fn secret(field: Field<'_>) -> Option<Secret> {
    let cx = field.cx;
    let text = field.text_with_references()?;
    let pieces = match pieces(text.text) {
        Ok(pieces) => pieces,
        Err(reason) => {
            let fault = Fault::at(text.span, format!("`{}`: {reason}", field.key));
            let fault = fault.expected("`${env:NAME}` or `${file:PATH}`");
            cx.report(fault.help("write `$${` for a literal `${`"));
            return None;
        }
    };
    let resolved: Option<Vec<Secret>> = pieces
        .iter()
        .map(|piece| resolve(cx, piece, field.key, &text.span))
        .collect();
    let joined: String = resolved?.iter().map(Secret::reveal).collect();
    if joined.chars().any(char::is_control) {
        let message = format!("`{}` holds a control character", field.key);
        let help = "only one line end at the end of a file is taken away";
        cx.report(Fault::at(text.span, message).help(help));
        return None;
    }
    Some(Secret::new(joined))
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, &'static str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        // `$${` stands for `${`: the first dollar is dropped, the rest is literal.
        if rest[..at].ends_with('$') {
            pieces.push(Piece::Literal(&rest[..at - 1]));
            pieces.push(Piece::Literal("${"));
            rest = &rest[at + 2..];
            continue;
        }
        pieces.push(Piece::Literal(&rest[..at]));
        let (inner, after) = rest[at + 2..]
            .split_once('}')
            .ok_or("a `${` reference has no `}`")?;
        pieces.push(match inner.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Piece::Env(name),
            Some(("file", path)) if !path.is_empty() => Piece::File(path),
            _ => return Err("a `${…}` reference of no known kind"),
        });
        rest = after;
    }
    pieces.push(Piece::Literal(rest));
    pieces.retain(|piece| *piece != Piece::Literal(""));
    Ok(pieces)
}

fn resolve(cx: &Context<'_>, piece: &Piece<'_>, key: &str, span: &Range<usize>) -> Option<Secret> {
    match piece {
        Piece::Literal(text) => Some(Secret::new((*text).to_owned())),
        Piece::Env(name) => {
            let value = (cx.env)(name).map(Secret::new);
            if value.is_none() {
                let message = format!("`{key}`: the environment variable {name} is not set");
                let help = format!("set {name} for the gateway's process");
                cx.report(Fault::at(span.clone(), message).help(help));
            }
            value
        }
        Piece::File(path) => {
            let path = cx.resolve(path);
            let read = file::read_text(&path, SECRET_BYTES_MAX);
            let report = |reason| {
                let message = format!("`{key}`: cannot read {}: {reason}", path.display());
                cx.report(Fault::at(span.clone(), message));
            };
            let content = zeroize::Zeroizing::new(read.map_err(report).ok()?);
            Some(Secret::new(without_line_end(&content).to_owned()))
        }
    }
}

/// Without the one line end that editors and `echo` put there.
fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_literals_and_references() {
        use Piece::{Env, File, Literal};
        let table: [(&str, Option<&[Piece<'_>]>); 12] = [
            ("", Some(&[])),
            ("plain", Some(&[Literal("plain")])),
            ("${env:A}", Some(&[Env("A")])),
            ("${file:/run/x}", Some(&[File("/run/x")])),
            ("a${env:A}b", Some(&[Literal("a"), Env("A"), Literal("b")])),
            ("${env:A}${env:B}", Some(&[Env("A"), Env("B")])),
            ("$${env:A}", Some(&[Literal("${"), Literal("env:A}")])),
            ("$a{b}$", Some(&[Literal("$a{b}$")])),
            ("${env:A", None),
            ("${env:}", None),
            ("${evn:A}", None),
            ("${A}", None),
        ];
        for (text, expected) in table {
            assert_eq!(pieces(text).ok().as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn exactly_one_line_end_is_taken_away() {
        for (text, expected) in [
            ("a", "a"),
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a ", "a "),
            ("", ""),
        ] {
            assert_eq!(without_line_end(text), expected);
        }
    }
}
