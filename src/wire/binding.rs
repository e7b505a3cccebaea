//! The channel that a proof is bound to, as GSSAPI's application data have it (RFC 2744 §3.11).
//!
//! Knows no certificate: it is given the hash that RFC 5929 takes of one.

/// RFC 5929 §4, and the colon that RFC 5056 §2.1 puts behind a type's name.
const PREFIX: &[u8] = b"tls-server-end-point:";

/// For a connection whose server's certificate has this hash.
pub fn tls_server_end_point(certificate_hash: &[u8]) -> Vec<u8> {
    [PREFIX, certificate_hash].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_type_and_the_hash() {
        let data = tls_server_end_point(b"\x01\xff");
        assert_eq!(data, b"tls-server-end-point:\x01\xff");
    }
}
