//! What a desktop's settings say of proxies, as the desktop's own tools write them.
//!
//! One shape for three desktops. Knows neither which of them runs nor how it is asked. Credentials
//! that stand among the settings are not taken.

pub mod gsettings;
pub mod kioslaverc;
pub mod scutil;

use std::fmt;

use super::authority::{Authority, Host};

/// More entries of those who go direct are left out.
const IGNORED_MAX: usize = 256;

/// What is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// No proxy.
    Off,
    /// These proxies.
    Manual(Manual),
    /// What the script at this URL says.
    Script(String),
    /// What WPAD finds.
    Discover,
}

/// Proxies by what they are for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manual {
    /// An HTTP proxy for `http://`.
    pub http: Option<At>,
    /// An HTTP proxy for `https://`.
    pub https: Option<At>,
    /// A SOCKS proxy for what the others leave.
    pub socks: Option<At>,
    /// Who goes direct all the same, as it is written.
    pub ignored: Vec<String>,
}

/// Where a proxy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// Its host.
    pub host: Host,
    /// Its port.
    pub port: u16,
}

impl At {
    /// From the two fields of a form. A scheme in front of the host, a user, and a slash behind it
    /// are what people put there, and are dropped; port 0 stands for none.
    fn of(host: &str, port: Option<u16>) -> Option<Self> {
        let host = host.trim();
        let host = host.split_once("://").map_or(host, |(_, rest)| rest);
        let host = host.rsplit_once('@').map_or(host, |(_, rest)| rest);
        let Authority { host, port: inside } = Authority::parse(host.trim_end_matches('/')).ok()?;
        let port = port.filter(|port| *port != 0).or(inside)?;
        Some(Self { host, port })
    }
}

impl Manual {
    /// [`Setting::Off`] where it names no proxy at all.
    fn setting(mut self) -> Setting {
        self.ignored.truncate(IGNORED_MAX);
        match (&self.http, &self.https, &self.socks) {
            (None, None, None) => Setting::Off,
            _ => Setting::Manual(self),
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the tests of all three desktops write it.
    pub(super) fn shown(setting: Option<Setting>) -> String {
        let at = |at: Option<At>| at.map_or("-".to_owned(), |at| at.to_string());
        match setting {
            None => "nothing".to_owned(),
            Some(Setting::Off) => "off".to_owned(),
            Some(Setting::Script(url)) => format!("script {url}"),
            Some(Setting::Discover) => "discover".to_owned(),
            Some(Setting::Manual(m)) => format!(
                "{} {} {} past {:?}",
                at(m.http),
                at(m.https),
                at(m.socks),
                m.ignored
            ),
        }
    }

    #[test]
    fn a_host_and_a_port_are_read_as_people_fill_them_in() {
        let check = |host: &str, port: Option<u16>, expected: Option<&str>| {
            let at = At::of(host, port).map(|at| at.to_string());
            assert_eq!(at.as_deref(), expected, "{host:?} {port:?}");
        };
        check(
            "proxy.corp.example",
            Some(3128),
            Some("proxy.corp.example:3128"),
        );
        check(
            "http://Proxy.corp.example/",
            Some(80),
            Some("proxy.corp.example:80"),
        );
        check("http://u:p@proxy:1/", Some(2), Some("proxy:2"));
        check("proxy:8080", None, Some("proxy:8080"));
        check("::1", Some(1), None);
        check("[::1]", Some(1), Some("[::1]:1"));
        check("proxy", Some(0), None);
        check("proxy", None, None);
        check("", Some(1), None);
        check("a b", Some(1), None);
        check("a\r\nX: y", Some(1), None);
    }
}
