//! What a proof of identity can be bound to: the certificate at the other end of TLS (RFC 5929 §4).
//!
//! Knows no proof and no protocol above TLS.

use aws_lc_rs::digest::{self, Algorithm, SHA224, SHA256, SHA384, SHA512};
use rustls::pki_types::CertificateDer;
use x509_parser::parse_x509_certificate;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::AlgorithmIdentifier;

use super::Stream;

/// Each hash with the signatures that are made over it (RFC 3279, 4055, 5758): the hash itself, as
/// RSASSA-PSS names it, RSA, ECDSA. MD5 and SHA-1 count as SHA-256 (RFC 5929 §4.1).
const HASHES: [(&Algorithm, &[&str]); 4] = [
    (
        &SHA256,
        &[
            "2.16.840.1.101.3.4.2.1",
            "1.2.840.113549.1.1.11",
            "1.2.840.10045.4.3.2",
            "1.2.840.113549.1.1.4",
            "1.2.840.113549.1.1.5",
            "1.2.840.10045.4.1",
            "1.3.14.3.2.26",
        ],
    ),
    (
        &SHA384,
        &[
            "2.16.840.1.101.3.4.2.2",
            "1.2.840.113549.1.1.12",
            "1.2.840.10045.4.3.3",
        ],
    ),
    (
        &SHA512,
        &[
            "2.16.840.1.101.3.4.2.3",
            "1.2.840.113549.1.1.13",
            "1.2.840.10045.4.3.4",
        ],
    ),
    (
        &SHA224,
        &[
            "2.16.840.1.101.3.4.2.4",
            "1.2.840.113549.1.1.14",
            "1.2.840.10045.4.3.1",
        ],
    ),
];

/// `tls-server-end-point` of the TLS connection that `stream` is: the hash of the other side's
/// certificate. `None` where it is no TLS, or where the certificate's signature has no hash that
/// the RFC could take (Ed25519).
pub fn tls_server_end_point(stream: &Stream) -> Option<Vec<u8>> {
    let tls = match stream {
        Stream::Tls(tls) => tls,
        Stream::Prefixed(prefixed) => return tls_server_end_point(prefixed.stream()),
        Stream::Tcp(_) | Stream::Unix(_) | Stream::Http2(_) => return None,
    };
    certificate_hash(tls.session().peer_certificates()?.first()?)
}

/// The same for a certificate that is at hand.
pub fn certificate_hash(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, parsed) = parse_x509_certificate(certificate).ok()?;
    let algorithm = algorithm(&parsed.signature_algorithm)?;
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

fn algorithm(signature: &AlgorithmIdentifier<'_>) -> Option<&'static Algorithm> {
    let oid = match SignatureAlgorithm::try_from(signature) {
        // RFC 4055 §3.1: without a name it is SHA-1.
        Ok(SignatureAlgorithm::RSASSA_PSS(params)) => match params.hash_algorithm() {
            None => return Some(&SHA256),
            Some(hash) => hash.algorithm.to_id_string(),
        },
        _ => signature.algorithm.to_id_string(),
    };
    let found = HASHES.iter().find(|(_, oids)| oids.contains(&oid.as_str()));
    found.map(|(hash, _)| *hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
        SignatureAlgorithm as Signing,
    };

    /// How many bytes the hash of a certificate signed like this has.
    fn check(signing: &'static Signing, expected: Option<usize>) {
        let key = KeyPair::generate_for(signing).expect("a key");
        let params = CertificateParams::new(["proxy.test".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate");
        let found = certificate_hash(certificate.der());
        assert_eq!(found.map(|hash| hash.len()), expected, "{signing:?}");
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        check(&PKCS_ECDSA_P256_SHA256, Some(32));
        check(&PKCS_ECDSA_P384_SHA384, Some(48));
        check(&PKCS_ED25519, None);
    }

    #[test]
    fn a_hash_too_weak_is_replaced_by_sha_256() {
        let by_oid = |oid: &str| {
            let found = HASHES.iter().find(|(_, oids)| oids.contains(&oid));
            found.map(|(hash, _)| hash.output_len())
        };
        assert_eq!(by_oid("1.2.840.113549.1.1.5"), Some(32));
        assert_eq!(by_oid("1.2.840.113549.1.1.13"), Some(64));
        assert_eq!(by_oid("1.3.101.112"), None);
    }

    #[test]
    fn what_is_no_certificate_has_no_hash() {
        assert_eq!(
            certificate_hash(&CertificateDer::from(vec![0x30, 0x03, 0, 0, 0])),
            None
        );
    }
}
