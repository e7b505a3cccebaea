//! One scheme at work: where each scheme says how it begins, speaks, and goes on after a 407.
//!
//! A scheme of several legs carries where it is in its variant, and is remembered as its beginning.
//! Knows neither the order of the schemes nor what has been tried.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::digest::Session;
use super::negotiate::{self, Negotiate, NegotiateFault};
use super::ntlm::{self, Carrier, Ntlm, NtlmFault, Proving};
use super::{Choice, Scheme, basic};
use crate::egress::params::Credentials;
use crate::wire::challenge::Challenge;
use crate::wire::connect::reply::Reply;
use crate::wire::digest::{self, Asked, Unanswerable};

/// A scheme and where it is.
#[derive(Debug, Clone)]
pub(super) enum Method {
    Basic,
    Digest(Arc<Session>),
    Ntlm(Ntlm),
    Negotiate(Negotiate),
}

/// Why a scheme of several legs has no more to say.
#[derive(Debug, Clone)]
pub(super) enum Why {
    Ntlm(NtlmFault),
    Negotiate(NegotiateFault),
}

/// The value of one `Proxy-Authorization`, and what in it nobody else may see.
pub(super) struct Spoken {
    pub(super) value: Zeroizing<String>,
    pub(super) secrets: Vec<Zeroizing<String>>,
}

/// What a 407 means to the method that it answers.
pub(super) enum Verdict {
    /// No.
    Refused,
    /// No, and why there is no more to say.
    Failed(Why),
    /// Neither yes nor no: the next leg.
    Leg(Method),
    /// No, but here is what a new beginning would be made of.
    Anew(Method),
    /// The credentials may well be right; the proxy wants them told in this way.
    Stale(Method),
}

/// Why a method cannot begin.
pub(super) enum Unready {
    NotOffered,
    /// It is asked for, and HTTP/2 cannot carry it.
    Bound,
    Unanswerable(Unanswerable),
}

impl Method {
    /// By `scheme`, if these challenges ask for it in a way that we can answer.
    /// NTLM is told in Negotiate where `may_stand_in`.
    pub(super) fn begin(
        scheme: Scheme,
        challenges: &[Challenge],
        may_stand_in: bool,
    ) -> Result<Self, Unready> {
        match scheme {
            Scheme::Basic if offers(challenges, basic::SCHEME) => Ok(Self::Basic),
            Scheme::Ntlm if offers(challenges, ntlm::SCHEME) => {
                Ok(Self::Ntlm(Ntlm::by(Carrier::Ntlm)))
            }
            Scheme::Ntlm if may_stand_in && offers(challenges, negotiate::SCHEME) => {
                Ok(Self::Ntlm(Ntlm::by(Carrier::Negotiate)))
            }
            Scheme::Negotiate if offers(challenges, negotiate::SCHEME) => {
                Ok(Self::Negotiate(Negotiate::default()))
            }
            Scheme::Basic | Scheme::Ntlm | Scheme::Negotiate => Err(Unready::NotOffered),
            Scheme::Digest => match Asked::strongest(challenges) {
                Ok(asked) => Ok(Self::Digest(Session::begin(asked))),
                Err(Unanswerable::NotOffered) => Err(Unready::NotOffered),
                Err(why) => Err(Unready::Unanswerable(why)),
            },
        }
    }

    pub(super) fn scheme(&self) -> Scheme {
        match self {
            Self::Basic => Scheme::Basic,
            Self::Digest(_) => Scheme::Digest,
            Self::Ntlm(_) => Scheme::Ntlm,
            Self::Negotiate(_) => Scheme::Negotiate,
        }
    }

    /// What the next CONNECT to `target` carries. `None` when there is nothing left to say.
    pub(super) fn speak(&mut self, credentials: &Credentials, target: &str) -> Option<Spoken> {
        match self {
            Self::Basic => Some(basic::speak(credentials)),
            Self::Digest(session) => session.speak(credentials, target),
            Self::Ntlm(ntlm) => ntlm.speak(),
            Self::Negotiate(negotiate) => negotiate.speak(),
        }
    }

    /// After a 407 to what it said last.
    pub(super) fn refused(&self, challenges: &[Challenge], proving: &Proving<'_>) -> Verdict {
        match self {
            Self::Basic => Verdict::Refused,
            Self::Digest(_) => match Asked::strongest(challenges) {
                Err(_) => Verdict::Refused,
                Ok(asked) if asked.is_stale() => {
                    Verdict::Stale(Self::Digest(Session::begin(asked)))
                }
                Ok(asked) => Verdict::Anew(Self::Digest(Session::begin(asked))),
            },
            Self::Ntlm(ntlm) => match ntlm.answer(challenges, proving) {
                Ok(next) => Verdict::Leg(Self::Ntlm(next)),
                Err(NtlmFault::Rejected) => Verdict::Refused,
                Err(why) => Verdict::Failed(Why::Ntlm(why)),
            },
            Self::Negotiate(negotiate) => match negotiate.answer(challenges) {
                Ok(next) => Verdict::Leg(Self::Negotiate(next)),
                Err(NegotiateFault::Rejected) => Verdict::Refused,
                Err(why) => Verdict::Failed(Why::Negotiate(why)),
            },
        }
    }

    /// The one to go on with, where the reply that let us pass names another.
    pub(super) fn renewed_by(&self, reply: &Reply) -> Option<Self> {
        match self {
            Self::Basic | Self::Ntlm(_) | Self::Negotiate(_) => None,
            Self::Digest(session) => session.renewed_by(reply).map(Self::Digest),
        }
    }

    /// What was bound to the connection before is void on this new one. Neither Basic nor Digest
    /// binds anything to a connection; NTLM and Negotiate bind everything.
    pub(super) fn on_new_connection(&mut self) -> Result<(), Why> {
        match self {
            Self::Basic | Self::Digest(_) => Ok(()),
            Self::Ntlm(ntlm) => ntlm.on_new_connection().map_err(Why::Ntlm),
            Self::Negotiate(n) => n.on_new_connection().map_err(Why::Negotiate),
        }
    }

    /// With what another connection would begin.
    pub(super) fn beginning(&self) -> Self {
        match self {
            Self::Basic | Self::Digest(_) => self.clone(),
            Self::Ntlm(ntlm) => Self::Ntlm(ntlm.beginning()),
            Self::Negotiate(_) => Self::Negotiate(Negotiate::default()),
        }
    }

    /// Whether both are the same thing remembered.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Basic, Self::Basic)
            | (Self::Ntlm(_), Self::Ntlm(_))
            | (Self::Negotiate(_), Self::Negotiate(_)) => true,
            (Self::Digest(a), Self::Digest(b)) => Arc::ptr_eq(a, b),
            (Self::Basic | Self::Digest(_) | Self::Ntlm(_) | Self::Negotiate(_), _) => false,
        }
    }
}

/// Whether NTLM may be told in Negotiate: where it is the one scheme of the file, or where a proxy
/// offers nothing else that a password could answer. Whoever has Kerberos means a ticket there.
pub(super) fn may_stand_in(choice: Choice, has_kerberos: bool, challenges: &[Challenge]) -> bool {
    let others = [basic::SCHEME, digest::SCHEME];
    let is_alone = !others.iter().any(|other| offers(challenges, other));
    !has_kerberos && (choice != Choice::Auto || is_alone)
}

fn offers(challenges: &[Challenge], scheme: &str) -> bool {
    challenges.iter().any(|c| c.asks_for(scheme))
}
