//! What was typed, as values: whom to dial, what to say there, and by which way.
//!
//! Knows no socket. No error repeats a URL that may hold a password.

use std::path::{Path, PathBuf};

use clap::Args;

use super::request::request;
use super::scene::Scene;
use super::source;
use super::url::url;
use crate::cli::exit::Failure;
use crate::config::{self, Proxy, Wanted};
use crate::egress::{Backend, Request};

const DEFAULT_FILE: &str = "/etc/throughway/throughway.toml";
/// Ways that need no file.
const WITHOUT_FILE: [&str; 3] = ["direct", "env", "auto"];

/// What to dial, and by which way.
#[derive(Debug, Args)]
// clap would call its group after the type, as it does that of the flags around it.
#[group(skip)]
pub(in crate::cli) struct Flags {
    /// What to open: ws://host[:port]/path or wss://…
    // More than one is refused by ourselves: clap would repeat a proxy's password.
    #[arg(value_name = "URL", required = true)]
    url: Vec<String>,
    /// Go by this egress of the configuration file; `env` goes by HTTPS_PROXY and
    /// its kin, `auto` by what it finds
    #[arg(long, value_name = "NAME", conflicts_with = "proxy")]
    egress: Option<String>,
    /// Go through this proxy, as in http://proxy.example:3128; several are passed in order.
    /// A password on a command line is seen by everyone on the machine: prefer --egress
    #[arg(long, value_name = "URL")]
    proxy: Vec<String>,
    /// Send this Origin
    #[arg(long, value_name = "ORIGIN")]
    pub(super) origin: Option<String>,
    /// Offer this subprotocol; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(super) subprotocol: Vec<String>,
    /// Trust these certificate authorities (PEM) besides the system's: for the backend, and for
    /// the proxies of --proxy
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The configuration file, for its egresses and its backends' TLS
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        env = "THROUGHWAY_CONFIG"
    )]
    config: Option<PathBuf>,
}

/// What to dial.
pub(in crate::cli) struct Asked {
    pub(in crate::cli) backend: Backend,
    pub(in crate::cli) request: Request,
    pub(in crate::cli) scene: Scene,
}

impl Asked {
    /// From what was typed and what the file says.
    pub(in crate::cli) fn read(flags: &Flags) -> Result<Self, Failure> {
        let [text] = flags.url.as_slice() else {
            let text = "one URL is expected; a proxy's stands behind --proxy";
            return Err(Failure::Usage(text.to_owned()));
        };
        let url = url(text)?;
        let proxies: Vec<Proxy> = flags
            .proxy
            .iter()
            .map(|text| proxy(text))
            .collect::<Result<_, _>>()?;
        let request = request(flags, &url)?;
        let is_tls = |proxy: &Proxy| proxy.url.to_ascii_lowercase().starts_with("https:");
        if flags.ca.is_some() && !url.is_secure && !proxies.iter().any(is_tls) {
            let text = "--ca: neither the backend nor a --proxy speaks TLS";
            return Err(Failure::Usage(text.to_owned()));
        }
        let ca = flags.ca.as_deref().map(absolute).transpose()?;
        let wanted = Wanted {
            server: url.server,
            egress: flags.egress.as_deref(),
            proxies: &proxies,
            ca: ca.as_deref(),
        };
        let file = file(flags);
        let found = config::one(file, &wanted)?;
        let source = source::source(&found, file, &proxies);
        let scene = Scene {
            url: text.clone(),
            host: url.authority.host.to_string(),
            is_secure: url.is_secure,
            hops: source::hops(&found.backend, &source),
            source,
            shows_password: proxies.iter().any(has_password),
        };
        Ok(Self {
            backend: found.backend,
            request,
            scene,
        })
    }
}

fn has_password(proxy: &Proxy) -> bool {
    let credentials = proxy.credentials.as_ref();
    credentials.is_some_and(|known| !known.password.reveal().is_empty())
}

fn file(flags: &Flags) -> Option<&Path> {
    let default = || {
        let egress = flags.egress.as_deref()?;
        (!WITHOUT_FILE.contains(&egress)).then(|| Path::new(DEFAULT_FILE))
    };
    flags.config.as_deref().or_else(default)
}

// A relative path begins where the command was typed, and not beside the file.
fn absolute(path: &Path) -> Result<String, Failure> {
    let usage = |what: &str| Failure::Usage(format!("--ca {}: {what}", path.display()));
    let absolute = std::path::absolute(path).map_err(|error| usage(&error.kind().to_string()))?;
    let text = absolute.into_os_string().into_string();
    text.map_err(|_| usage("its name is not UTF-8"))
}

fn proxy(text: &str) -> Result<Proxy, Failure> {
    Proxy::parse(text).map_err(|reason| Failure::Usage(format!("--proxy: {reason}")))
}
