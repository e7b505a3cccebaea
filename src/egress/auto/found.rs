//! What was found: who said it, and the way that it makes.
//!
//! Nobody is told credentials but the proxies of the environment, whose variables hold them: what
//! a desktop or a network says can be another's word. Knows no place that is looked at.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tracing::warn;

use super::{NAME, Params};
use crate::egress::auth::Auth;
use crate::egress::by_scheme::{ByScheme, Found};
use crate::egress::pac::{self, Pac, Source, Url};
use crate::egress::params::{Egress, Hop, HopTimeouts, Protocol, Resolve, TlsTo, Way};
use crate::egress::stumble::plain;
use crate::policy::no_proxy::NoProxy;
use crate::wire::authority::{Authority, Host};
use crate::wire::desktop::{At, Manual, Setting};

/// As `pac` in a file has them by itself.
const REFRESH: Duration = Duration::from_secs(10 * 60);
const CACHE: Duration = Duration::from_secs(5 * 60);
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// A way, and how it was found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Who said so. Two findings with the same are the same.
    pub by: Said,
    /// Never one that is to be found itself.
    pub way: Way,
}

/// Who said it, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The environment's variables.
    Environment,
    /// The desktop's settings.
    Desktop {
        /// For people.
        name: &'static str,
        /// What is set.
        setting: Setting,
    },
    /// WPAD, by the script at this URL.
    Wpad(String),
    /// Nobody.
    Nobody,
}

impl Said {
    /// One stable word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Desktop { .. } => "desktop",
            Self::Wpad(_) => "wpad",
            Self::Nobody => "nobody",
        }
    }
}

impl Finding {
    pub(super) fn environment(ways: Arc<ByScheme>) -> Self {
        Self {
            by: Said::Environment,
            way: Way::ByScheme(ways),
        }
    }

    pub(super) fn nothing() -> Self {
        Self {
            by: Said::Nobody,
            way: none(),
        }
    }

    pub(super) fn script(by: Said, pac: Arc<Pac>) -> Self {
        let way = Way::Pac(pac);
        Self { by, way }
    }

    /// `None` where the setting leaves it to WPAD; half a sentence where it cannot be used.
    pub(super) fn desktop(
        name: &'static str,
        setting: Setting,
        params: &Params,
    ) -> Result<Option<Self>, String> {
        let way = match &setting {
            Setting::Discover => return Ok(None),
            Setting::Off => none(),
            Setting::Manual(manual) => Way::ByScheme(Arc::new(by_scheme(name, manual))),
            Setting::Script(url) => {
                let source = source(url, &params.tls)
                    .map_err(|why| format!("the script at {}: {why}", plain(url, 200)))?;
                Way::Pac(Arc::new(Pac::new(params.script(source))))
            }
        };
        let by = Said::Desktop { name, setting };
        Ok(Some(Self { by, way }))
    }
}

fn none() -> Way {
    Way::ByScheme(Arc::new(ByScheme {
        ws: None,
        wss: None,
    }))
}

impl Params {
    /// A script of somebody else's: its proxies are told nothing.
    pub(super) fn script(&self, source: Source) -> pac::Params {
        pac::Params {
            name: NAME.to_owned(),
            no_proxy: NoProxy::parse(&[]).unwrap_or_default(),
            source,
            refresh: REFRESH,
            cache: CACHE,
            retry_after: RETRY_AFTER,
            told: None,
            tls: self.tls.clone(),
            timeouts: HopTimeouts::default(),
            evaluator: self.evaluator.clone(),
        }
    }
}

fn by_scheme(name: &'static str, manual: &Manual) -> ByScheme {
    let no_proxy = no_proxy(name, &manual.ignored);
    let found = |at: &At, protocol| Found {
        source: name,
        egress: Arc::new(Egress {
            name: NAME.to_owned(),
            no_proxy: no_proxy.clone(),
            hops: vec![hop(at, protocol)],
            timeouts: HopTimeouts::default(),
            warm: None,
        }),
    };
    let http = |at: &Option<At>| at.as_ref().map(|at| found(at, Protocol::Http));
    // As browsers do: what is not resolved here is the proxy's to resolve.
    let socks = || {
        let at = manual.socks.as_ref()?;
        Some(found(at, Protocol::Socks5(Resolve::There)))
    };
    ByScheme {
        ws: http(&manual.http).or_else(socks),
        wss: http(&manual.https).or_else(socks),
    }
}

fn hop(at: &At, protocol: Protocol) -> Hop {
    Hop {
        host: at.host.clone(),
        port: at.port,
        protocol,
        tls: None,
        credentials: None,
        auth: Auth::default(),
        versions: crate::egress::Versions::default(),
    }
}

// The list is not the file's: an entry that cannot be read, such as `10.*`, harms no other.
fn no_proxy(name: &str, ignored: &[String]) -> NoProxy {
    let (entries, others): (Vec<&str>, Vec<&str>) = ignored
        .iter()
        .map(String::as_str)
        .partition(|entry| NoProxy::parse(&[entry]).is_ok());
    if !others.is_empty() {
        let entries = plain(&others.join(", "), 200);
        warn!(
            egress = NAME,
            desktop = name,
            entries,
            "not understood of who goes direct"
        );
    }
    NoProxy::parse(&entries).unwrap_or_default()
}

// What a desktop has for a URL may be anything that was typed there.
fn source(text: &str, tls: &Arc<ClientConfig>) -> Result<Source, &'static str> {
    let (scheme, rest) = text.split_once("://").ok_or("it has no scheme")?;
    let default = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        "file" if rest.starts_with('/') => return Ok(Source::File(rest.into())),
        _ => return Err("its scheme is neither http nor https"),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let authority = Authority::parse(authority).map_err(|_| "it holds no valid host and port")?;
    let path = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    };
    let path = path.split('#').next().unwrap_or("/").to_owned();
    PathAndQuery::try_from(path.as_str()).map_err(|_| "its path cannot be asked for")?;
    let tls = match default {
        443 => Some(TlsTo {
            config: tls.clone(),
            name: tls_name(&authority.host).ok_or("no certificate can hold its name")?,
        }),
        _ => None,
    };
    let named = authority.port.filter(|port| *port != default);
    let host_header = Authority {
        host: authority.host.clone(),
        port: named,
    };
    Ok(Source::Url(Url {
        text: plain(text, 200),
        host: authority.host,
        port: authority.port.unwrap_or(default),
        tls,
        path,
        host_header: host_header.to_string(),
    }))
}

fn tls_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Ip(ip) => Some(ServerName::IpAddress((*ip).into())),
        Host::Name(name) => ServerName::try_from(name.clone()).ok(),
    }
}

impl fmt::Display for Said {
    /// As in `found by GNOME's settings`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("the environment"),
            Self::Desktop { name, .. } => f.write_str(name),
            Self::Wpad(_) => f.write_str("WPAD"),
            Self::Nobody => f.write_str("nobody"),
        }
    }
}

impl fmt::Display for Finding {
    /// The way in words, without what proxies are told.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::ByScheme(ways) if !ways.names_any() => match &self.by {
                Said::Nobody => f.write_str("direct: nobody names a proxy"),
                by => write!(f, "direct, as {by} say"),
            },
            Way::ByScheme(ways) => {
                let words = |found: &Option<Found>| {
                    found.as_ref().map_or("direct".into(), Found::to_string)
                };
                write!(f, "wss {}, ws {}", words(&ways.wss), words(&ways.ws))
            }
            Way::Pac(pac) => write!(f, "the script {} by {}", pac.source, self.by),
            // No finding has them.
            Way::Direct | Way::Through(_) | Way::Among(_) | Way::Auto(_) => f.write_str("direct"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls;

    fn check(text: &str, expected: Result<&str, &str>) {
        let tls = tls::client(rustls::RootCertStore::empty(), None).expect("a configuration");
        let shown = source(text, &tls).map(|source| match source {
            Source::File(path) => path.display().to_string(),
            Source::Url(url) => {
                let tls = if url.tls.is_some() { " tls" } else { "" };
                let (host, port) = (&url.host, url.port);
                format!("{host}:{port} {} {}{tls}", url.host_header, url.path)
            }
        });
        let expected = expected.map(str::to_owned);
        assert_eq!(shown, expected, "{text:?}");
    }

    #[test]
    fn a_scripts_url_is_read_as_a_desktop_has_it() {
        check("http://a.test/x.pac", Ok("a.test:80 a.test /x.pac"));
        check("HTTP://A.test:80/x", Ok("a.test:80 a.test /x"));
        check("http://a.test:81/x?y=1#z", Ok("a.test:81 a.test:81 /x?y=1"));
        check("http://a.test?y=1", Ok("a.test:80 a.test /?y=1"));
        check("https://a.test", Ok("a.test:443 a.test / tls"));
        check("http://[::1]:8080/", Ok("[::1]:8080 [::1]:8080 /"));
        check("file:///etc/proxy.pac", Ok("/etc/proxy.pac"));
    }

    #[test]
    fn what_is_no_url_of_a_script_is_told() {
        let (host, path) = (
            "it holds no valid host and port",
            "its path cannot be asked for",
        );
        let scheme = "its scheme is neither http nor https";
        check("a.test/x", Err("it has no scheme"));
        check("", Err("it has no scheme"));
        check("ftp://a.test/x", Err(scheme));
        check("file://a.test/x", Err(scheme));
        check("http://u:p@a.test/x", Err(host));
        check("http:///x", Err(host));
        check("http://a.test:0/x", Err(host));
        check("http://a.test/a b", Err(path));
        check("http://a.test/a\r\nX: y", Err(path));
    }
}
