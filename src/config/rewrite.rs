//! What a route changes in a request: its path and its header, within bounds that keep the
//! handshake the gateway's own.

use std::ops::Range;

use http::{HeaderName, HeaderValue};

use crate::policy::route::Rewrite;

use super::context::{Context, quoted};
use super::fault::Fault;
use super::reader::Section;

/// Header fields that the gateway writes itself, or that mean something between two hops only.
const OWNED: [&str; 12] = [
    "host",
    "connection",
    "upgrade",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "keep-alive",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
];
const OWNED_PREFIXES: [&str; 2] = ["sec-websocket-", "proxy-"];

pub(super) fn lower(route: Section<'_>) -> Rewrite {
    Rewrite {
        strip_prefix: strip_prefix(route),
        set_headers: set_headers(route),
        remove_headers: remove_headers(route),
        preserve_host: route.flag("preserve_host", true),
    }
}

fn strip_prefix(route: Section<'_>) -> Option<String> {
    let text = route.text("strip_prefix")?;
    let reason = match check_path(text.text) {
        Err(reason) => reason,
        Ok(()) if text.text.ends_with('/') => "it ends in a slash",
        Ok(()) => return Some(text.text.to_owned()),
    };
    let fault = Fault::at(
        text.span.clone(),
        format!("not a prefix to strip: {reason}"),
    );
    let fault = fault
        .found(text.quoted())
        .expected("a path such as \"/ws\"");
    route
        .cx
        .report(fault.help("whole segments are stripped: \"/ws\" makes \"/a\" of \"/ws/a\""));
    None
}

/// A path that a request can carry as it stands here (RFC 3986 §3.3): absolute, without a query,
/// in ASCII, without dot segments.
pub(super) fn check_path(path: &str) -> Result<(), &'static str> {
    let is_dots = |segment: &str| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    };
    if !path.starts_with('/') {
        return Err("it does not begin with a slash");
    }
    if path.contains('*') {
        return Err("a `*` stands only at the end, after a slash");
    }
    if path.contains(['?', '#']) {
        return Err("it holds a query or a fragment");
    }
    if !path.bytes().all(|b| b.is_ascii_graphic()) || path.contains('\\') {
        return Err("it holds a character that must be percent-encoded");
    }
    if path.split('/').any(is_dots) {
        return Err("it holds a dot segment");
    }
    Ok(())
}

fn set_headers(route: Section<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let entries = route.field("set_headers").map(|f| f.entries());
    let header = |(name, span, text): (&str, Range<usize>, super::context::Text<'_>)| {
        let name = header_name(route.cx, name, span)?;
        let Ok(mut value) = HeaderValue::from_str(text.text) else {
            let message = format!("the value of {name} cannot stand in a header");
            let fault = Fault::at(text.span, message);
            route
                .cx
                .report(fault.expected("text without line ends and control characters"));
            return None;
        };
        // Often a token for the backend: no debug print shows it.
        value.set_sensitive(true);
        Some((name, value))
    };
    entries
        .unwrap_or_default()
        .into_iter()
        .filter_map(header)
        .collect()
}

fn remove_headers(route: Section<'_>) -> Vec<HeaderName> {
    let texts = route.field("remove_headers").and_then(|f| f.texts());
    let name =
        |text: &super::context::Text<'_>| header_name(route.cx, text.text, text.span.clone());
    texts.unwrap_or_default().iter().filter_map(name).collect()
}

fn header_name(cx: &Context<'_>, text: &str, span: Range<usize>) -> Option<HeaderName> {
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        let fault = Fault::at(span, "not the name of a header field").found(quoted(text));
        cx.report(fault.expected("letters, digits and `-`"));
        return None;
    };
    if is_owned(name.as_str()) {
        let message = format!("{} is the gateway's own", quoted(text));
        let help = match name.as_str() {
            "host" => "`preserve_host` decides about the Host",
            _ => "the handshake and the forwarding headers cannot be changed by a route",
        };
        cx.report(Fault::at(span, message).help(help));
        return None;
    }
    Some(name)
}

/// Underscores count as hyphens: many backends read both alike.
fn is_owned(name: &str) -> bool {
    let name = name.replace('_', "-");
    OWNED.contains(&name.as_str()) || OWNED_PREFIXES.iter().any(|p| name.starts_with(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for path in ["/", "/ws", "/ws/", "/a/b.c", "/a%20b", "/...", "//"] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        for path in [
            "",
            "ws",
            "/a*",
            "/*/a",
            "/a?b",
            "/a#b",
            "/a b",
            "/ä",
            "/a/../b",
            "/.",
            "/%2E%2e/a",
            "/a\\b",
            "/a\nb",
            "/a\0",
        ] {
            assert!(check_path(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn the_headers_of_the_handshake_are_the_gateways_own() {
        for name in [
            "host",
            "connection",
            "upgrade",
            "sec-websocket-key",
            "sec-websocket-foo",
            "content-length",
            "transfer-encoding",
            "proxy-authorization",
            "te",
            "trailer",
            "keep-alive",
            "x-forwarded-for",
            "x_forwarded_for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "forwarded",
        ] {
            assert!(is_owned(name), "{name}");
        }
        for name in [
            "authorization",
            "cookie",
            "x-tenant",
            "x-forwarded-user",
            "origin",
        ] {
            assert!(!is_owned(name), "{name}");
        }
    }
}
