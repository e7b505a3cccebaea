//! Kerberos as this machine has it: whose tickets, where they are, how they are kept good, and what
//! the library's words mean.
//!
//! Every call may block. Knows nothing of proxies, and leaves the library itself to the room `gss`.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::kept::{Kept, Lasts};
use super::kerberos::{Exchange, Lack, Mechanism, NoToken};
use crate::egress::params::Secret;
use crate::egress::stumble::plain;
use crate::gss::{self, Context, Credential, Error, Name, Store};

/// Of what the library says.
const WORDS_CHARS_MAX: usize = 300;

/// How the library begins, what that means, and what is missing.
const MEANINGS: [(&str, &str, Lack); 16] = [
    (
        "Preauthentication failed",
        "the password is wrong",
        Lack::Password,
    ),
    (
        "Password incorrect",
        "the password is wrong",
        Lack::Password,
    ),
    (
        "Clock skew too great",
        "this clock and the KDC's differ too much",
        Lack::Clock,
    ),
    ("Server ", "the KDC knows no such service", Lack::Service),
    ("Client '", "the KDC knows no such user", Lack::User),
    ("Ticket expired", "the ticket has expired", Lack::Ticket),
    (
        "Credentials cache is empty",
        "there is no ticket",
        Lack::Ticket,
    ),
    (
        "No credentials cache found",
        "there is no ticket",
        Lack::Ticket,
    ),
    (
        "No Kerberos credentials",
        "there is no ticket",
        Lack::Ticket,
    ),
    (
        "Can't find client principal",
        "there is no ticket of this user",
        Lack::Ticket,
    ),
    (
        "Principal in credential cache does not match",
        "the tickets are another user's",
        Lack::Ticket,
    ),
    (
        "Credential cache permissions",
        "the tickets may not be read",
        Lack::Ticket,
    ),
    (
        "End of credential cache",
        "the cache cannot be read",
        Lack::Ticket,
    ),
    (
        "Bad format in credentials cache",
        "the cache cannot be read",
        Lack::Ticket,
    ),
    ("Cannot contact any KDC", "no KDC answers", Lack::Kdc),
    (
        "Cannot find KDC",
        "krb5.conf and DNS know no KDC",
        Lack::Kdc,
    ),
];

/// The same where the tickets are a key's: the cache that is not found is its own, in memory.
const MEANINGS_BY_KEY: [(&str, &str, Lack); 3] = [
    (
        "No credentials cache found",
        "there is no key of this user",
        Lack::Key,
    ),
    (
        "Preauthentication failed",
        "the key is not the one that the KDC has",
        Lack::Key,
    ),
    (
        "Decrypt integrity check failed",
        "the key is not the one that the KDC has",
        Lack::Key,
    ),
];

/// Whose tickets.
#[derive(Debug)]
pub enum Identity {
    /// Those that the process holds: of this principal, or of the cache's own.
    Held(Option<String>),
    /// Those that the password gets.
    Password {
        /// As in `name@REALM`.
        principal: String,
        /// Never written anywhere.
        password: Secret,
    },
    /// Those that a key gets.
    Keytab {
        /// Whose key, as in `name@REALM`.
        principal: String,
        /// Where it is, as in `FILE:/etc/throughway/name.keytab`.
        keytab: String,
    },
    /// Those of one cache, which others fill and renew.
    Cache {
        /// Whose, if it may not be anybody's.
        principal: Option<String>,
        /// As in `FILE:/run/throughway/name.cc`.
        cache: String,
    },
}

/// The system's GSSAPI for one identity.
pub struct System {
    identity: Arc<Identity>,
    /// What a password or a key got, with its tickets in memory.
    kept: Kept<Arc<Credential>>,
}

/// A context, and in whose name.
#[derive(Debug)]
struct Begun {
    context: Context,
    identity: Arc<Identity>,
}

impl System {
    /// Asks nobody yet.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity: Arc::new(identity),
            kept: Kept::nothing(),
        }
    }

    fn credential(&self) -> Result<Arc<Credential>, Error> {
        match self.identity.as_ref() {
            // Whoever looks after these renews them: they are read anew each time.
            Identity::Held(_) | Identity::Cache { .. } => self.acquire(),
            Identity::Password { .. } | Identity::Keytab { .. } => {
                self.kept.good(Instant::now(), || self.acquire())
            }
        }
    }

    fn acquire(&self) -> Result<Arc<Credential>, Error> {
        let by = |mechanism| self.acquire_by(mechanism);
        // SPNEGO does not say why Kerberos has no ticket; Kerberos does. With a password that would
        // be a second attempt, and accounts are locked by those.
        let acquired = match self.identity.as_ref() {
            Identity::Password { .. } => by(gss::Mechanism::Spnego),
            _ => by(gss::Mechanism::Spnego)
                .map_err(|error| by(gss::Mechanism::Kerberos).err().unwrap_or(error)),
        };
        acquired.map(Arc::new)
    }

    fn acquire_by(&self, mechanism: gss::Mechanism) -> Result<Credential, Error> {
        let of = |name: Option<&String>, store: &Store| {
            let name = name.map(|name| Name::principal(name)).transpose()?;
            Credential::acquire(name.as_ref(), mechanism, store)
        };
        match self.identity.as_ref() {
            Identity::Held(name) => of(name.as_ref(), &Store::of_process()),
            Identity::Cache { principal, cache } => of(principal.as_ref(), &Store::cache(cache)?),
            Identity::Keytab { principal, keytab } => {
                // In memory, under a name that this identity alone has, so that it is made once
                // however often the gateway's plan is made anew.
                let cache = format!("MEMORY:{principal} {keytab}");
                of(Some(principal), &Store::keytab(keytab, &cache)?)
            }
            Identity::Password {
                principal,
                password,
            } => {
                Credential::by_password(&Name::principal(principal)?, password.reveal(), mechanism)
            }
        }
    }
}

impl Mechanism for System {
    fn begin(&self, service: &str, binding: Option<&[u8]>) -> Result<Box<dyn Exchange>, NoToken> {
        let begun = || {
            let service = Name::principal(service)?;
            let binding = binding.map(<[u8]>::to_vec);
            Ok(Context::new(self.credential()?, service, binding))
        };
        let context = begun().map_err(|error: Error| self.identity.lacks(&error))?;
        let identity = self.identity.clone();
        Ok(Box::new(Begun { context, identity }))
    }

    fn keys(&self) -> Option<String> {
        match self.identity.as_ref() {
            Identity::Held(_) | Identity::Password { .. } => None,
            Identity::Keytab { keytab, .. } => Some(format!("keytab {keytab}")),
            Identity::Cache { cache, .. } => Some(format!("ticket cache {cache}")),
        }
    }
}

impl Exchange for Begun {
    fn step(&mut self, heard: Option<&[u8]>) -> Result<Vec<u8>, NoToken> {
        let said = self.context.step(heard);
        said.map_err(|error| self.identity.lacks(&error))
    }
}

impl Lasts for Arc<Credential> {
    fn left(&self) -> Duration {
        Credential::left(self)
    }
}

impl Identity {
    fn lacks(&self, error: &Error) -> NoToken {
        let by_key: &[_] = match self {
            Self::Keytab { .. } => &MEANINGS_BY_KEY,
            Self::Held(_) | Self::Password { .. } | Self::Cache { .. } => &[],
        };
        let NoToken { lack, why } = meaning(error.words(), by_key);
        let remedy = match (self, lack) {
            (Self::Held(_), Lack::Ticket) => "kinit gets one".to_owned(),
            (Self::Cache { cache, .. }, Lack::Ticket) => format!("kinit -c {cache} gets one"),
            (Self::Keytab { keytab, .. }, Lack::Key) => {
                format!("klist -k {keytab} tells whose keys are there")
            }
            _ => return NoToken { lack, why },
        };
        let why = format!("{why}; {}", plain(&remedy, WORDS_CHARS_MAX));
        NoToken { lack, why }
    }
}

fn meaning(words: &str, first: &[(&str, &str, Lack)]) -> NoToken {
    let mut known = first.iter().chain(&MEANINGS);
    let known = known.find(|(begins, ..)| words.starts_with(begins));
    let told = plain(words, WORDS_CHARS_MAX);
    match known {
        Some((_, meaning, lack)) => NoToken {
            lack: *lack,
            why: format!("{meaning} ({told})"),
        },
        None => NoToken {
            lack: Lack::Other,
            why: told,
        },
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
        let check = |words: &str, lack, expected: &str| {
            let told = meaning(words, &[]);
            assert_eq!(
                (told.lack, told.why.as_str()),
                (lack, expected),
                "{words:?}"
            );
        };
        check(
            "Preauthentication failed",
            Lack::Password,
            "the password is wrong (Preauthentication failed)",
        );
        check(
            "Clock skew too great",
            Lack::Clock,
            "this clock and the KDC's differ too much (Clock skew too great)",
        );
        check(
            "Server HTTP/a@R not found in Kerberos database",
            Lack::Service,
            "the KDC knows no such service (Server HTTP/a@R not found in Kerberos database)",
        );
        check(
            "No Kerberos credentials available (default cache: FILE:/a)",
            Lack::Ticket,
            "there is no ticket (No Kerberos credentials available (default cache: FILE:/a))",
        );
        check("Something new\x1b", Lack::Other, "Something new\\u{1b}");
        check(
            "An invalid name was supplied",
            Lack::Other,
            "An invalid name was supplied",
        );
        check("", Lack::Other, "");
    }

    #[test]
    fn what_is_missing_is_told_with_how_to_get_it() {
        let check = |identity: &Identity, case: &str, expected: Option<&str>| {
            let error = Error {
                major: 1,
                minor: 1,
                general: String::new(),
                case: case.to_owned(),
            };
            let why = identity.lacks(&error).why;
            let remedy = why.split_once("; ").map(|(_, remedy)| remedy);
            assert_eq!(remedy, expected, "{identity:?}: {why}");
        };
        let cache = Identity::Cache {
            principal: None,
            cache: "FILE:/a.cc".to_owned(),
        };
        check(
            &cache,
            "Ticket expired",
            Some("kinit -c FILE:/a.cc gets one"),
        );
        check(&cache, "Cannot contact any KDC", None);
        let held = Identity::Held(None);
        check(&held, "Ticket expired", Some("kinit gets one"));
        let keytab = Identity::Keytab {
            principal: "u@R".to_owned(),
            keytab: "FILE:/a.keytab".to_owned(),
        };
        let lists = "klist -k FILE:/a.keytab tells whose keys are there";
        check(&keytab, "No credentials cache found", Some(lists));
    }
}
