//! A message as it stands in a header: `NTLM <base64>` ([MS-NTHT] §2.1), or with another scheme's name
//! before it.
//!
//! Knows no message by its content.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use zeroize::Zeroizing;

use super::challenge::CHALLENGE_BYTES_MAX;

/// The scheme's name, compared without regard to case.
pub const SCHEME: &str = "NTLM";

/// Some proxies forget the padding.
const LAX: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The value of `Proxy-Authorization`.
pub fn header(scheme: &str, message: &[u8]) -> Zeroizing<String> {
    let token = Zeroizing::new(STANDARD.encode(message));
    Zeroizing::new(format!("{scheme} {}", token.as_str()))
}

/// The message in a challenge's token68; `None` where it is none, or longer than any.
pub fn message(token68: &str) -> Option<Vec<u8>> {
    if token68.len() > CHALLENGE_BYTES_MAX.div_ceil(3) * 4 {
        return None;
    }
    LAX.decode(token68).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_goes_there_and_back() {
        assert_eq!(
            header(SCHEME, b"NTLMSSP\0\x01").as_str(),
            "NTLM TlRMTVNTUAAB"
        );
        assert_eq!(message("TlRMTVNTUAAB"), Some(b"NTLMSSP\0\x01".to_vec()));
        assert_eq!(message("TlRMTVNTUA=="), Some(b"NTLMSSP".to_vec()));
        assert_eq!(message("TlRMTVNTUA"), Some(b"NTLMSSP".to_vec()));
    }

    #[test]
    fn what_is_no_message() {
        for token in ["=", "a", "Tl-_", "TlRM TlRM", "T===", "\u{e9}"] {
            assert_eq!(message(token), None, "{token}");
        }
        let longest = CHALLENGE_BYTES_MAX.div_ceil(3) * 4;
        assert!(message(&"A".repeat(longest)).is_some());
        assert_eq!(message(&"A".repeat(longest + 4)), None);
    }
}
