//! Where the lines go: standard output, coloured where that is a terminal; and a spinner on a
//! terminal's standard error while a step runs.
//!
//! Knows no steps but by their lines.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::json;
use super::ladder::{Colours, Ladder};
use super::rung::{Rung, What};
use crate::cli::way::advice::Verdict;
use crate::cli::way::{Scene, span};

/// Between two pictures of the spinner.
pub(super) const TICK: Duration = Duration::from_millis(100);
const PICTURES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// A step that runs longer than this has its time beside it.
const LONG: Duration = Duration::from_secs(2);
const CLEAR: &str = "\r\x1b[2K";

/// The lines' way out.
pub(super) struct Screen {
    shape: Shape,
    spinner: Option<Spinner>,
}

enum Shape {
    Text(Ladder),
    Json(Scene),
}

#[derive(Default)]
struct Spinner {
    running: Option<(String, Instant)>,
    turns: usize,
}

impl Screen {
    /// For people.
    pub(super) fn text(scene: Scene) -> Self {
        let obeys = !is_set("NO_COLOR") && !is_dumb();
        let colours = match obeys && std::io::stdout().is_terminal() {
            true => Colours::On,
            false => Colours::Off,
        };
        let spins = !is_dumb() && std::io::stderr().is_terminal();
        Self {
            shape: Shape::Text(Ladder::new(scene, colours)),
            spinner: spins.then(Spinner::default),
        }
    }

    /// For programs.
    pub(super) fn json(scene: Scene) -> Self {
        Self {
            shape: Shape::Json(scene),
            spinner: None,
        }
    }

    pub(super) fn way(&mut self) {
        let text = match &self.shape {
            Shape::Text(ladder) => ladder.way(),
            Shape::Json(scene) => json::way(scene),
        };
        self.print(&text);
    }

    /// A step runs from here on.
    pub(super) fn began(&mut self, what: &What) {
        if let (Shape::Text(ladder), Some(spinner)) = (&self.shape, &mut self.spinner) {
            spinner.running = Some((ladder.label(what), Instant::now()));
        }
        self.tick();
    }

    pub(super) fn rung(&mut self, rung: &Rung) {
        let text = match &self.shape {
            Shape::Text(ladder) => ladder.rung(rung),
            Shape::Json(_) => json::rung(rung),
        };
        self.print(&text);
    }

    pub(super) fn turn(&mut self, name: &str) {
        let text = match &self.shape {
            Shape::Text(ladder) => ladder.turn(name),
            Shape::Json(_) => json::turn(name),
        };
        self.print(&text);
    }

    pub(super) fn pause(&mut self, pause: Duration) {
        let text = match &self.shape {
            Shape::Text(ladder) => ladder.pause(pause),
            Shape::Json(_) => json::pause(pause),
        };
        self.print(&text);
    }

    pub(super) fn end(&mut self, verdict: Option<&Verdict>, error: &str) {
        if let Shape::Json(_) = self.shape {
            self.print(&json::end(verdict, error));
        }
    }

    /// The spinner's next picture.
    pub(super) fn tick(&mut self) {
        let Some(spinner) = &mut self.spinner else {
            return;
        };
        let Some((label, since)) = &spinner.running else {
            return;
        };
        let time = match since.elapsed() {
            long if long > LONG => format!("  {}", span(long)),
            _ => String::new(),
        };
        let picture = PICTURES[spinner.turns % PICTURES.len()];
        spinner.turns += 1;
        show(
            &mut std::io::stderr(),
            &format!("{CLEAR}  {picture} {label}{time}"),
        );
    }

    fn print(&mut self, text: &str) {
        let running = self.spinner.as_mut().and_then(|s| s.running.take());
        if running.is_some() {
            show(&mut std::io::stderr(), CLEAR);
        }
        show(&mut std::io::stdout(), text);
    }
}

// A reader that went away, such as `head`, ends nothing: the exit code still counts.
fn show(to: &mut dyn Write, text: &str) {
    to.write_all(text.as_bytes()).and_then(|()| to.flush()).ok();
}

// https://no-color.org: present and not empty.
#[allow(clippy::disallowed_methods, reason = "cli reads the environment")]
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

#[allow(clippy::disallowed_methods, reason = "cli reads the environment")]
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}
