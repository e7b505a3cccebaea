//! `egress = "auto"`: where this machine's proxies may be found, as parameters for whoever looks.
//!
//! Asks nobody: only the environment's variables are read here. Knows no setting and no network.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::egress::Program;
use crate::egress::auto::{Auto, Desktop, NAME, Names, Network, Params};

use super::context::{Context, Text};
use super::leg::Leg;
use super::{environment, pac};

/// Networks and minds change slowly.
const AGAIN: Duration = Duration::from_secs(5 * 60);
/// Not with each dial that fails, while a backend is down.
const AGAIN_IN_DOUBT: Duration = Duration::from_secs(30);

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What `gsettings` needs to find the session's settings, and nothing else.
const FOR_GNOME: [&str; 12] = [
    "PATH",
    "HOME",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_DATA_HOME",
    "XDG_DATA_DIRS",
    "XDG_CURRENT_DESKTOP",
    "DBUS_SESSION_BUS_ADDRESS",
    "DCONF_PROFILE",
    "GSETTINGS_BACKEND",
    "GSETTINGS_SCHEMA_DIR",
];

/// `at` is where it was asked for; `None` after a fault.
pub(super) fn lower(cx: &Context<'_>, at: &Text<'_>) -> Option<Auto> {
    let environment = environment::read(cx, at, NAME)?;
    let leg = Leg::of_system(cx, at.span.clone())?;
    Some(Auto::new(Params {
        environment: Arc::new(environment),
        desktop: desktop(cx),
        network: Network {
            resolv_conf: PathBuf::from(RESOLV_CONF),
            host_name,
            names: Names::Resolved,
        },
        tls: leg.config(),
        evaluator: pac::evaluator(cx),
        again: AGAIN,
        again_in_doubt: AGAIN_IN_DOUBT,
    }))
}

fn host_name() -> String {
    let uname = rustix::system::uname();
    uname.nodename().to_string_lossy().into_owned()
}

// A service has no desktop: neither a session bus nor KDE's word for it.
fn desktop(cx: &Context<'_>) -> Option<Desktop> {
    if cfg!(target_os = "macos") {
        return Some(Desktop::MacOs(Program {
            path: PathBuf::from("/usr/sbin/scutil"),
            args: vec!["--proxy".into()],
            environment: Vec::new(),
        }));
    }
    let set = |name: &str| (cx.env)(name).filter(|value| !value.is_empty());
    let is_kde = set("XDG_CURRENT_DESKTOP").is_some_and(|d| d.split(':').any(|d| d == "KDE"));
    if is_kde {
        let folder = set("XDG_CONFIG_HOME").map(PathBuf::from);
        let folder = folder.or_else(|| Some(Path::new(&set("HOME")?).join(".config")))?;
        return Some(Desktop::Kde(folder.join("kioslaverc")));
    }
    let bus = set("XDG_RUNTIME_DIR").map(|folder| Path::new(&folder).join("bus"));
    let has_bus = set("DBUS_SESSION_BUS_ADDRESS").is_some() || bus.is_some_and(|bus| bus.exists());
    has_bus.then(|| {
        let variable = |name: &str| Some((OsString::from(name), OsString::from(set(name)?)));
        Desktop::Gnome(Program {
            path: PathBuf::from("gsettings"),
            args: vec!["list-recursively".into(), "org.gnome.system.proxy".into()],
            environment: FOR_GNOME.into_iter().filter_map(variable).collect(),
        })
    })
}
