//! The names of the schemes, and which is preferred. Knows no challenge.

use std::fmt;

use super::{basic, negotiate, ntlm};
use crate::wire::digest;

/// The strongest first: what `auto` tries with a user and a password, in this order.
const STRONGEST_FIRST: &[Scheme] = &[Scheme::Digest, Scheme::Ntlm, Scheme::Basic];

/// A way to tell a proxy who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// The password itself, in base64 (RFC 7617).
    Basic,
    /// A proof that the password is known (RFC 7616).
    Digest,
    /// The same as Windows has it, for one connection at a time ([MS-NLMP], NTLMv2).
    Ntlm,
    /// A ticket of Kerberos for the proxy (RFC 4559).
    Negotiate,
}

/// Which scheme a proxy is answered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// The strongest that it offers; where that fails, the next.
    #[default]
    Auto,
    /// This one, and never another.
    Only(Scheme),
}

impl Scheme {
    /// As in HTTP.
    pub(in crate::egress) fn name(self) -> &'static str {
        match self {
            Self::Basic => basic::SCHEME,
            Self::Digest => digest::SCHEME,
            Self::Ntlm => ntlm::SCHEME,
            Self::Negotiate => negotiate::SCHEME,
        }
    }

    /// Whether it proves a connection, and not each request by itself: it is not spoken over
    /// HTTP/2, whose connections are made for many.
    pub(in crate::egress) fn is_bound(self) -> bool {
        match self {
            Self::Basic | Self::Digest => false,
            Self::Ntlm | Self::Negotiate => true,
        }
    }
}

impl Choice {
    /// What is to be tried with a user and a password, in order.
    pub(in crate::egress) fn schemes(self) -> impl Iterator<Item = Scheme> {
        let (auto, only) = match self {
            Self::Auto => (STRONGEST_FIRST, None),
            Self::Only(only) => (&[][..], Some(only)),
        };
        auto.iter().copied().chain(only)
    }
}

impl fmt::Display for Scheme {
    /// As in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic => "basic",
            Self::Digest => "digest",
            Self::Ntlm => "ntlm",
            Self::Negotiate => "negotiate",
        })
    }
}

impl fmt::Display for Choice {
    /// As in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Only(scheme) => scheme.fmt(f),
        }
    }
}
