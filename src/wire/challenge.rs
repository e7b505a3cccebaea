//! `Proxy-Authenticate`: what a proxy asks for (RFC 9110 §11.3 and §11.6.1).
//!
//! Knows no scheme: it finds names, parameters and token68 values, and leaves their meaning to
//! whoever answers them.

use super::list;

/// One challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme as written; compare it without regard to case.
    pub scheme: String,
    /// The one value that is not a parameter, as NTLM and Negotiate send it.
    pub token68: Option<String>,
    /// Parameters in order, the names in lower case, the values without their quotes.
    pub params: Vec<(String, String)>,
}

impl Challenge {
    /// Whether this asks for `scheme`.
    pub fn asks_for(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// A parameter by its name in lower case.
    pub fn param(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The challenges of all `Proxy-Authenticate` values together, in order. What is neither a scheme
/// nor a parameter of one is left out: a proxy whose third challenge is broken still asks for the
/// first two.
pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    for value in values {
        // A parameter belongs to a challenge of its own line, never to the line before.
        let first_of_line = challenges.len();
        for element in list::elements(value) {
            // RFC 9110 §11.6.1: the same comma separates parameters and challenges. A parameter
            // has its "=" ahead of any space, a scheme has none.
            if let Some(param) = param(element) {
                if let Some(challenge) = challenges
                    .get_mut(first_of_line..)
                    .and_then(<[_]>::last_mut)
                {
                    challenge.params.push(param);
                }
            } else if let Some(challenge) = begin(element) {
                challenges.push(challenge);
            }
        }
    }
    challenges
}

// auth-scheme [ 1*SP ( token68 / auth-param ) ]
fn begin(element: &str) -> Option<Challenge> {
    let (scheme, rest) = match element.split_once([' ', '\t']) {
        Some((scheme, rest)) => (scheme, rest.trim_matches([' ', '\t'])),
        None => (element, ""),
    };
    if !list::is_token(scheme) {
        return None;
    }
    let params: Vec<_> = param(rest).into_iter().collect();
    let is_token68 = params.is_empty() && is_token68(rest);
    Some(Challenge {
        scheme: scheme.to_owned(),
        token68: is_token68.then(|| rest.to_owned()),
        params,
    })
}

// token BWS "=" BWS ( token / quoted-string ). A value that is only "=" is the padding of a
// token68, not a parameter.
pub(super) fn param(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim_end_matches([' ', '\t']);
    let value = value.trim_start_matches([' ', '\t']);
    let is_padding = value.bytes().all(|b| b == b'=');
    if !list::is_token(name) || is_padding {
        return None;
    }
    Some((name.to_ascii_lowercase(), unquote(value)))
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => text.extend(chars.next()),
            _ => text.push(c),
        }
    }
    text
}

fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty()
        && body
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scheme[ token68][ name=value]...`, one challenge an entry.
    fn check(values: &[&str], expected: &[&str]) {
        let found: Vec<String> = parse(values.iter().copied()).iter().map(shown).collect();
        assert_eq!(found, expected, "{values:?}");
    }

    fn shown(challenge: &Challenge) -> String {
        let mut text = challenge.scheme.clone();
        if let Some(token) = &challenge.token68 {
            text.push_str(&format!(" <{token}>"));
        }
        for (name, value) in &challenge.params {
            text.push_str(&format!(" {name}={value}"));
        }
        text
    }

    #[test]
    fn one_line_or_several_make_the_same_challenges() {
        check(&[], &[]);
        check(&[""], &[]);
        check(&["Basic realm=\"corp\""], &["Basic realm=corp"]);
        check(
            &["Negotiate", "NTLM", "bAsIc realm=x"],
            &["Negotiate", "NTLM", "bAsIc realm=x"],
        );
        check(
            &["Negotiate, NTLM, Basic realm=\"a, b\""],
            &["Negotiate", "NTLM", "Basic realm=a, b"],
        );
        check(
            &[
                "Digest realm=\"r\", nonce=\"n=,=\", qop=\"auth,auth-int\", Basic REALM = \"q\\\"q\"",
            ],
            &[
                "Digest realm=r nonce=n=,= qop=auth,auth-int",
                "Basic realm=q\"q",
            ],
        );
    }

    #[test]
    fn a_token68_is_no_parameter() {
        check(&["NTLM TlRMTVNTUAAC"], &["NTLM <TlRMTVNTUAAC>"]);
        check(
            &["Negotiate YII+/w==, Basic realm=x"],
            &["Negotiate <YII+/w==>", "Basic realm=x"],
        );
        check(&["NTLM a="], &["NTLM <a=>"]);
    }

    #[test]
    fn what_is_broken_is_left_out_and_the_rest_stands() {
        check(&["realm=\"nobody's\", Basic realm=x"], &["Basic realm=x"]);
        check(&["Negotiate", "realm=x"], &["Negotiate"]);
        check(&["\u{e9}!, Basic"], &["Basic"]);
        check(
            &["Basic realm=\"never closed, NTLM"],
            &["Basic realm=never closed, NTLM"],
        );
        check(&[",,;,Basic,"], &["Basic"]);
    }

    #[test]
    fn no_prefix_of_a_header_confuses_it() {
        let full = "Negotiate YII+/w==, Digest realm=\"a\\\",b\", nonce=\"x=\", Basic realm=x";
        for cut in 0..=full.len() {
            let challenges = parse([&full[..cut]]);
            assert!(challenges.len() <= 3, "{:?}", &full[..cut]);
        }
    }
}
