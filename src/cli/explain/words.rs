//! What was judged, in words: the same for people and for programs.
//!
//! Knows no layout.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, SEC_WEBSOCKET_KEY};

use super::judged::Opened;
use crate::egress::{Egress, Hop, Http, Order, Outlook, Straight};
use crate::policy::explain::{Edge, Standing};
use crate::policy::offers::Compression;
use crate::policy::origin::{Admitted, OriginDenied, Origins};
use crate::policy::route::{HostPattern, Mismatch, PathPattern, Route};

/// In the place of a value that is a secret.
const HIDDEN: &str = "***";
/// In the place of one that each client makes anew.
const CLIENTS_OWN: &str = "(the client's)";

/// A route's standing in one stable word.
pub(super) fn verdict(standing: &Standing<'_>) -> &'static str {
    match standing {
        Standing::Taken => "taken",
        Standing::Differs(Mismatch::Listener) => "listener",
        Standing::Differs(Mismatch::Host) => "host",
        Standing::Differs(Mismatch::Path) => "path",
        Standing::Differs(Mismatch::Subprotocols) => "subprotocols",
        Standing::Outdone { .. } => "less_specific",
    }
}

/// Why a route is taken, or why not.
pub(super) fn why(route: &Route, standing: &Standing<'_>, opened: &Opened<'_>) -> String {
    match standing {
        Standing::Taken => matching(route, &opened.opening.subprotocols),
        Standing::Differs(mismatch) => differs(route, *mismatch),
        Standing::Outdone { by, on } => match on {
            Edge::Host => format!("less specific than {}: its host", by.name),
            Edge::Path => format!("less specific than {}: its path", by.name),
            Edge::Subprotocols => {
                format!("less specific than {}: it asks for no subprotocol", by.name)
            }
            Edge::Order => format!("as specific as {}, and after it in the file", by.name),
        },
    }
}

fn matching(route: &Route, offered: &[String]) -> String {
    let host = match &route.host {
        HostPattern::Any => "any host".to_owned(),
        HostPattern::Exact(host) => format!("host {host} exactly"),
        HostPattern::Wildcard(_) => format!("host like {}", route.host),
    };
    let path = match &route.path {
        PathPattern::Exact(path) => format!("path {path} exactly"),
        PathPattern::Prefix(prefix) if prefix == "/" => "any path".to_owned(),
        PathPattern::Prefix(prefix) => format!("path begins with {prefix}"),
    };
    let wanted = route.subprotocols.iter().find(|s| offered.contains(s));
    let subprotocol = match wanted {
        Some(wanted) => format!("{wanted} is offered"),
        None => "any subprotocol or none".to_owned(),
    };
    let listener = route
        .listeners
        .as_ref()
        .map(|l| format!("on {}", l.join(", ")));
    let all = [Some(host), Some(path), Some(subprotocol), listener];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn differs(route: &Route, mismatch: Mismatch) -> String {
    match mismatch {
        Mismatch::Listener => {
            let names = route.listeners.as_deref().unwrap_or_default();
            format!("listener: serves {} only", names.join(", "))
        }
        Mismatch::Host => format!("host differs: it is for {}", route.host),
        Mismatch::Path => match &route.path {
            PathPattern::Exact(path) => format!("path is not {path}"),
            PathPattern::Prefix(prefix) => format!("path does not begin with {prefix}"),
        },
        Mismatch::Subprotocols => format!("needs one of {}", route.subprotocols.join(", ")),
    }
}

/// What a route says to the origin of a request.
pub(super) fn origin(
    route: &Route,
    said: &Result<Admitted<'_>, OriginDenied>,
    opened: &Opened<'_>,
) -> String {
    let origin = opened.opening.origin.as_deref().unwrap_or("none");
    match said {
        Ok(Admitted::Without) => "none, and missing_origin allows that".to_owned(),
        Ok(Admitted::Any) => format!("{origin} is allowed: every page is"),
        Ok(Admitted::Same) => format!("{origin} is allowed: it is that of the request"),
        Ok(Admitted::Listed { pattern, expose }) => {
            let exposed = expose.as_ref().map_or("", |_| ", and exposed");
            format!("{origin} is allowed: listed as {pattern}{exposed}")
        }
        Err(OriginDenied::Missing) => "none, and missing_origin denies that".to_owned(),
        Err(OriginDenied::Malformed) => format!("{origin} is refused: it is no origin"),
        Err(OriginDenied::NotAllowed(origin)) => {
            format!("{origin} is refused: {}", wanted(route, opened))
        }
    }
}

fn wanted(route: &Route, opened: &Opened<'_>) -> String {
    match &route.origins {
        Origins::Same | Origins::Any => {
            let scheme = opened.facts.scheme;
            format!(
                "that of the request is {scheme}://{}",
                opened.opening.authority
            )
        }
        Origins::Listed { patterns, .. } => {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            format!("it is not one of {}", patterns.join(", "))
        }
    }
}

/// Whether an origin is allowed, in one stable word.
pub(super) fn origin_verdict(said: &Result<Admitted<'_>, OriginDenied>) -> &'static str {
    match said {
        Ok(_) => "allowed",
        Err(_) => "refused",
    }
}

/// What a route changes in the offers of a request, and what it asks of them; nothing where it does
/// neither.
pub(super) fn offers(route: &Route, opened: &Opened<'_>) -> Vec<String> {
    let rules = &route.offers.subprotocols;
    let offered = &opened.opening.subprotocols;
    if !rules.admit(offered) {
        let required = rules.require.join(", ");
        return vec![format!(
            "none of {required} is offered, and one is required"
        )];
    }
    let stripped = rules.strip.iter().filter(|name| offered.contains(name));
    let renamed = rules.map.iter().filter(|(from, _)| offered.contains(from));
    let mut lines: Vec<String> = stripped
        .map(|name| format!("subprotocol {name} does not go on"))
        .collect();
    lines.extend(renamed.map(|(from, to)| format!("subprotocol {from} goes on as {to}")));
    let required = rules.offer(offered).required();
    if !required.is_empty() {
        let required = required.join(", ");
        lines.push(format!("the backend must choose one of {required}"));
    }
    match route.offers.compression {
        Compression::Pass => {}
        Compression::Off => lines.push("no offer of compression goes on".to_owned()),
    }
    lines
}

/// How a server is reached.
pub(super) fn way(outlook: &Outlook<'_>) -> String {
    match outlook {
        Outlook::Straight(straight) => format!("direct: {}", straight_why(straight)),
        Outlook::Through(egress) => format!("through {}: {}", egress.name, hops(egress)),
        Outlook::ByScript(script) => {
            format!(
                "through {}: as {} says when it is asked",
                script.name, script.source
            )
        }
        Outlook::Unfound(auto) => {
            let asks = auto.asks().join(", then ");
            match asks.is_empty() {
                true => "direct: this machine names no proxy, and no domain to ask".to_owned(),
                false => format!("as auto finds: by the script {asks}, else direct"),
            }
        }
        Outlook::Among(several) => {
            let order = match several.order {
                Order::Failover => "the first of these that is usable",
                Order::RoundRobin => "these in turns",
            };
            format!("through {}: {order}", several.name)
        }
    }
}

/// The chains to choose from, each with its name and its hops.
pub(super) fn chains(outlook: &Outlook<'_>) -> Vec<(String, String)> {
    let Outlook::Among(several) = outlook else {
        return Vec::new();
    };
    let name = |chain: &str| format!("{}/{chain}", several.name);
    let chains = several.chains.iter();
    let mut all: Vec<_> = chains.map(|c| (name(&c.name), hops(c))).collect();
    if several.ends_direct {
        all.push((name("direct"), "when none of them is left".to_owned()));
    }
    all
}

fn straight_why(straight: &Straight<'_>) -> String {
    match straight {
        Straight::Asked => "its backend asks for no egress".to_owned(),
        Straight::Unix => "it is a socket on this machine".to_owned(),
        Straight::NoneNamed => "no proxy is named for its scheme".to_owned(),
        Straight::Bypass { egress, by } => format!("no_proxy of {egress} lets it: {by}"),
    }
}

fn hops(egress: &Egress) -> String {
    let hops: Vec<String> = egress.hops.iter().map(hop).collect();
    let hops = hops.join(", then ");
    match warm(egress) {
        0 => hops,
        1 => format!("{hops}; 1 tunnel kept warm"),
        count => format!("{hops}; {count} tunnels kept warm"),
    }
}

/// How many tunnels are kept ready for each server.
pub(super) fn warm(egress: &Egress) -> usize {
    egress.warm.as_ref().map_or(0, |warm| warm.count)
}

/// A proxy, the HTTP it is asked in where that is settled, and that there are credentials for it.
pub(super) fn hop(hop: &Hop) -> String {
    let http = match hop.versions.configured() {
        Http::Auto => String::new(),
        only => format!(" in HTTP/{only}"),
    };
    match &hop.credentials {
        Some(_) => format!("{hop}{http} with credentials"),
        None => format!("{hop}{http}"),
    }
}

/// Names and values in order. What the file sets may be a token, and its values are marked.
pub(super) fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let all = headers.iter();
    all.map(|(name, value)| (name.to_string(), shown(name, value)))
        .collect()
}

fn shown(name: &HeaderName, value: &HeaderValue) -> String {
    if value.is_sensitive() {
        return HIDDEN.to_owned();
    }
    if *name == SEC_WEBSOCKET_KEY {
        return CLIENTS_OWN.to_owned();
    }
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
