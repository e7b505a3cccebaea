//! A development CA and a certificate for this machine's own names, made on the spot.
//!
//! Knows no listener. The CA's key never leaves this function: nobody can sign with it later, so
//! trusting the CA for an afternoon is safe.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};

/// What the certificate is for. No `*.localhost`: no client accepts a wildcard right below the
/// root.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Long enough for a demonstration that stays open, short enough to be forgotten.
const VALID: Duration = DAY.saturating_mul(30);

/// Where the PEM files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The CA, for clients that can be told whom to trust.
    pub ca: PathBuf,
    /// The certificate and its CA.
    pub cert: PathBuf,
    /// The certificate's key; only its owner can read it.
    pub key: PathBuf,
}

/// Why there is no certificate.
#[derive(Debug)]
pub enum CertificateError {
    /// It could not be made.
    Make(rcgen::Error),
    /// It could not be written.
    Write(PathBuf, io::Error),
}

/// Makes a CA and a certificate and writes them into `dir`, where they must not exist yet.
pub fn make(dir: &Path) -> Result<Files, CertificateError> {
    let ca = CertifiedIssuer::self_signed(ca_params()?, p256()?)?;
    let key = p256()?;
    let leaf = leaf_params()?.signed_by(&key, &ca)?;
    let files = Files {
        ca: dir.join("ca.pem"),
        cert: dir.join("demo.pem"),
        key: dir.join("demo.key"),
    };
    write(&files.ca, 0o644, &ca.pem())?;
    write(&files.cert, 0o644, &format!("{}{}", leaf.pem(), ca.pem()))?;
    write(&files.key, 0o600, &key.serialize_pem())?;
    Ok(files)
}

fn p256() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

fn ca_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = params(&[], "Throughway demo CA, made on this machine")?;
    // It signs certificates for servers and no further CA.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn leaf_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = params(&NAMES, "localhost")?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn params(names: &[&str], common_name: &str) -> Result<CertificateParams, rcgen::Error> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let now = SystemTime::now();
    // A day early, for a browser on another clock (a virtual machine's host).
    params.not_before = (now - DAY).into();
    params.not_after = (now + VALID).into();
    Ok(params)
}

/// Writes a new file; its mode holds from its first moment.
fn write(path: &Path, mode: u32, text: &str) -> Result<(), CertificateError> {
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|error| CertificateError::Write(path.to_owned(), error))
}

impl From<rcgen::Error> for CertificateError {
    fn from(error: rcgen::Error) -> Self {
        Self::Make(error)
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Make(error) => write!(f, "the certificate could not be made: {error}"),
            Self::Write(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for CertificateError {}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
    use rustls::sign::CertifiedKey;

    use super::*;
    use crate::net::tls::provider;

    fn chain(path: &Path) -> Vec<CertificateDer<'static>> {
        let certificates = CertificateDer::pem_file_iter(path).unwrap();
        certificates.map(Result::unwrap).collect()
    }

    /// Whether a client that trusts the CA accepts the certificate for `name` `later` from now.
    fn is_accepted(files: &Files, name: &str, later: Duration) -> bool {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(chain(&files.ca).remove(0)).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .unwrap();
        let (name, chain) = (ServerName::try_from(name).unwrap(), chain(&files.cert));
        let now = UnixTime::since_unix_epoch(
            SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap()
                + later,
        );
        let verified = verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], now);
        verified.is_ok()
    }

    #[test]
    fn a_client_that_trusts_the_ca_accepts_this_machine_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let files = make(dir.path()).unwrap();
        for name in ["localhost", "127.0.0.1", "::1"] {
            assert!(is_accepted(&files, name, Duration::ZERO), "{name}");
        }
        for name in ["example.com", "a.localhost", "127.0.0.2"] {
            assert!(!is_accepted(&files, name, Duration::ZERO), "{name}");
        }
        assert!(is_accepted(&files, "localhost", DAY * 29));
        assert!(!is_accepted(&files, "localhost", DAY * 31));
    }

    #[test]
    fn the_key_fits_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let files = make(dir.path()).unwrap();
        let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
        let key = CertifiedKey::from_der(chain(&files.cert), key, &provider()).unwrap();
        key.keys_match().unwrap();
        let mode = std::fs::metadata(&files.key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_exists_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path()).unwrap();
        let error = make(dir.path()).unwrap_err().to_string();
        assert!(error.contains("ca.pem: "), "{error}");
    }
}
