//! What of a client's offers a route passes on: `compression` and `subprotocols`.
//!
//! Sees that no two rules speak of the same name, so that none depends on which comes first.

use std::ops::Range;

use crate::policy::offers::{Compression, Offers};
use crate::policy::subprotocols::Subprotocols;
use crate::wire::list;

use super::context::{Context, Text, quoted};
use super::fault::Fault;
use super::reader::Section;
use super::schema;

/// `matched` are the names that the route's `match` asks for: clients offer them too.
pub(super) fn lower(route: Section<'_>, matched: &[String]) -> Offers {
    let compression = [("pass", Compression::Pass), ("off", Compression::Off)];
    Offers {
        compression: route.choice("compression", &compression),
        subprotocols: subprotocols(route, matched).unwrap_or_default(),
    }
}

fn subprotocols(route: Section<'_>, matched: &[String]) -> Option<Subprotocols> {
    let field = route.field("subprotocols")?;
    if field.is_array() {
        let help = "a route is chosen by them with match = { subprotocols = […] }, \
                    and requires one with subprotocols = { require = […] }";
        field.wrong("a table", Some(help.to_owned()));
        return None;
    }
    let section = field.section(&schema::ROUTE_SUBPROTOCOLS)?;
    let mut rules = Subprotocols {
        require: names(section, "require"),
        map: Vec::new(),
        strip: names(section, "strip"),
    };
    let known = rules.require.iter().chain(matched);
    let staying: Vec<&str> = known
        .filter(|name| !rules.strip.contains(name))
        .map(String::as_str)
        .collect();
    rules.map = map(section, &staying);
    check_strip(section, &rules);
    Some(rules)
}

/// The subprotocols of a list, each there once.
pub(super) fn names(section: Section<'_>, key: &str) -> Vec<String> {
    let field = section.field(key);
    let texts = field.and_then(|f| f.texts()).unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    for text in &texts {
        if !is_token(section.cx, text.text, &text.span) {
            continue;
        }
        match names.iter().any(|name| name == text.text) {
            true => report_twice(section.cx, text, key),
            false => names.push(text.text.to_owned()),
        }
    }
    names
}

fn report_twice(cx: &Context<'_>, text: &Text<'_>, key: &str) {
    let message = format!("{} is in this `{key}` twice", text.quoted());
    cx.report(Fault::at(text.span.clone(), message).help("leave one of them out"));
}

/// `offered` are names that clients surely offer and that are not taken out.
fn map(section: Section<'_>, offered: &[&str]) -> Vec<(String, String)> {
    let cx = section.cx;
    let entries = section.field("map").map(|f| f.entries());
    let is_pair = |(from, span, to): &(&str, Range<usize>, Text<'_>)| {
        let (from, to) = (is_token(cx, from, span), is_token(cx, to.text, &to.span));
        from && to
    };
    let mut entries = entries.unwrap_or_default();
    entries.retain(is_pair);
    // A name that stays as it is would meet the one that becomes it.
    let stays = |name: &str| !entries.iter().any(|(from, _, _)| *from == name);
    for (n, (from, _, to)) in entries.iter().enumerate() {
        let earlier = entries[..n].iter().find(|other| other.2.text == to.text);
        let other = match earlier {
            Some((other, _, _)) => Some(format!("{} becomes it too", quoted(other))),
            None if offered.contains(&to.text) && stays(to.text) => {
                Some("clients offer a subprotocol of this name, which stays as it is".to_owned())
            }
            None => None,
        };
        if let Some(other) = other {
            let message = format!("{} cannot become {}: {other}", quoted(from), to.quoted());
            let help = "the backend's choice could not be told apart; give each a name of its own";
            cx.report(Fault::at(to.span.clone(), message).help(help));
        }
    }
    let owned = |(from, _, to): &(&str, _, Text<'_>)| ((*from).to_owned(), to.text.to_owned());
    entries.iter().map(owned).collect()
}

/// What is taken out can be neither required nor renamed.
fn check_strip(section: Section<'_>, rules: &Subprotocols) {
    let texts = section
        .field("strip")
        .and_then(|f| f.texts())
        .unwrap_or_default();
    for text in &texts {
        let is_it = |name: &String| name == text.text;
        let required = rules.require.iter().any(is_it).then_some("require");
        let mapped = rules.map.iter().any(|(from, _)| is_it(from));
        if let Some(rule) = required.or(mapped.then_some("map")) {
            let message = format!("{} is in `strip` and in `{rule}`", text.quoted());
            let fault = Fault::at(text.span.clone(), message);
            let help = "what is taken out of an offer never reaches the backend; leave one out";
            section.cx.report(fault.help(help));
        }
    }
}

/// RFC 6455 §4.1: a subprotocol is a token, compared byte for byte.
fn is_token(cx: &Context<'_>, text: &str, span: &Range<usize>) -> bool {
    let is_token = list::is_token(text);
    if !is_token {
        let fault = Fault::at(span.clone(), "not a subprotocol").found(quoted(text));
        cx.report(fault.expected("a token: letters, digits and !#$%&'*+-.^_`|~"));
    }
    is_token
}
