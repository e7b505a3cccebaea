//! A proxy's side of Digest, written from RFC 7616 alone: what it asks, and whether an answer is
//! right. Knows nothing of how the gateway makes one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, SHA512_256, digest};
use md5::{Digest, Md5};

use super::dialling::{PASSWORD, USER};
use super::script::Act;

/// A lock that one user's password opens.
#[derive(Clone)]
pub struct Lock {
    /// As it stands in the challenge; empty: none, which is MD5.
    algorithm: &'static str,
    realm: &'static str,
    pub nonce: &'static str,
    qop: bool,
    userhash: bool,
    user: &'static str,
    /// The nonces and counts that were used: none may come twice.
    used: Arc<Mutex<HashSet<(String, String)>>>,
}

/// The lock of the tests' user: MD5, qop=auth.
pub fn lock(nonce: &'static str) -> Lock {
    Lock {
        algorithm: "MD5",
        realm: "corp",
        nonce,
        qop: true,
        userhash: false,
        user: USER,
        used: Arc::default(),
    }
}

impl Lock {
    pub fn by(self, algorithm: &'static str) -> Self {
        Self { algorithm, ..self }
    }

    pub fn realm(self, realm: &'static str) -> Self {
        Self { realm, ..self }
    }

    pub fn user(self, user: &'static str) -> Self {
        Self { user, ..self }
    }

    /// As before RFC 2617: no qop, no count.
    pub fn legacy(self) -> Self {
        let (algorithm, qop) = ("", false);
        Self {
            algorithm,
            qop,
            ..self
        }
    }

    pub fn hides_user(self) -> Self {
        let userhash = true;
        Self { userhash, ..self }
    }

    /// The same lock with another nonce.
    pub fn with(&self, nonce: &'static str) -> Self {
        Self {
            nonce,
            ..self.clone()
        }
    }

    /// Takes every count as new again.
    pub fn forget(&self) {
        self.used.lock().unwrap().clear();
    }

    /// What it asks, as the value of one header.
    pub fn challenge(&self) -> String {
        let realm = self.realm.replace('\\', "\\\\").replace('"', "\\\"");
        let mut text = format!("Digest realm=\"{realm}\", nonce=\"{}\"", self.nonce);
        text.push_str(", opaque=\"opaque, too\", charset=UTF-8");
        if self.qop {
            text.push_str(", qop=\"auth-int,auth\"");
        }
        if !self.algorithm.is_empty() {
            text.push_str(&format!(", algorithm={}", self.algorithm));
        }
        if self.userhash {
            text.push_str(", userhash=true");
        }
        text
    }

    /// A 407 that stays open.
    pub fn asks(&self) -> String {
        asks(&[&self.challenge()])
    }

    /// A 407 that says that only the nonce was wrong.
    pub fn stale(&self) -> String {
        asks(&[&format!("{}, stale=true", self.challenge())])
    }

    /// Says `reply` when the answer in the last head is right, and what is wrong otherwise.
    pub fn opens(&self, reply: &'static str) -> Act {
        let lock = self.clone();
        Act::Answer(Arc::new(move |head| match lock.judge(head) {
            Ok(()) => reply.as_bytes().to_vec(),
            Err(wrong) => format!("HTTP/1.1 418 {wrong}\r\n\r\n").into_bytes(),
        }))
    }

    /// Whether the answer in this head opens the lock, for the first time with its count.
    pub fn judge(&self, head: &str) -> Result<(), String> {
        let target = head.split(' ').nth(1).unwrap_or_default();
        let given = answer_in(head).ok_or("no answer by Digest")?;
        let get = |name: &str| given.get(name).map_or("", String::as_str);
        let expect = |name: &str, value: &str| match get(name) == value {
            true => Ok(()),
            false => Err(format!("{name} is {:?}, not {value:?}", get(name))),
        };
        expect("realm", self.realm)?;
        expect("nonce", self.nonce)?;
        expect("uri", target)?;
        expect("opaque", "opaque, too")?;
        expect("algorithm", self.algorithm)?;
        self.judge_user(&given)?;
        let a1 = self.hash(&format!("{}:{}:{PASSWORD}", self.user, self.realm));
        let a1 = match self.algorithm.ends_with("-sess") {
            true => self.hash(&format!("{a1}:{}:{}", self.nonce, get("cnonce"))),
            false => a1,
        };
        let a2 = self.hash(&format!("CONNECT:{target}"));
        if !self.qop {
            expect("qop", "")?;
            expect("nc", "")?;
            expect("cnonce", "")?;
            return expect("response", &self.hash(&format!("{a1}:{}:{a2}", self.nonce)));
        }
        expect("qop", "auth")?;
        if get("nc").len() != 8 || get("cnonce").len() < 16 {
            return Err(format!("nc {:?}, cnonce {:?}", get("nc"), get("cnonce")));
        }
        let kd = [&a1, self.nonce, get("nc"), get("cnonce"), "auth", &a2];
        expect("response", &self.hash(&kd.join(":")))?;
        let count = (self.nonce.to_owned(), get("nc").to_owned());
        match self.used.lock().unwrap().insert(count) {
            true => Ok(()),
            false => Err(format!("nc {} comes twice", get("nc"))),
        }
    }

    fn judge_user(&self, given: &HashMap<String, String>) -> Result<(), String> {
        let user = given.get("username").cloned();
        let expected = match self.userhash {
            true => Some(self.hash(&format!("{}:{}", self.user, self.realm))),
            false if self.user.is_ascii() => Some(self.user.to_owned()),
            false => None,
        };
        let says_hash = given.get("userhash").map(String::as_str) == Some("true");
        if user != expected || says_hash != self.userhash {
            return Err(format!("username is {user:?}"));
        }
        match (expected, given.get("username*")) {
            (None, Some(extended)) if *extended == extended_form(self.user) => Ok(()),
            (Some(_), None) => Ok(()),
            (_, extended) => Err(format!("username* is {extended:?}")),
        }
    }

    fn hash(&self, text: &str) -> String {
        let bytes = text.as_bytes();
        let hash = match self.algorithm.trim_end_matches("-sess") {
            "SHA-256" => digest(&SHA256, bytes).as_ref().to_vec(),
            "SHA-512-256" => digest(&SHA512_256, bytes).as_ref().to_vec(),
            _ => Md5::digest(bytes).to_vec(),
        };
        hash.iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// A 407 with a header for each of these challenges that leaves its connection open.
pub fn asks(challenges: &[&str]) -> String {
    let lines: Vec<String> = challenges
        .iter()
        .map(|c| format!("Proxy-Authenticate: {c}\r\n"))
        .collect();
    let lines = lines.concat();
    format!("HTTP/1.1 407 Who\r\n{lines}Content-Length: 5\r\n\r\nwho??")
}

/// The same 407, which closes.
pub fn closing(asks: &str) -> String {
    asks.replace("Content-Length", "Connection: close\r\nContent-Length")
}

/// The parameters of the Digest answer in a request head.
pub fn answer_in(head: &str) -> Option<HashMap<String, String>> {
    let line = "Proxy-Authorization: Digest ";
    let mut rest = head.lines().find_map(|l| l.strip_prefix(line))?;
    let mut params = HashMap::new();
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = value(after);
        params.insert(name.trim_start_matches([',', ' ']).to_owned(), value);
        rest = after;
    }
    Some(params)
}

fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            _ => value.push(c),
        }
    }
    (value, "")
}

fn extended_form(user: &str) -> String {
    let shown = |b: u8| match b.is_ascii_alphanumeric() {
        true => (b as char).to_string(),
        false => format!("%{b:02X}"),
    };
    let encoded: Vec<String> = user.bytes().map(shown).collect();
    format!("UTF-8''{}", encoded.concat())
}
