//! What a dial tells of itself while it runs, as typed facts: which step began, what was learned
//! in it, how it ended.
//!
//! One direction: facts go out and nothing comes back, so a dial is the same whether somebody
//! listens or not. It is not the log, and knows neither who listens nor how a fact is shown.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::ProtocolVersion;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use x509_parser::parse_x509_certificate;

use super::error::{Failure, Place};
use super::stumble::{Cause, Step, Stumble, plain};
use crate::net::TlsStream;
use crate::observe::failures::DialFailures;
use crate::observe::phases::{Phase, Phases};

/// The longest real name of a certificate has some 200 characters.
const NAME_CHARS_MAX: usize = 300;

/// One thing that happened. A dial does one step at a time, so what is learned and what ends is
/// the step that began last.
#[derive(Debug, Clone)]
pub enum Fact {
    /// A step began.
    Began {
        /// Where.
        place: Place,
        /// Which.
        step: Step,
    },
    /// Something came to be known within the step.
    Learned(Detail),
    /// The step is over.
    Ended {
        /// Since it began.
        took: Duration,
        /// Why it failed, if it did.
        result: Result<(), Cause>,
    },
    /// Of several chains or ways this one is tried next, as in `corp/proxy-b` or `direct`.
    Turn(String),
    /// All of it is tried again after a pause.
    Pause(Duration),
}

/// What a step may tell before it ends. Text of the other side's making is escaped and bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// Where the proxies come from, and which they are, in words.
    Found(String),
    /// The addresses of a name, in the order they are tried.
    Addresses(Vec<SocketAddr>),
    /// The one that a TCP connection reached first.
    Connected(SocketAddr),
    /// A TLS session that was verified.
    Secured(Secured),
    /// The HTTP that a proxy chose, as in `2`.
    Http(&'static str),
    /// A proxy is told who we are by this scheme.
    Presents(&'static str),
    /// A proxy's reply, one a leg.
    Replied(u16),
    /// The authentication schemes that a proxy offered, as in `Negotiate, NTLM`.
    Offered(String),
    /// A proxy asked for credentials and lost its connection: the way begins anew.
    FromStart,
    /// The backend's answer.
    Answered(u16),
}

/// A TLS session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secured {
    /// As in `TLS 1.3`.
    pub version: &'static str,
    /// Of the other side's own certificate.
    pub subject: String,
    /// Who signed that.
    pub issuer: String,
}

/// Where facts go: to somebody, or nowhere. Telling nobody costs nothing.
#[derive(Debug, Clone)]
pub struct Steps {
    listener: Option<(UnboundedSender<Fact>, Place)>,
    /// Where attempts that failed are counted, listener or not.
    failures: Option<DialFailures>,
    /// Where the times of steps are added up, listener or not.
    phases: Option<Phases>,
    /// The number of the proxy whose steps these are, from 1; 0: the server's.
    hop: usize,
}

impl Steps {
    /// Nobody listens.
    pub fn deaf() -> Self {
        Self {
            listener: None,
            failures: None,
            phases: None,
            hop: 0,
        }
    }

    /// Each fact goes to `listener` when it happens, for as long as there is one. Steps are the
    /// server's until a hop says otherwise.
    pub fn to(listener: UnboundedSender<Fact>) -> Self {
        Self {
            listener: Some((listener, Place::Server)),
            ..Self::deaf()
        }
    }

    /// The same, and attempts that fail are counted.
    #[must_use]
    pub fn counting(self, failures: DialFailures) -> Self {
        Self {
            failures: Some(failures),
            ..self
        }
    }

    /// The same, and the time of each step is added up. That takes no allocation a step.
    #[must_use]
    pub fn timing(self, phases: Phases) -> Self {
        Self {
            phases: Some(phases),
            ..self
        }
    }

    /// For the steps at the proxy with this number, which is `place`.
    pub(super) fn at(&self, hop: usize, place: impl FnOnce() -> Place) -> Self {
        let to = |(listener, _): &(UnboundedSender<Fact>, Place)| (listener.clone(), place());
        Self {
            listener: self.listener.as_ref().map(to),
            failures: self.failures.clone(),
            phases: self.phases.clone(),
            hop,
        }
    }

    /// Does `step`, and tells when it begins and how it ends. `phase` is what kind of step it is: its
    /// text is made only for a listener, or when it failed.
    pub(super) async fn run<T>(
        &self,
        phase: Phase,
        step: impl Fn() -> Step,
        doing: impl Future<Output = Result<T, Cause>>,
    ) -> Result<T, Stumble> {
        let doing = async { doing.await.map_err(|cause| Stumble::new(step(), cause)) };
        self.watch(phase, &step, doing).await
    }

    /// The same for what makes its own stumble.
    pub(super) async fn watch<T>(
        &self,
        phase: Phase,
        step: impl Fn() -> Step,
        doing: impl Future<Output = Result<T, Stumble>>,
    ) -> Result<T, Stumble> {
        self.tell(|place| Fact::Began {
            place: place.clone(),
            step: step(),
        });
        let began = Instant::now();
        let result = doing.await;
        if let Some(phases) = &self.phases {
            phases.took(self.hop, phase, began.elapsed());
        }
        self.tell(|_| Fact::Ended {
            took: began.elapsed(),
            result: match &result {
                Ok(_) => Ok(()),
                Err(stumble) => Err(stumble.cause.clone()),
            },
        });
        result
    }

    /// Tells a detail of the step that runs.
    pub(super) fn learned(&self, detail: impl FnOnce() -> Detail) {
        self.tell(|_| Fact::Learned(detail()));
    }

    /// Tells which of several ways is tried next.
    pub(super) fn turn(&self, name: impl FnOnce() -> String) {
        self.tell(|_| Fact::Turn(name()));
    }

    /// Tells that all is tried again.
    pub(super) fn pause(&self, pause: Duration) {
        if let Some(phases) = &self.phases {
            phases.took(0, Phase::Pause, pause);
        }
        self.tell(|_| Fact::Pause(pause));
    }

    /// Counts an attempt that failed.
    pub(super) fn failed(&self, failure: &Failure) {
        if let Some(failures) = &self.failures {
            failures.count(failure.counted());
        }
    }

    // Whoever no longer listens has no need to know.
    fn tell(&self, fact: impl FnOnce(&Place) -> Fact) {
        if let Some((listener, place)) = &self.listener {
            listener.send(fact(place)).ok();
        }
    }
}

impl Secured {
    /// What a client knows of the session it just made.
    pub(super) fn of<S>(tls: &TlsStream<S>) -> Self {
        let session = tls.session();
        let leaf = session.peer_certificates().and_then(|chain| chain.first());
        let parsed = leaf.and_then(|leaf| parse_x509_certificate(leaf).ok());
        let names = parsed.map(|(_, leaf)| (leaf.subject().to_string(), leaf.issuer().to_string()));
        let (subject, issuer) = names.unwrap_or_default();
        Self {
            version: match session.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
                Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
                _ => "TLS",
            },
            subject: plain(&subject, NAME_CHARS_MAX),
            issuer: plain(&issuer, NAME_CHARS_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::observe::phases::Packed;

    fn hop() -> Place {
        Place::Hop {
            number: 1,
            of: 1,
            name: "http proxy.corp.example:3128".to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_tells_its_place_its_details_its_time_and_its_end() {
        let (to, mut facts) = unbounded_channel();
        let steps = Steps::to(to).at(1, hop);
        let doing = async {
            steps.learned(|| Detail::Replied(403));
            tokio::time::sleep(Duration::from_secs(2)).await;
            Err::<(), _>(Cause::Timeout)
        };
        let stumble = steps
            .run(Phase::Tls, || Step::Tls, doing)
            .await
            .expect_err("failed");
        assert_eq!(stumble.to_string(), "TLS: timed out");
        let began = facts.recv().await.expect("a fact");
        assert!(
            matches!(
                &began,
                Fact::Began {
                    place: Place::Hop { .. },
                    step: Step::Tls
                }
            ),
            "{began:?}"
        );
        let learned = facts.recv().await.expect("a fact");
        assert!(
            matches!(&learned, Fact::Learned(Detail::Replied(403))),
            "{learned:?}"
        );
        let ended = facts.recv().await.expect("a fact");
        assert!(
            matches!(&ended, Fact::Ended { took, result: Err(Cause::Timeout) } if took.as_secs() == 2),
            "{ended:?}"
        );
    }

    #[tokio::test]
    async fn a_deaf_handle_makes_no_fact_and_the_gone_listener_is_none() {
        let deaf = Steps::deaf().at(1, || unreachable!("nobody asks where"));
        deaf.learned(|| unreachable!("nobody asks what"));
        let (to, facts) = unbounded_channel();
        drop(facts);
        let done = Steps::to(to)
            .run(Phase::Tls, || Step::Tls, async { Ok(7) })
            .await;
        assert_eq!(done.expect("done"), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn times_are_added_up_by_hop_and_kind_without_a_text() {
        let phases = Phases::default();
        let steps = Steps::deaf().timing(phases.clone());
        let silent = || unreachable!("nobody asks which");
        for (steps, phase, millis) in [
            (
                steps.at(1, || unreachable!("nobody asks where")),
                Phase::Connect,
                7,
            ),
            (steps.clone(), Phase::Upgrade, 30),
            (steps.clone(), Phase::Upgrade, 12),
        ] {
            let doing = async {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(())
            };
            steps.run(phase, silent, doing).await.expect("done");
        }
        steps.pause(Duration::from_millis(250));
        let packed = phases.packed(Duration::ZERO);
        assert_eq!(
            Packed::of(&packed).to_string(),
            "hop1 connect 7.0 ms, upgrade 42 ms, pause 250 ms"
        );
    }
}
