//! Kerberos as this machine has it: the system's GSSAPI library, with its krb5.conf, ticket caches and
//! keytabs.
//!
//! Every call may block. Knows nothing of proxies.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use libgssapi::context::{ClientCtx, CtxFlags};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::Error;
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_MECH_SPNEGO, GSS_NT_KRB5_PRINCIPAL, OidSet};

use super::kerberos::{Exchange, Mechanism, NoToken};
use crate::egress::params::Secret;
use crate::egress::stumble::plain;

/// A ticket that ends sooner is renewed first: it may have to outlive a slow reply.
const LIFETIME_MIN: Duration = Duration::from_secs(60);
/// Of what the library says.
const WORDS_CHARS_MAX: usize = 300;

/// What the library says, and what that means.
const MEANINGS: [(&str, &str); 10] = [
    ("Preauthentication failed", "the password is wrong"),
    ("Password incorrect", "the password is wrong"),
    (
        "Clock skew too great",
        "this clock and the KDC's differ too much",
    ),
    ("Server ", "the KDC knows no such service"),
    ("Client '", "the KDC knows no such user"),
    ("Ticket expired", "the ticket has expired"),
    ("No Kerberos credentials", "there is no ticket"),
    (
        "Can't find client principal",
        "there is no ticket of this user",
    ),
    ("Cannot contact any KDC", "no KDC answers"),
    ("Cannot find KDC", "krb5.conf and DNS know no KDC"),
];

/// Whose tickets.
#[derive(Debug)]
pub enum Identity {
    /// Those that the machine holds: of this principal, or of the cache's own.
    Held(Option<String>),
    /// Those that the password gets.
    Password {
        /// As in `name@REALM`.
        principal: String,
        /// Never written anywhere.
        password: Secret,
    },
}

/// The system's GSSAPI for one identity.
pub struct System {
    identity: Identity,
    /// What the password got, with its tickets, in memory.
    got: Mutex<Option<Cred>>,
}

impl System {
    /// Asks nobody yet.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            got: Mutex::new(None),
        }
    }

    fn credential(&self) -> Result<Cred, Error> {
        match &self.identity {
            // The library itself looks after caches and keytabs, and renews from the latter.
            Identity::Held(name) => {
                let name = name.as_deref().map(principal).transpose()?;
                let by = |mechanism| {
                    let mechanisms = OidSet::singleton(mechanism)?;
                    Cred::acquire(name.as_ref(), None, CredUsage::Initiate, Some(&mechanisms))
                };
                // SPNEGO does not say why Kerberos has no ticket; Kerberos does.
                by(GSS_MECH_SPNEGO).map_err(|error| by(GSS_MECH_KRB5).err().unwrap_or(error))
            }
            Identity::Password {
                principal: name,
                password,
            } => self.by_password(name, password.reveal()),
        }
    }

    // Sessions that come together wait for the first one's ticket instead of asking for their own.
    fn by_password(&self, name: &str, password: &str) -> Result<Cred, Error> {
        let mut got = self.got.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |cred: &&Cred| cred.lifetime().is_ok_and(|left| left > LIFETIME_MIN);
        if let Some(cred) = got.as_ref().filter(is_good) {
            return Ok(cred.clone());
        }
        let (name, mechanisms) = (principal(name)?, OidSet::singleton(GSS_MECH_SPNEGO)?);
        let usage = CredUsage::Initiate;
        let cred =
            Cred::acquire_with_password(Some(&name), password, None, usage, Some(&mechanisms))?;
        *got = Some(cred.clone());
        Ok(cred)
    }
}

impl Mechanism for System {
    fn begin(&self, service: &str) -> Result<Box<dyn Exchange>, NoToken> {
        let begun = || {
            let credential = self.credential()?;
            let flags = CtxFlags::GSS_C_MUTUAL_FLAG;
            let service = principal(service)?;
            let mechanism = Some(GSS_MECH_SPNEGO);
            Ok(ClientCtx::new(Some(credential), service, flags, mechanism))
        };
        let context = begun().map_err(|error: Error| words(&error))?;
        Ok(Box::new(context))
    }
}

impl Exchange for ClientCtx {
    fn step(&mut self, heard: Option<&[u8]>) -> Result<Vec<u8>, NoToken> {
        let said = ClientCtx::step(self, heard, None).map_err(|error| words(&error))?;
        Ok(said.map(|said| said.to_vec()).unwrap_or_default())
    }
}

fn principal(name: &str) -> Result<Name, Error> {
    Name::new(name.as_bytes(), Some(GSS_NT_KRB5_PRINCIPAL))
}

// The library keeps its words for the thread that it failed on, so they are taken at once.
fn words(error: &Error) -> NoToken {
    NoToken(meaning(&error.to_string()))
}

// The library says `what in general (what in this case)`, and some of its texts end in a NUL.
fn meaning(text: &str) -> String {
    let text = text.replace('\0', "");
    let case = text
        .split_once(" (")
        .map_or(text.as_str(), |(_, case)| case);
    let case = case.strip_suffix(')').unwrap_or(case);
    let known = MEANINGS.iter().find(|(begins, _)| case.starts_with(begins));
    let told = plain(case, WORDS_CHARS_MAX);
    match known {
        Some((_, meaning)) => format!("{meaning} ({told})"),
        None => told,
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_library_says_is_told_with_what_it_means() {
        let check = |text: &str, expected: &str| assert_eq!(meaning(text), expected, "{text:?}");
        let unspecified = "Unspecified GSS failure.  Minor code may provide more information";
        let minor = |text: &str| format!("{unspecified} ({text})");
        check(
            &minor("Preauthentication failed"),
            "the password is wrong (Preauthentication failed)",
        );
        check(
            &minor("Clock skew too great"),
            "this clock and the KDC's differ too much (Clock skew too great)",
        );
        check(
            &minor("Server HTTP/a@R not found in Kerberos database"),
            "the KDC knows no such service (Server HTTP/a@R not found in Kerberos database)",
        );
        check(
            &minor("No Kerberos credentials available (default cache: FILE:/a)\0"),
            "there is no ticket (No Kerberos credentials available (default cache: FILE:/a))",
        );
        check(&minor("Something new\x1b"), "Something new\\u{1b}");
        check(
            "An invalid name was supplied",
            "An invalid name was supplied",
        );
        check("", "");
    }
}
