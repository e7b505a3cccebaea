//! One server by one route: straight, or through the proxies of an egress.
//!
//! Knows no other server and no other route: what is tried next is not its business.

use tracing::debug;

use super::alternatives::{Attempt, Pick, Turn};
use super::budget::Budget;
use super::chain;
use super::error::{Failure, Place};
use super::hop::tcp;
use super::hop::tls::{self, Between};
use super::hop::upgrade::{self, Answer};
use super::outlook::Outlook;
use super::params::{Egress, Server, ServerAddress, Timeouts, Way};
use super::reached::{Declined, Link, Reached};
use super::request::{Addressed, Request};
use super::steps::{Detail, Steps};
use super::stumble::{Step, Stumble};
use crate::net::Stream;
use crate::observe::phases::Phase;
use crate::wire::ws::answer::Offered;

/// What a straight way is called in a record.
const DIRECT: &str = "direct";

/// The routes to one server, in the order in which they are tried.
pub(super) enum Routes<'a> {
    One(Option<Route<'a>>),
    Among(Turn<'a>),
}

/// How one server is reached: no route of the file, which is long decided.
pub(super) enum Route<'a> {
    Straight,
    Through(&'a Egress),
    /// Through one of several chains.
    Attempt(Attempt<'a>),
}

impl<'a> Routes<'a> {
    pub(super) fn to(server: &Server, way: &'a Way) -> Self {
        match Outlook::of(server, way) {
            Outlook::Straight(_) => Self::One(Some(Route::Straight)),
            Outlook::Through(egress) => Self::One(Some(Route::Through(egress))),
            Outlook::Among(alternatives) => Self::Among(alternatives.turn()),
            // It has been asked for, and what was said or found is tried instead of this.
            Outlook::ByScript(_) | Outlook::Unfound(_) => Self::One(None),
        }
    }

    pub(super) fn next(&mut self) -> Option<Route<'a>> {
        match self {
            Self::One(route) => route.take(),
            Self::Among(turn) => Some(match turn.next()? {
                Pick::Chain(attempt) => Route::Attempt(attempt),
                Pick::Direct => Route::Straight,
            }),
        }
    }
}

impl Route<'_> {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Straight => DIRECT.to_owned(),
            Self::Through(egress) => egress.name.clone(),
            Self::Attempt(attempt) => attempt.label(),
        }
    }

    fn chain(&self) -> Option<String> {
        match self {
            Self::Straight | Self::Through(_) => None,
            Self::Attempt(attempt) => Some(attempt.label()),
        }
    }

    /// The proxies on the way.
    fn through(&self) -> Option<&Egress> {
        match self {
            Self::Straight => None,
            Self::Through(egress) => Some(egress),
            Self::Attempt(attempt) => Some(attempt.chain()),
        }
    }

    /// A tunnel that waits for its use. Nobody else will get it.
    fn warm(&self, server: &Server) -> Option<Stream> {
        match &server.address {
            ServerAddress::Tcp(host, port) => self.through()?.warm.as_ref()?.take(host, *port),
            ServerAddress::Unix(_) => None,
        }
    }

    /// Its proxies did what was asked of them.
    fn stands(&mut self) {
        if let Self::Attempt(attempt) = self {
            attempt.stands();
        }
    }

    fn between(&self) -> Between {
        match self {
            Self::Straight => Between::Nothing,
            Self::Through(_) | Self::Attempt(_) => Between::Tunnel,
        }
    }

    pub(super) fn is_condemned_by(&self, failures: &[Failure]) -> bool {
        match self {
            Self::Straight => false,
            Self::Through(_) | Self::Attempt(_) => {
                failures.iter().any(Failure::condemns_the_egress)
            }
        }
    }
}

/// Goes one route, from the connection to the server's answer: a warm tunnel where one waits, else a
/// new one; then TLS, then the upgrade.
pub(super) async fn attempt(
    server: &Server,
    mut route: Route<'_>,
    timeouts: &Timeouts,
    request: &Request,
    budget: Budget,
    steps: &Steps,
) -> Result<Reached, Failure> {
    let chain = route.chain();
    let failed = |(place, stumble)| Failure {
        place,
        server: server.url.clone(),
        chain: chain.clone(),
        stumble,
    };
    let at_server = |stumble| failed((Place::Server, stumble));
    // Built first, so that nothing is dialled for a request that cannot be sent.
    let addressed = Addressed::to(server, request).map_err(at_server)?;
    if let Some(stream) = route.warm(server) {
        match ask(stream, server, &route, timeouts, &addressed, budget, steps).await {
            Err(stumble) if stumble.may_be_the_tunnels() => {
                debug!(server = %server.url, %stumble, "a warm tunnel had ended, another is opened");
            }
            ended => {
                route.stands();
                let answer = ended.map_err(at_server)?;
                return Ok(reached(answer, server, &route, true));
            }
        }
    }
    let stream = reach(server, &mut route, timeouts, budget, steps)
        .await
        .map_err(failed)?;
    if let Some(warm) = route.through().and_then(|egress| egress.warm.as_ref()) {
        warm.let_through();
    }
    let answer = ask(stream, server, &route, timeouts, &addressed, budget, steps).await;
    Ok(reached(answer.map_err(at_server)?, server, &route, false))
}

/// Asks the server at the end of `stream`.
async fn ask(
    stream: Stream,
    server: &Server,
    route: &Route<'_>,
    timeouts: &Timeouts,
    addressed: &Addressed<'_>,
    budget: Budget,
    steps: &Steps,
) -> Result<Answer, Stumble> {
    let stream = secured(stream, server, route, timeouts, budget, steps).await?;
    let request = addressed.request;
    let offered = Offered {
        key: &request.key,
        subprotocols: &request.subprotocols,
        required: &request.subprotocols_required,
        extensions: &request.extensions_offered,
    };
    let deadline = budget.step(timeouts.upgrade);
    let asking = async {
        let answer = upgrade::upgrade(stream, &addressed.head(), &offered, deadline).await?;
        steps.learned(|| Detail::Answered(answer.status().as_u16()));
        Ok(answer)
    };
    steps.watch(Phase::Upgrade, || Step::Upgrade, asking).await
}

async fn reach(
    server: &Server,
    route: &mut Route<'_>,
    timeouts: &Timeouts,
    budget: Budget,
    steps: &Steps,
) -> Result<Stream, (Place, Stumble)> {
    let at_server = |stumble| (Place::Server, stumble);
    let (host, port) = match &server.address {
        ServerAddress::Tcp(host, port) => (host, *port),
        ServerAddress::Unix(path) => {
            let deadline = budget.step(timeouts.connect);
            let connecting = tcp::connect_unix(path, deadline, steps);
            return connecting.await.map_err(at_server);
        }
    };
    // What goes through proxies is large and boxed, so that a session without any has no room for it.
    match route {
        Route::Straight => {}
        Route::Through(egress) => {
            return Box::pin(chain::through(egress, host, port, budget, steps)).await;
        }
        Route::Attempt(attempt) => {
            return Box::pin(attempt.through(host, port, budget, steps)).await;
        }
    }
    let target = tcp::Target {
        host,
        port,
        resolve: timeouts.resolve,
        connect: timeouts.connect,
    };
    let connecting = tcp::connect(&target, budget, steps);
    connecting.await.map_err(at_server)
}

async fn secured(
    stream: Stream,
    server: &Server,
    route: &Route<'_>,
    timeouts: &Timeouts,
    budget: Budget,
    steps: &Steps,
) -> Result<Stream, Stumble> {
    let Some(to) = &server.tls else {
        return Ok(stream);
    };
    let deadline = budget.step(timeouts.tls);
    // Boxed for the same reason.
    Box::pin(tls::secure(stream, to, route.between(), deadline, steps)).await
}

fn reached(answer: Answer, server: &Server, route: &Route<'_>, warm: bool) -> Reached {
    let (server, egress) = (server.url.clone(), route.name());
    match answer {
        Answer::Switched {
            stream,
            tail,
            headers,
            accept,
            agreed,
        } => Reached::Switched(Link {
            stream,
            tail,
            headers,
            accept,
            subprotocol: agreed.subprotocol,
            extensions: agreed.extensions,
            server,
            egress,
            warm,
        }),
        Answer::Declined {
            status,
            headers,
            body,
            truncated,
        } => Reached::Declined(Declined {
            status,
            headers,
            body,
            truncated,
            server,
            egress,
        }),
    }
}
