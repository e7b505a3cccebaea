//! What a route, its backend and the link agree on, as the splice goes by it.
//!
//! Knows no streams. A path's habits are learned from ends and asked here.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::Worker;
use crate::egress::{Backend, Link};
use crate::observe::record;
use crate::policy::clients::Client;
use crate::policy::limits::{Frames, Ping};
use crate::policy::pace::{self, Paces};
use crate::policy::route::Route;
use crate::splice::{self, Outcome, Side, SpliceEnd, Throttle};
use crate::wire::ws::close::CloseCode;

/// The way of a client's leg among the paths whose habits are learned; no egress can be called so.
const CLIENTS: &str = "";

/// How long the paths of a gateway leave a silent connection alone.
#[derive(Debug, Clone, Default)]
pub struct Paths(Arc<Mutex<Paces>>);

/// What a session teaches when it ends, of each leg that is pinged as its path needs it.
#[derive(Debug)]
pub(super) struct Lesson {
    paths: Paths,
    client: bool,
    backend: bool,
}

/// Everything that the splice of one session goes by.
pub(super) fn of(
    route: &Route,
    backend: &Backend,
    link: &Link,
    client: IpAddr,
    worker: &Worker,
) -> splice::Params {
    let ping = |ping, way: &str| worker.paths.ping(ping, &route.name, way);
    let clients = route.clients.as_ref().zip(route.rates.client);
    splice::Params {
        limits: splice::Limits {
            idle: route.limits.idle,
            session: route.limits.session,
        },
        frames: frames(route.frames, link),
        deflate: link.extensions.deflate,
        frame_bytes_max: route.limits.frame_bytes,
        message_bytes_max: route.limits.message_bytes,
        throttle: Throttle::of(
            route.rates.session,
            clients.map(|(clients, rate)| (clients, rate.action)),
            Client::at(client),
        ),
        ping_client: ping(route.ping, CLIENTS),
        ping_backend: ping(backend.ping, &link.egress),
        cut_code: CloseCode(worker.plan.drain.close_code),
    }
}

/// With an extension that nobody here knows, nobody here can say what is against the protocol.
fn frames(frames: Frames, link: &Link) -> splice::Frames {
    match frames {
        Frames::Opaque => splice::Frames::Opaque,
        Frames::Validate if !link.extensions.others => splice::Frames::Validate,
        Frames::Validate | Frames::Observe => splice::Frames::Observe,
    }
}

impl Paths {
    fn paces(&self) -> MutexGuard<'_, Paces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ping(&self, ping: Ping, route: &str, way: &str) -> Option<splice::Ping> {
        match ping {
            Ping::Off => None,
            Ping::Every { every, timeout } => Some(splice::Ping { every, timeout }),
            Ping::Auto => Some(splice::Ping {
                every: self.paces().every(route, way, Instant::now().into_std()),
                timeout: pace::TIMEOUT,
            }),
        }
    }
}

impl Lesson {
    /// `None` where no leg is pinged as its path needs it.
    pub(super) fn of(route: &Route, backend: &Backend, paths: &Paths) -> Option<Self> {
        let (client, backend) = (route.ping == Ping::Auto, backend.ping == Ping::Auto);
        let paths = paths.clone();
        (client || backend).then_some(Self {
            paths,
            client,
            backend,
        })
    }

    /// Learns from an end without a Close.
    pub(super) fn learn(&self, outcome: &Outcome, route: &str, egress: &str) {
        let side = match outcome.end {
            SpliceEnd::Gone(side) | SpliceEnd::Lost(side, _) | SpliceEnd::Silent(side) => side,
            SpliceEnd::Closed(_)
            | SpliceEnd::Truncated(_)
            | SpliceEnd::Breach(..)
            | SpliceEnd::Idle
            | SpliceEnd::Age
            | SpliceEnd::Cut => return,
        };
        let (is_taught, heard, way) = match side {
            Side::Client => (self.client, &outcome.client, CLIENTS),
            Side::Backend => (self.backend, &outcome.backend, egress),
        };
        let Some(pinged) = heard.as_ref().and_then(|heard| heard.pinged) else {
            return;
        };
        let now = Instant::now().into_std();
        let (Some(since), true) = (now.checked_sub(pinged.silence), is_taught) else {
            return;
        };
        if let Some(learned) = self.paths.paces().cut(route, way, since, now) {
            record::path(route, side.name(), way, learned.every, &learned.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::splice::{Heard, Pinged, RoundTrips, Stalled, Tally, Told};

    const SECOND: Duration = Duration::from_secs(1);

    /// The backend's leg was silent for so long, and then this came.
    fn after(silence: Duration, end: SpliceEnd) -> Outcome {
        Outcome {
            to_backend: 0,
            to_client: 0,
            duration: silence,
            end,
            client: None,
            backend: Some(Heard {
                tally: Tally::default(),
                close: None,
                told: Told::Cut,
                pinged: Some(Pinged {
                    round_trips: RoundTrips::default(),
                    silence,
                }),
            }),
            stalled: Stalled::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_leg_is_asked_sooner_once_its_path_has_cut_twice_without_a_close() {
        let paths = Paths::default();
        let lesson = Lesson {
            paths: paths.clone(),
            client: true,
            backend: true,
        };
        let every = |way| paths.ping(Ping::Auto, "feed", way).map(|ping| ping.every);
        assert_eq!(every("corp"), Some(45 * SECOND));
        let cut = SpliceEnd::Gone(Side::Backend);
        for end in [SpliceEnd::Closed(Side::Backend), SpliceEnd::Idle, cut, cut] {
            assert_eq!(every("corp"), Some(45 * SECOND), "before {end:?}");
            tokio::time::advance(30 * SECOND).await;
            lesson.learn(&after(30 * SECOND, end), "feed", "corp");
        }
        assert_eq!(every("corp"), Some(24 * SECOND));
        // Another way and the clients' leg have not cut anybody.
        assert_eq!(every("direct"), Some(45 * SECOND));
        assert_eq!(every(CLIENTS), Some(45 * SECOND));
    }
}
