//! One server that is asked for by its URL, made as if a section of the file described it: what
//! dials it then is exactly what would dial it for the gateway.
//!
//! Knows no flags. What is asked for is written out as text and read like any other, so each rule
//! of the file holds for it too.

use std::fmt::Write;
use std::path::Path;

use zeroize::Zeroizing;

use crate::egress::{Backend, Credentials, Protocol, Secret, Server};
use crate::plan::Plan;

use super::fault::Faults;
use super::{environment, socks};

/// A file that lacks nothing, for where there is none.
const LEAST: &str = "\
version = 1
[[listener]]
name = \"none\"
bind = [\"127.0.0.1:0\"]
[[route]]
name = \"none\"
backend = \"none\"
[backend.none]
servers = [{ url = \"ws://127.0.0.1:1\" }]
";

/// What stands for the file in a fault where there is none.
const NO_FILE: &str = "command line";

/// What is asked for.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// As in `wss://chat.example.com:8443`.
    pub server: &'a str,
    /// The `egress` of the file that leads there; `None`: as below, or direct.
    pub egress: Option<&'a str>,
    /// The proxies that lead there, in order, in place of an egress of the file.
    pub proxies: &'a [Proxy],
    /// Certificate authorities that are trusted besides the system's: for the server, and for the
    /// proxies above. What the file says of the server's TLS does not count then.
    pub ca: Option<&'a str>,
}

/// A proxy as a hop of an egress names it.
#[derive(Debug)]
pub struct Proxy {
    /// Without a user.
    pub url: String,
    /// What stood before its host.
    pub credentials: Option<Credentials>,
}

/// What the file makes of it.
#[derive(Debug)]
pub struct Found {
    /// One server, and the way to it.
    pub backend: Backend,
    /// The backend of the file that has the same server. Its TLS and its deadlines are used, and
    /// its way where none was asked for.
    pub like: Option<String>,
}

impl Proxy {
    /// From `scheme://user:password@host:port`, user and password percent-encoded. An error says
    /// what is wrong in half a sentence and repeats nothing.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("it has no scheme")?;
        // The last `@`: whatever somebody forgot to encode is the password's.
        let Some((userinfo, address)) = rest.rsplit_once('@') else {
            return Ok(Self {
                url: text.to_owned(),
                credentials: None,
            });
        };
        let protocol = socks::protocol(&scheme.to_ascii_lowercase()).unwrap_or(Protocol::Http);
        let credentials = environment::credentials(userinfo, protocol);
        let credentials = credentials.map_err(|(reason, _)| reason)?;
        Ok(Self {
            url: format!("{scheme}://{address}"),
            credentials: Some(credentials),
        })
    }
}

/// The backend that `wanted` describes, beside what the file at `path` says.
pub fn one(path: Option<&Path>, wanted: &Wanted<'_>) -> Result<Found, Faults> {
    let text = match path {
        Some(path) => {
            let text = super::read(path)?;
            // Its own faults first, each with its own place.
            super::parse(&text, path, &super::environment)?;
            text
        }
        None => LEAST.to_owned(),
    };
    let name = free_name(&text);
    let text = Zeroizing::new(text + "\n" + &section(&name, wanted));
    let path = path.unwrap_or(Path::new(NO_FILE));
    let plan = super::parse(&text, path, &super::environment)?;
    Ok(pick(plan, &name, wanted))
}

fn free_name(text: &str) -> String {
    let mut name = "probe".to_owned();
    while text.contains(&name) {
        name.push('-');
    }
    name
}

// The comments are seen only where a line is shown as faulty, and say where it came from.
fn section(name: &str, wanted: &Wanted<'_>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    let mut line = |written: std::fmt::Arguments<'_>| {
        text.write_fmt(written)
            .expect("memory takes what is written");
        text.push('\n');
    };
    let url = quoted(wanted.server);
    line(format_args!("[backend.{name}]"));
    line(format_args!("servers = [{{ url = {url} }}]  # as typed"));
    let ca = |url: &str| wanted.ca.filter(|_| is_secure(url)).map(quoted);
    if let Some(ca) = ca(wanted.server) {
        line(format_args!("tls = {{ ca = {ca} }}  # --ca"));
    }
    match (wanted.proxies, wanted.egress) {
        ([], Some(egress)) => line(format_args!("egress = {}  # --egress", quoted(egress))),
        ([], None) => {}
        (proxies, _) => {
            line(format_args!("egress = {}", quoted(name)));
            line(format_args!("[egress.{name}]"));
            // Asked for by name: this machine is reached through it, too.
            line(format_args!("no_proxy = [\"<-loopback>\"]"));
            for proxy in proxies {
                line(format_args!("[[egress.{name}.hop]]"));
                line(format_args!("url = {}  # --proxy", quoted(&proxy.url)));
                if let Some(ca) = ca(&proxy.url) {
                    line(format_args!("tls = {{ ca = {ca} }}  # --ca"));
                }
                if let Some(credentials) = &proxy.credentials {
                    line(format_args!("auth = {}", *auth(&proxy.url, credentials)));
                }
            }
        }
    }
    text
}

fn is_secure(url: &str) -> bool {
    let scheme = url.split(':').next().unwrap_or_default();
    ["wss", "https"]
        .iter()
        .any(|s| scheme.eq_ignore_ascii_case(s))
}

// An HTTP proxy may be told by NTLM, which has the domain apart from the user.
fn auth(url: &str, credentials: &Credentials) -> Zeroizing<String> {
    let password = literal(&credentials.password);
    let user = credentials.user.reveal();
    let text = match user.split_once('\\').filter(|_| url.starts_with("http")) {
        Some((domain, user)) => {
            let (domain, user) = (quoted(domain), literal(&Secret::new(user.to_owned())));
            format!(
                "{{ domain = {domain}, user = {}, password = {} }}",
                *user, *password
            )
        }
        None => {
            let user = literal(&credentials.user);
            format!("{{ user = {}, password = {} }}", *user, *password)
        }
    };
    Zeroizing::new(text)
}

// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

// The same for a value in which `${` would be a reference.
fn literal(secret: &Secret) -> Zeroizing<String> {
    let text = Zeroizing::new(secret.reveal().replace("${", "$${"));
    Zeroizing::new(quoted(&text))
}

fn pick(plan: Plan, name: &str, wanted: &Wanted<'_>) -> Found {
    let (mut asked, others): (Vec<_>, Vec<_>) =
        plan.backends.into_iter().partition(|b| b.name == name);
    let mut backend = asked
        .pop()
        .expect("a section without a fault makes a backend");
    let server = backend.servers.first_mut();
    let server = server.expect("a section without a fault makes a server");
    let is_same =
        |s: &Server| s.address == server.address && s.tls.is_some() == server.tls.is_some();
    let like = others
        .into_iter()
        .find_map(|b| Some((b.servers.iter().position(is_same)?, b)));
    let Some((n, like)) = like else {
        return Found {
            backend,
            like: None,
        };
    };
    if wanted.ca.is_none() {
        server.tls = like.servers.get(n).and_then(|s| s.tls.clone());
    }
    backend.timeouts = like.timeouts;
    if wanted.egress.is_none() && wanted.proxies.is_empty() {
        backend.way = like.way;
    }
    Found {
        backend,
        like: Some(like.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::Way;

    fn wanted<'a>(egress: Option<&'a str>, proxies: &'a [Proxy]) -> Wanted<'a> {
        Wanted {
            server: "ws://chat.internal:9000",
            egress,
            proxies,
            ca: None,
        }
    }

    fn known(password: &str) -> Credentials {
        Credentials {
            user: Secret::new("al".to_owned()),
            password: Secret::new(password.to_owned()),
        }
    }

    fn written(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn way(found: &Found) -> String {
        match &found.backend.way {
            Way::Direct => "direct".to_owned(),
            Way::Through(egress) => format!("{} {:?}", egress.name, egress.hops),
            way => format!("{way:?}"),
        }
    }

    #[test]
    fn without_a_file_and_without_a_proxy_it_is_reached_straight() {
        let found = one(None, &wanted(None, &[])).unwrap();
        assert_eq!(way(&found), "direct");
        assert_eq!(found.like, None);
        assert_eq!(found.backend.servers.len(), 1);
        assert_eq!(found.backend.servers[0].url, "ws://chat.internal:9000");
    }

    #[test]
    fn proxies_become_hops_whose_passwords_are_taken_as_they_are() {
        let password = "a\"b\\c${env:HOME}$${\u{e9}";
        let credentials = known(password);
        let proxies = [
            Proxy {
                url: "http://a.corp:3128".into(),
                credentials: Some(credentials),
            },
            Proxy {
                url: "http://b.corp:8080".into(),
                credentials: None,
            },
        ];
        let found = one(None, &wanted(None, &proxies)).unwrap();
        let Way::Through(egress) = &found.backend.way else {
            panic!("{found:?}");
        };
        let hops: Vec<String> = egress.hops.iter().map(ToString::to_string).collect();
        assert_eq!(hops, ["http a.corp:3128", "http b.corp:8080"]);
        let credentials = egress.hops[0].credentials.as_ref().unwrap();
        assert_eq!(credentials.password.reveal(), password);
        assert!(!format!("{found:?}").contains("HOME"));
    }

    fn check_proxy(text: &str, expected: Option<(&str, &str, &str)>) {
        let read = Proxy::parse(text);
        if let Err(reason) = &read {
            assert!(!reason.contains("sesame"), "{reason}");
        }
        let read = read.ok().map(|proxy| {
            let reveal = |c: &Credentials| (c.user.reveal().into(), c.password.reveal().into());
            let (user, password): (String, String) =
                proxy.credentials.as_ref().map(reveal).unwrap_or_default();
            (proxy.url, user, password)
        });
        let owned = |(a, b, c): (&str, &str, &str)| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(read, expected.map(owned), "{text}");
    }

    #[test]
    fn a_proxys_user_and_password_are_taken_out_of_its_url() {
        check_proxy("http://a:1", Some(("http://a:1", "", "")));
        check_proxy("http://u:p@a:1", Some(("http://a:1", "u", "p")));
        check_proxy("https://u@a:1", Some(("https://a:1", "u", "")));
        check_proxy("http://u:p%40%3a@a:1", Some(("http://a:1", "u", "p@:")));
        check_proxy("http://u:p@:x@a:1", Some(("http://a:1", "u", "p@:x")));
        check_proxy("http://u:sesame%zz@a:1", None);
        check_proxy("http://u:sesame%+1@a:1", None);
        check_proxy("http://u:sesame%0a@a:1", None);
        check_proxy("http://u:sesame%ff@a:1", None);
        check_proxy("u:sesame@a:1", None);
    }

    #[test]
    fn a_domain_before_the_user_is_told_apart() {
        let proxies = [Proxy::parse("http://CORP%5Calice:p@a.corp:3128").unwrap()];
        let found = one(None, &wanted(None, &proxies)).unwrap();
        let Way::Through(egress) = &found.backend.way else {
            panic!("{found:?}");
        };
        let credentials = egress.hops[0].credentials.as_ref().unwrap();
        assert_eq!(credentials.user.reveal(), "alice");
        assert!(format!("{:?}", egress.hops[0].auth).contains("CORP"));
    }

    #[test]
    fn a_server_of_the_file_is_reached_as_the_file_says() {
        let text = format!(
            "{LEAST}[backend.probe]\nservers = [{{ url = \"ws://chat.internal:9000/x\" }}]\n\
             egress = \"corp\"\ntimeouts = {{ upgrade = \"7s\" }}\n\
             [[egress.corp.hop]]\nurl = \"http://proxy.corp:3128\"\n"
        );
        let file = written(&text);
        let found = one(Some(file.path()), &wanted(None, &[])).unwrap();
        assert_eq!(found.like.as_deref(), Some("probe"));
        assert!(way(&found).starts_with("corp "), "{found:?}");
        assert_eq!(found.backend.timeouts.upgrade.as_secs(), 7);
        let found = one(Some(file.path()), &wanted(Some("direct"), &[])).unwrap();
        assert_eq!(way(&found), "direct");
    }

    fn told_of_ca(server: &str, proxy: &str) -> Option<String> {
        let proxies = [Proxy::parse(proxy).unwrap()];
        let wanted = Wanted {
            server,
            ca: Some("/nowhere/ca.pem"),
            ..wanted(None, &proxies)
        };
        one(None, &wanted).err().map(|faults| faults.to_string())
    }

    #[test]
    fn an_authority_is_asked_for_by_whatever_speaks_tls() {
        for (server, proxy, times) in [
            ("ws://a", "http://b:1", 0),
            ("WSS://a", "http://b:1", 1),
            ("ws://a", "https://b:1", 1),
            ("wss://a", "https://b:1", 2),
        ] {
            let told = told_of_ca(server, proxy).unwrap_or_default();
            let shown = told.matches("/nowhere/ca.pem\" }  # --ca").count();
            assert_eq!(shown, times, "{server} {proxy} {told}");
        }
    }

    #[test]
    fn an_egress_that_is_not_there_is_told_with_its_flag() {
        let text = format!("{LEAST}[[egress.corp.hop]]\nurl = \"http://proxy.corp:3128\"\n");
        let file = written(&text);
        let faults = one(Some(file.path()), &wanted(Some("corps"), &[])).unwrap_err();
        let told = faults.to_string();
        assert!(told.contains("egress = \"corps\"  # --egress"), "{told}");
        assert!(told.contains("corp"), "{told}");
    }

    #[test]
    fn a_fault_shows_no_password() {
        let proxies = [Proxy {
            url: "gopher://a.corp:3128".into(),
            credentials: Some(known("sesame")),
        }];
        let faults = one(None, &wanted(None, &proxies)).unwrap_err();
        let told = format!("{faults} {faults:?}");
        assert!(told.contains("gopher") && told.contains("command line"));
        assert!(!told.contains("sesame"), "{told}");
    }
}
