//! A way out that a PAC script decides, server by server: its script kept up to date, its answers
//! kept for a while, and the last good one of each kept for when there is no new one.
//!
//! All of it happens when a session needs it; nothing runs in between. The script learns scheme,
//! host and port of a server, and nothing of a request.

mod evaluator;
mod proxies;
mod source;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::{Mutex as Turns, MutexGuard as TurnOf};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info, warn};

pub(super) use proxies::Answer;
pub use source::{SCRIPT_BYTES_MAX, Source, Url};

use super::auth::Auth;
use super::budget::Budget;
use super::params::{Credentials, HopTimeouts};
pub use super::program::Program;
use crate::policy::auth_for::AuthFor;
use crate::policy::no_proxy::NoProxy;
use crate::wire::authority::Host;
use crate::wire::pac_message::Ask;
use crate::wire::pac_result;
use evaluator::{Evaluator, Failed, Script};
use proxies::Proxies;
use source::Mark;

/// For one question. The evaluator itself ends a script a second before, and says so.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(6);
/// A script answers one question at a time. Whose turn has not come by then goes without.
const TURN_TIME_MAX: Duration = Duration::from_secs(10);
/// For looking at a script again. The session that does waits for it although it could go on with
/// the last good one, so that this is what a server that stalls costs.
const AGAIN_TIME_MAX: Duration = Duration::from_secs(3);
/// After a failure nothing is asked or fetched again for so long.
const FAILED_FOR: Duration = Duration::from_secs(5);
/// The same for a script where there is a last good one.
const AGAIN_FAILED_FOR: Duration = Duration::from_secs(30);
/// Servers are few; more are forgotten together.
const ANSWERS_MAX: usize = 1024;

/// What a PAC way is told.
#[derive(Debug)]
pub struct Params {
    /// Its name in the file and in every record.
    pub name: String,
    /// Who goes direct all the same, without the script being asked.
    pub no_proxy: NoProxy,
    /// Where the script is.
    pub source: Source,
    /// How often it is looked at again.
    pub refresh: Duration,
    /// How long an answer holds.
    pub cache: Duration,
    /// How long a proxy that cannot be reached is left aside.
    pub retry_after: Duration,
    /// What some of the proxies are told.
    pub told: Option<Told>,
    /// TLS to `HTTPS` proxies.
    pub tls: Arc<ClientConfig>,
    /// The deadlines of each hop; those of fetching the script too.
    pub timeouts: HopTimeouts,
    /// What runs the script.
    pub evaluator: Program,
}

/// Credentials, and which proxies may be told them: a script never moves them to another.
#[derive(Debug)]
pub struct Told {
    /// What they are told when they ask.
    pub credentials: Credentials,
    /// By which scheme.
    pub auth: Auth,
    /// Which.
    pub only: AuthFor,
}

/// A way out by PAC, and all that is known of it.
#[derive(Debug)]
pub struct Pac {
    /// Its name in the file and in every record.
    pub name: String,
    /// Who goes direct all the same.
    pub no_proxy: NoProxy,
    /// Where the script is.
    pub source: Source,
    /// How often it is looked at again.
    pub refresh: Duration,
    /// How long an answer holds.
    pub cache: Duration,
    timeouts: HopTimeouts,
    evaluator: Evaluator,
    proxies: Proxies,
    kept: Mutex<Kept>,
    /// Whose turn it is to look for another script.
    looking: Turns<()>,
    /// Whose turn it is to ask it.
    asking: Turns<()>,
    /// Whose turn it is to ask about one server, while somebody does.
    questions: Mutex<HashMap<Server, Arc<Turns<()>>>>,
    answers: Mutex<HashMap<Server, Known>>,
}

/// The last good script.
#[derive(Debug, Default)]
struct Kept {
    script: Option<Arc<Script>>,
    mark: Option<Mark>,
    /// When to look again.
    due: Option<Instant>,
    /// Why there is none.
    why: String,
    versions: u64,
}

/// What a script is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Server {
    is_tls: bool,
    host: Host,
    port: u16,
}

/// What is known of the way to one server.
#[derive(Debug)]
struct Known {
    /// Of the script that was asked last.
    version: u64,
    /// Until when it is not asked again.
    until: Instant,
    /// What it said last, or why it did not; then perhaps the last good answer.
    now: Result<Arc<Answer>, (String, Option<Arc<Answer>>)>,
}

impl Pac {
    /// Nothing is fetched and nothing started yet.
    pub fn new(params: Params) -> Self {
        let known = proxies::none_yet(&params.name, params.retry_after);
        Self {
            name: params.name,
            no_proxy: params.no_proxy,
            source: params.source,
            refresh: params.refresh,
            cache: params.cache,
            timeouts: params.timeouts,
            evaluator: Evaluator::of(params.evaluator),
            proxies: Proxies {
                told: params.told,
                tls: params.tls,
                timeouts: params.timeouts,
                retry_after: params.retry_after,
                known: Mutex::new(known),
            },
            kept: Mutex::default(),
            looking: Turns::new(()),
            asking: Turns::new(()),
            questions: Mutex::default(),
            answers: Mutex::default(),
        }
    }

    /// Whether some proxies are told credentials, and by which scheme.
    pub fn auth(&self) -> Option<&Auth> {
        self.proxies.told.as_ref().map(|told| &told.auth)
    }

    /// The ways to one server. Half a sentence where there is none.
    pub(super) async fn ways(
        &self,
        is_tls: bool,
        host: &Host,
        port: u16,
        budget: Budget,
    ) -> Result<Arc<Answer>, String> {
        let script = self.script(budget).await?;
        let server = Server {
            is_tls,
            host: host.clone(),
            port,
        };
        if let Some(known) = self.known(&server, &script) {
            return known;
        }
        // One session asks about a server, and the others hear what it heard.
        let question = self.question(&server);
        let patience = TURN_TIME_MAX + ANSWER_TIME_MAX;
        let _asked = match turn(&question, budget.step(patience)).await {
            Ok(turn) => turn,
            Err(why) => return self.last_good(&server, why),
        };
        if let Some(known) = self.known(&server, &script) {
            return known;
        }
        Box::pin(self.ask(server, &script, budget)).await
    }

    /// Whether there is a script and it can be read; if so, it is kept. Half a sentence otherwise,
    /// and nothing in the log: nobody has said that there must be one.
    pub(super) async fn is_there(&self, budget: Budget) -> Result<(), String> {
        let fetched = self.source.fetch(None, self.timeouts, budget).await?;
        let (text, mark) = fetched.ok_or("it answered 304 to nothing")?;
        self.take(text, mark, budget).await
    }

    async fn ask(
        &self,
        server: Server,
        script: &Arc<Script>,
        budget: Budget,
    ) -> Result<Arc<Answer>, String> {
        let _turn = match turn(&self.asking, budget.step(TURN_TIME_MAX)).await {
            Ok(turn) => turn,
            Err(why) => return self.last_good(&server, why),
        };
        let deadline = budget.step(ANSWER_TIME_MAX);
        let ask = server.ask();
        let said = self.evaluator.answer(script, Some(&ask), deadline).await;
        let answered = match said {
            Ok(text) => {
                debug!(egress = %self.name, %server, answer = text, "PAC script answered");
                self.proxies.answer(&pac_result::parse(&text))
            }
            // It is the session that had no more time, and that is no fault of the script.
            Err(Failed::Late) if budget.is_spent() => {
                let why = "no time was left for the script to answer".to_owned();
                return self.last_good(&server, why);
            }
            Err(failed) => Err(failed.to_string()),
        };
        self.learn(server, script, answered)
    }

    fn question(&self, server: &Server) -> Arc<Turns<()>> {
        let mut questions = lock(&self.questions);
        questions.retain(|_, question| Arc::strong_count(question) > 1);
        questions.entry(server.clone()).or_default().clone()
    }

    // Of whichever script, however old.
    fn last_good(&self, server: &Server, why: String) -> Result<Arc<Answer>, String> {
        let answers = lock(&self.answers);
        let last = answers.get(server).and_then(|known| known.last_good().ok());
        last.ok_or(why)
    }

    // What holds still, of this script.
    fn known(&self, server: &Server, script: &Script) -> Option<Result<Arc<Answer>, String>> {
        let answers = lock(&self.answers);
        let known = answers.get(server)?;
        if known.version != script.version || known.until <= Instant::now() {
            return None;
        }
        Some(known.last_good())
    }

    fn learn(
        &self,
        server: Server,
        script: &Script,
        answered: Result<Answer, String>,
    ) -> Result<Arc<Answer>, String> {
        let mut answers = lock(&self.answers);
        let before = answers.remove(&server);
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        let (now, holds) = match answered {
            Ok(answer) => (Ok(Arc::new(answer)), self.cache),
            Err(why) => {
                let last = before.and_then(|known| known.last_good().ok());
                let instead = match last {
                    Some(_) => "its last good answer is used",
                    None => "there is no earlier answer",
                };
                warn!(egress = %self.name, %server, error = why, "no PAC answer; {instead}");
                (Err((why, last)), FAILED_FOR)
            }
        };
        let known = Known {
            version: script.version,
            until: Instant::now() + holds,
            now,
        };
        let ways = known.last_good();
        answers.insert(server, known);
        ways
    }

    async fn script(&self, budget: Budget) -> Result<Arc<Script>, String> {
        if let Some(held) = self.held() {
            return held;
        }
        // Rare, and no reason to make each dial larger.
        Box::pin(self.look(budget)).await
    }

    async fn look(&self, budget: Budget) -> Result<Arc<Script>, String> {
        // With a script at hand only one looks for another, and the rest go on with this.
        let last = lock(&self.kept).script.clone();
        let limit = match last {
            Some(_) => AGAIN_TIME_MAX,
            None => self.timeouts.reply.saturating_add(ANSWER_TIME_MAX),
        };
        let (whole, budget) = (budget, budget.within(limit));
        let _turn = match (self.looking.try_lock(), last) {
            (Ok(turn), _) => turn,
            (Err(_), Some(script)) => return Ok(script),
            (Err(_), None) => turn(&self.looking, budget.step(limit))
                .await
                .map_err(|_| format!("{}: another session still waits for it", self.source))?,
        };
        if let Some(held) = self.held() {
            return held;
        }
        let mark = lock(&self.kept).mark.clone();
        let fetched = self.source.fetch(mark, self.timeouts, budget).await;
        let taken = match fetched {
            Ok(None) => {
                lock(&self.kept).due = Some(Instant::now() + self.refresh);
                Ok(())
            }
            Ok(Some((text, mark))) => self.take(text, mark, budget).await,
            Err(why) => Err(why),
        };
        match taken {
            Ok(()) => {}
            // What a session's own end cut short says nothing of the script.
            Err(why) if whole.is_spent() => {
                return self.last().map_err(|_| format!("{}: {why}", self.source));
            }
            Err(why) => self.go_without(why),
        }
        self.last()
    }

    // The script, or why there is none, until it is time to look again.
    fn held(&self) -> Option<Result<Arc<Script>, String>> {
        let is_due = |due: Instant| due <= Instant::now();
        if lock(&self.kept).due.is_none_or(is_due) {
            return None;
        }
        Some(self.last())
    }

    fn last(&self) -> Result<Arc<Script>, String> {
        let kept = lock(&self.kept);
        let script = kept.script.clone();
        script.ok_or_else(|| format!("{}: {}", self.source, kept.why))
    }

    // A new script takes the place of the old one only if it can be read.
    async fn take(&self, text: String, mark: Mark, budget: Budget) -> Result<(), String> {
        let version = {
            let mut kept = lock(&self.kept);
            kept.versions += 1;
            kept.versions
        };
        let script = Arc::new(Script { text, version });
        let _turn = turn(&self.asking, budget.step(TURN_TIME_MAX)).await?;
        let deadline = budget.step(ANSWER_TIME_MAX);
        let read = self.evaluator.answer(&script, None, deadline).await;
        read.map_err(|failed| failed.to_string())?;
        info!(egress = %self.name, source = %self.source, "PAC script loaded");
        let mut kept = lock(&self.kept);
        kept.script = Some(script);
        kept.mark = Some(mark);
        kept.due = Some(Instant::now() + self.refresh);
        Ok(())
    }

    fn go_without(&self, why: String) {
        let mut kept = lock(&self.kept);
        let (instead, holds) = match kept.script {
            Some(_) => ("the last good one is used", AGAIN_FAILED_FOR),
            None => ("there is no earlier one", FAILED_FOR),
        };
        warn!(egress = %self.name, source = %self.source, error = why, "no PAC script; {instead}");
        kept.due = Some(Instant::now() + self.refresh.min(holds));
        kept.why = why;
    }
}

impl Known {
    fn last_good(&self) -> Result<Arc<Answer>, String> {
        match &self.now {
            Ok(answer) | Err((_, Some(answer))) => Ok(answer.clone()),
            Err((why, None)) => Err(why.clone()),
        }
    }
}

impl Server {
    // Path and query are the client's, and none of the script's business.
    fn ask(&self) -> Ask {
        let host = match &self.host {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => name.clone(),
        };
        let url = format!("{self}/");
        Ask::Find { url, host }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

async fn turn(turns: &Turns<()>, deadline: Instant) -> Result<TurnOf<'_, ()>, String> {
    let turn = timeout_at(deadline, turns.lock()).await;
    turn.map_err(|_| "the script is busy with other servers, and no turn came in time".to_owned())
}

// What is kept is whole at every moment, so that a panic elsewhere cannot have broken it.
fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
