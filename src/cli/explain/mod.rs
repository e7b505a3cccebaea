//! `throughway explain`: which route a request takes and why, what it is answered, and by which
//! way it goes on.
//!
//! Nothing is sent and no name is resolved. It asks the rooms that a session asks, in the same
//! order, and only words what they say.

mod asked;
mod json;
mod judged;
mod text;
mod words;

use std::net::IpAddr;

use clap::Args;

use super::ConfigFile;
use super::exit::Failure;
use crate::egress::auto::Finding;
use crate::egress::{Auto, Backend, Way};
use crate::plan::Plan;
use crate::{config, lifecycle};
use asked::Asked;
use judged::Answer;

/// EX_NOPERM: the request would be refused.
const REFUSED: u8 = 77;

const AFTER_HELP: &str = "\
Exit codes: 0 the request goes to a backend, 77 it is refused, 2 usage, 78 configuration invalid.";

/// The request to explain.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct Flags {
    #[command(flatten)]
    file: ConfigFile,
    /// The Host that is asked for, with its port if it has one
    #[arg(long, value_name = "HOST")]
    host: String,
    /// The path that is asked for, with its query if it has one
    #[arg(long = "path", value_name = "PATH")]
    target: String,
    /// The Origin that the page sends; none is sent without
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// A subprotocol that is offered; may be given several times
    #[arg(long, value_name = "NAME")]
    subprotocol: Vec<String>,
    /// An extension that is offered, with its parameters; may be given several times
    #[arg(long, value_name = "OFFER")]
    extension: Vec<String>,
    /// The listener it comes in by; the first of the file without
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// The address it comes from
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    from: IpAddr,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Explains what was asked.
pub(in crate::cli) fn explain(flags: &Flags) -> Result<(), Failure> {
    asked::check(flags)?;
    let mut plan = config::load(&flags.file.path)?;
    let found = find(&mut plan)?;
    let asked = Asked::of(flags, &plan)?;
    let mut explained = judged::judge(&asked, &plan);
    if let Answer::Taken { backend, .. } = &explained.answer {
        let found = found.into_iter().find(|(name, _)| *name == backend.name);
        explained.found_by = found.map(|(_, by)| by);
    }
    match flags.json {
        true => println!("{}", json::of(&explained)),
        false => print!("{}", text::of(&explained)),
    }
    match &explained.answer {
        Answer::Taken { .. } => Ok(()),
        Answer::Refused { refusal, detail } => Err(Failure::Blocked {
            code: REFUSED,
            text: format!("{} {}: {detail}", refusal.status.as_u16(), refusal.reason),
        }),
    }
}

/// Puts what this machine says of its proxies in the place of `auto`, and tells for which backends
/// who said it. The network is not asked: what only it could say stays open.
fn find(plan: &mut Plan) -> std::io::Result<Vec<(String, String)>> {
    let asked = plan.backends.iter().find_map(|backend| match &backend.way {
        Way::Auto(auto) => Some(auto.clone()),
        _ => None,
    });
    let finding = match asked {
        Some(auto) => here(&auto)?,
        None => None,
    };
    let Some(finding) = finding else {
        return Ok(Vec::new());
    };
    let is_auto = |backend: &&mut Backend| matches!(backend.way, Way::Auto(_));
    let found = plan.backends.iter_mut().filter(is_auto).map(|backend| {
        backend.way = finding.way.clone();
        (backend.name.clone(), finding.by.to_string())
    });
    Ok(found.collect())
}

fn here(auto: &Auto) -> std::io::Result<Option<Finding>> {
    let runtime = lifecycle::runtime()?;
    let finding = runtime.block_on(auto.here());
    runtime.shutdown_background();
    Ok(finding)
}
