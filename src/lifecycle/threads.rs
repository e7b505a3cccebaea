//! The threads of a gateway: each has a runtime, listening sockets and sessions of its own, and a
//! session stays on its thread from the moment it is accepted.
//!
//! The kernel deals new connections out among the sockets of an address without looking at what
//! their threads have to do, so a thread that accepts a client may hand it over to an emptier one.
//! Knows neither signals nor the order of a drain.

use std::fmt::Display;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::spawn::Tasks;
use crate::listen::{Acceptor, Admission, Arrived, Bound};
use crate::net::tls_stream::Turns;
use crate::observe::failures::DialFailures;
use crate::plan::Plan;
use crate::session::{self, Paths, Signals, Worker};
use crate::splice::Watch;

/// Below every deadline of a handshake or a dial.
const BEAT: Duration = Duration::from_secs(1);

/// What all threads of a gateway have in common.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) plan: Arc<Plan>,
    pub(super) signals: Signals,
    pub(super) failures: DialFailures,
    pub(super) paths: Paths,
    pub(super) admission: Admission,
    /// They accept and hand over; they end by themselves when `signals.draining` is cancelled.
    pub(super) acceptors: Tasks,
    /// Of what is found and of tunnels, before a session asks. The first thread runs them all.
    pub(super) keepers: Tasks,
    pub(super) sessions: Tasks,
    /// The threads end, and drop whatever still runs on them.
    pub(super) ended: CancellationToken,
}

/// A client on its way from one thread to another.
type Moving = Arrived<TcpStream>;

/// Where each thread takes in what others accepted. Bounded by the places that the clients hold.
type Inboxes = Arc<[UnboundedSender<Moving>]>;

/// Starts a thread for each element of `bound`, which are its sockets; `first` is called inside the
/// runtime of the first. They are joined by nobody: a
/// gateway that ends waits for its tasks, and there is nothing on a thread beside them.
pub(super) fn start(
    shared: &Shared,
    bound: Vec<Vec<Bound>>,
    first: impl FnOnce(),
) -> io::Result<()> {
    let mut first = Some(first);
    let channels = bound.iter().map(|_| unbounded_channel());
    let (inboxes, outlets): (Vec<_>, Vec<_>) = channels.unzip();
    let inboxes = Inboxes::from(inboxes);
    for ((number, bound), outlet) in (0..).zip(bound).zip(outlets) {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let worker = prepare(&runtime, shared, number, bound, outlet, &inboxes)?;
        if let Some(first) = first.take() {
            let _inside = runtime.enter();
            first();
        }
        let shared = shared.clone();
        thread::Builder::new()
            .name(format!("throughway-{number}"))
            .spawn(move || run(runtime, &shared, &worker))?;
    }
    Ok(())
}

/// Begins everything that a thread does, while whoever starts the gateway can still be told of a
/// failure.
fn prepare(
    runtime: &Runtime,
    shared: &Shared,
    number: u16,
    bound: Vec<Bound>,
    mut outlet: UnboundedReceiver<Moving>,
    inboxes: &Inboxes,
) -> io::Result<Arc<Worker>> {
    let _inside = runtime.enter();
    let worker = Arc::new(Worker {
        plan: shared.plan.clone(),
        signals: shared.signals.clone(),
        failures: shared.failures.clone(),
        watch: Watch::default(),
        turns: Turns::default(),
        paths: shared.paths.clone(),
    });
    let (sessions, of_worker) = (shared.sessions.clone(), worker.clone());
    let begin = move |arrived| sessions.spawn(session::run(arrived, of_worker.clone()));
    for bound in bound {
        let acceptor = Acceptor::new(bound, shared.admission.clone(), number)?;
        let (begin, inboxes) = (begin.clone(), inboxes.clone());
        let take = move |arrived: Arrived| match arrived.place.thread() {
            own if own == number => begin(arrived),
            other => hand_over(&inboxes, other, arrived),
        };
        let accepting = acceptor.serve(shared.signals.draining.clone(), take);
        shared.acceptors.spawn(accepting);
    }
    // It ends when the last acceptor of the last thread is gone, and nothing can come any more.
    shared.acceptors.spawn(async move {
        while let Some(moving) = outlet.recv().await {
            match moving.attach() {
                Ok(arrived) => begin(arrived),
                Err(error) => disconnected(&error),
            }
        }
    });
    Ok(worker)
}

fn hand_over(inboxes: &Inboxes, thread: u16, arrived: Arrived) {
    let Some(inbox) = inboxes.get(usize::from(thread)) else {
        return;
    };
    match arrived.detach() {
        Ok(moving) => {
            if inbox.send(moving).is_err() {
                disconnected(&"the thread that was to have it has ended");
            }
        }
        Err(error) => disconnected(&error),
    }
}

fn disconnected(why: &dyn Display) {
    tracing::debug!(%why, "a client was lost between two threads");
}

fn run(runtime: Runtime, shared: &Shared, worker: &Worker) {
    let watching = async {
        worker.watch.run(shared.signals.cut.clone()).await;
        std::future::pending().await
    };
    let draining = async {
        shared.signals.draining.cancelled().await;
        worker.watch.drain(shared.plan.drain.spread);
        std::future::pending().await
    };
    runtime.block_on(async {
        tokio::select! {
            () = shared.ended.cancelled() => {}
            () = watching => {}
            () = draining => {}
            () = beat() => {}
        }
    });
    // What still waits for DNS or a KDC waits for nobody, and must not keep the thread.
    runtime.shutdown_background();
}

/// Always the nearest deadline of its thread. The runtime wakes its own wait, by a system call, for
/// each deadline that is nearer than all before it: one a handshake and one a dial, if this were not.
async fn beat() {
    loop {
        sleep(BEAT).await;
    }
}
