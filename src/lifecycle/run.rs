//! A gateway from its plan to its end.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::descriptors;
use super::signals::Stop;
use super::spawn::Tasks;
use crate::egress::{Auto, Found, Way, warm};
use crate::listen::{self, Admission, BindError};
use crate::observe::failures::DialFailures;
use crate::plan::Plan;
use crate::session::{self, Signals, Worker};
use crate::splice::Watch;

/// How long sessions that were cut may take to say goodbye before the process ends without them.
const CUT_GRACE: Duration = Duration::from_secs(3);

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    addresses: Vec<(String, SocketAddr)>,
    drain: Duration,
    acceptors: Tasks,
    /// Of what is found and of tunnels, before a session asks.
    keepers: Tasks,
    sessions: Tasks,
    signals: Signals,
    failures: DialFailures,
}

/// Why a gateway could not run.
#[derive(Debug)]
pub enum RunError {
    /// An address is not to be had.
    Bind(BindError),
    /// The runtime or a signal handler is not to be had.
    Io(io::Error),
}

/// What a process needs before its first task: descriptors, a place for panics, a runtime.
pub fn runtime() -> io::Result<Runtime> {
    descriptors::raise();
    report_panics();
    runtime::Builder::new_multi_thread().enable_all().build()
}

/// Runs a plan from its first bind to the end of its drain. `started` is told once every address
/// is bound.
pub async fn run(plan: Plan, started: impl FnOnce(&Gateway)) -> Result<(), RunError> {
    descriptors::compare(plan.limits.connections);
    let mut stop = Stop::listen()?;
    let gateway = start(plan)?;
    started(&gateway);
    let signal = stop.next().await;
    let sessions = gateway.sessions();
    tracing::info!(signal, sessions, "draining; a second signal cuts at once");
    let hurry = async {
        stop.next().await;
    };
    let failures = gateway.dial_failures();
    gateway.drain(hurry).await;
    let failed = failures.totals();
    tracing::info!(dial_failures = failed.sum(), by = %failed, "ended");
    Ok(())
}

/// A panic becomes a line in the log like any other failure, with its place in the code.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or_default();
        tracing::error!(place, message, "a task panicked; its session ended");
    }));
}

/// Binds every address of the plan and begins to serve.
pub fn start(plan: Plan) -> Result<Gateway, BindError> {
    let plan = Arc::new(plan);
    announce_environment(&plan);
    let (acceptors, sessions) = (Tasks::default(), Tasks::default());
    let keepers = Tasks::default();
    let signals = Signals::default();
    let failures = DialFailures::default();
    let admission = Admission::new(plan.limits.connections);
    let worker = Arc::new(Worker {
        plan: plan.clone(),
        signals: signals.clone(),
        watch: Watch::default(),
    });
    let watching = worker.clone();
    let cut = signals.cut.clone();
    Tasks::default().spawn(async move { watching.watch.run(cut).await });
    let bound = listen::bind(&plan.listeners)?;
    let addresses = bound
        .iter()
        .map(|b| (b.listener.name.clone(), b.address))
        .collect();
    for bound in bound {
        let tls = bound.listener.tls.is_some();
        tracing::info!(listener = bound.listener.name, address = %bound.address, tls, "listening");
        let (worker, tasks) = (worker.clone(), sessions.clone());
        let take = move |arrived| tasks.spawn(session::run(arrived, worker.clone()));
        acceptors.spawn(listen::serve(
            bound,
            admission.clone(),
            signals.draining.clone(),
            take,
        ));
    }
    keep_found(&plan, &keepers, &signals.draining);
    for keeper in warm::keepers(&plan.backends) {
        let draining = signals.draining.clone();
        keepers.spawn(async move {
            draining.run_until_cancelled(keeper.run()).await;
        });
    }
    Ok(Gateway {
        addresses,
        drain: plan.drain,
        acceptors,
        keepers,
        sessions,
        signals,
        failures,
    })
}

/// What the environment said of proxies, once: it is no part of the file, and a reader of the log
/// has nothing else to go by.
fn announce_environment(plan: &Plan) {
    let asked = plan.backends.iter().find_map(|b| match &b.way {
        Way::ByScheme(ways) => Some(ways),
        Way::Direct | Way::Through(_) | Way::Among(_) | Way::Pac(_) | Way::Auto(_) => None,
    });
    let Some(ways) = asked else { return };
    let words = |found: &Option<Found>| found.as_ref().map_or("direct".into(), Found::to_string);
    let (ws, wss) = (words(&ways.ws), words(&ways.wss));
    tracing::info!(egress = "env", ws, wss, "proxies of the environment");
}

/// What `auto` finds is looked for at once, so that the log has it, and ever again until the
/// drain; nobody waits for it here.
fn keep_found(plan: &Plan, tasks: &Tasks, draining: &CancellationToken) {
    let mut kept: Vec<&Arc<Auto>> = Vec::new();
    for backend in &plan.backends {
        let Way::Auto(auto) = &backend.way else {
            continue;
        };
        if kept.iter().any(|kept| Arc::ptr_eq(kept, auto)) {
            continue;
        }
        kept.push(auto);
        let (auto, draining) = (auto.clone(), draining.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = auto.keep() => {}
                () = draining.cancelled() => {}
            }
        });
    }
}

impl Gateway {
    /// Each bound address with the name of its listener, as the kernel gave it.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// Clients connected now, whatever they are doing.
    pub fn sessions(&self) -> usize {
        self.sessions.running()
    }

    /// The attempts to reach a backend that failed since the start, whether another succeeded in
    /// their place or not. The handle outlives the gateway.
    pub fn dial_failures(&self) -> DialFailures {
        self.failures.clone()
    }

    /// Ends in order: no more accepts, running sessions until `drain.timeout` or until `hurry`,
    /// then they are cut.
    pub async fn drain(self, hurry: impl Future<Output = ()>) {
        self.signals.draining.cancel();
        // They end at once, and from then on nothing new begins.
        self.acceptors.ended().await;
        self.keepers.ended().await;
        tokio::select! {
            ended = timeout(self.drain, self.sessions.ended()) => if ended.is_ok() { return },
            () = hurry => {}
        }
        tracing::info!(sessions = self.sessions(), "cutting what is still open");
        self.signals.cut.cancel();
        if timeout(CUT_GRACE, self.sessions.ended()).await.is_err() {
            tracing::warn!(sessions = self.sessions(), "ended without them");
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RunError {}

impl From<BindError> for RunError {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
    }
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
