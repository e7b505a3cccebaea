//! The proxies that a PAC script has named so far: a chain for each, so that what is known of one
//! is known wherever it is named again.
//!
//! Knows no scripts. Only proxies that the configuration lists are told credentials.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tracing::{debug, warn};

use super::Told;
use crate::egress::alternatives::{Alternatives, Order, Turn};
use crate::egress::auth::Auth;
use crate::egress::params::{
    Credentials, Egress, Hop, HopTimeouts, Protocol, Resolve, Secret, TlsTo,
};
use crate::egress::stumble::plain;
use crate::egress::versions::Versions;
use crate::policy::health::Health;
use crate::policy::no_proxy::NoProxy;
use crate::policy::pool::RoundRobin;
use crate::wire::authority::Host;
use crate::wire::pac_result::{Entry, Kind, Listed, Proxy};

/// More than this, and all that is known is forgotten.
const PROXIES_MAX: usize = 64;

/// What a chain is made with.
#[derive(Debug)]
pub(super) struct Proxies {
    pub(super) told: Option<Told>,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) timeouts: HopTimeouts,
    pub(super) retry_after: std::time::Duration,
    /// Only ever grows; each answer holds the one that it was made with.
    pub(super) known: Mutex<Arc<Alternatives>>,
}

/// An answer of a script, ready to be tried.
#[derive(Debug)]
pub(in crate::egress) struct Answer {
    among: Arc<Alternatives>,
    /// By their places among all.
    before: Vec<usize>,
    has_direct: bool,
    after: Vec<usize>,
}

impl Answer {
    /// Whether it names no proxy.
    pub(in crate::egress) fn is_direct(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// What a session tries for one server.
    pub(in crate::egress) fn turn(&self) -> Turn<'_> {
        let before = self.before.clone();
        self.among
            .turn_of(before, self.has_direct, self.after.clone())
    }
}

pub(super) fn none_yet(name: &str, retry_after: std::time::Duration) -> Arc<Alternatives> {
    Arc::new(Alternatives {
        name: name.to_owned(),
        no_proxy: NoProxy::default(),
        chains: Vec::new(),
        ends_direct: false,
        order: Order::Failover,
        turn: RoundRobin::default(),
        health: Arc::new(Mutex::new(Health::new(PROXIES_MAX, retry_after))),
    })
}

impl Proxies {
    /// The chains that `listed` names. Half a sentence where there is no way among them.
    pub(super) fn answer(&self, listed: &Listed) -> Result<Answer, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let named = listed.entries.len();
        if known.chains.len() + named > PROXIES_MAX {
            *known = none_yet(&known.name, self.retry_after);
        }
        let mut skipped: Vec<String> = listed
            .skipped
            .iter()
            .map(|s| format!("{}: {}", plain(&s.text, 100), s.reason))
            .collect();
        let (mut before, mut after, mut has_direct) = (Vec::new(), Vec::new(), false);
        for entry in &listed.entries {
            let chain = match entry {
                Entry::Direct => {
                    has_direct = true;
                    continue;
                }
                Entry::Proxy(proxy) => self.place(&mut known, proxy),
            };
            match (chain, has_direct) {
                (Ok(n), false) => before.push(n),
                (Ok(n), true) => after.push(n),
                (Err(reason), _) => skipped.push(format!("{proxy}: {reason}", proxy = show(entry))),
            }
        }
        if !skipped.is_empty() {
            warn!(egress = %known.name, entries = skipped.join("; "), "skipped in a PAC answer");
        }
        if before.is_empty() && after.is_empty() && !has_direct {
            return Err(format!(
                "nothing in its answer is usable ({})",
                skipped.join("; ")
            ));
        }
        Ok(Answer {
            among: known.clone(),
            before,
            has_direct,
            after,
        })
    }

    fn place(&self, known: &mut Arc<Alternatives>, proxy: &Proxy) -> Result<usize, &'static str> {
        let name = proxy.to_string();
        if let Some(n) = known.chains.iter().position(|c| c.name == name) {
            return Ok(n);
        }
        let hop = self.hop(proxy)?;
        debug!(egress = %known.name, chain = name, "a PAC script names a new proxy");
        let chain = Egress {
            name,
            no_proxy: NoProxy::default(),
            hops: vec![hop],
            timeouts: self.timeouts,
            warm: None,
        };
        let mut chains = known.chains.clone();
        chains.push(Arc::new(chain));
        let place = chains.len() - 1;
        *known = Arc::new(Alternatives {
            name: known.name.clone(),
            no_proxy: NoProxy::default(),
            chains,
            ends_direct: false,
            order: Order::Failover,
            turn: RoundRobin::default(),
            health: known.health.clone(),
        });
        Ok(place)
    }

    fn hop(&self, proxy: &Proxy) -> Result<Hop, &'static str> {
        let tls = match proxy.kind {
            Kind::Http | Kind::Socks5 => None,
            Kind::Https => Some(TlsTo {
                config: self.tls.clone(),
                name: tls_name(&proxy.host).ok_or("no certificate can hold its name")?,
            }),
        };
        let protocol = match proxy.kind {
            Kind::Http | Kind::Https => Protocol::Http,
            // As browsers do: what a script does not resolve is the proxy's to resolve.
            Kind::Socks5 => Protocol::Socks5(Resolve::There),
        };
        // SOCKS would be told in clear, and before it asks by which scheme.
        let told = self.told.as_ref().filter(|_| protocol == Protocol::Http);
        let told = told.filter(|told| told.only.holds(&proxy.host, proxy.port));
        let copy = |secret: &Secret| Secret::new(secret.reveal().to_owned());
        Ok(Hop {
            host: proxy.host.clone(),
            port: proxy.port,
            protocol,
            tls,
            credentials: told.map(|told| Credentials {
                user: copy(&told.credentials.user),
                password: copy(&told.credentials.password),
            }),
            auth: told.map_or_else(Auth::default, |told| {
                let auth = Auth::by(told.auth.choice()).within(told.auth.membership().clone());
                match told.auth.kerberos() {
                    Some(kerberos) => auth.with(kerberos.clone()),
                    None => auth,
                }
            }),
            versions: Versions::default(),
        })
    }
}

fn show(entry: &Entry) -> String {
    match entry {
        Entry::Direct => "DIRECT".to_owned(),
        Entry::Proxy(proxy) => proxy.to_string(),
    }
}

fn tls_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Ip(ip) => Some(ServerName::IpAddress((*ip).into())),
        Host::Name(name) => ServerName::try_from(name.clone()).ok(),
    }
}
