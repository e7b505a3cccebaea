//! The decision on one request: its route, or why it has none.

use super::forward::{Facts, Seen};
use super::origin::OriginDenied;
use super::route::{Route, Routes};
use crate::wire::origin::Origin;
use crate::wire::ws::handshake::Opening;

/// A request that may go on.
#[derive(Debug)]
pub struct Decision<'p> {
    /// Its route.
    pub route: &'p Route,
    /// The origin to expose on the 101, where the route's origins group wants that.
    pub expose: Option<Origin>,
}

/// Why a request may not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// No route matches.
    NoRoute,
    /// A route matches and does not want this page.
    Origin {
        /// The route's name.
        route: String,
        /// What was wrong.
        why: OriginDenied,
    },
    /// A route matches and requires a subprotocol that is not offered.
    Subprotocol {
        /// The route's name.
        route: String,
        /// Those of which it requires one.
        required: Vec<String>,
    },
}

/// Why the gateway takes no session now, whatever the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// `limits.connections` is reached.
    Full,
    /// The process is about to end.
    Draining,
}

/// Finds the route and asks it about the origin, then about the subprotocols: a page that may not
/// connect learns nothing of what else it would need.
pub fn decide<'p>(
    routes: &'p Routes,
    opening: &Opening,
    seen: &Seen,
    facts: &Facts,
) -> Result<Decision<'p>, Denied> {
    let route = routes
        .find(
            &seen.listener,
            &opening.authority.host,
            &opening.target.path,
            &opening.subprotocols,
        )
        .ok_or(Denied::NoRoute)?;
    let expose = route
        .origins
        .decide(
            opening.origin.as_deref(),
            route.missing_origin,
            facts.scheme,
            &opening.authority,
        )
        .map_err(|why| Denied::Origin {
            route: route.name.clone(),
            why,
        })?;
    let subprotocols = &route.offers.subprotocols;
    if !subprotocols.admit(&opening.subprotocols) {
        return Err(Denied::Subprotocol {
            route: route.name.clone(),
            required: subprotocols.require.clone(),
        });
    }
    Ok(Decision { route, expose })
}

impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoRoute => f.write_str("no route matches host, path and subprotocols"),
            Self::Origin { route, why } => write!(f, "route {route}: {why}"),
            Self::Subprotocol { route, required } => {
                let required = required.join(", ");
                write!(f, "route {route}: needs one of the subprotocols {required}")
            }
        }
    }
}

impl std::error::Error for Denied {}
