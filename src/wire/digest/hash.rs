//! The hash functions of Digest (RFC 7616 §6.1), each in the lower-case hex that its grammar wants.
//!
//! Knows none of the texts that are hashed.

use std::fmt::Write;

use aws_lc_rs::digest;
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

/// A hash function, the weaker before the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hash {
    /// MD5, which most proxies still ask for.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-512/256 (FIPS 180-4 §5.3.6.2): not SHA-512 cut short, it starts from other values.
    Sha512_256,
}

impl Hash {
    /// The hash of the parts with a colon between each two, in hex. Wiped when dropped, since the
    /// hash of a password serves as one.
    pub(super) fn joined(self, parts: &[&str]) -> Zeroizing<String> {
        let text = Zeroizing::new(parts.join(":"));
        match self {
            Self::Md5 => hex(&Md5::digest(text.as_bytes())),
            Self::Sha256 => hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()),
            Self::Sha512_256 => hex(digest::digest(&digest::SHA512_256, text.as_bytes()).as_ref()),
        }
    }
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for byte in bytes {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").expect("a String takes any text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hash: Hash, parts: &[&str], expected: &str) {
        assert_eq!(hash.joined(parts).as_str(), expected);
    }

    #[test]
    fn each_function_is_the_one_of_its_name() {
        // RFC 1321 §A.5; FIPS 180-4's examples for "abc".
        check(Hash::Md5, &["abc"], "900150983cd24fb0d6963f7d28e17f72");
        check(Hash::Md5, &[], "d41d8cd98f00b204e9800998ecf8427e");
        check(
            Hash::Sha256,
            &["abc"],
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        );
        check(
            Hash::Sha512_256,
            &["abc"],
            "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23",
        );
        assert_eq!(
            Hash::Md5.joined(&["a", "b", ""]),
            Hash::Md5.joined(&["a:b:"])
        );
    }
}
