//! The way out that is found rather than written: by the environment where that names a proxy,
//! else by the desktop's settings, else by WPAD, else straight.
//!
//! What is found holds for every session until something else is found. Knows how none of the
//! places is read, and nothing of servers.

mod desktop;
mod found;
mod wpad;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::{Mutex as Turns, Notify};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

pub use desktop::Desktop;
pub use found::{Finding, Said};
pub use wpad::{Names, Network};

use super::by_scheme::ByScheme;
use super::program::Program;
use crate::wire::desktop::Setting;

/// What it is called in the file and in records.
pub const NAME: &str = "auto";

/// What is looked for, and where.
#[derive(Debug)]
pub struct Params {
    /// What the environment's variables say; they are read once.
    pub environment: Arc<ByScheme>,
    /// Whose settings are asked, if there is a desktop.
    pub desktop: Option<Desktop>,
    /// Where WPAD looks.
    pub network: Network,
    /// TLS to `https://` scripts and to the `HTTPS` proxies that a script names.
    pub tls: Arc<ClientConfig>,
    /// What runs a script.
    pub evaluator: Program,
    /// After how long it is looked again.
    pub again: Duration,
    /// The same after a dial that failed: the network may be another.
    pub again_in_doubt: Duration,
}

/// A way out that is found, and what was found last.
#[derive(Debug)]
pub struct Auto {
    params: Params,
    held: Mutex<Option<Arc<Finding>>>,
    /// Whose turn it is to look.
    looking: Turns<()>,
    /// A dial failed.
    doubt: Notify,
}

impl Auto {
    /// Nothing is looked at yet.
    pub fn new(params: Params) -> Self {
        Self {
            params,
            held: Mutex::default(),
            looking: Turns::new(()),
            doubt: Notify::new(),
        }
    }

    /// What the environment says.
    pub fn environment(&self) -> &ByScheme {
        &self.params.environment
    }

    /// Whose settings are asked, for people.
    pub fn desktop(&self) -> Option<&'static str> {
        self.params.desktop.as_ref().map(Desktop::name)
    }

    /// What was found last. The first to ask looks, and the others wait.
    pub async fn found(&self) -> Arc<Finding> {
        if let Some(held) = self.held() {
            return held;
        }
        let _turn = self.looking.lock().await;
        match self.held() {
            Some(held) => held,
            // Once in the life of a gateway, and no reason to make each dial larger.
            None => Box::pin(self.look_in_turn()).await,
        }
    }

    /// Looks anew, and says in the log where the proxies come from if that is news.
    pub async fn look(&self) -> Arc<Finding> {
        let _turn = self.looking.lock().await;
        self.look_in_turn().await
    }

    /// Looks now and ever again, for as long as it is polled: the network may be another, or the
    /// desktop's user may have changed his mind. The environment of a process never changes.
    pub async fn keep(&self) {
        let Params {
            again,
            again_in_doubt,
            ..
        } = self.params;
        let rest = again.saturating_sub(again_in_doubt);
        while self.look().await.by != Said::Environment {
            sleep(again.min(again_in_doubt)).await;
            // Over time is as good as in doubt.
            timeout(rest, self.doubt.notified()).await.ok();
        }
    }

    /// What this machine itself says, without asking the network; `None` where it says nothing.
    /// Asks again each time, keeps nothing and logs nothing but what went wrong.
    pub async fn here(&self) -> Option<Finding> {
        if let Some(found) = self.by_environment() {
            return Some(found);
        }
        let setting = self.setting(None).await?;
        self.by_setting(setting, None)
    }

    /// The URLs that WPAD would ask now, in their order.
    pub fn asks(&self) -> Vec<String> {
        let places = wpad::places(&self.params.network);
        places.into_iter().map(|place| place.text).collect()
    }

    /// A dial failed that went as was found.
    pub(super) fn doubt(&self) {
        self.doubt.notify_one();
    }

    async fn look_in_turn(&self) -> Arc<Finding> {
        let before = self.held();
        let finding = Arc::new(self.search(before.as_deref()).await);
        // What is the same stays, with all that is known of its proxies and its script.
        if let Some(before) = before.filter(|before| before.by == finding.by) {
            return before;
        }
        info!(egress = NAME, found_by = finding.by.word(), way = %finding, "way out found");
        *self.lock() = Some(finding.clone());
        finding
    }

    async fn search(&self, before: Option<&Finding>) -> Finding {
        if let Some(found) = self.by_environment() {
            return found;
        }
        let setting = self.setting(before).await;
        let by_setting = setting.and_then(|setting| self.by_setting(setting, before));
        if let Some(found) = by_setting {
            return found;
        }
        let by_wpad = wpad::search(&self.params, before).await;
        by_wpad.unwrap_or_else(Finding::nothing)
    }

    fn by_environment(&self) -> Option<Finding> {
        let ways = &self.params.environment;
        ways.names_any().then(|| Finding::environment(ways.clone()))
    }

    // A desktop that fails to answer has not changed its settings.
    async fn setting(&self, before: Option<&Finding>) -> Option<Setting> {
        let desktop = self.params.desktop.as_ref()?;
        match desktop.setting().await {
            Ok(setting) => setting,
            Err(error) => {
                warn!(egress = NAME, desktop = desktop.name(), %error, "settings not read");
                match &before?.by {
                    Said::Desktop { setting, .. } => Some(setting.clone()),
                    Said::Environment | Said::Wpad(_) | Said::Nobody => None,
                }
            }
        }
    }

    // `None` where WPAD is what is set, or what is set cannot be used.
    fn by_setting(&self, setting: Setting, before: Option<&Finding>) -> Option<Finding> {
        let name = self.params.desktop.as_ref()?.name();
        let is_the_same = |before: &&Finding| match &before.by {
            Said::Desktop { setting: set, .. } => *set == setting,
            Said::Environment | Said::Wpad(_) | Said::Nobody => false,
        };
        // What is wrong with it has been said.
        if let Some(before) = before.filter(is_the_same) {
            return Some(before.clone());
        }
        match Finding::desktop(name, setting, &self.params) {
            Ok(found) => found,
            Err(error) => {
                warn!(egress = NAME, desktop = name, error, "settings not used");
                None
            }
        }
    }

    fn held(&self) -> Option<Arc<Finding>> {
        self.lock().clone()
    }

    // It is whole at every moment, so that a panic elsewhere cannot have broken it.
    fn lock(&self) -> MutexGuard<'_, Option<Arc<Finding>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
