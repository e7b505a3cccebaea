//! `throughway run`: the gateway itself.

use std::path::Path;

use super::exit::Failure;
use crate::{config, lifecycle, observe};

pub(super) fn run(path: &Path) -> Result<(), Failure> {
    let plan = config::load(path)?;
    start_log(&plan.log)?;
    let runtime = lifecycle::runtime()?;
    let ended = runtime.block_on(lifecycle::run(plan, |_| {}));
    // What still waits for DNS or a KDC waits for nobody, and must not keep the process.
    runtime.shutdown_background();
    Ok(ended?)
}

/// Starts the log as the plan wants it, or as `THROUGHWAY_LOG` does.
#[allow(clippy::disallowed_methods, reason = "cli reads the environment")]
pub(super) fn start_log(params: &observe::log::Params) -> Result<(), Failure> {
    let filter = std::env::var("THROUGHWAY_LOG")
        .ok()
        .filter(|filter| !filter.is_empty());
    observe::log::start(params, filter.as_deref())?;
    Ok(())
}
