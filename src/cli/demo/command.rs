//! The command: prepares the parts, runs the gateway on the configuration made of them, and leaves
//! nothing behind.

use clap::Args;
use http::HeaderValue;

use super::{DemoError, page, prepare, welcome};
use crate::cli::exit::Failure;
use crate::cli::run::start_log;
use crate::front::Page;
use crate::{config, lifecycle};

/// Where the demo listens.
#[derive(Debug, Args)]
pub struct Flags {
    /// The port for https:// and wss://
    #[arg(long, value_name = "PORT", default_value_t = 8443)]
    port: u16,
    /// The port for http:// and ws://
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    plain_port: u16,
}

/// Runs a demo until it is stopped.
pub(in crate::cli) fn demo(flags: &Flags) -> Result<(), Failure> {
    // Gone with everything in it when this function ends, the private key too.
    let dir = tempfile::Builder::new()
        .prefix("throughway-demo-")
        .tempdir()?;
    lifecycle::runtime()?.block_on(async {
        let prepared = prepare(dir.path(), flags.port, flags.plain_port).await?;
        let mut plan = config::load(&prepared.config_file)?;
        start_log(&plan.log)?;
        plan.page = Some(Page {
            html: page::HTML,
            csp: policy(),
        });
        let words = welcome(
            flags.port,
            flags.plain_port,
            &prepared.certificate,
            &prepared.config_file,
        );
        tokio::select! {
            ended = lifecycle::run(plan, |_| println!("{words}")) => Ok(ended?),
            () = prepared.backend => Ok(()),
            () = prepared.proxy => Ok(()),
        }
    })
}

fn policy() -> HeaderValue {
    HeaderValue::from_str(&page::content_security_policy())
        .expect("a policy of keywords and base64 is a header value")
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Self {
        Self::Run(error.to_string())
    }
}
