//! Type 3: the proof ([MS-NLMP] §2.2.1.3, computed as in §3.1.5.1.2 and §3.3.2).
//!
//! Knows no connection: whoever asks says what the proof is bound to.

use std::fmt;

use zeroize::Zeroizing;

use super::challenge::Challenge;
use super::crypto::{Key, hmac_md5, nt_owf_v2, rc4, utf16le};
use super::flags;
use super::layout::{Layout, TooLong};

/// Signature, type, six fields, flags, version, MIC.
const FIXED_BYTES: usize = 88;
/// Where the MIC is.
const MIC_AT: usize = 72;

/// Who the proof is for. The domain may be empty, the workstation too.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// As the domain knows the user.
    pub user: &'a str,
    /// May be empty.
    pub password: &'a str,
    /// Sent as it is, and part of the proof as it is.
    pub domain: &'a str,
    /// The name of this machine, which some accounts are restricted to.
    pub workstation: &'a str,
}

/// What must never be the same twice, and the time.
pub struct Fresh {
    /// ClientChallenge.
    pub nonce: [u8; 8],
    /// The session key, used when the proxy wants one that the client chose.
    pub session_key: Zeroizing<[u8; 16]>,
    /// 100 ns since 1601; used when the challenge does not tell its own clock.
    pub time: u64,
}

/// What the proof holds for.
#[derive(Debug, Clone, Copy)]
pub struct Purpose<'a> {
    /// The service, as in `HTTP/proxy.corp.example`.
    pub target: &'a str,
    /// Of [`super::binding`].
    pub binding: [u8; 16],
}

/// Why there is no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unprovable {
    /// A name or an attribute that no field can hold.
    TooLong,
    /// The proxy does not speak Unicode, and a name is not ASCII.
    NotAscii,
}

/// The message that answers `challenge`, which itself answered `negotiate`.
pub fn message(
    negotiate: &[u8],
    challenge: &Challenge,
    identity: &Identity<'_>,
    purpose: &Purpose<'_>,
    fresh: &Fresh,
) -> Result<Zeroizing<Vec<u8>>, Unprovable> {
    let flags = agreed(challenge.flags);
    let timestamp = challenge.pairs.timestamp();
    let target = utf16le(purpose.target);
    let pairs = challenge
        .pairs
        .answered(timestamp.is_some(), purpose.binding, &target);
    let key = nt_owf_v2(identity.password, identity.user, identity.domain);
    let time = timestamp.unwrap_or(fresh.time);
    let nt = nt_response(&key, challenge.nonce, fresh.nonce, time, &pairs.to_bytes()?);
    // A side that tells its clock has no use for LMv2, which proves less.
    let lm = match timestamp {
        Some(_) => Zeroizing::new([0; 24]),
        None => lm_response(&key, challenge.nonce, fresh.nonce),
    };
    let session = Session::new(flags, &nt, fresh);
    let name = |text| encoded(text, flags);
    let mut message = Layout::new(3, FIXED_BYTES)
        .field(&lm[..])?
        .field(&nt.response)?
        .field(&name(identity.domain)?)?
        .field(&name(identity.user)?)?
        .field(&name(identity.workstation)?)?
        .field(session.sent())?
        .u32(flags)
        // Version, which nothing here negotiates.
        .bytes(&[0; 8])
        .bytes(&[0; 16])
        .finish();
    if timestamp.is_some() {
        let mic = hmac_md5(&session.key, &[negotiate, &challenge.message, &message]);
        message[MIC_AT..FIXED_BYTES].copy_from_slice(&mic[..]);
    }
    Ok(message)
}

// Unicode wherever it is possible; both at once means nothing.
fn agreed(theirs: u32) -> u32 {
    let flags = theirs & flags::AGREED;
    match flags & flags::UNICODE {
        0 => flags | flags::OEM,
        _ => flags & !flags::OEM,
    }
}

fn encoded(text: &str, flags: u32) -> Result<Zeroizing<Vec<u8>>, Unprovable> {
    if flags & flags::UNICODE != 0 {
        return Ok(utf16le(text));
    }
    if !text.is_ascii() {
        return Err(Unprovable::NotAscii);
    }
    Ok(Zeroizing::new(text.as_bytes().to_vec()))
}

/// NtChallengeResponse and the key that it makes.
struct Nt {
    response: Zeroizing<Vec<u8>>,
    /// SessionBaseKey, which NTLMv2 takes for the KeyExchangeKey as it is.
    key: Key,
}

fn nt_response(key: &Key, theirs: [u8; 8], ours: [u8; 8], time: u64, pairs: &[u8]) -> Nt {
    // NTLMv2_CLIENT_CHALLENGE (§2.2.2.7).
    let temp = [
        &[1, 1, 0, 0, 0, 0, 0, 0],
        &time.to_le_bytes()[..],
        &ours,
        &[0; 4],
        pairs,
        &[0; 4],
    ];
    let temp = temp.concat();
    let proof = hmac_md5(key, &[&theirs, &temp]);
    Nt {
        key: hmac_md5(key, &[&proof[..]]),
        response: Zeroizing::new([&proof[..], &temp].concat()),
    }
}

fn lm_response(key: &Key, theirs: [u8; 8], ours: [u8; 8]) -> Zeroizing<[u8; 24]> {
    let mut response = Zeroizing::new([0; 24]);
    let proof = hmac_md5(key, &[&theirs, &ours]);
    response[..16].copy_from_slice(&proof[..]);
    response[16..].copy_from_slice(&ours);
    response
}

/// The keys after the handshake. Nothing is ever signed with them but the MIC.
struct Session {
    /// ExportedSessionKey.
    key: Key,
    /// EncryptedRandomSessionKey.
    encrypted: Option<[u8; 16]>,
}

impl Session {
    // A key exchange counts only beside signing or sealing.
    fn new(flags: u32, nt: &Nt, fresh: &Fresh) -> Self {
        let exchanges = flags & flags::KEY_EXCH != 0 && flags & (flags::SIGN | flags::SEAL) != 0;
        if !exchanges {
            return Self {
                key: nt.key.clone(),
                encrypted: None,
            };
        }
        Self {
            key: fresh.session_key.clone(),
            encrypted: Some(rc4(&nt.key, &fresh.session_key)),
        }
    }

    fn sent(&self) -> &[u8] {
        self.encrypted.as_ref().map_or(&[], |key| &key[..])
    }
}

impl From<TooLong> for Unprovable {
    fn from(TooLong: TooLong) -> Self {
        Self::TooLong
    }
}

impl fmt::Display for Unprovable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => TooLong.fmt(f),
            Self::NotAscii => f.write_str("the proxy's NTLM takes only ASCII names"),
        }
    }
}

impl std::error::Error for Unprovable {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ntlm::challenge::tests::example;
    use crate::wire::ntlm::layout::{array, value};
    use crate::wire::ntlm::{binding, negotiate};

    const USER: Identity<'_> = Identity {
        user: "User",
        password: "Password",
        domain: "Domain",
        workstation: "COMPUTER",
    };
    const PURPOSE: Purpose<'_> = Purpose {
        target: "HTTP/proxy",
        binding: binding::NONE,
    };
    /// An attribute list of a domain and a timestamp, in front of its end.
    const TIMED: &[u8] = b"\x02\0\x02\0D\0\x07\0\x08\0\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\0";

    /// [MS-NLMP] §4.2.1.
    fn fresh() -> Fresh {
        Fresh {
            nonce: [0xaa; 8],
            session_key: Zeroizing::new([0x55; 16]),
            time: 0,
        }
    }

    /// A challenge with these flags and attributes.
    fn challenge(flags: u32, pairs: &[u8]) -> Challenge {
        let mut message = example();
        message[20..24].copy_from_slice(&flags.to_le_bytes());
        message.truncate(68);
        message.extend_from_slice(pairs);
        let length = u16::try_from(pairs.len()).expect("short").to_le_bytes();
        message[40..44].copy_from_slice(&[length, length].concat());
        Challenge::parse(&message).expect("a challenge")
    }

    fn answer(challenge: &Challenge) -> Zeroizing<Vec<u8>> {
        message(&negotiate::message(), challenge, &USER, &PURPOSE, &fresh()).expect("provable")
    }

    fn utf8(bytes: &[u8]) -> String {
        let units = bytes.chunks(2).map(|c| u16::from_le_bytes([c[0], c[1]]));
        char::decode_utf16(units)
            .map(|c| c.expect("text"))
            .collect()
    }

    #[test]
    fn the_responses_of_the_specification() {
        // [MS-NLMP] §4.2.4.1 and §4.2.4.2.
        let key = nt_owf_v2("Password", "User", "Domain");
        let server = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
        let nt = nt_response(&key, server, [0xaa; 8], 0, &example()[68..]);
        assert_eq!(
            nt.response[..16],
            *b"\x68\xcd\x0a\xb8\x51\xe5\x1c\x96\xaa\xbc\x92\x7b\xeb\xef\x6a\x1c"
        );
        assert_eq!(nt.response.len(), 0x54);
        assert_eq!(
            nt.key[..],
            *b"\x8d\xe4\x0c\xca\xdb\xc1\x4a\x82\xf1\x5c\xb0\xad\x0d\xe9\x5c\xa3"
        );
        let lm = lm_response(&key, server, [0xaa; 8]);
        assert_eq!(
            lm[..16],
            *b"\x86\xc3\x50\x97\xac\x9c\xec\x10\x25\x54\x76\x4a\x57\xcc\xcc\x19"
        );
        assert_eq!(lm[16..], [0xaa; 8]);
        let session = Session::new(0xe288_8235, &nt, &fresh());
        assert_eq!(
            session.sent(),
            b"\xc5\xda\xd2\x54\x4f\xc9\x79\x90\x94\xce\x1c\xe9\x0b\xc9\xd0\x3e"
        );
        assert_eq!(session.key[..], [0x55; 16]);
    }

    #[test]
    fn the_message_holds_names_flags_and_responses() {
        let message = answer(&Challenge::parse(&example()).expect("a challenge"));
        assert_eq!(message[..12], *b"NTLMSSP\0\x03\0\0\0");
        let field = |at| value(&message, at).expect("inside");
        assert_eq!(field(12).len(), 24);
        assert_eq!(utf8(field(28)), "Domain");
        assert_eq!(utf8(field(36)), "User");
        assert_eq!(utf8(field(44)), "COMPUTER");
        assert_eq!(field(52).len(), 16);
        assert_eq!(
            array(&message, 60).map(u32::from_le_bytes),
            Some(0xe088_8231)
        );
        // Without a timestamp there is no MIC, and LMv2 is there.
        assert_eq!(message[MIC_AT..FIXED_BYTES], [0; 16]);
        assert_ne!(field(12), [0; 24]);
    }

    #[test]
    fn a_timestamp_brings_a_mic_and_takes_lm_away() {
        let challenge = challenge(0x6088_8235, TIMED);
        let message = answer(&challenge);
        assert_eq!(value(&message, 12), Some(&[0; 24][..]));
        let nt = value(&message, 20).expect("inside");
        assert_eq!(nt[24..32], [1, 2, 3, 4, 5, 6, 7, 8]);
        // The flags say that the MIC is there.
        let flags = b"\x06\0\x04\0\x02\0\0\0";
        assert!(nt.windows(flags.len()).any(|w| w == flags));
        let mut without = message.to_vec();
        without[MIC_AT..FIXED_BYTES].fill(0);
        // The key of the exchange is the client's: it was asked for.
        let parts = [&negotiate::message()[..], &challenge.message, &without];
        assert_eq!(
            message[MIC_AT..FIXED_BYTES],
            hmac_md5(&[0x55; 16], &parts)[..]
        );
    }

    #[test]
    fn a_key_is_exchanged_only_beside_signing_or_sealing() {
        for (flags, bytes) in [
            (0x4088_8201_u32, 0),
            (0x4088_8211, 16),
            (0x4088_8221, 16),
            (0x0088_8231, 0),
        ] {
            let message = answer(&challenge(flags, TIMED));
            assert_eq!(
                value(&message, 52).map(<[u8]>::len),
                Some(bytes),
                "{flags:x}"
            );
        }
    }

    #[test]
    fn binding_and_target_are_in_the_proof() {
        let purpose = Purpose {
            target: "HTTP/proxy.corp.example",
            binding: [7; 16],
        };
        let challenge = challenge(0x0088_8201, TIMED);
        let message = message(b"", &challenge, &USER, &purpose, &fresh()).expect("provable");
        let nt = value(&message, 20).expect("inside");
        let expected = [
            b"\x0a\0\x10\0",
            &[7; 16][..],
            b"\x09\0\x2e\0",
            &utf16le("HTTP/proxy.corp.example"),
            &[0; 8],
        ];
        assert!(nt.ends_with(&expected.concat()), "{nt:?}");
    }

    #[test]
    fn a_proxy_without_unicode_gets_ascii_or_nothing() {
        let challenge = challenge(0x0088_8202, TIMED);
        let message_for =
            |identity: &Identity<'_>| message(b"", &challenge, identity, &PURPOSE, &fresh());
        let sent = message_for(&USER).expect("provable");
        assert_eq!(value(&sent, 36), Some(&b"User"[..]));
        assert_eq!(array(&sent, 60).map(u32::from_le_bytes), Some(0x0088_8202));
        let user = Identity {
            user: "j\u{fc}rg",
            ..USER
        };
        assert_eq!(message_for(&user).err(), Some(Unprovable::NotAscii));
    }

    #[test]
    fn a_name_that_no_field_holds_is_refused() {
        let user = "x".repeat(0x8000);
        let identity = Identity {
            user: &user,
            ..USER
        };
        let challenge = challenge(0x0088_8201, TIMED);
        let refused = message(b"", &challenge, &identity, &PURPOSE, &fresh()).err();
        assert_eq!(refused, Some(Unprovable::TooLong));
    }

    // A repeatable sequence (Numerical Recipes' constants), so that a failure can be seen again.
    fn next(seed: &mut u32) -> usize {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*seed >> 8) as usize
    }

    #[test]
    fn no_mutation_of_a_challenge_makes_it_panic() {
        let mut seed = 1;
        let mut answered = 0;
        for n in 0..40_000 {
            let mut message = match n % 2 {
                0 => example(),
                _ => challenge(0x6088_8235, TIMED).message,
            };
            for _ in 0..=next(&mut seed) % 4 {
                let at = next(&mut seed) % message.len();
                message[at] = match next(&mut seed) % 4 {
                    0 => 0,
                    1 => 0xff,
                    2 => message[at].wrapping_add(1),
                    _ => next(&mut seed) as u8,
                };
            }
            message.truncate(message.len() - next(&mut seed) % 3);
            let Ok(challenge) = Challenge::parse(&message) else {
                continue;
            };
            let answer = super::message(b"", &challenge, &USER, &PURPOSE, &fresh());
            let answer = answer.expect("short names can always be proved");
            assert!(value(&answer, 20).is_some_and(|nt| nt.len() >= 44));
            answered += 1;
        }
        // Otherwise nothing but refusals was tried.
        assert!(answered > 2_500, "{answered}");
    }
}
