//! Negotiate (RFC 4559, as proxies speak it): a fresh token for each CONNECT, more legs where the
//! proxy wants them, and its own proof checked where it sends one.
//!
//! Tokens are made on threads that may block, since a key distribution centre may have to be asked.
//! Knows no sockets, and nothing of Kerberos but that it makes tokens.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::kerberos::{Exchange, Kerberos, NoToken};
use super::method::Spoken;
use crate::wire::authority::Host;
use crate::wire::binding;
use crate::wire::challenge::{self, Challenge};
use crate::wire::connect::reply::Reply;

/// The scheme's name, compared without regard to case.
pub(super) const SCHEME: &str = "Negotiate";

/// Kerberos takes one, NTLM inside of SPNEGO two; more is a proxy without an end.
const LEGS_MAX: usize = 4;
/// Tokens being made at once. They share their threads with name resolution, which must go on when
/// no key distribution centre answers.
const AT_ONCE_MAX: usize = 16;

static AT_ONCE: Semaphore = Semaphore::const_new(AT_ONCE_MAX);

/// How far we are with one proxy.
#[derive(Debug, Clone, Default)]
pub(super) struct Negotiate {
    leg: Leg,
    /// Told on this connection.
    legs: usize,
    /// Whether a connection was lost on the way already.
    was_lost: bool,
}

/// What this connection was told, or is told next.
#[derive(Clone, Default)]
enum Leg {
    /// Nothing yet; a token has to be made.
    #[default]
    Silent,
    /// This token is next.
    Ready(Zeroizing<String>, Context),
    /// A token was told.
    Told(Context),
    /// The proxy answered with a token of its own; ours to it has to be made.
    Answered(Vec<u8>, Context),
}

/// Only ever locked by the one step that is being made.
#[derive(Clone)]
struct Context(Arc<Mutex<Box<dyn Exchange>>>);

/// Why Negotiate came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NegotiateFault {
    /// There is no token for the proxy.
    NoToken {
        /// The proxy's service principal.
        service: String,
        /// Why.
        why: NoToken,
    },
    /// There is none in time.
    TimedOut,
    /// The proxy has our token and asks again.
    Rejected,
    /// It answered with something that is no token.
    NotAToken,
    /// It asks for more legs than there are.
    TooManyLegs,
    /// It closed the connection that it was proving, and the one after it.
    ClosesMidway,
    /// It let us pass and gave a wrong proof of who it is.
    Unproven(String),
}

impl Negotiate {
    /// Makes the token that is told next, if there is none yet; `end_point` is
    /// `tls-server-end-point` of TLS to this proxy itself.
    pub(super) async fn fetch(
        &mut self,
        kerberos: &Kerberos,
        proxy: &Host,
        end_point: Option<&[u8]>,
        deadline: Instant,
    ) -> Result<(), NegotiateFault> {
        let heard = match &self.leg {
            Leg::Silent => None,
            Leg::Answered(heard, context) => Some((heard.clone(), context.clone())),
            Leg::Ready(..) | Leg::Told(_) => return Ok(()),
        };
        let (service, mechanism) = (kerberos.service(proxy), kerberos.mechanism.clone());
        let binding = end_point.map(binding::tls_server_end_point);
        let making = move || match heard {
            Some((heard, context)) => Ok((context.step(Some(&heard))?, context)),
            None => {
                let context = Context::new(mechanism.begin(&service, binding.as_deref())?);
                Ok((context.step(None)?, context))
            }
        };
        let made = apart(&kerberos.places, deadline, making).await?;
        let (token, context) = made.map_err(|why| NegotiateFault::NoToken {
            service: kerberos.service(proxy),
            why,
        })?;
        // Nothing is left to say, and still the proxy asks.
        if token.is_empty() {
            return Err(NegotiateFault::Rejected);
        }
        self.leg = Leg::Ready(Zeroizing::new(STANDARD.encode(token)), context);
        Ok(())
    }

    /// What the next CONNECT carries.
    pub(super) fn speak(&mut self) -> Option<Spoken> {
        let Leg::Ready(token, context) = &self.leg else {
            return None;
        };
        let (token, context) = (token.clone(), context.clone());
        self.leg = Leg::Told(context);
        self.legs += 1;
        Some(Spoken {
            value: Zeroizing::new(format!("{SCHEME} {}", token.as_str())),
            secrets: vec![token],
        })
    }

    /// The next leg, after a 407 to the last.
    pub(super) fn answer(&self, challenges: &[Challenge]) -> Result<Self, NegotiateFault> {
        let Leg::Told(context) = &self.leg else {
            return Err(NegotiateFault::Rejected);
        };
        let heard = token(challenges).ok_or(NegotiateFault::Rejected)?;
        if self.legs >= LEGS_MAX {
            return Err(NegotiateFault::TooManyLegs);
        }
        Ok(Self {
            leg: Leg::Answered(heard?, context.clone()),
            ..self.clone()
        })
    }

    /// After the 2xx: what the proxy proves, if it proves anything, must hold.
    pub(super) async fn confirm(
        &self,
        kerberos: &Kerberos,
        reply: &Reply,
        deadline: Instant,
    ) -> Result<(), NegotiateFault> {
        let Leg::Told(context) = self.leg.clone() else {
            return Ok(());
        };
        // RFC 4559 §4.2 has it in the challenge's header, RFC 7615 §4 in one of its own.
        let headers = ["proxy-authenticate", "proxy-authentication-info"];
        let values = headers.into_iter().flat_map(|name| reply.texts(name));
        let Some(proof) = token(&challenge::parse(values)) else {
            return Ok(());
        };
        let proof = proof?;
        let checking = move || context.step(Some(&proof));
        let checked = apart(&kerberos.places, deadline, checking).await?;
        match checked {
            Ok(_) => Ok(()),
            Err(NoToken { why, .. }) => Err(NegotiateFault::Unproven(why)),
        }
    }

    /// What was said is void: this connection begins with a fresh token. Once, if the one before
    /// was lost on the way; after that it is the proxy's habit.
    pub(super) fn on_new_connection(&mut self) -> Result<(), NegotiateFault> {
        if matches!(self.leg, Leg::Silent) {
            return Ok(());
        }
        self.leg = Leg::Silent;
        self.legs = 0;
        match std::mem::replace(&mut self.was_lost, true) {
            true => Err(NegotiateFault::ClosesMidway),
            false => Ok(()),
        }
    }
}

impl Context {
    fn new(exchange: Box<dyn Exchange>) -> Self {
        Self(Arc::new(Mutex::new(exchange)))
    }

    fn step(&self, heard: Option<&[u8]>) -> Result<Vec<u8>, NoToken> {
        let mut exchange = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        exchange.step(heard)
    }
}

fn token(challenges: &[Challenge]) -> Option<Result<Vec<u8>, NegotiateFault>> {
    let mut asking = challenges.iter().filter(|c| c.asks_for(SCHEME));
    let token = asking.find_map(|c| c.token68.as_deref())?;
    let decoded = STANDARD.decode(token);
    Some(decoded.map_err(|_| NegotiateFault::NotAToken))
}

// On a thread that may block, whose work ends on its own when it is no longer waited for. It is no
// task of the drain's: it holds nothing of a session. The places of one identity come first, so that
// those who wait for its KDC leave the others theirs.
async fn apart<T: Send + 'static>(
    places: &Arc<Semaphore>,
    deadline: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NegotiateFault> {
    let doing = async {
        let place = places.clone().acquire_owned().await.ok()?;
        let thread = AT_ONCE.acquire().await.ok()?;
        let work = move || {
            let done = work();
            drop((place, thread));
            done
        };
        spawn_blocking(work).await.ok()
    };
    let done = timeout_at(deadline, doing).await;
    done.ok().flatten().ok_or(NegotiateFault::TimedOut)
}

impl fmt::Debug for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "Silent",
            Self::Ready(..) => "Ready",
            Self::Told(_) => "Told",
            Self::Answered(..) => "Answered",
        })
    }
}

impl fmt::Display for NegotiateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken { service, why } => write!(f, "no Kerberos token for {service}: {why}"),
            Self::TimedOut => f.write_str("no Kerberos token in time: no KDC answered"),
            Self::Rejected => f.write_str("the token is rejected"),
            Self::NotAToken => f.write_str("its Negotiate token is not one"),
            Self::TooManyLegs => write!(f, "it asks for more than {LEGS_MAX} Negotiate tokens"),
            Self::ClosesMidway => f.write_str("it closes the connection between Negotiate tokens"),
            Self::Unproven(why) => write!(f, "its proof of who it is does not hold: {why}"),
        }
    }
}
