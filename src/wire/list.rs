//! Comma lists in header fields (RFC 9110 §5.6.1), in which a quoted comma separates nothing.
//!
//! Knows no header by name.

use http::HeaderMap;
use http::header::HeaderName;

/// The elements of one field value, trimmed, the empty ones left out.
pub fn elements(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let (element, after) = match unquoted(text, b',') {
            Some(comma) => (&text[..comma], Some(&text[comma + 1..])),
            None => (text, None),
        };
        rest = after;
        Some(element.trim_matches([' ', '\t']))
    })
    .filter(|element| !element.is_empty())
}

/// The elements of every line of a field; `None` where a line is not text.
pub fn all_elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Vec<&'a str>> {
    let mut all = Vec::new();
    for value in headers.get_all(name) {
        all.extend(elements(value.to_str().ok()?));
    }
    Some(all)
}

/// Where `wanted` first stands outside quotes (RFC 9110 §5.6.4: a backslash in quotes takes the
/// meaning from the byte after it). `wanted` is ASCII, so the index is a character boundary.
pub fn unquoted(text: &str, wanted: u8) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == wanted && !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether a comma behind `element` would end it: not where its quotes never close.
pub fn is_whole(element: &str) -> bool {
    unquoted(&format!("{element},"), b',') == Some(element.len())
}

/// RFC 9110 §5.6.2: the characters of a token.
pub fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &[&str]) {
        assert_eq!(elements(value).collect::<Vec<_>>(), expected, "{value:?}");
    }

    #[test]
    fn a_list_is_cut_at_its_commas_and_no_others() {
        check("", &[]);
        check("a", &["a"]);
        check(" a ,\tb,c", &["a", "b", "c"]);
        check(",,a,, b,", &["a", "b"]);
        check(r#"x="a,b", y"#, &[r#"x="a,b""#, "y"]);
        check(r#"x="a\",b", y"#, &[r#"x="a\",b""#, "y"]);
        check(r#"x="never closed, y"#, &[r#"x="never closed, y"#]);
        check("é,ü", &["é", "ü"]);
    }

    #[test]
    fn an_element_is_whole_when_its_quotes_close() {
        for whole in ["", "a", r#"a="b""#, r#"a="\"""#, r#"a="b,c""#, r"\"] {
            assert!(is_whole(whole), "{whole:?}");
        }
        for open in [r#"""#, r#"a="b"#, r#"a="b\""#, r#"a="b\"#, r#""a"b""#] {
            assert!(!is_whole(open), "{open:?}");
        }
    }

    #[test]
    fn what_is_a_token() {
        assert!(is_token("permessage-deflate"));
        for text in ["", "a b", "a,b", "a/b", "a\"b", "é", "a\0"] {
            assert!(!is_token(text), "{text:?}");
        }
    }
}
