//! A gateway from its plan to its end.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::descriptors;
use super::signals::Stop;
use super::spawn::Tasks;
use super::threads::{self, Shared};
use crate::egress::{Auto, Found, Way, warm};
use crate::listen::{self, Admission, BindError, Bound};
use crate::observe::failures::DialFailures;
use crate::plan::{Plan, THREADS_MAX};
use crate::session::{Paths, Signals};

/// How long sessions that were cut may take to say goodbye before the process ends without them.
const CUT_GRACE: Duration = Duration::from_secs(3);

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    addresses: Vec<(String, SocketAddr)>,
    shared: Shared,
    /// The threads end when the gateway is dropped.
    _ended: DropGuard,
}

/// Why a gateway could not run.
#[derive(Debug)]
pub enum RunError {
    /// An address is not to be had.
    Bind(BindError),
    /// The runtime or a signal handler is not to be had.
    Io(io::Error),
}

/// What a process needs before its first task: descriptors, a place for panics, a runtime for what
/// is no session.
pub fn runtime() -> io::Result<Runtime> {
    descriptors::raise();
    report_panics();
    runtime::Builder::new_current_thread().enable_all().build()
}

/// Runs a plan from its first bind to the end of its drain. `started` is told once every address
/// is bound.
pub async fn run(plan: Plan, started: impl FnOnce(&Gateway)) -> Result<(), RunError> {
    descriptors::compare(plan.limits.connections);
    let mut stop = Stop::listen()?;
    let gateway = start(plan)?;
    started(&gateway);
    let signal = stop.next().await;
    // Said once it is so: whoever reads the line may rely on it.
    gateway.refuse();
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

/// Binds every address of the plan and begins to serve, on threads of its own.
pub fn start(plan: Plan) -> Result<Gateway, RunError> {
    let plan = Arc::new(plan);
    announce_environment(&plan);
    let threads = threads(&plan);
    let bound = listen::bind(&plan.listeners, usize::from(threads))?;
    let listening = Listening::at(bound.first().map_or(&[], Vec::as_slice));
    let shared = Shared {
        signals: Signals::default(),
        failures: DialFailures::default(),
        paths: Paths::default(),
        admission: Admission::new(plan.limits.connections, threads),
        acceptors: Tasks::default(),
        keepers: Tasks::default(),
        sessions: Tasks::default(),
        ended: CancellationToken::new(),
        plan,
    };
    let ended = shared.ended.clone().drop_guard();
    threads::start(&shared, bound, || keep_ahead(&shared))?;
    Ok(Gateway {
        addresses: listening.announced(),
        shared,
        _ended: ended,
    })
}

/// As many as the plan says, else as many as there are cores that this process may use: its
/// affinity and its control group's quota are listened to.
fn threads(plan: &Plan) -> u16 {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = plan.threads.unwrap_or_else(cores);
    u16::try_from(threads.clamp(1, THREADS_MAX)).unwrap_or(u16::MAX)
}

/// What is told of the listeners once they serve.
struct Listening(Vec<(Arc<listen::Params>, SocketAddr)>);

impl Listening {
    fn at(bound: &[Bound]) -> Self {
        let at = |bound: &Bound| (bound.listener.clone(), bound.address);
        Self(bound.iter().map(at).collect())
    }

    fn announced(self) -> Vec<(String, SocketAddr)> {
        let announced = self.0.into_iter().map(|(listener, address)| {
            let tls = listener.tls.is_some();
            tracing::info!(listener = listener.name, %address, tls, "listening");
            (listener.name.clone(), address)
        });
        announced.collect()
    }
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

/// What is found and opened ahead of the sessions that will ask for it.
fn keep_ahead(shared: &Shared) {
    let draining = &shared.signals.draining;
    keep_found(&shared.plan, &shared.keepers, draining);
    for keeper in warm::keepers(&shared.plan.backends) {
        let draining = draining.clone();
        shared.keepers.spawn(async move {
            draining.run_until_cancelled(keeper.run()).await;
        });
    }
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
        self.shared.sessions.running()
    }

    /// How they are spread over the threads.
    pub fn spread(&self) -> Vec<usize> {
        self.shared.admission.spread()
    }

    /// Takes no new sessions from here on, which is how a drain begins.
    pub fn refuse(&self) {
        self.shared.signals.draining.cancel();
    }

    /// The attempts to reach a backend that failed since the start, whether another succeeded in
    /// their place or not. The handle outlives the gateway.
    pub fn dial_failures(&self) -> DialFailures {
        self.shared.failures.clone()
    }

    /// Ends in order: no more accepts, running sessions until `drain.timeout` or until `hurry`,
    /// then they are cut.
    pub async fn drain(self, hurry: impl Future<Output = ()>) {
        let Shared {
            plan,
            signals,
            acceptors,
            keepers,
            sessions,
            ..
        } = &self.shared;
        self.refuse();
        // They end at once, and from then on nothing new begins.
        acceptors.ended().await;
        keepers.ended().await;
        tokio::select! {
            ended = timeout(plan.drain.timeout, sessions.ended()) => if ended.is_ok() { return },
            () = hurry => {}
        }
        tracing::info!(sessions = self.sessions(), "cutting what is still open");
        signals.cut.cancel();
        if timeout(CUT_GRACE, sessions.ended()).await.is_err() {
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
