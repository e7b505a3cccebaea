//! The process that runs PAC scripts, apart from the gateway's own: whatever a script does, it is
//! this process that hangs or dies of it.
//!
//! Asked on stdin, answers on stdout, and ends with its stdin. Knows no sessions and no proxies:
//! what a script says is text here.

mod engine;
mod names;

use std::io::{self, BufRead, Read, Write};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::wire::pac_message::{Ask, Reply};
use engine::Engine;

/// How long a script may take for one answer, the names that it resolves included.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// The process's address space: the engine's own limit, with room for the program and for what
/// resolves names.
const PROCESS_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// A script of 1 MiB, each byte of it escaped.
const LINE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Answers until there is no more question.
pub fn serve() -> io::Result<()> {
    limit_this_process();
    let mut questions = io::stdin().lock();
    let mut answers = io::stdout().lock();
    let mut asked = Asked::default();
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut questions).take(LINE_BYTES_MAX);
        if bounded.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let Some(ask) = Ask::parse(&line) else {
            return Err(io::Error::other("not a question"));
        };
        let reply = asked.answer(ask);
        writeln!(answers, "{}", reply.line())?;
        answers.flush()?;
    }
}

// A limit that cannot be set is none: the engine has its own, and the gateway ends us.
fn limit_this_process() {
    let to = |bytes| Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    setrlimit(Resource::As, to(PROCESS_BYTES_MAX)).ok();
    setrlimit(Resource::Core, to(0)).ok();
}

/// The script, and an engine that has read it.
#[derive(Default)]
struct Asked {
    script: String,
    engine: Option<Engine>,
}

impl Asked {
    fn answer(&mut self, ask: Ask) -> Reply {
        let result = match ask {
            Ask::Script(script) => {
                self.script = script;
                self.engine = None;
                self.engine().map(|_| String::new())
            }
            Ask::Find { url, host } => self.engine().and_then(|e| e.find(&url, &host)),
        };
        let alerts = self.engine.as_ref().map(Engine::alerts);
        // What an error leaves behind, a full memory or half of a change, is not kept.
        if result.is_err() {
            self.engine = None;
        }
        Reply {
            result,
            alerts: alerts.unwrap_or_default(),
        }
    }

    fn engine(&mut self) -> Result<&Engine, String> {
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => Engine::load(&self.script, ANSWER_TIME_MAX)?,
        };
        Ok(self.engine.insert(engine))
    }
}
