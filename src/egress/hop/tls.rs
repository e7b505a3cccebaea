//! Client TLS over any stream: towards a proxy, or through a tunnel towards a backend.
//!
//! Knows no roots and no names of its own: both come with [`TlsTo`].

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
use tokio::time::{Instant, timeout_at};

use crate::egress::params::TlsTo;
use crate::egress::steps::{Detail, Secured, Steps};
use crate::egress::stumble::{Cause, Step, Stumble, TlsFault, plain};
use crate::egress::versions::Offer;
use crate::net::verify::UnknownIssuer;
use crate::net::{Stream, tls_stream};
use crate::observe::phases::Phase;

/// What a failed handshake is told with; the longest real issuer seen has some 200 characters.
const TEXT_CHARS_MAX: usize = 300;

/// What lies between us and the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::egress) enum Between {
    /// Nothing of ours: a connection of our own.
    Nothing,
    /// A proxy's tunnel.
    Tunnel,
}

/// TLS over `stream`. Bytes that came ahead of our ClientHello are nobody's TLS, and taking them
/// for data would let whoever owns the tunnel speak for the backend.
pub(in crate::egress) async fn secure(
    stream: Stream,
    to: &TlsTo,
    between: Between,
    deadline: Instant,
    steps: &Steps,
) -> Result<Stream, Stumble> {
    let shaking = handshake(stream, to, between, deadline, steps);
    steps.run(Phase::Tls, || Step::Tls, shaking).await
}

/// The same towards a proxy, which chooses among the versions of HTTP in `offer`.
pub(in crate::egress) async fn secure_proxy(
    stream: Stream,
    to: &TlsTo,
    offer: Offer,
    between: Between,
    deadline: Instant,
    steps: &Steps,
) -> Result<Stream, Stumble> {
    let to = offer.over(to);
    let shaking = async {
        let stream = handshake(stream, &to, between, deadline, steps).await?;
        match offer == Offer::Two && !stream.speaks_http2() {
            true => Err(Cause::Tls(TlsFault::NoVersion)),
            false => Ok(stream),
        }
    };
    steps.run(Phase::Tls, || Step::Tls, shaking).await
}

async fn handshake(
    stream: Stream,
    to: &TlsTo,
    between: Between,
    deadline: Instant,
    steps: &Steps,
) -> Result<Stream, Cause> {
    let ahead = stream.tail().len();
    if ahead > 0 {
        return Err(Cause::Tls(TlsFault::Ahead(ahead)));
    }
    let shaking = tls_stream::connect(stream, to.config.clone(), to.name.clone());
    match timeout_at(deadline, shaking).await {
        Err(_) => Err(Cause::Timeout),
        Ok(Err(error)) => Err(Cause::Tls(fault(&error, between))),
        Ok(Ok(tls)) => {
            steps.learned(|| Detail::Secured(Secured::of(&tls)));
            Ok(Stream::Tls(Box::new(tls)))
        }
    }
}

fn fault(error: &io::Error, between: Between) -> TlsFault {
    let tunnelled = between == Between::Tunnel;
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            TlsFault::InClear { tunnelled }
        }
        Some(Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => TlsFault::NoVersion,
        Some(Error::InvalidCertificate(CertificateError::Other(other))) => {
            match other.0.downcast_ref::<UnknownIssuer>() {
                Some(UnknownIssuer { issuer }) => TlsFault::UnknownIssuer {
                    issuer: plain(issuer, TEXT_CHARS_MAX),
                    tunnelled,
                },
                None => TlsFault::Other(plain(&error.to_string(), TEXT_CHARS_MAX)),
            }
        }
        Some(error) => certificate_fault(error),
        None if is_end(error) => TlsFault::Ended,
        None => TlsFault::Other(crate::egress::stumble::io_words(error)),
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

fn certificate_fault(error: &Error) -> TlsFault {
    let text = plain(&error.to_string(), TEXT_CHARS_MAX);
    match error {
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => TlsFault::WrongName(text),
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => TlsFault::OutOfDate(text),
        _ => TlsFault::Other(text),
    }
}
