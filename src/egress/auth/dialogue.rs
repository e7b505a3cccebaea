//! The dialogue with one proxy about who we are, over all connections of one dial.
//!
//! It says what the next CONNECT carries, and after a 407 whether there is anything left to say.
//! It ends: each 407 uses up a scheme, one leg of a scheme that has several and may lose one
//! connection between them, the one new beginning that what was remembered has, or the one new
//! nonce that a stale one has. Knows no sockets: whether a 407 can be answered on its own connection
//! is for whoever reads it to find out.

use std::mem;

use tokio::time::Instant;
use tracing::debug;
use zeroize::Zeroizing;

use super::method::{self, Method, Unready, Verdict, Why};
use super::negotiate::NegotiateFault;
use super::ntlm::Proving;
use super::{Auth, Scheme};
use crate::egress::params::{Credentials, Hop};
use crate::egress::stumble::AuthFault;
use crate::egress::versions::Http;
use crate::wire::authority::Host;
use crate::wire::challenge::Challenge;
use crate::wire::connect::reply::Reply;

/// One dial's dialogue with one hop.
pub(in crate::egress) struct Dialogue<'a> {
    auth: &'a Auth,
    credentials: Option<&'a Credentials>,
    proxy: &'a Host,
    /// The proxy is asked in HTTP/2 and in nothing else, so no scheme that proves a connection can
    /// be told.
    only_http2: bool,
    /// `tls-server-end-point` of the connection, where TLS leads to this proxy.
    end_point: Option<Vec<u8>>,
    /// What the next CONNECT is told by; `None`: nothing is told.
    method: Option<Method>,
    standing: Standing,
    /// Whether what was remembered may still be refused without its scheme having failed.
    may_begin_anew: bool,
    /// Whether a nonce may still be stale.
    may_be_stale: bool,
    /// The schemes that failed.
    failed: Vec<Scheme>,
    /// Why the last of them did, if not because the proxy rejected it.
    why: Option<Why>,
    /// What the last 407 asked for, and as what it is told.
    asked: Option<(Vec<Challenge>, String)>,
    /// How often the proxy was told.
    legs: usize,
    secrets: Vec<Zeroizing<String>>,
}

/// Where the method comes from.
#[derive(PartialEq, Eq)]
enum Standing {
    /// It has let us pass, now or in a dial before.
    Proven,
    /// It answers a 407 of this dial.
    Answering,
}

impl<'a> Dialogue<'a> {
    /// Begins with what is remembered of this hop.
    pub(in crate::egress) fn with(hop: &'a Hop) -> Self {
        let credentials = hop.credentials.as_ref();
        Self {
            auth: &hop.auth,
            credentials,
            proxy: &hop.host,
            only_http2: hop.versions.configured() == Http::Two,
            end_point: None,
            method: credentials.and_then(|_| hop.auth.known()),
            standing: Standing::Proven,
            may_begin_anew: true,
            may_be_stale: true,
            failed: Vec::new(),
            why: None,
            asked: None,
            legs: 0,
            secrets: Vec::new(),
        }
    }

    /// What follows goes over a new connection, with this `tls-server-end-point` if TLS leads to
    /// the proxy. A scheme that lost too many connections has failed, and nothing is told until
    /// the proxy asks again.
    pub(in crate::egress) fn on_new_connection(&mut self, end_point: Option<Vec<u8>>) {
        self.end_point = end_point;
        let Some(method) = &mut self.method else {
            return;
        };
        if let Err(why) = method.on_new_connection() {
            self.failed.push(method.scheme());
            self.why = Some(why);
            self.method = None;
        }
    }

    /// Makes what the next CONNECT is told by, where that may take until `deadline`: a token of
    /// Kerberos. Where there is none, the next scheme is told if the proxy has asked for one, and
    /// nothing if it has not.
    pub(in crate::egress) async fn ready(&mut self, deadline: Instant) -> Result<(), AuthFault> {
        while let Err(why) = self.fetch(deadline).await {
            self.failed.push(Scheme::Negotiate);
            if let Some(method) = self.method.take() {
                self.auth.forget(&method);
            }
            debug!(proxy = %self.proxy, %why, "cannot be told by negotiate");
            self.why = Some(Why::Negotiate(why));
            let Some((challenges, offered)) = &self.asked else {
                return Ok(());
            };
            let next = self.next_scheme(challenges);
            self.method = Some(next.map_err(|unready| self.fault(unready, offered.clone()))?);
        }
        Ok(())
    }

    async fn fetch(&mut self, deadline: Instant) -> Result<(), NegotiateFault> {
        match (&mut self.method, self.auth.kerberos()) {
            (Some(Method::Negotiate(negotiate)), Some(kerberos)) => {
                let end_point = self.end_point.as_deref();
                negotiate
                    .fetch(kerberos, self.proxy, end_point, deadline)
                    .await
            }
            _ => Ok(()),
        }
    }

    /// The `Proxy-Authorization` of the next CONNECT to `target` (`host:port`), if it has one.
    pub(in crate::egress) fn speak(&mut self, target: &str) -> Option<Zeroizing<String>> {
        let credentials = self.credentials?;
        let spoken = self.method.as_mut()?.speak(credentials, target)?;
        if self.legs == 0 {
            let texts = [&credentials.user, &credentials.password];
            let texts = texts.map(|t| Zeroizing::new(t.reveal().to_owned()));
            self.secrets.extend(texts);
        }
        self.secrets.extend(spoken.secrets);
        self.legs += 1;
        Some(spoken.value)
    }

    /// After a 407 with these challenges, told as `offered`. `Ok`: the next CONNECT may be what
    /// the proxy wants.
    pub(in crate::egress) fn challenged(
        &mut self,
        challenges: &[Challenge],
        offered: String,
    ) -> Result<(), AuthFault> {
        if self.credentials.is_none() {
            return Err(AuthFault::NoCredentials { offered });
        }
        self.asked = Some((challenges.to_vec(), offered.clone()));
        if let Some(method) = self.method.take() {
            self.method = self.after(&method, challenges);
        }
        self.standing = Standing::Answering;
        if self.method.is_some() {
            return Ok(());
        }
        match self.next_scheme(challenges) {
            Ok(method) => {
                self.method = Some(method);
                Ok(())
            }
            Err(unready) => Err(self.fault(unready, offered)),
        }
    }

    // The same scheme once more, if it has a right to it.
    fn after(&mut self, method: &Method, challenges: &[Challenge]) -> Option<Method> {
        let proving = Proving {
            credentials: self.credentials?,
            membership: self.auth.membership(),
            proxy: self.proxy,
            end_point: self.end_point.as_deref(),
        };
        let verdict = method.refused(challenges, &proving);
        // A challenge to the next leg refuses nothing.
        let is_leg = matches!(verdict, Verdict::Leg(_));
        let was_proven = self.standing == Standing::Proven && !is_leg;
        if was_proven {
            self.auth.forget(method);
        }
        let anew = was_proven && mem::take(&mut self.may_begin_anew);
        let next = match verdict {
            Verdict::Anew(next) if anew => Some(next),
            Verdict::Stale(next) if anew || mem::take(&mut self.may_be_stale) => Some(next),
            Verdict::Leg(next) => Some(next),
            Verdict::Failed(why) => {
                self.why = Some(why);
                None
            }
            Verdict::Anew(_) | Verdict::Stale(_) | Verdict::Refused => None,
        };
        if next.is_none() {
            self.failed.push(method.scheme());
        }
        next
    }

    fn next_scheme(&self, challenges: &[Challenge]) -> Result<Method, Unready> {
        let mut unready = Unready::NotOffered;
        let left = |scheme: &Scheme| !self.failed.contains(scheme);
        let has_kerberos = self.auth.kerberos().is_some();
        let may_stand_in = method::may_stand_in(self.auth.choice(), has_kerberos, challenges);
        for scheme in self.auth.schemes().filter(left) {
            match Method::begin(scheme, challenges, may_stand_in) {
                Ok(method) if self.only_http2 && method.scheme().is_bound() => {
                    unready = Unready::Bound;
                }
                Ok(method) => return Ok(method),
                Err(Unready::NotOffered) => {}
                Err(why) => unready = why,
            }
        }
        Err(unready)
    }

    fn fault(&self, unready: Unready, offered: String) -> AuthFault {
        let choice = self.auth.choice();
        match (self.failed.as_slice(), self.why.clone()) {
            ([Scheme::Ntlm], Some(Why::Ntlm(why))) => return AuthFault::Ntlm { offered, why },
            ([Scheme::Negotiate], Some(Why::Negotiate(why))) => {
                return AuthFault::Negotiate { offered, why };
            }
            _ => {}
        }
        match (self.failed.as_slice(), unready) {
            ([], Unready::NotOffered) => AuthFault::NotOffered { offered, choice },
            ([], Unready::Bound) => AuthFault::NeedsHttp1 { offered },
            ([], Unready::Unanswerable(why)) => AuthFault::Unanswerable { offered, why },
            (failed, _) => AuthFault::Rejected {
                offered,
                by: failed.to_vec(),
            },
        }
    }

    /// After a 2xx: where the proxy proves who it is, the proof must hold.
    pub(in crate::egress) async fn confirm(
        &self,
        reply: &Reply,
        deadline: Instant,
    ) -> Result<(), AuthFault> {
        let (Some(Method::Negotiate(negotiate)), Some(kerberos)) =
            (&self.method, self.auth.kerberos())
        else {
            return Ok(());
        };
        let confirmed = negotiate.confirm(kerberos, reply, deadline).await;
        confirmed.map_err(AuthFault::Unproven)
    }

    /// After any other reply: the proxy asks no more, and what it was told is remembered.
    pub(in crate::egress) fn settled(&mut self, reply: &Reply) {
        let Some(method) = &self.method else {
            return;
        };
        if let Some(next) = method.renewed_by(reply) {
            self.auth.remember(&next);
            self.method = Some(next);
        } else if self.standing == Standing::Answering {
            self.auth.remember(&method.beginning());
        }
        self.method = self.method.as_ref().map(Method::beginning);
        self.standing = Standing::Proven;
    }

    /// Whether what the next CONNECT is told by needs a connection of HTTP/1.1.
    pub(in crate::egress) fn needs_http1(&self) -> bool {
        self.scheme().is_some_and(Scheme::is_bound)
    }

    /// The scheme that is spoken.
    pub(in crate::egress) fn scheme(&self) -> Option<Scheme> {
        self.method.as_ref().map(Method::scheme)
    }

    /// How often the proxy was told in this dial.
    pub(in crate::egress) fn legs(&self) -> usize {
        self.legs
    }

    /// What the proxy was told so far and nobody else may see.
    pub(in crate::egress) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(|s| s.as_str())
    }
}
