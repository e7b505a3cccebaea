//! The street of a session up to the dial, walked for one request, with the reason kept at each
//! step.
//!
//! Decides nothing itself: each answer is that of the function which a session calls.

use super::asked::Asked;
use crate::egress::{Backend, DialError, Outgoing, Outlook, Server};
use crate::front::ReceiveError;
use crate::plan::Plan;
use crate::policy::explain::Verdict;
use crate::policy::forward::Facts;
use crate::policy::origin::{Admitted, OriginDenied};
use crate::policy::route::Route;
use crate::policy::{self, Decision};
use crate::refusal::{self, Refusal};
use crate::session;
use crate::wire::head::parse_request;
use crate::wire::ws::handshake::{self, Opening};

/// What becomes of a request, and why.
#[derive(Debug)]
pub(super) struct Explained<'p> {
    pub(super) asked: &'p Asked<'p>,
    /// `None` where the request is no opening handshake.
    pub(super) opened: Option<Opened<'p>>,
    pub(super) answer: Answer<'p>,
    /// Where `auto` found the way, if that is how its backend is reached.
    pub(super) found_by: Option<String>,
}

/// What was judged of an opening handshake.
#[derive(Debug)]
pub(super) struct Opened<'p> {
    pub(super) opening: Opening,
    pub(super) facts: Facts,
    /// In the order in which they are tried.
    pub(super) routes: Vec<Verdict<'p>>,
    /// The route that is taken, and what it says to the origin.
    pub(super) route: Option<(&'p Route, Result<Admitted<'p>, OriginDenied>)>,
}

/// What the gateway does.
#[derive(Debug)]
pub(super) enum Answer<'p> {
    /// It answers itself.
    Refused {
        refusal: Refusal,
        /// As the log has it.
        detail: String,
    },
    /// It goes on.
    Taken {
        backend: &'p Backend,
        /// In the order of the file.
        servers: Vec<Reach<'p>>,
    },
}

/// One server.
#[derive(Debug)]
pub(super) struct Reach<'p> {
    pub(super) server: &'p Server,
    pub(super) outlook: Outlook<'p>,
    pub(super) outgoing: Outgoing,
}

/// Judges what is asked as a session would.
pub(super) fn judge<'p>(asked: &'p Asked<'_>, plan: &'p Plan) -> Explained<'p> {
    let opening = match open(asked, plan) {
        Ok(opening) => opening,
        Err(answer) => {
            return Explained {
                asked,
                opened: None,
                answer,
                found_by: None,
            };
        }
    };
    let facts = asked.seen.facts(&opening.headers);
    let answer = answer(asked, plan, &opening, &facts);
    let opened = Opened::of(asked, plan, opening, facts);
    Explained {
        asked,
        opened: Some(opened),
        answer,
        found_by: None,
    }
}

fn open<'p>(asked: &Asked<'_>, plan: &Plan) -> Result<Opening, Answer<'p>> {
    let received = match asked.head.len() > plan.limits.head_bytes_max {
        true => Err(ReceiveError::TooLarge),
        false => parse_request(asked.head.as_bytes()).map_err(ReceiveError::Head),
    };
    let head = received.map_err(|error| {
        let refusal = refusal::of_receive(&error);
        Answer::refused(refusal.expect("a client that is there is answered"), &error)
    })?;
    let refused = |error| Answer::refused(refusal::of_handshake(&error), &error);
    handshake::judge(head).map_err(refused)
}

fn answer<'p>(asked: &Asked<'_>, plan: &'p Plan, opening: &Opening, facts: &Facts) -> Answer<'p> {
    let route = match policy::decide(&plan.routes, opening, &asked.seen, facts) {
        Ok(Decision { route, .. }) => route,
        Err(denied) => return Answer::refused(refusal::of_denied(&denied), &denied),
    };
    let backend = &plan.backends[route.backend];
    let request = session::ask(opening.clone(), &asked.seen, facts, route);
    let reach = |server: &'p Server| -> Result<Reach<'p>, DialError> {
        Ok(Reach {
            server,
            outlook: Outlook::of(server, &backend.way),
            outgoing: request.outgoing(server)?,
        })
    };
    match backend.servers.iter().map(reach).collect() {
        Ok(servers) => Answer::Taken { backend, servers },
        Err(error) => Answer::refused(refusal::of_dial(&error), &error),
    }
}

impl Answer<'_> {
    fn refused(refusal: Refusal, detail: &dyn std::fmt::Display) -> Self {
        let detail = detail.to_string();
        Self::Refused { refusal, detail }
    }
}

impl<'p> Opened<'p> {
    fn of(asked: &Asked<'_>, plan: &'p Plan, opening: Opening, facts: Facts) -> Self {
        let host = &opening.authority.host;
        let (path, offered) = (&opening.target.path, &opening.subprotocols);
        let listener = &asked.seen.listener;
        let route = plan.routes.find(listener, host, path, offered);
        let weigh = |route: &'p Route| {
            let origin = opening.origin.as_deref();
            let missing = route.missing_origin;
            let said = route
                .origins
                .weigh(origin, missing, facts.scheme, &opening.authority);
            (route, said)
        };
        Self {
            routes: plan.routes.explain(listener, host, path, offered),
            route: route.map(weigh),
            opening,
            facts,
        }
    }
}
