//! `Sec-WebSocket-Accept`: the proof that the other side read the key (RFC 6455 §4.2.2).
//!
//! Knows no headers: a key in, a value out.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value that answers `key`. SHA-1 is the protocol's choice and guards nothing but mix-ups.
pub fn accept_for(key: &str) -> String {
    let mut sha1 = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    sha1.update(key.as_bytes());
    sha1.update(GUID.as_bytes());
    STANDARD.encode(sha1.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 6455 §1.3.
        let accept = accept_for("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
