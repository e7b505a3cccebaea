//! How a desktop is asked for its settings: by the program that its own people use, or by the file
//! that it keeps.
//!
//! Knows no setting: what is said is `wire/desktop`'s to read.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::debug;

use crate::egress::program::Program;
use crate::egress::stumble::io_words;
use crate::wire::desktop::{Setting, gsettings, kioslaverc, scutil};

/// A session bus may hang, and sessions wait meanwhile.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// Lists of exceptions are the longest part, and have some hundred entries at most.
const ANSWER_BYTES_MAX: u64 = 256 * 1024;

/// Whose settings there are.
#[derive(Debug, Clone)]
pub enum Desktop {
    /// `gsettings`, for GNOME and those that keep its settings.
    Gnome(Program),
    /// The file `kioslaverc`.
    Kde(PathBuf),
    /// `scutil`.
    MacOs(Program),
}

impl Desktop {
    /// For people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Gnome(_) => "GNOME's settings",
            Self::Kde(_) => "KDE's settings",
            Self::MacOs(_) => "the settings of macOS",
        }
    }

    /// What is set; `None` where nothing is, or the desktop is not there at all. Half a sentence
    /// where it cannot be known.
    pub(super) async fn setting(&self) -> Result<Option<Setting>, String> {
        let said = match self {
            Self::Gnome(program) | Self::MacOs(program) => say(program).await,
            Self::Kde(path) => read(path).await,
        };
        let said = match said {
            Ok(said) => said,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_words(&error)),
        };
        Ok(match self {
            Self::Gnome(_) => gsettings::parse(&said),
            Self::Kde(_) => kioslaverc::parse(&said),
            Self::MacOs(_) => scutil::parse(&said),
        })
    }
}

async fn say(program: &Program) -> io::Result<String> {
    let deadline = Instant::now() + ANSWER_TIME_MAX;
    let (said, status) = program.say(ANSWER_BYTES_MAX, deadline).await?;
    // As where GNOME's schemas are not installed.
    if !status.success() {
        debug!(program = %program.path.display(), %status, "it tells no settings");
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

async fn read(path: &Path) -> io::Result<String> {
    let path = path.to_path_buf();
    let reading = tokio::task::spawn_blocking(move || {
        // Looked at before it is opened: opening a pipe waits for somebody to write into it.
        if !std::fs::metadata(&path)?.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut said = Vec::new();
        let file = std::fs::File::open(&path)?;
        file.take(ANSWER_BYTES_MAX).read_to_end(&mut said)?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    });
    let read = timeout(ANSWER_TIME_MAX, reading).await;
    let read = read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
    read.map_err(io::Error::other)?
}
