//! A desktop whose `gsettings` says what a test wants, in a folder of its own that a `PATH` may
//! hold.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use throughway::egress::Program;

/// The desktop.
#[derive(Debug)]
pub struct Desktop(TempDir);

/// A desktop that is set so.
pub fn desktop(settings: &str) -> Desktop {
    let desktop = Desktop(TempDir::new().unwrap());
    desktop.set(settings);
    let folder = desktop.0.path().display();
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> {folder}/asked\ncat {folder}/settings\n\
         [ ! -e {folder}/hangs ] || exec sleep 60\n"
    );
    // Written by another process: no child of this one, begun meanwhile, holds it open, which
    // would make it "busy" for whoever starts it.
    let writing = Command::new("sh")
        .args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""])
        .arg(desktop.0.path().join("gsettings"))
        .arg(script)
        .status();
    assert!(writing.unwrap().success());
    desktop
}

impl Desktop {
    /// Its settings from now on.
    pub fn set(&self, settings: &str) {
        std::fs::write(self.0.path().join("settings"), settings).unwrap();
    }

    /// Its program never ends from now on.
    pub fn hangs(&self) {
        std::fs::write(self.0.path().join("hangs"), "").unwrap();
    }

    /// What its program was asked for, one line a time.
    pub fn asked(&self) -> Vec<String> {
        let asked = std::fs::read_to_string(self.0.path().join("asked"));
        asked
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Before everything else.
    pub fn search_path(&self) -> String {
        format!("{}:/usr/bin:/bin", self.0.path().display())
    }

    /// Its program, as the configuration has it.
    pub fn program(&self) -> Program {
        Program {
            path: PathBuf::from("gsettings"),
            args: vec!["list-recursively".into(), "org.gnome.system.proxy".into()],
            environment: vec![("PATH".into(), self.search_path().into())],
        }
    }

    /// A folder to put things in.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// What `gsettings` prints of a mode and these further lines, as in `.http host 'a'`.
pub fn settings(mode: &str, lines: &[&str]) -> String {
    let mut text = format!("org.gnome.system.proxy mode '{mode}'\n");
    for line in lines {
        text += &format!("org.gnome.system.proxy{line}\n");
    }
    text
}
