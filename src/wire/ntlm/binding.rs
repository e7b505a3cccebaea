//! Channel bindings: which TLS connection the proof is made for, so that nobody can carry it into
//! another ([MS-NLMP] §2.2.2.1, MsvAvChannelBindings).
//!
//! Knows no certificate: it is given the hash that RFC 5929 takes of one.

use md5::{Digest, Md5};

use crate::wire::binding;

/// Where there is no TLS.
pub const NONE: [u8; 16] = [0; 16];

/// For a connection whose server's certificate has this hash.
pub fn tls_server_end_point(certificate_hash: &[u8]) -> [u8; 16] {
    // gss_channel_bindings_struct (RFC 2744 §3.11): two addresses without type and without bytes,
    // then the application's data, with 32-bit little-endian lengths (RFC 4121 §4.1.1.2).
    let mut md5 = Md5::new_with_prefix([0; 16]);
    let data = binding::tls_server_end_point(certificate_hash);
    // Two dozen bytes and a hash.
    md5.update((data.len() as u32).to_le_bytes());
    md5.update(data);
    md5.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_the_structure() {
        // Made once by `printf … | md5sum` from the structure's bytes.
        let found = tls_server_end_point(&[0xab; 32]);
        let hex: String = found.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "cae6d9ca7531fe8a11f91171b8c9a3ba");
    }
}
