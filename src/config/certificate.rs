//! Certificates, keys and CA files: PEM in, and every reason why one would not work out, found
//! before a client finds it.
//!
//! Knows nothing of listeners and routes. Private keys never get into an error.

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::net::tls;
use crate::wire::authority::Host;

use super::context::{Context, Text};
use super::fault::Fault;
use super::file;

/// Longest PEM file: the whole of a public root store takes a quarter of it.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// A chain and its key, checked against each other and the calendar.
pub(super) struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) not_after: SystemTime,
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) private: PrivateKeyDer<'static>,
}

/// Loads a chain and its key; each fault is reported at the path that it is about.
pub(super) fn identity(cx: &Context<'_>, cert: &Text<'_>, key: &Text<'_>) -> Option<Identity> {
    let chain = certificates(cx, cert);
    let private = private_key(cx, key);
    let (chain, private) = (chain?, private?);
    let not_after = check_validity(cx, chain.first()?, cert)?;
    let provider = tls::provider();
    let signing = provider.key_provider.load_private_key(private.clone_key());
    let report = |error: &dyn Display| {
        let message = format!("the key in {} cannot be used: {error}", key.quoted());
        cx.report(Fault::at(key.span.clone(), message));
    };
    let signing = signing.map_err(|e| report(&e)).ok()?;
    let certified = CertifiedKey::new(chain.clone(), signing);
    if certified.keys_match().is_err() {
        let message = format!(
            "the key does not belong to the certificate {}",
            cert.quoted()
        );
        let help = "the first certificate of the file must be the one of this key";
        cx.report(Fault::at(key.span.clone(), message).help(help));
        return None;
    }
    Some(Identity {
        key: Arc::new(certified),
        not_after,
        chain,
        private,
    })
}

/// The certificates of a CA file, added to `roots`.
pub(super) fn add_roots(cx: &Context<'_>, roots: &mut RootCertStore, file: &Text<'_>) {
    for certificate in certificates(cx, file).unwrap_or_default() {
        if let Err(error) = roots.add(certificate) {
            let message = format!(
                "{} holds a certificate that is no CA's: {error}",
                file.quoted()
            );
            cx.report(Fault::at(file.span.clone(), message));
        }
    }
}

/// Reports the hosts that the certificate does not cover (RFC 9525 §6: the names of the
/// subjectAltName, and never the common name).
pub(super) fn check_hosts(
    cx: &Context<'_>,
    certificate: &CertificateDer<'_>,
    hosts: &[(String, Range<usize>)],
) {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return;
    };
    let names = names_of(&parsed);
    for (host, span) in hosts {
        if names.iter().any(|name| covers(name, host)) {
            continue;
        }
        let fault = Fault::at(
            span.clone(),
            format!("the certificate does not cover `{host}`"),
        );
        let expected = match names.is_empty() {
            true => "a certificate with a subject alternative name".to_owned(),
            false => format!("one of its names: {}", names.join(", ")),
        };
        cx.report(fault.expected(expected));
    }
}

fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension.map(|e| e.value.general_names.as_slice());
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from);
            v4.or(v6).ok().map(|ip| Host::Ip(ip).to_string())
        }
        _ => None,
    };
    names.unwrap_or_default().iter().filter_map(name).collect()
}

/// A wildcard stands for one label, and only a wildcard covers a wildcard.
fn covers(name: &str, host: &str) -> bool {
    if name == host {
        return true;
    }
    let parent = host.split_once('.').map(|(_, parent)| parent);
    name.strip_prefix("*.")
        .is_some_and(|rest| Some(rest) == parent)
}

fn check_validity(
    cx: &Context<'_>,
    certificate: &CertificateDer<'_>,
    file: &Text<'_>,
) -> Option<SystemTime> {
    let fault = |message: String| Fault::at(file.span.clone(), message);
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        cx.report(fault(format!(
            "{} holds no X.509 certificate",
            file.quoted()
        )));
        return None;
    };
    let not_before = at(parsed.validity().not_before.timestamp());
    let not_after = at(parsed.validity().not_after.timestamp());
    let now = SystemTime::now();
    let day = |time| humantime::format_rfc3339_seconds(time).to_string();
    if not_after < now {
        let message = format!("the certificate expired at {}", day(not_after));
        cx.report(fault(message).help("renew it"));
        return None;
    }
    if not_before > now {
        let message = format!("the certificate is not valid before {}", day(not_before));
        cx.report(fault(message).help("check the clock of this machine"));
        return None;
    }
    Some(not_after)
}

/// Certificates without an end carry the year 9999 (RFC 5280 §4.1.2.5); none begins before 1970
/// that is still of use.
fn at(timestamp: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(timestamp).unwrap_or(0))
}

fn certificates(cx: &Context<'_>, file: &Text<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let content = content(cx, file)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    match parsed {
        Ok(chain) if !chain.is_empty() => Some(chain),
        Ok(_) => {
            let message = format!("{} holds no certificate", file.quoted());
            let fault = Fault::at(file.span.clone(), message);
            cx.report(fault.expected("a PEM file with `-----BEGIN CERTIFICATE-----`"));
            None
        }
        Err(error) => {
            report_pem(cx, file, &error);
            None
        }
    }
}

fn private_key(cx: &Context<'_>, file: &Text<'_>) -> Option<PrivateKeyDer<'static>> {
    let content = zeroize::Zeroizing::new(content(cx, file)?);
    match PrivateKeyDer::from_pem_slice(&content) {
        Ok(key) => Some(key),
        Err(pem::Error::NoItemsFound) => {
            let message = format!("{} holds no private key", file.quoted());
            let fault = Fault::at(file.span.clone(), message);
            let fault = fault.expected("a PEM file with `-----BEGIN PRIVATE KEY-----`");
            cx.report(fault.help("a key that asks for a passphrase must be decrypted first"));
            None
        }
        Err(error) => {
            report_pem(cx, file, &error);
            None
        }
    }
}

/// The parser's own words may quote the file, so only the fact is told.
fn report_pem(cx: &Context<'_>, file: &Text<'_>, error: &pem::Error) {
    let reason = match error {
        pem::Error::MissingSectionEnd { .. } => "a section without its END line",
        pem::Error::Base64Decode(_) => "base64 that cannot be decoded",
        _ => "a section that cannot be read",
    };
    let message = format!("{} is not a PEM file: {reason}", file.quoted());
    cx.report(Fault::at(file.span.clone(), message));
}

fn content(cx: &Context<'_>, text: &Text<'_>) -> Option<Vec<u8>> {
    let path = cx.resolve(text.text);
    match file::read(Path::new(&path), PEM_BYTES_MAX) {
        Ok(content) => Some(content),
        Err(reason) => {
            let fault = Fault::at(text.span.clone(), format!("cannot read the file: {reason}"));
            let help = "a relative path starts at the directory of the configuration file";
            let fault = fault.found(format!("`{}`", path.display()));
            cx.report(if text.text.starts_with('/') {
                fault
            } else {
                fault.help(help)
            });
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_name_covers_itself_and_a_wildcard_one_label() {
        for (name, host, expected) in [
            ("a.test", "a.test", true),
            ("*.test", "a.test", true),
            ("*.a.test", "*.a.test", true),
            ("*.a.test", "b.a.test", true),
            ("*.a.test", "a.test", false),
            ("*.a.test", "c.b.a.test", false),
            ("b.a.test", "*.a.test", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("[::1]", "[::1]", true),
        ] {
            assert_eq!(covers(name, host), expected, "{name} {host}");
        }
    }
}
