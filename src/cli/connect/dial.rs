//! The dial, as a probe makes it: a link, or what is in the way and what to do about it.
//!
//! Knows no frames.

use std::pin::pin;

use http::header::ORIGIN;
use tokio::sync::mpsc::unbounded_channel;

use super::voice::{Voice, harmless};
use crate::cli::exit::Failure;
use crate::cli::way::advice::{self, Verdict};
use crate::cli::way::{Asked, Ended, Gather, Heard, span};
use crate::egress::{self, Declined, DialError, Fact, Link, Reached, Steps};

/// What is shown of the body of a refusal: enough for a sentence, or the title of a page.
const EXCERPT_CHARS: usize = 300;

/// Listens to the steps.
struct Ear<'a> {
    asked: &'a Asked,
    voice: Voice,
    gather: Gather,
    /// The last step that failed.
    failed: Option<Verdict>,
}

/// Dials.
pub(super) async fn dial(asked: &Asked, voice: Voice) -> Result<Link, Failure> {
    let mut ear = Ear {
        asked,
        voice,
        gather: Gather::default(),
        failed: None,
    };
    match ear.listen().await {
        Ok(Reached::Switched(link)) => Ok(link),
        Ok(Reached::Declined(declined)) => Err(refused(asked, &declined)),
        Err(error) => {
            let verdict = ear.failed.unwrap_or_else(|| advice::of_dial(&error));
            Err(blocked(&verdict, &error.to_string(), ""))
        }
    }
}

impl Ear<'_> {
    async fn listen(&mut self) -> Result<Reached, DialError> {
        let (to, mut facts) = unbounded_channel();
        let steps = Steps::to(to);
        let Asked {
            backend, request, ..
        } = self.asked;
        let mut dialling = pin!(egress::dial(backend, request, &steps));
        let reached = loop {
            tokio::select! {
                biased;
                Some(fact) = facts.recv() => self.hear(fact),
                reached = &mut dialling => break reached,
            }
        };
        while let Ok(fact) = facts.try_recv() {
            self.hear(fact);
        }
        reached
    }

    fn hear(&mut self, fact: Fact) {
        match self.gather.hear(fact) {
            Heard::More | Heard::Began { .. } => {}
            Heard::Over(ended) => self.over(&ended),
            Heard::Turn(name) => self.voice.tell(|| format!("by {name}")),
            Heard::Pause(pause) => {
                self.failed = None;
                self.voice.tell(|| format!("once more in {}", span(pause)));
            }
        }
    }

    fn over(&mut self, ended: &Ended) {
        let Ended {
            place,
            step,
            took,
            result,
            ..
        } = ended;
        let scene = &self.asked.scene;
        self.failed = match result {
            Ok(()) => None,
            Err(cause) => Some(advice::of_step(place, step, cause, scene)),
        };
        self.voice.tell(|| match result {
            Ok(()) => format!("{place}: {step}, {}", span(*took)),
            Err(cause) => format!("{place}: {step}: {cause}"),
        });
    }
}

fn refused(asked: &Asked, declined: &Declined) -> Failure {
    let origin = asked.request.headers.get(ORIGIN);
    let origin = origin.and_then(|origin| origin.to_str().ok());
    let verdict = advice::of_answer(declined, origin, &asked.scene);
    let error = format!("server {}: answered {}", declined.server, declined.status);
    blocked(&verdict, &error, &excerpt(&declined.body))
}

fn blocked(verdict: &Verdict, error: &str, excerpt: &str) -> Failure {
    let Verdict {
        reason,
        cause,
        remedy,
        exit,
    } = verdict;
    let mut text = format!("{reason}: {error}\n  {cause}\n  → {remedy}");
    if !excerpt.is_empty() {
        text += &format!("\n  it said: {excerpt}");
    }
    Failure::Blocked {
        code: exit.code(),
        text,
    }
}

// On one line, however the page was set.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = harmless(&words.join(" "));
    match line.char_indices().nth(EXCERPT_CHARS) {
        None => line,
        Some((end, _)) => format!("{} ...", line.split_at(end).0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_shown_as_one_short_line() {
        assert_eq!(excerpt(b""), "");
        assert_eq!(excerpt(b" no ticket,\r\n\tno chat\n"), "no ticket, no chat");
        assert_eq!(excerpt(b"\x1b[1m \xff"), "\\u{1b}[1m \u{fffd}");
        let long = excerpt("é".repeat(1000).as_bytes());
        assert_eq!(long, format!("{} ...", "é".repeat(EXCERPT_CHARS)));
    }
}
