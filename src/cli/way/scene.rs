//! What is known before the first step: what is opened, and by which way.
//!
//! Knows nothing of what happens then.

use std::fmt;

/// What every line may refer to.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Scene {
    /// As typed; it holds no user.
    pub(in crate::cli) url: String,
    /// Its host.
    pub(in crate::cli) host: String,
    /// `wss://`.
    pub(in crate::cli) is_secure: bool,
    /// Where the way comes from.
    pub(in crate::cli) source: Source,
    /// The proxies on the way, as in `http proxy.corp.example:3128`.
    pub(in crate::cli) hops: Vec<String>,
    /// A password stood on the command line.
    pub(in crate::cli) shows_password: bool,
}

/// Where the way comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Source {
    /// Nothing names a proxy.
    Direct,
    /// The file reaches this server so.
    DirectByFile { backend: String, file: String },
    /// The environment was asked, and no variable of it is for this scheme.
    DirectByEnvironment,
    /// An egress of the file.
    Egress { egress: String, file: String },
    /// A variable of the environment.
    Environment { variable: &'static str },
    /// One of the two, whose `no_proxy` lets this server go past it.
    NoProxy { of: Box<Source> },
    /// What is found on the way.
    Auto,
    /// `--proxy`.
    CommandLine,
}

impl Source {
    /// The stable word.
    pub(in crate::cli) fn word(&self) -> &'static str {
        match self {
            Self::Direct | Self::DirectByFile { .. } | Self::DirectByEnvironment => "direct",
            Self::Egress { .. } => "egress",
            Self::Environment { .. } => "environment",
            Self::Auto => "auto",
            Self::NoProxy { .. } => "no_proxy",
            Self::CommandLine => "command_line",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("direct: no proxy was named"),
            Self::DirectByFile { backend, file } => {
                write!(f, "direct, as backend {backend} of {file}")
            }
            Self::DirectByEnvironment => {
                f.write_str("direct: the environment names no proxy for this scheme")
            }
            Self::Egress { egress, file } => write!(f, "through egress {egress} of {file}"),
            Self::Environment { variable } => write!(f, "through {variable} of the environment"),
            Self::Auto => f.write_str("through what auto finds"),
            Self::NoProxy { of } => match of.as_ref() {
                Self::Egress { egress, file } => {
                    write!(f, "direct: no_proxy of egress {egress} of {file} lets it")
                }
                _ => f.write_str("direct: NO_PROXY of the environment lets it"),
            },
            Self::CommandLine => f.write_str("through --proxy of the command line"),
        }
    }
}
