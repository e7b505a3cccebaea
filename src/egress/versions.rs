//! Which HTTP a proxy is asked in: what was configured, and what was learnt of it since.
//!
//! Knows no bytes. There is a choice only where TLS leads to the proxy: ALPN is where it is made
//! (RFC 7301), and nothing else tells what a proxy speaks.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::params::TlsTo;
use crate::net::tls::{self, ALPN_HTTP1, ALPN_HTTP2};

/// The HTTP that was configured for a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Http {
    /// HTTP/2 if the proxy takes it, and else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1, and no other is offered.
    One,
    /// HTTP/2, and no other is offered.
    Two,
}

/// That, and whether the proxy has shown since that it needs HTTP/1.1.
#[derive(Debug, Default)]
pub struct Versions {
    configured: Http,
    needs_one: AtomicBool,
}

/// What a proxy is offered by ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    Both,
    One,
    Two,
}

impl Versions {
    /// As configured; nothing was learnt.
    pub fn by(configured: Http) -> Self {
        Self {
            configured,
            ..Self::default()
        }
    }

    /// What was configured.
    pub fn configured(&self) -> Http {
        self.configured
    }

    pub(super) fn offer(&self) -> Offer {
        match self.configured {
            Http::Auto if self.needs_one.load(Ordering::Relaxed) => Offer::One,
            Http::Auto => Offer::Both,
            Http::One => Offer::One,
            Http::Two => Offer::Two,
        }
    }

    /// From here on the proxy is asked in HTTP/1.1. Whether that was left open.
    pub(super) fn fall_back(&self) -> bool {
        self.needs_one.store(true, Ordering::Relaxed);
        self.configured == Http::Auto
    }
}

impl Offer {
    /// TLS that makes this offer.
    pub(super) fn over(self, to: &TlsTo) -> TlsTo {
        let config = match self {
            Self::Both => tls::offering(&to.config, &[ALPN_HTTP2, ALPN_HTTP1]),
            Self::Two => tls::offering(&to.config, &[ALPN_HTTP2]),
            // As every configuration offers it.
            Self::One => Arc::clone(&to.config),
        };
        let name = to.name.clone();
        TlsTo { config, name }
    }
}

impl fmt::Display for Http {
    /// As in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::One => "1.1",
            Self::Two => "2",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_left_open_can_be_learnt() {
        let check = |configured, before, may_fall_back, after| {
            let versions = Versions::by(configured);
            assert_eq!(versions.offer(), before, "{configured}");
            assert_eq!(versions.fall_back(), may_fall_back, "{configured}");
            assert_eq!(versions.offer(), after, "{configured}");
        };
        check(Http::Auto, Offer::Both, true, Offer::One);
        check(Http::One, Offer::One, false, Offer::One);
        check(Http::Two, Offer::Two, false, Offer::Two);
    }
}
