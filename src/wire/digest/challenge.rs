//! What a proxy asks for by Digest (RFC 7616 §3.3), as far as we can answer it.
//!
//! Knows no credentials.

use std::fmt;

use super::hash::Hash;
use crate::wire::challenge::Challenge;
use crate::wire::list;

/// The scheme's name, compared without regard to case.
pub const SCHEME: &str = "Digest";

/// A challenge that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub(super) realm: String,
    pub(super) nonce: String,
    pub(super) opaque: Option<String>,
    pub(super) hash: Hash,
    /// As it was written, to be sent back so; `None` where nothing was, which means MD5.
    pub(super) algorithm: Option<String>,
    /// The `-sess` kind: the password's hash is mixed with the nonces once a session.
    pub(super) by_session: bool,
    /// `qop=auth`; without it the proxy knows no more than RFC 2069.
    pub(super) counts: bool,
    /// The user is to be sent as a hash.
    pub(super) hides_user: bool,
    /// The proxy says that it reads UTF-8.
    pub(super) reads_utf8: bool,
    stale: bool,
}

/// Why a challenge cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswerable {
    /// None of it is Digest.
    NotOffered,
    /// It has no nonce, or a value that no header can carry back.
    Broken,
    /// No such hash function here, or a `-sess` one without the nonce of ours it needs.
    Algorithm,
    /// It wants the body protected (`auth-int`), and CONNECT has none, or something unknown.
    Protection,
}

impl Asked {
    /// The challenge among these that names the strongest hash function we have. RFC 7616 §3.7
    /// lets a proxy offer several; of two alike the first.
    pub fn strongest(challenges: &[Challenge]) -> Result<Self, Unanswerable> {
        let mut best: Result<Self, Unanswerable> = Err(Unanswerable::NotOffered);
        for challenge in challenges.iter().filter(|c| c.asks_for(SCHEME)) {
            best = match (best, Self::parse(challenge)) {
                (Ok(best), Ok(next)) if next.hash > best.hash => Ok(next),
                (Ok(best), _) => Ok(best),
                (Err(_), next) => next,
            };
        }
        best
    }

    fn parse(challenge: &Challenge) -> Result<Self, Unanswerable> {
        let text = |name| challenge.param(name).map(str::to_owned);
        let is_true = |name| challenge.param(name).is_some_and(|v| eq(v, "true"));
        let (hash, by_session) = match challenge.param("algorithm") {
            None => (Hash::Md5, false),
            Some(name) => algorithm(name).ok_or(Unanswerable::Algorithm)?,
        };
        let counts = counts(challenge.param("qop"))?;
        if by_session && !counts {
            return Err(Unanswerable::Algorithm);
        }
        let asked = Self {
            realm: text("realm").unwrap_or_default(),
            nonce: text("nonce").ok_or(Unanswerable::Broken)?,
            opaque: text("opaque"),
            hash,
            algorithm: text("algorithm"),
            by_session,
            counts,
            hides_user: is_true("userhash"),
            reads_utf8: challenge.param("charset").is_some_and(|v| eq(v, "UTF-8")),
            stale: is_true("stale"),
        };
        match asked.can_be_sent_back() {
            true => Ok(asked),
            false => Err(Unanswerable::Broken),
        }
    }

    /// The same with the nonce for the time after this (RFC 7616 §3.5), if it can be sent back.
    pub fn with_nonce(&self, nonce: String) -> Option<Self> {
        let next = Self {
            nonce,
            stale: false,
            ..self.clone()
        };
        next.can_be_sent_back().then_some(next)
    }

    /// Whether only the nonce was too old, and the credentials were right (RFC 7616 §3.3).
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    // A quoted-string takes no control characters (RFC 9110 §5.6.4), whatever was received.
    fn can_be_sent_back(&self) -> bool {
        let opaque = self.opaque.as_deref().unwrap_or_default();
        let texts = [&self.realm, &self.nonce, opaque];
        !texts
            .iter()
            .any(|text| text.bytes().any(|b| b.is_ascii_control()))
    }
}

fn eq(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

// RFC 7616 §3.3 and §6.1.
fn algorithm(name: &str) -> Option<(Hash, bool)> {
    let known = [
        ("MD5", Hash::Md5),
        ("SHA-256", Hash::Sha256),
        ("SHA-512-256", Hash::Sha512_256),
    ];
    let lower = name.to_ascii_lowercase();
    let (base, by_session) = match lower.strip_suffix("-sess") {
        Some(base) => (base, true),
        None => (lower.as_str(), false),
    };
    let (_, hash) = known.iter().find(|(n, _)| eq(n, base))?;
    Some((*hash, by_session))
}

// Without qop it is RFC 2069's Digest; with it, `auth` must be among the choices.
fn counts(qop: Option<&str>) -> Result<bool, Unanswerable> {
    let Some(qop) = qop.filter(|qop| !qop.trim().is_empty()) else {
        return Ok(false);
    };
    match list::elements(qop).any(|choice| eq(choice, "auth")) {
        true => Ok(true),
        false => Err(Unanswerable::Protection),
    }
}

impl fmt::Display for Unanswerable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOffered => "it does not ask for Digest",
            Self::Broken => "its Digest challenge is broken",
            Self::Algorithm => "no Digest algorithm of it is supported",
            Self::Protection => "no Digest qop of it is supported",
        })
    }
}

impl std::error::Error for Unanswerable {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::challenge;

    fn strongest(header: &str) -> Result<Asked, Unanswerable> {
        Asked::strongest(&challenge::parse([header]))
    }

    /// Hash, by session, counts.
    fn check(header: &str, expected: Result<(Hash, bool, bool), Unanswerable>) {
        let found = strongest(header).map(|a| (a.hash, a.by_session, a.counts));
        assert_eq!(found, expected, "{header}");
    }

    #[test]
    fn algorithm_and_qop_in_any_case_and_order() {
        check("Digest nonce=n", Ok((Hash::Md5, false, false)));
        check("Digest nonce=n, qop=\"\"", Ok((Hash::Md5, false, false)));
        check(
            "dIGEST nonce=n, algorithm=md5, qop=auth",
            Ok((Hash::Md5, false, true)),
        );
        check(
            "Digest qop=\"auth-int, AUTH\", algorithm=\"MD5-Sess\", nonce=n",
            Ok((Hash::Md5, true, true)),
        );
        check(
            "Digest nonce=n, algorithm=SHA-256-sess, qop=\"auth\"",
            Ok((Hash::Sha256, true, true)),
        );
        check(
            "Digest nonce=n, algorithm=SHA-512-256, qop=\"auth\"",
            Ok((Hash::Sha512_256, false, true)),
        );
    }

    #[test]
    fn what_cannot_be_answered() {
        check("Basic realm=x", Err(Unanswerable::NotOffered));
        check("Digest realm=x", Err(Unanswerable::Broken));
        check("Digest nonce=\"a\tb\"", Err(Unanswerable::Broken));
        check("Digest nonce=n, opaque=\"\r\"", Err(Unanswerable::Broken));
        check("Digest nonce=n, realm=\"\x1b\"", Err(Unanswerable::Broken));
        let unknown = Err(Unanswerable::Algorithm);
        check("Digest nonce=n, algorithm=SHA-512, qop=auth", unknown);
        check("Digest nonce=n, algorithm=\"\", qop=auth", unknown);
        check("Digest nonce=n, algorithm=MD5-sess", unknown);
        let unknown = Err(Unanswerable::Protection);
        check("Digest nonce=n, qop=\"auth-int\"", unknown);
        check("Digest nonce=n, qop=authentic", unknown);
    }

    #[test]
    fn the_strongest_of_several_that_we_know() {
        let sha512 = "Digest nonce=3, algorithm=SHA-512-256, qop=auth";
        let sha256 = "Digest nonce=2, algorithm=SHA-256, qop=auth";
        let md5 = "Digest nonce=1, qop=auth";
        let unknown = "Digest nonce=0, algorithm=SHA3, qop=auth";
        let nonce = |offers: &[&str]| strongest(&offers.join(", ")).map(|a| a.nonce);
        let check = |offers: &[&str], expected: &str| {
            assert_eq!(nonce(offers).as_deref(), Ok(expected), "{offers:?}");
        };
        check(&[md5, sha256, sha512, unknown], "3");
        check(&[unknown, sha512, sha256, md5], "3");
        check(&[md5, "Basic realm=x", sha256, unknown], "2");
        check(&[md5, "Digest nonce=9, qop=auth"], "1");
        assert_eq!(nonce(&[unknown]), Err(Unanswerable::Algorithm));
    }

    #[test]
    fn a_next_nonce_is_taken_if_it_can_be_sent_back() {
        let asked = strongest("Digest nonce=n, stale=TRUE, opaque=o").expect("answerable");
        assert!(asked.is_stale());
        let next = asked.with_nonce("m".to_owned()).expect("sendable");
        assert_eq!((next.nonce.as_str(), next.is_stale()), ("m", false));
        assert_eq!(next.opaque.as_deref(), Some("o"));
        assert_eq!(asked.with_nonce("m\n".to_owned()), None);
    }
}
