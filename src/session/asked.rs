//! What a client asked for, as the backend is asked.
//!
//! Knows no streams, and waits for nobody.

use std::net::SocketAddr;

use crate::egress::{self, Link};
use crate::listen;
use crate::policy::forward::{self, Facts, Seen};
use crate::policy::route::Route;
use crate::wire::ws::handshake::Opening;

/// What is seen of a client at `address` that came in by `listener`.
pub fn seen(listener: &listen::Params, address: SocketAddr) -> Seen {
    Seen {
        listener: listener.name.clone(),
        address,
        secure: listener.tls.is_some(),
        trusted: listener.trusted_proxies.clone(),
    }
}

/// The request as the backend gets it.
pub fn ask(opening: Opening, seen: &Seen, facts: &Facts, route: &Route) -> egress::Request {
    let Opening {
        authority, headers, ..
    } = opening;
    let rewrite = &route.rewrite;
    let mut headers = forward::to_backend(headers, &authority, seen, facts, rewrite);
    let offered = route.offers.rewrite(&opening.subprotocols, &mut headers);
    egress::Request {
        path_and_query: forward::path_to_backend(&opening.target.path_and_query, rewrite),
        host: rewrite.preserve_host.then(|| authority.to_string()),
        headers,
        key: opening.key,
        subprotocols: offered.subprotocols.inside(),
        subprotocols_required: offered.subprotocols.required(),
        extensions_offered: offered.extensions,
    }
}

/// The backend chose by its own name for a subprotocol.
pub(super) fn as_the_client_knows_it(mut link: Link, offered: &[String], route: &Route) -> Link {
    let offer = route.offers.subprotocols.offer(offered);
    let chosen = link.subprotocol.as_deref();
    link.subprotocol = chosen.and_then(|c| offer.outside(c)).map(str::to_owned);
    link
}
