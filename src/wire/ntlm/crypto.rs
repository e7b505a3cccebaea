//! The keys of NTLMv2 ([MS-NLMP] §3.3.2 and §6). All of it is weak today, and the protocol's
//! choice.
//!
//! Knows no message.

use md4::Md4;
use md5::{Digest, Md5};
use zeroize::Zeroizing;

/// A key or a proof; wiped when dropped.
pub(super) type Key = Zeroizing<[u8; 16]>;

/// The block of MD5.
const BLOCK: usize = 64;

/// NTOWFv2: what the password, the user and the domain come to. Only the user is upper-cased.
pub(super) fn nt_owf_v2(password: &str, user: &str, domain: &str) -> Key {
    let hash: Key = Zeroizing::new(Md4::digest(utf16le(password)).into());
    let user: String = user.chars().map(upper).collect();
    hmac_md5(&hash, &[&utf16le(&user), &utf16le(domain)])
}

/// Windows maps one UTF-16 unit to one: a letter whose capital is longer ("ß") stays as it is, and
/// so does everything outside the Basic Multilingual Plane.
fn upper(c: char) -> char {
    let mut capital = c.to_uppercase();
    match (capital.next(), capital.next()) {
        (Some(capital), None) if c <= '\u{ffff}' && capital <= '\u{ffff}' => capital,
        _ => c,
    }
}

/// UNICODE().
pub(super) fn utf16le(text: &str) -> Zeroizing<Vec<u8>> {
    // Enough for any text, so that no copy is left behind by growing.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * text.len()));
    for unit in text.encode_utf16() {
        bytes.extend_from_slice(&unit.to_le_bytes());
    }
    bytes
}

/// HMAC (RFC 2104) over all parts together. Our keys are never longer than a block.
pub(super) fn hmac_md5(key: &[u8; 16], parts: &[&[u8]]) -> Key {
    let mut padded = Zeroizing::new([0; BLOCK]);
    padded[..16].copy_from_slice(key);
    let inner = keyed(&padded, 0x36, parts);
    keyed(&padded, 0x5c, &[&inner[..]])
}

fn keyed(padded: &[u8; BLOCK], with: u8, parts: &[&[u8]]) -> Key {
    let pad = Zeroizing::new(padded.map(|byte| byte ^ with));
    let mut md5 = Md5::new_with_prefix(&pad[..]);
    for part in parts {
        md5.update(part);
    }
    Zeroizing::new(md5.finalize().into())
}

/// RC4K of one block.
pub(super) fn rc4(key: &[u8; 16], text: &[u8; 16]) -> [u8; 16] {
    // The identity permutation: no index is over 255.
    let mut state: [u8; 256] = std::array::from_fn(|i| i as u8);
    let mut j = 0_u8;
    for i in 0..256 {
        j = j.wrapping_add(state[i]).wrapping_add(key[i % key.len()]);
        state.swap(i, usize::from(j));
    }
    let (mut i, mut j) = (0_u8, 0_u8);
    text.map(|byte| {
        i = i.wrapping_add(1);
        j = j.wrapping_add(state[usize::from(i)]);
        state.swap(usize::from(i), usize::from(j));
        let at = state[usize::from(i)].wrapping_add(state[usize::from(j)]);
        byte ^ state[usize::from(at)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_specification() {
        // [MS-NLMP] §4.2.4.1.1.
        let key = nt_owf_v2("Password", "User", "Domain");
        assert_eq!(
            key[..],
            *b"\x0c\x86\x8a\x40\x3b\xfd\x7a\x93\xa3\x00\x1e\xf2\x2e\xf0\x2e\x3f"
        );
    }

    #[test]
    fn the_user_is_upper_cased_and_the_domain_is_not() {
        let key = nt_owf_v2("p", "grün", "Domain");
        assert_eq!(key, nt_owf_v2("p", "GRÜN", "Domain"));
        assert_ne!(key, nt_owf_v2("p", "GRÜN", "DOMAIN"));
        assert_ne!(nt_owf_v2("p", "ß", ""), nt_owf_v2("p", "SS", ""));
    }

    #[test]
    fn one_unit_stays_one_unit() {
        for (c, expected) in [
            ('a', 'A'),
            ('\u{e9}', '\u{c9}'),
            ('\u{df}', '\u{df}'),
            ('\u{149}', '\u{149}'),
            ('\u{10428}', '\u{10428}'),
        ] {
            assert_eq!(upper(c), expected, "{c}");
        }
    }

    #[test]
    fn hmac_as_its_rfc_has_it() {
        // RFC 2202 §2, test case 1.
        let mac = hmac_md5(&[0x0b; 16], &[b"Hi ", b"There"]);
        assert_eq!(
            mac[..],
            *b"\x92\x94\x72\x7a\x36\x38\xbb\x1c\x13\xf4\x8e\xf8\x15\x8b\xfc\x9d"
        );
    }

    #[test]
    fn rc4_as_its_rfc_has_it() {
        // RFC 6229 §2, the key of 128 bits, offset 0.
        let key: [u8; 16] = std::array::from_fn(|i| i as u8 + 1);
        assert_eq!(
            rc4(&key, &[0; 16]),
            *b"\x9a\xc7\xcc\x9a\x60\x9d\x1e\xf7\xb2\x93\x28\x99\xcd\xe4\x1b\x97"
        );
    }
}
