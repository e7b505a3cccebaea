//! What a proxy is told when it asks who we are: the schemes, one file each, the dialogue of one
//! dial, and what is remembered of a proxy from dial to dial.
//!
//! Knows no sockets. Credentials belong to one hop of the configuration and are handed to nobody
//! else: everything here is made for a hop and lives with it.

mod basic;
mod dialogue;
mod digest;
#[cfg(feature = "gssapi")]
mod kept;
mod kerberos;
mod method;
mod negotiate;
mod ntlm;
mod scheme;
#[cfg(feature = "gssapi")]
pub mod system;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) use dialogue::Dialogue;
pub use kerberos::{Exchange, Kerberos, Lack, Mechanism, NoToken};
use method::Method;
pub use negotiate::NegotiateFault;
pub use ntlm::{Membership, NtlmFault};
pub use scheme::{Choice, Scheme};

/// How a proxy is told its credentials, and how it took them last.
#[derive(Debug, Default)]
pub struct Auth {
    choice: Choice,
    membership: Membership,
    kerberos: Option<Kerberos>,
    /// Holds no credentials and nothing made of them.
    known: Mutex<Option<Method>>,
}

impl Auth {
    /// By `choice`; nothing is known yet.
    pub fn by(choice: Choice) -> Self {
        Self {
            choice,
            ..Self::default()
        }
    }

    /// The same, in a Windows domain.
    #[must_use]
    pub fn within(self, membership: Membership) -> Self {
        Self { membership, ..self }
    }

    /// The same, with Kerberos: before all others in `auto`.
    #[must_use]
    pub fn with(self, kerberos: Kerberos) -> Self {
        let kerberos = Some(kerberos);
        Self { kerberos, ..self }
    }

    /// How Negotiate tells it, if it may.
    pub fn kerberos(&self) -> Option<&Kerberos> {
        self.kerberos.as_ref()
    }

    /// What is to be tried, in order.
    fn schemes(&self) -> impl Iterator<Item = Scheme> {
        let by_ticket = self.kerberos.is_some() && self.choice == Choice::Auto;
        let first = by_ticket.then_some(Scheme::Negotiate);
        first.into_iter().chain(self.choice.schemes())
    }

    /// Whether nothing but a scheme that proves a connection may be told.
    pub(super) fn is_bound(&self) -> bool {
        matches!(self.choice, Choice::Only(scheme) if scheme.is_bound())
    }

    /// What was configured.
    pub fn choice(&self) -> Choice {
        self.choice
    }

    /// What NTLM is told besides user and password.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// With what the next CONNECT begins, without being asked.
    fn known(&self) -> Option<Method> {
        self.lock().clone()
    }

    fn remember(&self, method: &Method) {
        *self.lock() = Some(method.clone());
    }

    /// Forgets `refused`, unless another dial has learnt better in the meantime.
    fn forget(&self, refused: &Method) {
        let mut known = self.lock();
        if known.as_ref().is_some_and(|k| k.is(refused)) {
            *known = None;
        }
    }

    // What is kept is whole at every moment, so that a panic elsewhere cannot have broken it.
    fn lock(&self) -> MutexGuard<'_, Option<Method>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
