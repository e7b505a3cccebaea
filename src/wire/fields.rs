//! Header fields: lists of tokens, and which fields end at this hop (RFC 9110 §5.6, §7.6.1).

use std::borrow::Cow;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::list;

/// Fields that concern one connection and never go on, on requests, on answers and on 101s.
static HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What stands for a line that is no visible ASCII.
pub const NO_TEXT: &str = "\0";

/// The tokens of a comma-separated field over all its lines, in order; empty elements are passed
/// over (RFC 9110 §5.6.1.2). A line that is no visible ASCII counts as one token, [`NO_TEXT`], so
/// that it can neither match nor hide.
pub fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(name)
        .iter()
        .map(|line| line.to_str().unwrap_or(NO_TEXT))
        .flat_map(list::elements)
}

/// Whether one of the tokens equals `token`, in any case.
pub fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|t| t.eq_ignore_ascii_case(token))
}

/// The value of a field that may stand once.
pub fn single<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h HeaderValue>, Twice> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next();
    match lines.next() {
        None => Ok(first),
        Some(_) => Err(Twice),
    }
}

/// A field stands twice that may stand once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Twice;

/// Takes out what ends at this hop: the fields that `Connection` names, the standard ones, and
/// everything `Proxy-*`.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens(headers, &header::CONNECTION)
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .collect();
    remove_where(headers, |name| {
        HOP_BY_HOP.contains(name) || named.contains(name) || name.as_str().starts_with("proxy-")
    });
}

/// Takes out every field whose name satisfies `is_out`.
pub fn remove_where(headers: &mut HeaderMap, is_out: impl Fn(&HeaderName) -> bool) {
    let out: Vec<HeaderName> = headers.keys().filter(|n| is_out(n)).cloned().collect();
    for name in out {
        headers.remove(name);
    }
}

/// Whether `name` is another spelling of a field with dashes: `x_forwarded_for`,
/// `x.forwarded.for`. Many frameworks fold these together, so what we set could be overruled.
pub fn is_look_alike(name: &str) -> bool {
    name.contains(['_', '.'])
}

/// `name` with the dashes that a framework would read into it.
pub fn canonical_spelling(name: &str) -> Cow<'_, str> {
    match is_look_alike(name) {
        true => Cow::Owned(name.replace(['_', '.'], "-")),
        false => Cow::Borrowed(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        map
    }

    #[test]
    fn tokens_over_lines_in_any_case_and_never_a_substring() {
        let map = headers(&[("connection", "keep-alive, ,"), ("connection", "\tUpgrade")]);
        assert!(has_token(&map, &header::CONNECTION, "upgrade"));
        assert!(has_token(&map, &header::CONNECTION, "Keep-Alive"));
        assert!(!has_token(&map, &header::CONNECTION, "keep"));
        let map = headers(&[
            ("upgrade", "websockets"),
            ("upgrade", "x-websocket"),
            ("upgrade", "web socket"),
        ]);
        assert!(!has_token(&map, &header::UPGRADE, "websocket"));
        let map = headers(&[("upgrade", "websocket\u{e9}")]);
        assert!(!has_token(&map, &header::UPGRADE, "websocket"));
    }

    #[test]
    fn what_connection_names_ends_here_and_so_does_everything_proxy() {
        let mut map = headers(&[
            ("connection", "Upgrade, X-Secret"),
            ("connection", "x-other"),
            ("upgrade", "websocket"),
            ("x-secret", "1"),
            ("X-Other", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("proxy-authorization", "Basic eA=="),
            ("proxy-connection", "keep-alive"),
            ("proxy-anything", "1"),
            ("cookie", "stays"),
        ]);
        strip_hop_by_hop(&mut map);
        assert_eq!(map, headers(&[("cookie", "stays")]));
    }

    #[test]
    fn one_line_or_twice() {
        let map = headers(&[("a", "1"), ("b", "1"), ("b", "1")]);
        let single = |name: &'static str| single(&map, &HeaderName::from_static(name));
        assert_eq!(single("a").unwrap().unwrap(), "1");
        assert_eq!(single("b"), Err(Twice));
        assert_eq!(single("c"), Ok(None));
    }
}
