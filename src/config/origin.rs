//! Origins: the groups of `[origins]`, and what a route says about them.

use std::collections::HashMap;

use crate::policy::origin::{OriginPattern, Origins};

use super::context::{Context, Text, unknown_name};
use super::fault::Fault;
use super::field::Field;
use super::{Section, name, schema};

const SAME: &str = "same";
const ANY: &str = "any";

/// The groups by name, faulty ones too, so that a reference to one is no fault of its own.
pub(super) type Groups<'a> = HashMap<&'a str, Origins>;

pub(super) fn groups<'a>(file: Section<'a>) -> Groups<'a> {
    let fields = name::named(file, "origins", &[SAME, ANY]);
    fields
        .into_iter()
        .map(|field| (field.key, group(field)))
        .collect()
}

fn group(field: Field<'_>) -> Origins {
    if !field.is_table() {
        return listed(field, false);
    }
    let Some(section) = field.section(&schema::ORIGINS_GROUP) else {
        return Origins::Same;
    };
    let expose = section.flag("expose", false);
    match section.required("allow") {
        Some(allow) => listed(allow, expose),
        None => Origins::Same,
    }
}

fn listed(field: Field<'_>, expose: bool) -> Origins {
    let texts = field.texts_not_empty().unwrap_or_default();
    let patterns = texts
        .iter()
        .filter_map(|text| pattern(field.cx, text))
        .collect();
    Origins::Listed { patterns, expose }
}

/// What a route says: a name, a list, `same` or `any`.
pub(super) fn of_route(route: Section<'_>, groups: &Groups<'_>) -> Origins {
    let Some(field) = route.field("origins") else {
        return Origins::Same;
    };
    if field.is_array() {
        return listed(field, false);
    }
    let Some(text) = field.text() else {
        return Origins::Same;
    };
    match text.text {
        SAME => return Origins::Same,
        ANY => return Origins::Any,
        _ => {}
    }
    if let Some(group) = groups.get(text.text) {
        return group.clone();
    }
    if text.text.contains("://") || text.text == "*" || text.text == "null" {
        let fault = Fault::at(
            text.span.clone(),
            "`origins` takes one origin as a list too",
        );
        let help = match text.text {
            "*" => "every page is `origins = \"any\"`".to_owned(),
            origin => format!("write `origins = [\"{origin}\"]`"),
        };
        route.cx.report(fault.found(text.quoted()).help(help));
        return Origins::Same;
    }
    let mut known: Vec<&str> = groups.keys().copied().collect();
    known.sort_unstable();
    known.extend([SAME, ANY]);
    unknown_name(route.cx, &text, "group of origins", known.into_iter());
    Origins::Same
}

fn pattern(cx: &Context<'_>, text: &Text<'_>) -> Option<OriginPattern> {
    // It would parse, but no browser ever sends the scheme of a socket as an origin.
    let is_socket = ["ws://", "wss://"].iter().any(|s| text.text.starts_with(s));
    match OriginPattern::parse(text.text) {
        Ok(pattern) if !is_socket => Some(pattern),
        _ => {
            let fault = Fault::at(text.span.clone(), "not an origin").found(text.quoted());
            let expected = "scheme://host, with a port unless it is the scheme's own";
            cx.report(fault.expected(expected).help_if_any(hint(text.text)));
            None
        }
    }
}

/// The mistakes that are made most, each with what to write instead.
fn hint(text: &str) -> Option<String> {
    if text == "*" {
        return Some("every page is `origins = \"any\"` in the route".to_owned());
    }
    if text.eq_ignore_ascii_case("null") {
        return Some("write \"null\", in lower case".to_owned());
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        let with_scheme = format!("https://{text}");
        let is_origin = OriginPattern::parse(&with_scheme).is_ok();
        return is_origin.then(|| format!("the scheme is missing: \"{with_scheme}\""));
    };
    if let Some(page) = match scheme {
        "ws" => Some("http"),
        "wss" => Some("https"),
        _ => None,
    } {
        return Some(format!("an origin is the page's: \"{page}://{rest}\""));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let without = format!("{scheme}://{}", &rest[..end]);
    if end < rest.len() && OriginPattern::parse(&without).is_ok() {
        return Some(format!(
            "an origin has no path, no slash either: \"{without}\""
        ));
    }
    if rest.contains('*') {
        return Some(
            "a `*` stands for the first label alone: \"https://*.example.com\"".to_owned(),
        );
    }
    if !rest.is_ascii() {
        return Some("write an international name in its ASCII form (xn--…)".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::hint;

    #[test]
    fn a_common_mistake_gets_what_to_write_instead() {
        for (text, expected) in [
            ("https://a.com/", "\"https://a.com\""),
            ("https://a.com/chat?x", "\"https://a.com\""),
            ("https://*.a.com/", "\"https://*.a.com\""),
            ("a.com", "\"https://a.com\""),
            ("*.a.com", "\"https://*.a.com\""),
            ("localhost:3000", "\"https://localhost:3000\""),
            ("wss://a.com", "\"https://a.com\""),
            ("*", "\"any\""),
            ("NULL", "\"null\""),
            ("https://*", "\"https://*.example.com\""),
            ("https://a.*.com", "\"https://*.example.com\""),
            ("https://bücher.example", "xn--"),
        ] {
            let hint = hint(text).unwrap_or_default();
            assert!(hint.contains(expected), "{text}: {hint}");
        }
        assert_eq!(hint(""), None);
        assert_eq!(hint("https://a b"), None);
    }
}
