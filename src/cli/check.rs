//! `throughway check`: what a configuration means, or everything that is wrong with it.

use std::path::Path;

use super::exit::Failure;
use crate::config;

pub(super) fn check(path: &Path) -> Result<(), Failure> {
    let plan = config::load(path)?;
    print!("{}", config::summary(&plan));
    Ok(())
}
