//! `throughway probe`: one WebSocket opened by the way that a gateway would take, told step by
//! step, and what to do about the step that fails.
//!
//! Knows no protocol. It dials like any session, listens to the steps and hands each on.

mod flags;
mod json;
mod ladder;
mod open;
mod path;
mod rung;
mod screen;

use std::pin::pin;
use std::time::{Duration, Instant};

use http::header::ORIGIN;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::interval;

use super::exit::Failure;
use super::way::advice::{self, Verdict};
use super::way::{Asked, Ended, Gather, Heard};
use crate::egress::{self, DialError, Fact, Reached, Step, Steps};
use crate::lifecycle;
pub(in crate::cli) use flags::Flags;
use path::Path;
use rung::{More, Rung, What};
use screen::{Screen, TICK};

/// How a probe ended.
struct Outcome {
    verdict: Option<Verdict>,
    /// What the gateway's log would say.
    error: String,
}

/// A dial, and the steps that the screen has not seen yet.
struct Climb<'a> {
    asked: &'a Asked,
    screen: &'a mut Screen,
    gather: Gather,
    /// The last step that failed.
    failed: Option<Verdict>,
    /// The handshake is judged by the answer, which comes after its step is over.
    handshake: Option<Ended>,
}

/// Probes what was asked for.
pub(in crate::cli) fn probe(flags: &Flags) -> Result<(), Failure> {
    let asked = Asked::read(&flags.way)?;
    let mut screen = match flags.json {
        true => Screen::json(asked.scene.clone()),
        false => Screen::text(asked.scene.clone()),
    };
    screen.way();
    let runtime = lifecycle::runtime()?;
    let outcome = runtime.block_on(climb(&asked, &mut screen, flags.idle));
    // A resolver that does not answer must not keep the process.
    runtime.shutdown_background();
    screen.end(outcome.verdict.as_ref(), &outcome.error);
    match outcome.verdict.filter(|verdict| verdict.exit.code() != 0) {
        None => Ok(()),
        Some(verdict) => Err(Failure::Blocked {
            code: verdict.exit.code(),
            text: format!("{}: {}", verdict.reason, outcome.error),
        }),
    }
}

async fn climb(asked: &Asked, screen: &mut Screen, idle: Option<Duration>) -> Outcome {
    let mut climb = Climb {
        asked,
        screen,
        gather: Gather::default(),
        failed: None,
        handshake: None,
    };
    match climb.dial().await {
        Err(error) => Outcome {
            verdict: Some(climb.failed.unwrap_or_else(|| advice::of_dial(&error))),
            error: error.to_string(),
        },
        Ok(Reached::Declined(declined)) => {
            let origin = asked.request.headers.get(ORIGIN);
            let origin = origin.and_then(|origin| origin.to_str().ok());
            let verdict = advice::of_answer(&declined, origin, &asked.scene);
            climb.shake(More::Nothing, Some(verdict.clone()));
            Outcome {
                verdict: Some(verdict),
                error: format!("server {}: answered {}", declined.server, declined.status),
            }
        }
        Ok(Reached::Switched(link)) => {
            let chosen = link.subprotocol.map_or(More::Nothing, More::Subprotocol);
            climb.shake(chosen, None);
            let path = Path::new(link.stream.with_tail(link.tail));
            walk(path, asked, screen, idle).await
        }
    }
}

impl Climb<'_> {
    async fn dial(&mut self) -> Result<Reached, DialError> {
        let (to, mut facts) = unbounded_channel();
        let steps = Steps::to(to);
        let mut dialling = pin!(egress::dial(
            &self.asked.backend,
            &self.asked.request,
            &steps
        ));
        let mut ticks = interval(TICK);
        let ended = loop {
            tokio::select! {
                biased;
                Some(fact) = facts.recv() => self.hear(fact),
                ended = &mut dialling => break ended,
                _ = ticks.tick() => self.screen.tick(),
            }
        };
        self.hear_rest(&mut facts);
        ended
    }

    fn hear_rest(&mut self, facts: &mut UnboundedReceiver<Fact>) {
        while let Ok(fact) = facts.try_recv() {
            self.hear(fact);
        }
    }

    fn hear(&mut self, fact: Fact) {
        match self.gather.hear(fact) {
            Heard::More => {}
            Heard::Began { place, step } => self.screen.began(&What::Dial { place, step }),
            Heard::Over(ended) => self.over(ended),
            Heard::Turn(name) => self.screen.turn(&name),
            Heard::Pause(pause) => {
                self.failed = None;
                self.screen.pause(pause);
            }
        }
    }

    fn over(&mut self, ended: Ended) {
        let scene = &self.asked.scene;
        let verdict = match &ended.result {
            Ok(()) if matches!(ended.step, Step::Upgrade) => {
                self.handshake = Some(ended);
                return;
            }
            Ok(()) => None,
            Err(cause) => Some(advice::of_step(&ended.place, &ended.step, cause, scene)),
        };
        self.failed.clone_from(&verdict);
        self.screen.rung(&Rung::of(ended, More::Nothing, verdict));
    }

    fn shake(&mut self, more: More, verdict: Option<Verdict>) {
        if let Some(ended) = self.handshake.take() {
            self.screen.rung(&Rung::of(ended, more, verdict));
        }
    }
}

/// The open path: a ping, perhaps silence, and a close.
async fn walk(
    mut path: Path,
    asked: &Asked,
    screen: &mut Screen,
    idle: Option<Duration>,
) -> Outcome {
    let began = Instant::now();
    screen.began(&What::Ping);
    let ponged = watched(path.ping(), screen).await;
    let verdict = ponged.as_ref().err();
    let verdict = verdict.map(|broken| open::of_ping(broken, &asked.scene));
    screen.rung(&Rung {
        what: What::Ping,
        details: Vec::new(),
        more: More::Nothing,
        took: ponged.unwrap_or_else(|_| began.elapsed()),
        verdict: verdict.clone(),
    });
    if let Some(verdict) = verdict {
        return Outcome {
            error: verdict.cause.clone(),
            verdict: Some(verdict),
        };
    }
    let verdict = match idle {
        None => None,
        Some(most) => wait(&mut path, screen, most).await,
    };
    path.close().await;
    Outcome {
        verdict,
        error: String::new(),
    }
}

async fn wait(path: &mut Path, screen: &mut Screen, most: Duration) -> Option<Verdict> {
    screen.began(&What::Idle);
    let silence = watched(path.silence(most), screen).await;
    let verdict = open::of_silence(&silence);
    screen.rung(&Rung {
        what: What::Idle,
        details: Vec::new(),
        took: silence.lasted,
        more: More::Silence(silence),
        verdict: verdict.clone(),
    });
    verdict
}

/// Awaits while the spinner turns.
async fn watched<T>(awaited: impl Future<Output = T>, screen: &mut Screen) -> T {
    let mut awaited = pin!(awaited);
    let mut ticks = interval(TICK);
    loop {
        tokio::select! {
            biased;
            done = &mut awaited => return done,
            _ = ticks.tick() => screen.tick(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Args;

    use super::*;

    const DOCUMENT: &str = include_str!("../../../docs/probe.md");

    /// The words in the first column of the table under this heading cell.
    fn words_of_table(heading: &str) -> Vec<&'static str> {
        let (_, table) = DOCUMENT.split_once(heading).unwrap();
        let rows = table
            .lines()
            .skip(2)
            .take_while(|line| line.starts_with('|'));
        rows.map(|row| row.split('`').nth(1).unwrap()).collect()
    }

    #[test]
    fn the_document_lists_every_reason_and_no_other() {
        let mut listed = words_of_table("| reason | what it means |");
        let mut reasons = advice::REASONS.to_vec();
        listed.sort_unstable();
        reasons.sort_unstable();
        assert_eq!(listed, reasons);
    }

    #[test]
    fn the_document_has_every_flag() {
        let command = Flags::augment_args(clap::Command::new("probe"));
        for flag in command.get_arguments().filter_map(|arg| arg.get_long()) {
            assert!(DOCUMENT.contains(&format!("--{flag}")), "{flag}");
        }
    }
}
