//! NTLM ([MS-NTHT]): three legs on one connection, which is proven as a whole and carries nothing
//! but our tunnel.
//!
//! A proxy that offers Negotiate alone is told the same legs under that name, as Windows does where it
//! has no ticket: without SPNEGO around them, by which squid's `negotiate_wrapper_auth` tells them
//! from tickets. Knows which leg is next, and that a connection that is lost takes its legs with it.
//! Knows no sockets, and no other scheme but by its name.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::method::Spoken;
use super::negotiate as by_negotiate;
use crate::egress::params::Credentials;
use crate::wire::authority::Host;
use crate::wire::challenge::Challenge;
use crate::wire::ntlm::authenticate::{self, Fresh, Identity, Purpose, Unprovable};
use crate::wire::ntlm::challenge::{self, NotAChallenge};
use crate::wire::ntlm::{binding, negotiate, token};

pub(super) use crate::wire::ntlm::token::SCHEME;

/// Between 1601, where Windows begins to count, and 1970, in 100 ns.
const EPOCHS_APART: u64 = 116_444_736_000_000_000;

/// Where in a Windows domain we are; both are for NTLM alone, and either may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// The user's domain.
    pub domain: String,
    /// The name of this machine.
    pub workstation: String,
}

/// To whom we prove who we are, and over which connection.
pub(super) struct Proving<'a> {
    pub(super) credentials: &'a Credentials,
    pub(super) membership: &'a Membership,
    pub(super) proxy: &'a Host,
    /// `tls-server-end-point` of TLS to this proxy itself.
    pub(super) end_point: Option<&'a [u8]>,
}

/// How far we are with one proxy.
#[derive(Debug, Clone, Default)]
pub(super) struct Ntlm {
    carrier: Carrier,
    leg: Leg,
    /// Whether a connection was lost on the way already.
    was_lost: bool,
}

/// Under which name the legs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Carrier {
    /// Their own.
    #[default]
    Ntlm,
    /// The one of what they stand in for.
    Negotiate,
}

/// What this connection was told, or is told next.
#[derive(Clone, Default)]
enum Leg {
    /// Nothing yet; Type 1 is next.
    #[default]
    Silent,
    /// Type 1 was told.
    Offered,
    /// It was answered with Type 2; this value, which holds Type 3, is next.
    Challenged(Zeroizing<String>),
    /// Type 3 was told.
    Proven,
}

/// Why NTLM came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NtlmFault {
    /// The proxy has our proof and asks again.
    Rejected,
    /// It answered Type 1, and not with a challenge.
    Unanswered,
    /// The same in Negotiate: it wants a ticket.
    KerberosAlone,
    /// It answered with something that is no token.
    NotAToken,
    /// It answered with a token that is no challenge.
    NotAChallenge(NotAChallenge),
    /// Its challenge has no answer.
    Unprovable(Unprovable),
    /// It closed the connection that it was proving, and the one after it.
    ClosesMidway,
}

impl Carrier {
    fn scheme(self) -> &'static str {
        match self {
            Self::Ntlm => SCHEME,
            Self::Negotiate => by_negotiate::SCHEME,
        }
    }
}

impl Ntlm {
    /// From the beginning.
    pub(super) fn by(carrier: Carrier) -> Self {
        Self {
            carrier,
            ..Self::default()
        }
    }

    /// The same from the beginning.
    pub(super) fn beginning(&self) -> Self {
        Self::by(self.carrier)
    }

    /// What the next CONNECT carries.
    pub(super) fn speak(&mut self) -> Option<Spoken> {
        match std::mem::take(&mut self.leg) {
            Leg::Silent => {
                self.leg = Leg::Offered;
                Some(Spoken {
                    value: token::header(self.carrier.scheme(), &negotiate::message()),
                    secrets: Vec::new(),
                })
            }
            Leg::Challenged(value) => {
                self.leg = Leg::Proven;
                let token = value.rsplit(' ').next().unwrap_or_default();
                let secrets = vec![Zeroizing::new(token.to_owned())];
                Some(Spoken { value, secrets })
            }
            // Said, and not answered yet.
            said @ (Leg::Offered | Leg::Proven) => {
                self.leg = said;
                None
            }
        }
    }

    /// The next leg, after a 407 to the last.
    pub(super) fn answer(
        &self,
        challenges: &[Challenge],
        proving: &Proving<'_>,
    ) -> Result<Self, NtlmFault> {
        match self.leg {
            // A challenge behind the proof is a new round, which the same password loses again.
            Leg::Proven => return Err(NtlmFault::Rejected),
            Leg::Silent | Leg::Offered | Leg::Challenged(_) => {}
        }
        let scheme = self.carrier.scheme();
        let mut tokens = challenges.iter().filter(|c| c.asks_for(scheme));
        let token68 = tokens.find_map(|c| c.token68.as_deref());
        let unanswered = match self.carrier {
            Carrier::Ntlm => NtlmFault::Unanswered,
            Carrier::Negotiate => NtlmFault::KerberosAlone,
        };
        let proof = prove(scheme, token68.ok_or(unanswered)?, proving)?;
        Ok(Self {
            leg: Leg::Challenged(proof),
            ..*self
        })
    }

    /// What was said is void: this connection begins with Type 1 again. Once, if the one before
    /// was lost on the way; after that it is the proxy's habit.
    pub(super) fn on_new_connection(&mut self) -> Result<(), NtlmFault> {
        if matches!(self.leg, Leg::Silent) {
            return Ok(());
        }
        self.leg = Leg::Silent;
        match std::mem::replace(&mut self.was_lost, true) {
            true => Err(NtlmFault::ClosesMidway),
            false => Ok(()),
        }
    }
}

fn prove(
    scheme: &str,
    token68: &str,
    proving: &Proving<'_>,
) -> Result<Zeroizing<String>, NtlmFault> {
    let message = token::message(token68).ok_or(NtlmFault::NotAToken)?;
    let challenge = challenge::Challenge::parse(&message).map_err(NtlmFault::NotAChallenge)?;
    let (domain, user) = parted(proving);
    let identity = Identity {
        user,
        password: proving.credentials.password.reveal(),
        domain,
        workstation: &proving.membership.workstation,
    };
    let purpose = Purpose {
        target: &format!("HTTP/{}", proving.proxy),
        binding: proving
            .end_point
            .map_or(binding::NONE, binding::tls_server_end_point),
    };
    let offer = negotiate::message();
    let proof = authenticate::message(&offer, &challenge, &identity, &purpose, &fresh());
    Ok(token::header(
        scheme,
        &proof.map_err(NtlmFault::Unprovable)?,
    ))
}

// The environment has one place for both, and writes `DOMAIN\user` there.
fn parted<'a>(proving: &Proving<'a>) -> (&'a str, &'a str) {
    let domain = proving.membership.domain.as_str();
    let user = proving.credentials.user.reveal();
    match user.split_once('\\') {
        Some(parted) if domain.is_empty() => parted,
        Some(_) | None => (domain, user),
    }
}

fn fresh() -> Fresh {
    let mut nonce = [0; 8];
    let mut session_key = Zeroizing::new([0; 16]);
    for bytes in [&mut nonce[..], &mut session_key[..]] {
        rand::fill(bytes).expect("aws-lc aborts rather than go on without randomness");
    }
    Fresh {
        nonce,
        session_key,
        time: filetime(SystemTime::now()),
    }
}

// A clock that stands before 1970 is no worse than one that stands there.
fn filetime(now: SystemTime) -> u64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let ticks = u64::try_from(since.as_nanos() / 100).unwrap_or_default();
    EPOCHS_APART.saturating_add(ticks)
}

impl fmt::Debug for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "Silent",
            Self::Offered => "Offered",
            Self::Challenged(_) => "Challenged(***)",
            Self::Proven => "Proven",
        })
    }
}

impl fmt::Display for NtlmFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected => f.write_str("credentials rejected"),
            Self::Unanswered => f.write_str("it does not answer NTLM with a challenge"),
            Self::KerberosAlone => f.write_str("it takes a ticket of Kerberos and no NTLM there"),
            Self::NotAToken => f.write_str("its NTLM challenge is not base64"),
            Self::NotAChallenge(why) => write!(f, "its NTLM challenge cannot be read: {why}"),
            Self::Unprovable(why) => why.fmt(f),
            Self::ClosesMidway => f.write_str("the proxy closes mid-NTLM"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::params::Secret;
    use crate::wire::challenge::parse;
    use std::time::Duration;

    /// A challenge of 32 bytes, which offers Unicode and no attributes.
    const TYPE_2: &str = "NTLM TlRMTVNTUAACAAAAAAAAAAAAAAABAgAAASNFZ4mrze8=";

    /// The state after a 407 with this one challenge.
    fn after(ntlm: &Ntlm, challenge: &str) -> Result<Ntlm, NtlmFault> {
        let credentials = Credentials {
            user: Secret::new("u".to_owned()),
            password: Secret::new("p".to_owned()),
        };
        let proving = Proving {
            credentials: &credentials,
            membership: &Membership::default(),
            proxy: &Host::Name("proxy".to_owned()),
            end_point: None,
        };
        ntlm.answer(&parse([challenge]), &proving)
    }

    fn offered() -> Ntlm {
        let mut ntlm = Ntlm::default();
        ntlm.speak().expect("Type 1");
        ntlm
    }

    #[test]
    fn the_legs_in_their_order() {
        let mut ntlm = Ntlm::default();
        let offer = ntlm.speak().expect("Type 1");
        assert!(offer.value.starts_with("NTLM TlRMTVNTUAABAAAA"));
        assert!(offer.secrets.is_empty() && ntlm.speak().is_none());
        let mut ntlm = after(&ntlm, TYPE_2).expect("a leg");
        assert_eq!(format!("{:?}", ntlm.leg), "Challenged(***)");
        let proof = ntlm.speak().expect("Type 3");
        assert!(proof.value.starts_with("NTLM TlRMTVNTUAADAAAA"));
        assert_eq!(format!("NTLM {}", *proof.secrets[0]), *proof.value);
        assert!(ntlm.speak().is_none());
        for again in ["NTLM", TYPE_2] {
            assert_eq!(after(&ntlm, again).err(), Some(NtlmFault::Rejected));
        }
    }

    #[test]
    fn what_is_no_answer_to_the_offer_ends_it() {
        let check = |challenge: &str, expected| {
            assert_eq!(
                after(&offered(), challenge).err(),
                Some(expected),
                "{challenge}"
            );
        };
        check("NTLM", NtlmFault::Unanswered);
        check("Basic realm=x", NtlmFault::Unanswered);
        check("Negotiate TlRMTVNTUAAC", NtlmFault::Unanswered);
        check("NTLM T===", NtlmFault::NotAToken);
        let bounds = NtlmFault::NotAChallenge(NotAChallenge::Bounds);
        check("NTLM TlRMTVNTUAACAAAA", bounds);
        let other = NtlmFault::NotAChallenge(NotAChallenge::Signature);
        check("NTLM YWJj", other);
    }

    #[test]
    fn in_negotiate_every_leg_has_that_name_and_hears_it_alone() {
        let mut ntlm = Ntlm::by(Carrier::Negotiate);
        let offer = ntlm.speak().expect("Type 1");
        assert!(offer.value.starts_with("Negotiate TlRMTVNTUAABAAAA"));
        for silent in [TYPE_2, "Negotiate", "Basic realm=x"] {
            let fault = after(&ntlm, silent).err();
            assert_eq!(fault, Some(NtlmFault::KerberosAlone), "{silent}");
        }
        let challenge = TYPE_2.replace("NTLM ", "Negotiate ");
        let mut ntlm = after(&ntlm, &challenge).expect("a leg");
        let proof = ntlm.speak().expect("Type 3");
        assert!(proof.value.starts_with("Negotiate TlRMTVNTUAADAAAA"));
        let again = ntlm.beginning().speak().expect("Type 1");
        assert_eq!(again.value, offer.value);
    }

    #[test]
    fn a_connection_lost_on_the_way_is_forgiven_once() {
        let mut ntlm = Ntlm::default();
        assert_eq!(ntlm.on_new_connection(), Ok(()));
        assert_eq!(ntlm.on_new_connection(), Ok(()));
        ntlm.speak();
        assert_eq!(ntlm.on_new_connection(), Ok(()));
        assert!(ntlm.speak().is_some_and(|s| s.value.contains("AABAAAA")));
        let mut ntlm = after(&ntlm, TYPE_2).expect("a leg");
        assert_eq!(ntlm.on_new_connection(), Err(NtlmFault::ClosesMidway));
    }

    #[test]
    fn windows_counts_from_1601() {
        assert_eq!(filetime(UNIX_EPOCH), EPOCHS_APART);
        let later = UNIX_EPOCH + Duration::from_secs(1);
        assert_eq!(filetime(later), EPOCHS_APART + 10_000_000);
        assert_eq!(filetime(UNIX_EPOCH - Duration::from_secs(1)), EPOCHS_APART);
    }
}
