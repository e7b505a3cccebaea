//! TLS towards a client, under a deadline for the whole handshake.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{Arrived, Params, Place};
use crate::net::Stream;
use crate::net::tls_stream::{self, Turns};

/// A client in the clear: what it says now is HTTP.
#[derive(Debug)]
pub struct Accepted {
    /// Its stream, TLS already taken off.
    pub stream: Stream,
    /// Its address.
    pub address: SocketAddr,
    /// The listener it came in by.
    pub listener: Arc<Params>,
    /// Whether it will be served or refused.
    pub place: Place,
}

/// A client with which no TLS came about.
#[derive(Debug)]
pub enum SecureError {
    /// It took longer than `limits.handshake`.
    Timeout,
    /// It broke off, or rustls did.
    Failed(io::Error),
}

impl Arrived {
    /// Does the TLS handshake where the listener wants one, each of its steps at its turn.
    pub async fn secure(self, deadline: Duration, turns: &Turns) -> Result<Accepted, SecureError> {
        let stream = Stream::Tcp(self.tcp);
        let stream = match &self.listener.tls {
            None => stream,
            Some(config) => {
                let handshake = tls_stream::accept(stream, config.clone(), turns);
                let tls = timeout(deadline, handshake)
                    .await
                    .map_err(|_| SecureError::Timeout)?
                    .map_err(SecureError::Failed)?;
                Stream::Tls(Box::new(tls))
            }
        };
        Ok(Accepted {
            stream,
            address: self.address,
            listener: self.listener,
            place: self.place,
        })
    }
}

impl fmt::Display for SecureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("the TLS handshake took too long"),
            Self::Failed(error) => write!(f, "TLS handshake: {error}"),
        }
    }
}

impl std::error::Error for SecureError {}
