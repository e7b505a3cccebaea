//! Verification of the other side's certificate, with one thing added to the error: whose
//! certificate it was that nobody here knows.
//!
//! "Unknown issuer" is what an inspecting proxy looks like from inside; the name says at once
//! which CA to trust. This never accepts what webpki refused.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use x509_parser::parse_x509_certificate;

/// The chain ends in an issuer that is not among the roots.
#[derive(Debug)]
pub struct UnknownIssuer {
    /// The issuer of the last certificate that was presented, as its certificate names it: text
    /// of the other side's making.
    pub issuer: String,
}

impl fmt::Display for UnknownIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown issuer {:?}", self.issuer)
    }
}

impl std::error::Error for UnknownIssuer {}

/// webpki's verifier, whose errors say who the unknown issuer is.
#[derive(Debug)]
pub struct Naming(pub Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Naming {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self
            .0
            .verify_server_cert(end_entity, intermediates, name, ocsp, now);
        match verdict {
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                Err(named(intermediates.last().unwrap_or(end_entity)))
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.0.root_hint_subjects()
    }
}

fn named(last: &CertificateDer<'_>) -> Error {
    let Ok((_, certificate)) = parse_x509_certificate(last) else {
        return CertificateError::UnknownIssuer.into();
    };
    let issuer = certificate.issuer().to_string();
    CertificateError::Other(OtherError(Arc::new(UnknownIssuer { issuer }))).into()
}
