//! From a request to a backend that has answered it: one server after the other, each by one route
//! after the other, and what a failure of one means for the next.
//!
//! Knows nothing of how a route is gone, and of the client only what the request says.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout_at};
use tracing::{debug, warn};

use super::auto::Finding;
use super::budget::Budget;
use super::error::{DialError, Failure, Place};
use super::outlook::{Outlook, Straight};
use super::pac;
use super::params::{Backend, Server, ServerAddress, Way};
use super::reached::Reached;
use super::request::Request;
use super::route::{Route, Routes, attempt};
use super::steps::{Detail, Steps};
use super::stumble::{Cause, Step, Stumble};
use crate::observe::phases::Phase;

/// Pauses before the servers are tried once more, after proxies said of all of them that they cannot
/// be reached just now (502, 503, 504). Two, so that a proxy in trouble is not asked for ever.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

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
    steps.run(Phase::Find, || Step::Find, finding).await
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
        .run(
            Phase::Pac,
            || Step::Pac(server.address.to_string()),
            finding,
        )
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

#[cfg(test)]
mod tests {
    use super::super::params::Timeouts;
    use super::*;

    #[test]
    fn a_dial_may_move_between_threads() {
        fn is_send<T: Send>(_: &T) {}
        let backend = Backend {
            name: "chat".to_owned(),
            servers: Vec::new(),
            turn: crate::policy::pool::RoundRobin::default(),
            way: Way::Direct,
            ping: crate::policy::limits::Ping::Off,
            timeouts: Timeouts::default(),
        };
        let request = Request {
            path_and_query: "/".to_owned(),
            host: None,
            headers: http::HeaderMap::new(),
            key: String::new(),
            subprotocols: Vec::new(),
            subprotocols_required: Vec::new(),
            extensions_offered: Vec::new(),
        };
        is_send(&dial(&backend, &request, &Steps::deaf()));
    }
}
