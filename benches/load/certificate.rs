//! A certificate authority and one P-256 leaf for localhost, made anew for each run of the runner.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::failure::Failure;
use crate::tls::NAME;

/// Writes `ca.pem`, `cert.pem`, `key.pem`, and `both.pem` with the last two, as HAProxy wants them.
pub(crate) fn write_to(folder: &Path) -> Result<(), Failure> {
    let made = make().map_err(|error| Failure::Broken(format!("a certificate: {error}")))?;
    fs::create_dir_all(folder).map_err(Failure::io("making the folder of certificates"))?;
    for (name, pem) in made {
        fs::write(folder.join(name), pem).map_err(Failure::io("writing a certificate"))?;
    }
    Ok(())
}

fn make() -> Result<[(&'static str, String); 4], rcgen::Error> {
    let ca_key = KeyPair::generate()?;
    let mut ca_params = CertificateParams::default();
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Two certificates of one name are one certificate to OpenSSL, and that one self-signed.
    let ca_name = &mut ca_params.distinguished_name;
    ca_name.push(DnType::CommonName, "throughway benchmark authority");
    let ca = ca_params.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca_params, ca_key);
    let key = KeyPair::generate()?;
    let names = [NAME.to_owned(), "127.0.0.1".to_owned()];
    let mut leaf_params = CertificateParams::new(names)?;
    leaf_params.use_authority_key_identifier_extension = true;
    let leaf = leaf_params.signed_by(&key, &issuer)?;
    Ok([
        ("ca.pem", ca.pem()),
        ("cert.pem", leaf.pem()),
        ("key.pem", key.serialize_pem()),
        ("both.pem", leaf.pem() + &key.serialize_pem()),
    ])
}
