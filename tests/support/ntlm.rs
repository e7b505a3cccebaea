//! The proxy's side of NTLMv2: challenges, and really verifies what comes back, by code of its own.
//!
//! Knows nothing of the gateway's messages but their specification ([MS-NLMP]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md4::Md4;
use md5::{Digest, Md5};

use super::script::Act;

/// A proxy that asks for NTLM and keeps its connection.
pub const ASKS_NTLM: &str = "HTTP/1.1 407 Who\r\nProxy-Authenticate: NTLM\r\n\
                             Proxy-Connection: keep-alive\r\nContent-Length: 5\r\n\r\nwho??";

/// What Windows challenges with, a domain controller's flags.
const FLAGS: u32 = 0xa289_8205;
/// KEY_EXCH and SIGN.
pub const KEY_EXCHANGE: u32 = 0x4000_0010;
const NONCE: [u8; 8] = *b"\x01\x23\x45\x67\x89\xab\xcd\xef";
const TIME: [u8; 8] = *b"\x00\x11\x22\x33\x44\x55\xdb\x01";
const DOMAIN: &str = "CORP";

/// Who may pass, and what was seen of those who tried.
pub struct Verifier {
    pub user: &'static str,
    pub password: &'static str,
    pub domain: &'static str,
    pub workstation: &'static str,
    /// MsvAvTargetName.
    pub target: String,
    /// MsvAvChannelBindings.
    pub binding: [u8; 16],
    /// Flags of the challenge besides the usual ones.
    pub flags: u32,
    /// The last Type 1.
    pub offer: Mutex<Vec<u8>>,
    /// The scheme that it asks for.
    pub scheme: &'static str,
    /// What came of each Type 3.
    pub verdicts: Mutex<Vec<Result<(), String>>>,
}

impl Verifier {
    /// Knows one user; reached without TLS by its address.
    pub fn new(user: &'static str, password: &'static str) -> Self {
        Self {
            user,
            password,
            domain: "",
            workstation: "",
            target: "HTTP/127.0.0.1".to_owned(),
            binding: [0; 16],
            flags: 0,
            scheme: "NTLM",
            offer: Mutex::default(),
            verdicts: Mutex::default(),
        }
    }

    /// Answers a Type 1 with a 407 that carries a Type 2 and these headers and body.
    pub fn challenges(self: &Arc<Self>, rest: &'static str) -> Act {
        let this = self.clone();
        Act::Answer(Arc::new(move |head| {
            let offer = authorization(head);
            assert!(offer.starts_with(b"NTLMSSP\0\x01\0\0\0"), "{head}");
            *this.offer.lock().unwrap() = offer;
            let token = STANDARD.encode(this.challenge());
            let scheme = this.scheme;
            let asks =
                format!("HTTP/1.1 407 Who\r\nProxy-Authenticate: {scheme} {token}\r\n{rest}");
            asks.into_bytes()
        }))
    }

    /// Answers a Type 3 with `200`, or asks again when it does not hold.
    pub fn judges(self: &Arc<Self>) -> Act {
        let this = self.clone();
        Act::Answer(Arc::new(move |head| {
            let verdict = this.verify(&authorization(head));
            let answer = match &verdict {
                Ok(()) => super::proxy::OK.to_owned(),
                Err(_) => ASKS_NTLM.replace("NTLM", this.scheme),
            };
            this.verdicts.lock().unwrap().push(verdict);
            answer.into_bytes()
        }))
    }

    /// The legs of one connection behind its first 407: challenge, verdict.
    pub fn legs(self: &Arc<Self>) -> Vec<Act> {
        let challenge = self.challenges("Content-Length: 0\r\n\r\n");
        vec![Act::Head, challenge, Act::Head, self.judges()]
    }

    /// What came of each Type 3 so far.
    pub fn verdicts(&self) -> Vec<Result<(), String>> {
        self.verdicts.lock().unwrap().clone()
    }

    fn challenge(&self) -> Vec<u8> {
        let mut info = Vec::new();
        for (id, value) in offered() {
            info.extend_from_slice(&id.to_le_bytes());
            info.extend_from_slice(&(value.len() as u16).to_le_bytes());
            info.extend_from_slice(&value);
        }
        info.extend_from_slice(&[0; 4]);
        let name = utf16(DOMAIN);
        let mut message = b"NTLMSSP\0\x02\0\0\0".to_vec();
        message.extend(pointer(name.len(), 56));
        message.extend((FLAGS | self.flags).to_le_bytes());
        message.extend(NONCE);
        message.extend([0; 8]);
        message.extend(pointer(info.len(), 56 + name.len()));
        message.extend(b"\x0a\0\x63\x45\0\0\0\x0f");
        message.extend(name);
        message.extend(info);
        message
    }

    fn verify(&self, message: &[u8]) -> Result<(), String> {
        holds(message.starts_with(b"NTLMSSP\0\x03\0\0\0"), "no Type 3")?;
        for (at, expected, what) in [
            (28, self.domain, "domain"),
            (36, self.user, "user"),
            (44, self.workstation, "workstation"),
        ] {
            let is_it = field(message, at) == utf16(expected);
            holds(is_it, &format!("another {what}"))?;
        }
        holds(field(message, 12) == [0; 24], "an LM response")?;
        let (proof, blob) = field(message, 20).split_at(16);
        let whole = utf16(&(self.user.to_uppercase() + self.domain));
        let key = hmac(&Md4::digest(utf16(self.password)), &whole);
        holds(
            hmac(&key, &[&NONCE, blob].concat()) == proof,
            "another password",
        )?;
        holds(blob[..8] == [1, 1, 0, 0, 0, 0, 0, 0], "no version 1")?;
        holds(blob[8..16] == TIME, "another time")?;
        self.verify_attributes(&attributes(&blob[28..]))?;
        let session = self.session_key(message, &hmac(&key, proof))?;
        self.verify_mic(message, &session)
    }

    fn verify_attributes(&self, found: &BTreeMap<u16, Vec<u8>>) -> Result<(), String> {
        for (id, value) in offered() {
            let is_there = found.get(&id) == Some(&value);
            holds(is_there, &format!("attribute {id} is not ours"))?;
        }
        let has = |id, value: &[u8]| found.get(&id).is_some_and(|v| v == value);
        holds(has(6, &[2, 0, 0, 0]), "no word of a MIC")?;
        holds(has(9, &utf16(&self.target)), "another target")?;
        holds(has(10, &self.binding), "another channel")
    }

    fn session_key(&self, message: &[u8], base: &[u8]) -> Result<Vec<u8>, String> {
        let sent = field(message, 52);
        if self.flags & KEY_EXCHANGE != KEY_EXCHANGE {
            holds(sent.is_empty(), "a key nobody asked for")?;
            return Ok(base.to_vec());
        }
        holds(sent.len() == 16, "no key")?;
        Ok(rc4(base, sent))
    }

    fn verify_mic(&self, message: &[u8], key: &[u8]) -> Result<(), String> {
        let mut without = message.to_vec();
        without[72..88].fill(0);
        let all = [&self.offer.lock().unwrap()[..], &self.challenge(), &without].concat();
        holds(hmac(key, &all) == message[72..88], "another MIC")
    }
}

/// Domain, computer, DNS domain, time.
fn offered() -> [(u16, Vec<u8>); 4] {
    [
        (2, utf16(DOMAIN)),
        (1, utf16("PROXY")),
        (4, utf16("corp.example")),
        (7, TIME.to_vec()),
    ]
}

/// The message in a request's `Proxy-Authorization`.
pub fn authorization(head: &str) -> Vec<u8> {
    let begins = "Proxy-Authorization: ";
    let line = head.lines().find_map(|line| line.strip_prefix(begins));
    let token = line.and_then(|line| line.split(' ').nth(1));
    STANDARD.decode(token.unwrap_or_default()).unwrap()
}

/// MsvAvChannelBindings for TLS whose certificate has this hash.
pub fn binding(certificate_hash: &[u8]) -> [u8; 16] {
    let data = [b"tls-server-end-point:", certificate_hash].concat();
    let length = (data.len() as u32).to_le_bytes();
    Md5::digest([&[0; 16][..], &length, &data].concat()).into()
}

fn holds(condition: bool, otherwise: &str) -> Result<(), String> {
    match condition {
        true => Ok(()),
        false => Err(otherwise.to_owned()),
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn pointer(length: usize, at: usize) -> Vec<u8> {
    let length = (length as u16).to_le_bytes();
    [&length[..], &length, &(at as u32).to_le_bytes()].concat()
}

fn field(message: &[u8], at: usize) -> &[u8] {
    let length = u16::from_le_bytes([message[at], message[at + 1]]);
    let from = u32::from_le_bytes(message[at + 4..at + 8].try_into().unwrap());
    &message[from as usize..from as usize + usize::from(length)]
}

fn attributes(mut bytes: &[u8]) -> BTreeMap<u16, Vec<u8>> {
    let mut found = BTreeMap::new();
    loop {
        let id = u16::from_le_bytes([bytes[0], bytes[1]]);
        let length = usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
        if id == 0 {
            return found;
        }
        found.insert(id, bytes[4..4 + length].to_vec());
        bytes = &bytes[4 + length..];
    }
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let pad = |with| -> Vec<u8> {
        let byte = |i| key.get(i).unwrap_or(&0) ^ with;
        (0..64).map(byte).collect()
    };
    let inner = Md5::digest([&pad(0x36)[..], text].concat());
    Md5::digest([&pad(0x5c)[..], &inner].concat()).to_vec()
}

fn rc4(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut s: Vec<usize> = (0..256).collect();
    let mut j = 0;
    for i in 0..256 {
        j = (j + s[i] + usize::from(key[i % key.len()])) % 256;
        s.swap(i, j);
    }
    let mut j = 0;
    let mut decrypted = Vec::new();
    for (n, byte) in text.iter().enumerate() {
        let i = (n + 1) % 256;
        j = (j + s[i]) % 256;
        s.swap(i, j);
        decrypted.push(byte ^ s[(s[i] + s[j]) % 256] as u8);
    }
    decrypted
}
