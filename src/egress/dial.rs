//! From a request to a backend that has answered it: one server after the other, each reached
//! straight or through an egress, then TLS, then the upgrade.
//!
//! Knows nothing of routes, and of the client only what the request says.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout_at};
use tracing::{debug, warn};

use super::alternatives::{Attempt, Pick, Turn};
use super::auto::Finding;
use super::budget::Budget;
use super::chain;
use super::error::{DialError, Failure, Place};
use super::hop::tcp;
use super::hop::tls::{self, Between};
use super::hop::upgrade::{self, Answer, Handshake};
use super::outlook::{Outlook, Straight};
use super::pac;
use super::params::{Backend, Egress, Server, ServerAddress, Timeouts, Way};
use super::reached::{Declined, Link, Reached};
use super::request::{Request, outgoing};
use super::steps::{Detail, Steps};
use super::stumble::{Cause, Step, Stumble};
use crate::net::Stream;

/// Pauses before the servers are tried once more, after proxies said of all of them that they cannot
/// be reached just now (502, 503, 504). Two, so that a proxy in trouble is not asked for ever.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

/// What a straight way is called in a record.
const DIRECT: &str = "direct";

/// Sends `request` to the first of the backend's servers, in turn, that can be reached, and
/// returns what it answered. A server that fails before a byte of the request left is skipped for
/// the next; after that there is no other. `steps` is told what happens while it happens.
pub async fn dial(
    backend: &Backend,
    request: &Request,
    steps: &Steps,
) -> Result<Reached, DialError> {
    let budget = Budget::new(backend.timeouts.total);
    for pause in PAUSES {
        match try_each(backend, request, budget, steps).await {
            Err(error) if error.may_pass() && budget.outlasts(pause) => {
                debug!(backend = %backend.name, %error, "trying again");
                steps.pause(pause);
                sleep(pause).await;
            }
            ended => return ended,
        }
    }
    try_each(backend, request, budget, steps).await
}

async fn try_each(
    backend: &Backend,
    request: &Request,
    budget: Budget,
    steps: &Steps,
) -> Result<Reached, DialError> {
    let mut failures: Vec<Failure> = Vec::new();
    for n in backend.turn.order(backend.servers.len()) {
        let Some(server) = backend.servers.get(n) else {
            continue;
        };
        let tried = try_routes(backend, server, request, budget, steps, &mut failures).await;
        match tried {
            Ok(Some(reached)) => {
                log_skipped(backend, &failures);
                return Ok(reached);
            }
            Ok(None) => {}
            Err(last) => return Err(failed(backend, failures, last)),
        }
    }
    let last = failures.pop().unwrap_or_else(no_server);
    Err(failed(backend, failures, last))
}

// One server, by each of its routes. `None`: the next server; an error: no other.
async fn try_routes(
    backend: &Backend,
    server: &Server,
    request: &Request,
    budget: Budget,
    steps: &Steps,
    failures: &mut Vec<Failure>,
) -> Result<Option<Reached>, Failure> {
    let failed = |stumble| {
        let failure = Failure {
            place: Place::Server,
            server: server.url.clone(),
            chain: None,
            stumble,
        };
        steps.failed(&failure);
        failure
    };
    let finding = match by_auto(server, &backend.way, budget, steps).await {
        Ok(finding) => finding,
        Err(stumble) => {
            failures.push(failed(stumble));
            return Ok(None);
        }
    };
    let way = finding.as_ref().map_or(&backend.way, |found| &found.way);
    let said = match by_pac(server, way, budget, steps).await {
        Ok(said) => said,
        Err(stumble) => {
            failures.push(failed(stumble));
            return Ok(None);
        }
    };
    let mut routes = match &said {
        Some(answer) if answer.is_direct() => Routes::One(Some(Route::Straight)),
        Some(answer) => Routes::Among(answer.turn()),
        None => Routes::to(server, way),
    };
    while let Some(route) = routes.next() {
        if route.is_condemned_by(failures) {
            return Ok(None);
        }
        if let Routes::Among(_) = routes {
            steps.turn(|| route.name());
        }
        let tried = attempt(server, route, &backend.timeouts, request, budget, steps).await;
        match tried.inspect_err(|failure| steps.failed(failure)) {
            Ok(reached) => return Ok(Some(reached)),
            Err(failure) if failure.ends_the_dial() || budget.is_spent() => return Err(failure),
            Err(failure) => {
                let goes_on = failure.spares_other_chains();
                failures.push(failure);
                if !goes_on {
                    return Ok(None);
                }
            }
        }
    }
    Ok(None)
}

// What is found, where it is to be found.
async fn by_auto(
    server: &Server,
    way: &Way,
    budget: Budget,
    steps: &Steps,
) -> Result<Option<Arc<Finding>>, Stumble> {
    let Outlook::Unfound(auto) = Outlook::of(server, way) else {
        return Ok(None);
    };
    let finding = async {
        let found = timeout_at(budget.end(), auto.found()).await;
        let found = found.map_err(|_| Cause::Timeout)?;
        steps.learned(|| Detail::Found(found_words(server, &found)));
        Ok(Some(found))
    };
    steps.run(|| Step::Find, finding).await
}

fn found_words(server: &Server, found: &Finding) -> String {
    match Outlook::of(server, &found.way) {
        Outlook::Straight(Straight::Bypass { by, .. }) => format!("{found}; direct: {by}"),
        _ => found.to_string(),
    }
}

// What a script says of the server, where it is one's to say.
async fn by_pac(
    server: &Server,
    way: &Way,
    budget: Budget,
    steps: &Steps,
) -> Result<Option<Arc<pac::Answer>>, Stumble> {
    let (Outlook::ByScript(script), ServerAddress::Tcp(host, port)) =
        (Outlook::of(server, way), &server.address)
    else {
        return Ok(None);
    };
    let finding = async {
        let ways = script.ways(server.tls.is_some(), host, *port, budget);
        ways.await.map(Some).map_err(Cause::Pac)
    };
    steps
        .run(|| Step::Pac(server.address.to_string()), finding)
        .await
}

fn failed(backend: &Backend, earlier: Vec<Failure>, last: Failure) -> DialError {
    let error = DialError::new(earlier, last);
    match &backend.way {
        Way::Among(alternatives) => error.beside(alternatives.aside()),
        Way::Auto(auto) => {
            auto.doubt();
            error
        }
        Way::Direct | Way::Through(_) | Way::ByScheme(_) | Way::Pac(_) => error,
    }
}

// A dial that fails is logged by whoever asked for it; one that succeeds would hide these. A chain
// that was put aside has been logged.
fn log_skipped(backend: &Backend, failures: &[Failure]) {
    for failure in failures.iter().filter(|f| !f.put_a_chain_aside()) {
        let skipped = match failure.spares_other_chains() && failure.chain.is_some() {
            true => "chain skipped",
            false => "server skipped",
        };
        warn!(backend = %backend.name, error = %failure, "{skipped}");
    }
}

fn no_server() -> Failure {
    let cause = Cause::Ours("the backend has no server".to_owned());
    Failure {
        place: Place::Server,
        server: String::new(),
        chain: None,
        stumble: Stumble::new(Step::Upgrade, cause),
    }
}

/// The routes to one server, in the order in which they are tried.
enum Routes<'a> {
    One(Option<Route<'a>>),
    Among(Turn<'a>),
}

/// How one server is reached.
enum Route<'a> {
    Straight,
    Through(&'a Egress),
    /// Through one of several chains.
    Attempt(Attempt<'a>),
}

impl<'a> Routes<'a> {
    fn to(server: &Server, way: &'a Way) -> Self {
        match Outlook::of(server, way) {
            Outlook::Straight(_) => Self::One(Some(Route::Straight)),
            Outlook::Through(egress) => Self::One(Some(Route::Through(egress))),
            Outlook::Among(alternatives) => Self::Among(alternatives.turn()),
            // It has been asked for, and what was said or found is tried instead of this.
            Outlook::ByScript(_) | Outlook::Unfound(_) => Self::One(None),
        }
    }

    fn next(&mut self) -> Option<Route<'a>> {
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
    fn name(&self) -> String {
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

    fn is_condemned_by(&self, failures: &[Failure]) -> bool {
        match self {
            Self::Straight => false,
            Self::Through(_) | Self::Attempt(_) => {
                failures.iter().any(Failure::condemns_the_egress)
            }
        }
    }
}

async fn attempt(
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
    outgoing(server, request).map_err(at_server)?;
    if let Some(stream) = route.warm(server) {
        match ask(stream, server, &route, timeouts, request, budget, steps).await {
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
    let answer = ask(stream, server, &route, timeouts, request, budget, steps).await;
    Ok(reached(answer.map_err(at_server)?, server, &route, false))
}

/// Asks the server at the end of `stream`.
async fn ask(
    stream: Stream,
    server: &Server,
    route: &Route<'_>,
    timeouts: &Timeouts,
    request: &Request,
    budget: Budget,
    steps: &Steps,
) -> Result<Answer, Stumble> {
    let outgoing = outgoing(server, request)?;
    let stream = secured(stream, server, route, timeouts, budget, steps).await?;
    let handshake = Handshake {
        key: &request.key,
        subprotocols: &request.subprotocols,
        extensions: &request.extensions_offered,
    };
    let deadline = budget.step(timeouts.upgrade);
    let asking = async {
        let answer = upgrade::upgrade(stream, outgoing, &handshake, deadline).await?;
        steps.learned(|| Detail::Answered(answer.status().as_u16()));
        Ok(answer)
    };
    steps.watch(|| Step::Upgrade, asking).await
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
    match route {
        Route::Straight => {}
        Route::Through(egress) => return chain::through(egress, host, port, budget, steps).await,
        Route::Attempt(attempt) => return attempt.through(host, port, budget, steps).await,
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
    tls::secure(
        stream,
        to,
        route.between(),
        budget.step(timeouts.tls),
        steps,
    )
    .await
}

fn reached(answer: Answer, server: &Server, route: &Route<'_>, warm: bool) -> Reached {
    let (server, egress) = (server.url.clone(), route.name());
    match answer {
        Answer::Switched {
            stream,
            tail,
            headers,
            subprotocol,
        } => Reached::Switched(Link {
            stream,
            tail,
            headers,
            subprotocol,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dial_may_move_between_threads() {
        fn is_send<T: Send>(_: &T) {}
        let backend = Backend {
            name: "chat".to_owned(),
            servers: Vec::new(),
            turn: crate::policy::pool::RoundRobin::default(),
            way: Way::Direct,
            timeouts: Timeouts::default(),
        };
        let request = Request {
            path_and_query: "/".to_owned(),
            host: None,
            headers: http::HeaderMap::new(),
            key: String::new(),
            subprotocols: Vec::new(),
            extensions_offered: Vec::new(),
        };
        is_send(&dial(&backend, &request, &Steps::deaf()));
    }
}
