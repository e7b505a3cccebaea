//! Digest (RFC 7616, and RFC 2069 where a proxy knows no more): the answer to a challenge, and the
//! nonce that a proxy gives for the next.
//!
//! The count and the nonce of ours are arguments: there is no randomness here, and no memory.

mod challenge;
mod hash;

use zeroize::Zeroizing;

pub use challenge::{Asked, SCHEME, Unanswerable};

use crate::wire::{challenge as header, list};

/// What one answer is about.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `CONNECT`.
    pub method: &'a str,
    /// The request target as it is sent: for CONNECT `host:port`.
    pub uri: &'a str,
    /// How often this nonce has been answered, this answer included.
    pub nc: u32,
    /// Our nonce: anything without a quote, a backslash or a control character.
    pub cnonce: &'a str,
}

/// The value of `Proxy-Authorization`, and what in it must not be shown.
pub struct Answer {
    /// The whole value.
    pub value: Zeroizing<String>,
    /// The proof that the password is known; who has it can guess at leisure.
    pub response: Zeroizing<String>,
    /// The user as it was sent: hashed, escaped or encoded.
    pub user: Zeroizing<String>,
}

/// Answers `asked`.
pub fn answer(asked: &Asked, user: &str, password: &str, request: &Request<'_>) -> Answer {
    let hash = asked.hash;
    let nc = format!("{:08x}", request.nc);
    let secret = secret(asked, user, password, request.cnonce);
    // §3.4.3: with qop=auth the body is no part of A2.
    let target = hash.joined(&[request.method, request.uri]);
    let response = match asked.counts {
        true => {
            let counted = [&asked.nonce, &nc, request.cnonce, "auth"];
            hash.joined(&[&[secret.as_str()], &counted[..], &[&target]].concat())
        }
        false => hash.joined(&[&secret, &asked.nonce, &target]),
    };
    let mut line = Line::default();
    let user = match asked.hides_user {
        // §3.4.4.
        true => line.quoted("username", &hash.joined(&[user, &asked.realm])),
        false => line.user(user, asked.reads_utf8),
    };
    line.quoted("realm", &asked.realm);
    line.quoted("nonce", &asked.nonce);
    line.quoted("uri", request.uri);
    line.quoted("response", &response);
    if let Some(algorithm) = &asked.algorithm {
        line.bare("algorithm", algorithm);
    }
    if let Some(opaque) = &asked.opaque {
        line.quoted("opaque", opaque);
    }
    if asked.counts {
        line.bare("qop", "auth");
        line.bare("nc", &nc);
        line.quoted("cnonce", request.cnonce);
    }
    if asked.hides_user {
        line.bare("userhash", "true");
    }
    Answer {
        value: line.0,
        response,
        user,
    }
}

// H(A1) (§3.4.2). What was escaped in a quoted-string counts as what it stands for.
fn secret(asked: &Asked, user: &str, password: &str, cnonce: &str) -> Zeroizing<String> {
    let plain = asked.hash.joined(&[user, &asked.realm, password]);
    match asked.by_session {
        true => asked.hash.joined(&[&plain, &asked.nonce, cnonce]),
        false => plain,
    }
}

/// The `nextnonce` of a `Proxy-Authentication-Info` (RFC 7616 §3.5).
pub fn next_nonce(info: &str) -> Option<String> {
    let is_next = |(name, _): &(String, String)| name == "nextnonce";
    let found = list::elements(info).filter_map(header::param).find(is_next);
    found.map(|(_, nonce)| nonce).filter(|n| !n.is_empty())
}

/// The header value in the making.
struct Line(Zeroizing<String>);

impl Default for Line {
    fn default() -> Self {
        // Long enough for the usual, so that growing leaves no copies behind.
        let mut text = String::with_capacity(1024);
        text.push_str(SCHEME);
        text.push(' ');
        Self(Zeroizing::new(text))
    }
}

impl Line {
    fn name(&mut self, name: &str) {
        if !self.0.ends_with(' ') {
            self.0.push_str(", ");
        }
        self.0.push_str(name);
        self.0.push('=');
    }

    fn bare(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.push_str(value);
    }

    // RFC 9110 §5.6.4. Returns what stands between the quotes.
    fn quoted(&mut self, name: &str, value: &str) -> Zeroizing<String> {
        let mut escaped = Zeroizing::new(String::with_capacity(value.len() * 2));
        for c in value.chars() {
            if matches!(c, '"' | '\\') {
                escaped.push('\\');
            }
            escaped.push(c);
        }
        self.name(name);
        for part in ["\"", &escaped, "\""] {
            self.0.push_str(part);
        }
        escaped
    }

    // §3.4: a name outside ASCII goes as `username*` (RFC 8187 §3.2) to a proxy that says it
    // reads UTF-8. To another it goes as it is, which most of them take for what it is.
    fn user(&mut self, user: &str, reads_utf8: bool) -> Zeroizing<String> {
        if user.is_ascii() || !reads_utf8 {
            return self.quoted("username", user);
        }
        let mut encoded = Zeroizing::new(String::with_capacity(user.len() * 3));
        for byte in user.bytes() {
            match byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                true => encoded.push(byte as char),
                false => encoded.push_str(&format!("%{byte:02X}")),
            }
        }
        self.name("username*");
        self.0.push_str("UTF-8''");
        self.0.push_str(&encoded);
        encoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(challenge: &str, user: &str, password: &str, request: &Request<'_>) -> String {
        let asked = Asked::strongest(&header::parse([challenge])).expect("answerable");
        let answer = answer(&asked, user, password, request);
        for part in [&answer.response, &answer.user] {
            assert!(answer.value.contains(part.as_str()));
        }
        answer.value.to_string()
    }

    /// That each of these parameters is in the answer.
    fn check(value: &str, expected: &[&str]) {
        for param in expected {
            let mut params = list::elements(value.strip_prefix("Digest ").expect("the scheme"));
            assert!(params.any(|p| p == *param), "{param} is not in {value}");
        }
    }

    fn connect(nc: u32) -> Request<'static> {
        Request {
            method: "CONNECT",
            uri: "chat.internal:443",
            nc,
            cnonce: "c",
        }
    }

    #[test]
    fn the_answers_of_rfc_7616_3_9_1() {
        let request = Request {
            method: "GET",
            uri: "/dir/index.html",
            nc: 1,
            cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        };
        let challenge = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        let answered =
            |algorithm| answered(&challenge(algorithm), "Mufasa", "Circle of Life", &request);
        assert_eq!(
            answered("MD5"),
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", uri=\"/dir/index.html\", \
             response=\"8ca523f5e9506fed4657c9700eebdbec\", algorithm=MD5, \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", qop=auth, nc=00000001, \
             cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\""
        );
        let sha256 =
            "response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\"";
        check(&answered("SHA-256"), &[sha256, "algorithm=SHA-256"]);
    }

    /// The RFC's own numbers come from a draft of SHA-512/256; these are those of its erratum 4897.
    #[test]
    fn the_answer_of_rfc_7616_3_9_2() {
        let challenge = "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
                         nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", \
                         opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", \
                         charset=UTF-8, userhash=true";
        let request = Request {
            method: "GET",
            uri: "/doe.json",
            nc: 1,
            cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
        };
        let user = "J\u{e4}s\u{f8}n Doe";
        check(
            &answered(challenge, user, "Secret, or not?", &request),
            &[
                "username=\"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b\"",
                "response=\"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5\"",
                "userhash=true",
            ],
        );
        // Where the user is not hidden (§3.9.2's last remark).
        let open = challenge.replace(", userhash=true", "");
        let value = answered(&open, user, "Secret, or not?", &request);
        check(&value, &["username*=UTF-8''J%C3%A4s%C3%B8n%20Doe"]);
        let unsaid = open
            .replace("charset=UTF-8, ", "")
            .replace(", charset=UTF-8", "");
        let value = answered(&unsaid, user, "Secret, or not?", &request);
        check(&value, &["username=\"J\u{e4}s\u{f8}n Doe\""]);
    }

    #[test]
    fn a_proxy_of_rfc_2069_is_answered_without_count() {
        let challenge = "Digest realm=\"r\", nonce=\"n\"";
        // MD5(MD5(u:r:p):n:MD5(CONNECT:chat.internal:443)), by another program.
        assert_eq!(
            answered(challenge, "u", "p", &connect(1)),
            "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"chat.internal:443\", \
             response=\"722413f32459fe926305e9d86997cb92\""
        );
    }

    #[test]
    fn a_session_mixes_both_nonces_into_the_secret() {
        let challenge = |algorithm: &str| {
            format!("Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm={algorithm}")
        };
        for (algorithm, response) in [
            ("MD5-sess", "c4d1b253d183ac3013810373c81dedce"),
            (
                "SHA-256-sess",
                "f1a0cd70b93da480540826e1305927e6375dc9a4fdccd1902d13aacdc8ef848b",
            ),
            (
                "sha-512-256-SESS",
                "27452333cec78956a8752711279343c522e0b4ad71f5b9bec71ae3c5f878d6f7",
            ),
        ] {
            check(
                &answered(&challenge(algorithm), "u", "p", &connect(0x1f)),
                &[
                    &format!("response=\"{response}\""),
                    &format!("algorithm={algorithm}"),
                    "nc=0000001f",
                ],
            );
        }
    }

    #[test]
    fn a_quote_or_a_backslash_is_escaped_and_counts_as_itself() {
        let challenge = r#"Digest realm="a \"b\" \\c", nonce="n\"", opaque="o\\""#;
        let value = answered(challenge, "CORP\\\"u", "p", &connect(1));
        let expected = [
            r#"username="CORP\\\"u""#,
            r#"realm="a \"b\" \\c""#,
            r#"nonce="n\"""#,
            r#"opaque="o\\""#,
            "response=\"668862af9f1cb5bd5d1748d6d81185d6\"",
        ];
        check(&value, &expected);
    }

    #[test]
    fn the_next_nonce_is_found_among_other_parameters() {
        let check = |info: &str, expected: Option<&str>| {
            assert_eq!(next_nonce(info).as_deref(), expected, "{info}");
        };
        check("nextnonce=\"n,=\\\"\"", Some("n,=\""));
        check(
            "qop=auth, rspauth=\"x\", NextNonce = abc, nc=1",
            Some("abc"),
        );
        check("rspauth=\"nextnonce=x\"", None);
        check("nextnonce=\"\"", None);
        check("", None);
    }
}
