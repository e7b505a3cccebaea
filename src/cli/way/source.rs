//! The way that a backend is reached by, in words: where it was found, and which proxies are on it.
//!
//! Decides nothing. Whether `no_proxy` has the server is asked as a dial asks it.

use std::path::Path;

use super::scene::Source;
use crate::config::{Found, Proxy};
use crate::egress::{self, Backend, ByScheme, Egress, ServerAddress, Way};
use crate::policy::no_proxy::NoProxy;

/// Where the way comes from; `proxies` are those of the command line.
pub(super) fn source(found: &Found, file: Option<&Path>, proxies: &[Proxy]) -> Source {
    let backend = &found.backend;
    let name = || file.map_or_else(String::new, |path| path.display().to_string());
    let of_egress = |egress: &str, no_proxy: &NoProxy| {
        let source = Source::Egress {
            egress: egress.to_owned(),
            file: name(),
        };
        past(source, no_proxy, backend)
    };
    match &backend.way {
        Way::Direct => match &found.like {
            None => Source::Direct,
            Some(like) => Source::DirectByFile {
                backend: like.clone(),
                file: name(),
            },
        },
        _ if !proxies.is_empty() => Source::CommandLine,
        Way::Through(egress) => of_egress(&egress.name, &egress.no_proxy),
        Way::Among(several) => of_egress(&several.name, &several.no_proxy),
        Way::Pac(pac) => of_egress(&pac.name, &pac.no_proxy),
        Way::Auto(_) => Source::Auto,
        Way::ByScheme(ways) => match by_scheme(ways, backend) {
            None => Source::DirectByEnvironment,
            Some(found) => {
                let variable = found.source;
                let source = Source::Environment { variable };
                past(source, &found.egress.no_proxy, backend)
            }
        },
    }
}

fn past(source: Source, no_proxy: &NoProxy, backend: &Backend) -> Source {
    let goes_past = backend.servers.iter().any(|server| match &server.address {
        ServerAddress::Tcp(host, port) => no_proxy.bypasses(host, *port),
        ServerAddress::Unix(_) => true,
    });
    match goes_past {
        true => Source::NoProxy {
            of: Box::new(source),
        },
        false => source,
    }
}

fn by_scheme<'a>(ways: &'a ByScheme, backend: &Backend) -> Option<&'a egress::Found> {
    let is_tls = backend.servers.iter().any(|server| server.tls.is_some());
    let found = if is_tls { &ways.wss } else { &ways.ws };
    found.as_ref()
}

/// The proxies that may be on the way: of all chains where there are several.
pub(super) fn hops(backend: &Backend, source: &Source) -> Vec<String> {
    if let Source::NoProxy { .. } = source {
        return Vec::new();
    }
    let chains: Vec<&Egress> = match &backend.way {
        // Which proxies there are, or a script names, is found on the way.
        Way::Direct | Way::Pac(_) | Way::Auto(_) => Vec::new(),
        Way::Through(egress) => vec![egress],
        Way::Among(several) => several.chains.iter().map(AsRef::as_ref).collect(),
        Way::ByScheme(ways) => {
            let found = by_scheme(ways, backend);
            found.iter().map(|found| found.egress.as_ref()).collect()
        }
    };
    let hops = chains.iter().flat_map(|chain| &chain.hops);
    hops.map(ToString::to_string).collect()
}
