//! WPAD by DNS: a script at `http://wpad.DOMAIN/wpad.dat`, in the domains of this machine.
//!
//! A name is asked for absolutely, so that no search list appends another domain to it. Knows
//! neither what a script says nor which domains may be asked: that is `policy/wpad`'s.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::debug;

use super::found::{Finding, Said};
use super::{NAME, Params};
use crate::egress::budget::Budget;
use crate::egress::pac::{Pac, Source, Url};
use crate::policy::wpad;
use crate::wire::authority::Host;
use crate::wire::resolv_conf;

/// For one domain: its name, the connection, the script and reading that.
const DOMAIN_TIME_MAX: Duration = Duration::from_secs(3);
/// For all of them, in a network whose name server does not answer.
const TIME_MAX: Duration = Duration::from_secs(8);
const PORT: u16 = 80;
/// The Web Proxy Auto-Discovery draft (draft-ietf-wrec-wpad-01 §4.4.1) has it so.
const PATH: &str = "/wpad.dat";

/// What tells of this machine's network.
#[derive(Debug, Clone)]
pub struct Network {
    /// As in resolv.conf(5); read anew each time.
    pub resolv_conf: PathBuf,
    /// The machine's own name, with its domain if it has one.
    pub host_name: fn() -> String,
    /// How a name becomes an address.
    pub names: Names,
}

/// How the names that begin with `wpad.` become addresses.
#[derive(Debug, Clone)]
pub enum Names {
    /// As the system's resolver says.
    Resolved,
    /// These and no others.
    Listed(Vec<(String, SocketAddr)>),
}

/// Where a script may be, in the order in which it is looked for.
pub(super) fn places(network: &Network) -> Vec<Url> {
    let text = std::fs::read_to_string(&network.resolv_conf).unwrap_or_default();
    let mut named = resolv_conf::domains(&text);
    let own_name = (network.host_name)();
    named.extend(wpad::domain_of(&own_name).map(str::to_owned));
    let domains = wpad::domains(named.iter().map(String::as_str));
    let places = domains.iter().filter_map(|domain| place(domain, network));
    places.collect()
}

fn place(domain: &str, network: &Network) -> Option<Url> {
    let name = format!("wpad.{domain}");
    let (host, port) = match &network.names {
        Names::Resolved => (Host::Name(format!("{name}.")), PORT),
        Names::Listed(listed) => {
            let (_, at) = listed.iter().find(|(listed, _)| *listed == name)?;
            (Host::Ip(at.ip()), at.port())
        }
    };
    Some(Url {
        text: format!("http://{name}{PATH}"),
        host,
        port,
        tls: None,
        path: PATH.to_owned(),
        host_header: name,
    })
}

/// The first script that there is. The one that was found `before` stays for as long as its domain
/// is one of this machine's: its server may be down for a while.
pub(super) async fn search(params: &Params, before: Option<&Finding>) -> Option<Finding> {
    let searching = async {
        for place in places(&params.network) {
            let by = Said::Wpad(place.text.clone());
            if let Some(before) = before.filter(|before| before.by == by) {
                return Some(before.clone());
            }
            if let Some(pac) = script_at(place, params).await {
                return Some(Finding::script(by, pac));
            }
        }
        None
    };
    timeout(TIME_MAX, searching).await.unwrap_or_default()
}

async fn script_at(place: Url, params: &Params) -> Option<Arc<Pac>> {
    let url = place.text.clone();
    let pac = Arc::new(Pac::new(params.script(Source::Url(place))));
    match pac.is_there(Budget::new(DOMAIN_TIME_MAX)).await {
        Ok(()) => Some(pac),
        Err(why) => {
            debug!(egress = NAME, url, error = why, "no WPAD script");
            None
        }
    }
}
