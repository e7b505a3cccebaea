//! Type 1: what the client offers ([MS-NLMP] §2.2.1.1). Knows no user: it tells no names.

use super::flags;
use super::layout::Layout;

/// Signature, type, flags, two empty fields.
const FIXED_BYTES: usize = 32;

/// The message, always the same: domain and workstation stay out of it, because the proxy has not
/// yet shown that it needs them.
pub fn message() -> Vec<u8> {
    let nothing = [0; 8];
    Layout::new(1, FIXED_BYTES)
        .u32(flags::OFFERED)
        .bytes(&nothing)
        .bytes(&nothing)
        .finish()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offer_is_that_of_a_browser() {
        let expected: [&[u8]; 4] = [b"NTLMSSP\0", b"\x01\0\0\0", b"\x07\x82\x08\xa0", &[0; 16]];
        assert_eq!(message(), expected.concat());
    }
}
