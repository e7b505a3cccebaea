//! The street: a client's connection from accept to end, as one line of stages.
//!
//! Each stage takes its noun and hands on the next. Whatever fails on the way is answered by
//! `refusal` and recorded once.

mod asked;
mod laps;
mod opened;
mod terms;
mod told;
mod turn;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use socket2::SockRef;
use tokio_util::sync::CancellationToken;

pub use asked::{ask, seen};

use asked::as_the_client_knows_it;
use laps::Laps;
use opened::{Beside, Opened, rhythm};
use terms::Lesson;
pub use terms::Paths;
use turn::{Turn, turn_away, unreached};

use crate::egress::{self, Link, Reached};
use crate::front::answer::{self};
use crate::front::{self, Page};
use crate::listen::{Accepted, Arrived, Kind, Place};
use crate::net::tls_stream::Turns;
use crate::net::{Stream, sockopt};
use crate::observe::begun::Begun;
use crate::observe::failures::DialFailures;
use crate::observe::phases::Phase;
use crate::observe::{course, record};
use crate::plan::Plan;
use crate::policy::forward::{self, Facts, Seen};
use crate::policy::limits::Records;
use crate::policy::{self, Decision, Unavailable, offers};
use crate::refusal::{self};
use crate::splice::{self, Leg, Pair};
use crate::wire::head::RequestHead;
use crate::wire::origin::Origin;
use crate::wire::ws::handshake::{self, Opening};

/// What reaches a session from outside: the two moments of a drain.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// No new sessions from here on.
    pub draining: CancellationToken,
    /// Running sessions end now.
    pub cut: CancellationToken,
}

/// What the sessions of one thread share.
#[derive(Debug)]
pub struct Worker {
    /// What is served.
    pub plan: Arc<Plan>,
    /// The two moments of a drain.
    pub signals: Signals,
    /// Where attempts to reach a backend that fail are counted.
    pub failures: DialFailures,
    /// What tells running sessions of their limits and of the cut; run by `lifecycle`.
    pub watch: splice::Watch,
    /// Whose TLS handshake reckons now.
    pub turns: Turns,
    /// What is known of how long paths leave a silent connection alone.
    pub paths: Paths,
}

/// What came of a request that may have its 101.
struct Agreed {
    link: Link,
    terms: splice::Params,
    lesson: Option<Lesson>,
    records: Records,
    expose: Option<Origin>,
}

/// Serves one client to its end.
pub fn run(arrived: Arrived, worker: Arc<Worker>) -> Session {
    Session(Stage::Opening(Box::pin(open_unless_cut(arrived, worker))))
}

/// A client's connection from accept to end. Written as a future by hand, so that what a client
/// holds for hours has no room left from its handshake.
pub struct Session(Stage);

#[expect(
    clippy::large_enum_variant,
    reason = "the large one is what lasts; boxed, it would be an allocation more"
)]
enum Stage {
    /// Until its 101. The futures of the handshake are large; they are gone with their box.
    Opening(Beginning),
    /// From then on.
    Carrying(Opened),
}

type Beginning = Pin<Box<dyn Future<Output = Option<Opened>> + Send>>;

impl Future for Session {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self(stage) = self.get_mut();
        if let Stage::Opening(opening) = stage {
            let Some(opened) = ready!(opening.as_mut().poll(cx)) else {
                return Poll::Ready(());
            };
            *stage = Stage::Carrying(opened);
        }
        if let Stage::Carrying(opened) = stage {
            let outcome = ready!(opened.poll_outcome(cx));
            opened.record(&outcome);
        }
        Poll::Ready(())
    }
}

async fn open_unless_cut(arrived: Arrived, worker: Arc<Worker>) -> Option<Opened> {
    let mut laps = Laps::new(worker.failures.clone());
    tokio::select! {
        opened = open(arrived, &worker, &mut laps) => opened,
        () = worker.signals.cut.cancelled() => None,
    }
}

/// From the TCP connection to the client's 101; `None` when it ended otherwise, which is recorded.
async fn open(arrived: Arrived, worker: &Worker, laps: &mut Laps) -> Option<Opened> {
    let plan = &worker.plan;
    let mut request = record::Request {
        listener: arrived.listener.name.clone(),
        client: Some(arrived.address.ip()),
        ..record::Request::default()
    };
    let limits = plan.limits;
    let accepted = match arrived.secure(limits.handshake, &worker.turns).await {
        Ok(accepted) => accepted,
        Err(error) => {
            record::gone(&request, &error.to_string());
            return None;
        }
    };
    if accepted.listener.tls.is_some() {
        laps.ends(Phase::ClientTls);
    }
    let seen = seen(&accepted.listener, accepted.address);
    let Accepted { stream, place, .. } = accepted;
    let offer = match front::receive(stream, limits.head_bytes_max, limits.handshake).await {
        Ok(offer) => offer,
        Err((client, error)) => return turn_away(client, error.into(), &request).await,
    };
    laps.ends(Phase::Head);
    // Asked now and not before: a drain may have begun while the head was on its way.
    let unavailable = unavailable(&place, &worker.signals);
    let client = offer.stream;
    let negotiated = tokio::select! {
        // In this order: whoever left after it had said all it wanted still gets what is ready.
        biased;
        negotiated = negotiate(offer.head, &seen, unavailable, worker, laps, &mut request) => negotiated,
        () = front::gone(&client) => Err(Turn::Gone("it left while its backend was being reached".to_owned())),
    };
    match negotiated {
        Ok(agreed) => switch(client, agreed, worker, laps, request, place).await,
        Err(turn) => turn_away(client, turn, &request).await,
    }
}

/// From a request head to a backend that has said its valid 101. Nothing has been sent to the
/// client yet, so every failure can still have its honest status.
async fn negotiate<'p>(
    head: RequestHead,
    seen: &Seen,
    unavailable: Option<Unavailable>,
    worker: &'p Worker,
    laps: &mut Laps,
    request: &mut record::Request,
) -> Result<Agreed, Turn<'p>> {
    let plan = &worker.plan;
    if let Some(page) = plan.page.as_ref().filter(|_| Page::is_asked_for(&head)) {
        return Err(Turn::Shown(page));
    }
    let opening = handshake::judge(head)?;
    let facts = seen.facts(&opening.headers);
    describe(request, &opening, &facts);
    if let Some(why) = unavailable {
        return Err(Turn::Refused(
            refusal::of_unavailable(why),
            record::Why::default(),
        ));
    }
    let Decision { route, expose } = policy::decide(&plan.routes, &opening, seen, &facts)?;
    let backend = &plan.backends[route.backend];
    request.route.clone_from(&route.name);
    request.backend.clone_from(&backend.name);
    let offered = opening.subprotocols.clone();
    let asked = ask(opening, seen, &facts, route);
    laps.ends(Phase::Decide);
    let dialled = egress::dial(backend, &asked, laps.steps()).await;
    laps.resume();
    match dialled.map_err(|error| unreached(&error, plan))? {
        Reached::Declined(declined) => Err(Turn::Declined(Box::new(declined))),
        Reached::Switched(link) => Ok(Agreed {
            terms: terms::of(route, backend, &link, facts.address, worker),
            lesson: Lesson::of(route, backend, &worker.paths),
            records: route.records,
            link: as_the_client_knows_it(link, &offered, route),
            expose,
        }),
    }
}

/// Answers the client with its 101 and brings the two legs together, each with its tail.
async fn switch(
    client: Stream,
    agreed: Agreed,
    worker: &Worker,
    laps: &mut Laps,
    request: record::Request,
    place: Place,
) -> Option<Opened> {
    let Agreed {
        link,
        terms,
        lesson,
        records,
        expose,
    } = agreed;
    let mut headers = forward::to_client(link.headers);
    offers::choose(&mut headers, link.subprotocol.as_deref());
    if let Some(origin) = expose {
        forward::expose(&mut headers, &origin);
    }
    let deadline = worker.plan.limits.handshake;
    let client = match answer::switch(client, headers, link.accept, deadline).await {
        Ok(client) => client,
        Err(error) => {
            record::gone(&request, &error.to_string());
            return None;
        }
    };
    laps.ends(Phase::Answer);
    let way = record::Way {
        server: link.server,
        egress: link.egress,
        warm: link.warm,
        subprotocol: link.subprotocol.unwrap_or_default(),
    };
    let (phases, to_101) = laps.all();
    let begun = Begun::new(&request, &way, phases, to_101);
    if records.start {
        course::began(&begun);
    }
    for (ping, stream) in [
        (terms.ping_client, &client),
        (terms.ping_backend, &link.stream),
    ] {
        if let (Some(_), Some(tcp)) = (ping, stream.tcp()) {
            // Without it Pings only wait longer.
            sockopt::keep_little_unsent(SockRef::from(tcp)).ok();
        }
    }
    let pair = Pair {
        client: Leg {
            stream: client,
            tail: Bytes::new(),
        },
        backend: Leg {
            stream: link.stream,
            tail: link.tail,
        },
    };
    Some(Opened {
        splice: splice::run(pair, terms, &worker.watch),
        begun,
        beside: Beside::of(lesson, records.every.and_then(rhythm)),
        _place: place,
    })
}

fn describe(request: &mut record::Request, opening: &Opening, facts: &Facts) {
    request.client = Some(facts.address);
    request.host = opening.authority.to_string();
    request.path.clone_from(&opening.target.path);
    request.origin = opening.origin.clone().unwrap_or_default();
}

fn unavailable(place: &Place, signals: &Signals) -> Option<Unavailable> {
    match place.kind() {
        Kind::Refusal => Some(Unavailable::Full),
        Kind::Seat if signals.draining.is_cancelled() => Some(Unavailable::Draining),
        Kind::Seat => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of what `begin` returns.
    fn bytes_of<A, B, F: Future>(_: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    // It is made on the stack and moved into its box: its size is paid by every client.
    #[test]
    fn the_beginning_of_a_session_has_no_room_for_what_few_need() {
        let bytes = bytes_of(open_unless_cut);
        assert!(bytes <= 7400, "{bytes} bytes");
    }

    #[test]
    fn an_idle_session_is_a_few_hundred_bytes() {
        let bytes = size_of::<Session>();
        assert!(bytes <= 304, "{bytes} bytes");
    }
}
