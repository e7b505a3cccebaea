//! Digest (RFC 7616): one nonce of a proxy's, answered as often as it lets us, by any number of
//! dials at once.
//!
//! Holds the challenge and our own nonce, and nothing of the credentials.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_lc_rs::rand;

use super::method::Spoken;
use crate::egress::params::Credentials;
use crate::wire::connect::reply::Reply;
use crate::wire::digest::{self, Asked, Request};

/// Of our own nonce.
const CNONCE_BYTES: usize = 16;

/// A challenge being answered.
#[derive(Debug)]
pub(super) struct Session {
    asked: Asked,
    /// The same for all answers to this nonce: a `-sess` algorithm has it in its secret.
    cnonce: String,
    /// How many answers were made. No two may have the same number, or the second is a replay.
    answers: AtomicU32,
}

impl Session {
    pub(super) fn begin(asked: Asked) -> Arc<Self> {
        Arc::new(Self {
            asked,
            cnonce: cnonce(),
            answers: AtomicU32::new(0),
        })
    }

    /// `None` once the nonce has been answered as often as can be counted (§3.4: eight digits).
    pub(super) fn speak(&self, credentials: &Credentials, target: &str) -> Option<Spoken> {
        let request = Request {
            method: "CONNECT",
            uri: target,
            nc: self.next_count()?,
            cnonce: &self.cnonce,
        };
        let (user, password) = (credentials.user.reveal(), credentials.password.reveal());
        let answer = digest::answer(&self.asked, user, password, &request);
        Some(Spoken {
            value: answer.value,
            secrets: vec![answer.response, answer.user],
        })
    }

    fn next_count(&self) -> Option<u32> {
        let counted = |n: u32| n.checked_add(1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        let before = self.answers.fetch_update(set, fetch, counted).ok()?;
        counted(before)
    }

    /// With the nonce that the proxy wants next (§3.5), if it names one.
    pub(super) fn renewed_by(&self, reply: &Reply) -> Option<Arc<Self>> {
        let mut infos = reply.texts("proxy-authentication-info");
        let nonce = infos.find_map(digest::next_nonce)?;
        self.asked.with_nonce(nonce).map(Self::begin)
    }
}

fn cnonce() -> String {
    let mut bytes = [0; CNONCE_BYTES];
    rand::fill(&mut bytes).expect("aws-lc aborts rather than go on without randomness");
    let mut text = String::with_capacity(CNONCE_BYTES * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes any text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::params::Secret;
    use crate::wire::challenge;

    fn session() -> Arc<Session> {
        let challenges = challenge::parse(["Digest realm=r, nonce=n, qop=auth"]);
        Session::begin(Asked::strongest(&challenges).expect("answerable"))
    }

    fn spoken(session: &Session) -> Option<String> {
        let credentials = Credentials {
            user: Secret::new("u".to_owned()),
            password: Secret::new("p".to_owned()),
        };
        let spoken = session.speak(&credentials, "a:1")?;
        Some(spoken.value.to_string())
    }

    #[test]
    fn each_answer_has_a_number_of_its_own_until_there_is_none_left() {
        let session = session();
        for nc in ["nc=00000001,", "nc=00000002,"] {
            assert!(spoken(&session).expect("an answer").contains(nc));
        }
        session.answers.store(u32::MAX - 1, Ordering::Relaxed);
        let last = spoken(&session).expect("an answer");
        assert!(last.contains("nc=ffffffff,"), "{last}");
        assert_eq!(spoken(&session), None);
        assert_eq!(spoken(&session), None);
    }

    #[test]
    fn our_nonce_is_another_each_time() {
        let (a, b) = (cnonce(), cnonce());
        assert_eq!((a.len(), b.len()), (32, 32));
        assert_ne!(a, b);
    }

    #[test]
    fn a_next_nonce_begins_a_new_count() {
        let session = session();
        spoken(&session).expect("an answer");
        let reply = |line: &str| {
            let head = format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n");
            Reply::parse(head.as_bytes()).expect("a head")
        };
        let info = "Proxy-Authentication-Info: qop=auth, nextnonce=\"m\"";
        let next = session.renewed_by(&reply(info)).expect("a next nonce");
        let value = spoken(&next).expect("an answer");
        assert!(
            value.contains("nonce=\"m\"") && value.contains("nc=00000001,"),
            "{value}"
        );
        assert!(session.renewed_by(&reply("A: b")).is_none());
    }
}
