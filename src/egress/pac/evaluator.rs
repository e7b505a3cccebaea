//! The process that runs a PAC script: started when it is first needed, asked one question after
//! the other, ended as soon as it is late or breaks off, and then started anew.
//!
//! Knows neither where a script came from nor what an answer means.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

use crate::egress::program::Program;
use crate::egress::stumble::{io_words, plain};
use crate::wire::pac_message::{Ask, Reply};

/// Of one answer: several times what the evaluator lets through.
const LINE_BYTES_MAX: u64 = 1024 * 1024;
const TEXT_CHARS_MAX: usize = 300;

/// A script.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) text: String,
    /// No two have the same.
    pub(super) version: u64,
}

/// The process, or its empty place.
#[derive(Debug)]
pub(super) struct Evaluator {
    program: Program,
    running: Mutex<Option<Running>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// The script is at fault, in the evaluator's words.
    Script(String),
    /// It did not answer in time.
    Late,
    /// It broke off.
    Broken(String),
}

impl Evaluator {
    pub(super) fn of(program: Program) -> Self {
        Self {
            program,
            running: Mutex::new(None),
        }
    }

    /// What `script` says to `ask`; nothing to whether it can be read at all (`None`). One that
    /// has died since the last question is started once more; who hangs or dies of this one is not.
    pub(super) async fn answer(
        &self,
        script: &Arc<Script>,
        ask: Option<&Ask>,
        deadline: Instant,
    ) -> Result<String, Failed> {
        let asking = async {
            let mut place = self.running.lock().await;
            loop {
                // Taken out: a question that is given up in the middle takes its process along.
                let (mut running, is_old) = match place.take() {
                    Some(running) => (running, true),
                    None => (Running::start(&self.program)?, false),
                };
                match running.answer(script, ask).await {
                    Ok(reply) => {
                        *place = Some(running);
                        return heard(reply);
                    }
                    Err(error) if is_old => debug!(%error, "the PAC evaluator had ended"),
                    Err(error) => return Err(Failed::Broken(io_words(&error))),
                }
            }
        };
        match timeout_at(deadline, asking).await {
            Ok(answered) => answered,
            Err(_) => Err(Failed::Late),
        }
    }
}

fn heard(reply: Reply) -> Result<String, Failed> {
    for text in &reply.alerts {
        debug!(text = plain(text, TEXT_CHARS_MAX), "alert of a PAC script");
    }
    let words = |text: String| Failed::Script(plain(&text, TEXT_CHARS_MAX));
    reply.result.map_err(words)
}

/// Dropped, it is killed.
#[derive(Debug)]
struct Running {
    _process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Of the script that it has read.
    version: Option<u64>,
}

impl Running {
    fn start(program: &Program) -> Result<Self, Failed> {
        let failed = |error: &io::Error| {
            let error = io_words(error);
            warn!(program = %program.path.display(), %error, "PAC evaluator not started");
            Failed::Broken(format!("it could not be started: {error}"))
        };
        let mut process = program.talk().map_err(|error| failed(&error))?;
        let pipes = (process.stdin.take(), process.stdout.take());
        let (Some(questions), Some(answers)) = pipes else {
            return Err(failed(&io::ErrorKind::BrokenPipe.into()));
        };
        Ok(Self {
            _process: process,
            questions,
            answers: BufReader::new(answers),
            version: None,
        })
    }

    async fn answer(&mut self, script: &Script, ask: Option<&Ask>) -> io::Result<Reply> {
        if self.version != Some(script.version) {
            let reply = self.exchange(&Ask::Script(script.text.clone())).await?;
            if reply.result.is_err() {
                return Ok(reply);
            }
            self.version = Some(script.version);
        }
        match ask {
            Some(ask) => self.exchange(ask).await,
            None => Ok(Reply {
                result: Ok(String::new()),
                alerts: Vec::new(),
            }),
        }
    }

    async fn exchange(&mut self, ask: &Ask) -> io::Result<Reply> {
        let mut line = ask.line();
        line.push('\n');
        self.questions.write_all(line.as_bytes()).await?;
        self.questions.flush().await?;
        let mut line = Vec::new();
        let mut bounded = (&mut self.answers).take(LINE_BYTES_MAX);
        bounded.read_until(b'\n', &mut line).await?;
        let reply = line.strip_suffix(b"\n").and_then(Reply::parse);
        reply.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Script(text) => write!(f, "the script failed: {text}"),
            Self::Late => f.write_str("the script did not answer in time and was ended"),
            Self::Broken(text) => write!(f, "the evaluator ended: {text}"),
        }
    }
}
