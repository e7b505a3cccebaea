//! Programs of this machine that the way out needs: the one that runs PAC scripts, and those that
//! tell a desktop's settings.
//!
//! The only place that starts a process. Each gets an environment that was chosen for it, a group
//! of its own and a deadline, and ends with whoever asked. Knows nothing of what they say.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

/// What is started: the program, and all of its environment.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable; one without a slash is looked for in the `PATH` of `environment`.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Nothing else is handed on, so that a script that broke out would find no secret there.
    pub environment: Vec<(OsString, OsString)>,
}

impl Program {
    /// Starts it, to be talked with. Dropped, it is killed.
    pub(super) fn talk(&self) -> io::Result<Child> {
        self.command(Stdio::piped()).spawn()
    }

    /// What it prints, and how it ends; at most `bytes_max`, and by the deadline.
    pub(super) async fn say(
        &self,
        bytes_max: u64,
        deadline: Instant,
    ) -> io::Result<(Zeroizing<Vec<u8>>, ExitStatus)> {
        let saying = async {
            let mut child = self.command(Stdio::null()).spawn()?;
            // Settings may hold a password that is none of our business.
            let mut said = Zeroizing::new(Vec::new());
            if let Some(stdout) = child.stdout.take() {
                stdout.take(bytes_max).read_to_end(&mut said).await?;
            }
            Ok((said, child.wait().await?))
        };
        let said = timeout_at(deadline, saying).await;
        said.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that starts processes"
    )]
    fn command(&self, stdin: Stdio) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.args).env_clear();
        command.envs(self.environment.iter().map(|(k, v)| (k, v)));
        command.stdin(stdin).stdout(Stdio::piped());
        // Its own group: what a terminal sends to us is not for it.
        command.stderr(Stdio::null()).process_group(0);
        command.kill_on_drop(true);
        command
    }
}
