//! Backends and their servers.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::egress::{Backend, Server, ServerAddress, Timeouts, Way, auto};
use crate::policy::pool::RoundRobin;
use crate::wire::authority::Authority;
use crate::wire::origin::default_port;

use super::context::{Context, Text, unknown_name};
use super::fault::Fault;
use super::field::Field;
use super::leg::Leg;
use super::reader::Section;
use super::url::{NotAUrl, Target, Url};
use super::{automatic, environment, ping, rewrite, schema};

/// The straight way, as the file calls it.
pub(super) const DIRECT: &str = "direct";
/// The way that the environment's variables say, as the file calls it.
pub(super) const ENVIRONMENT: &str = "env";
/// The way that is found, as the file calls it.
pub(super) const AUTOMATIC: &str = auto::NAME;

/// The longest path that a Unix socket address holds on Linux, without its NUL (unix(7)).
const UNIX_PATH_BYTES_MAX: usize = 107;

/// The ways out.
pub(super) struct Egresses<'a> {
    /// `None` for a faulty one.
    by_name: HashMap<&'a str, Option<Way>>,
    /// What the environment says, once a backend asks for it.
    environment: OnceCell<Option<Way>>,
    /// What is to be found, the same.
    automatic: OnceCell<Option<Way>>,
}

/// One backend of the file; `None` after a fault.
pub(super) fn lower(field: Field<'_>, egresses: &Egresses<'_>) -> Option<Backend> {
    let section = field.section(&schema::BACKEND)?;
    let tls = section.section("tls", &schema::BACKEND_TLS);
    let way = way(section, egresses);
    let timeouts = timeouts(section);
    let ping = ping::lower(section, &schema::BACKEND_PING);
    let servers = section.required("servers").map(servers).unwrap_or_default();
    let uses_tls = servers.iter().any(|s| s.scheme == Scheme::Wss);
    if let Some(tls) = tls.filter(|_| !uses_tls && !servers.is_empty()) {
        let fault = Fault::at(tls.span(), "`tls`, and no server of this backend speaks it");
        section
            .cx
            .report(fault.help("a server with TLS has a URL that begins with wss://"));
    }
    let place = servers.iter().find(|s| s.scheme == Scheme::Wss);
    let leg = match place {
        Some(server) => Some(Leg::lower(section.cx, tls, server.url.span.clone())?),
        None => None,
    };
    let cx = section.cx;
    let servers = servers
        .into_iter()
        .filter_map(|s| s.finish(cx, leg.as_ref()));
    Some(Backend {
        name: field.key.to_owned(),
        servers: servers.collect(),
        turn: RoundRobin::default(),
        way: way?,
        ping,
        timeouts,
    })
}

impl<'a> Egresses<'a> {
    /// Those of the file, by name.
    pub(super) fn new(by_name: HashMap<&'a str, Option<Way>>) -> Self {
        Self {
            by_name,
            environment: OnceCell::new(),
            automatic: OnceCell::new(),
        }
    }
}

fn way(section: Section<'_>, egresses: &Egresses<'_>) -> Option<Way> {
    let Some(field) = section.field("egress") else {
        return Some(Way::Direct);
    };
    let text = field.text()?;
    if text.text == DIRECT {
        return Some(Way::Direct);
    }
    if text.text == ENVIRONMENT {
        let read = || environment::read(section.cx, &text, ENVIRONMENT);
        let read = || read().map(|ways| Way::ByScheme(Arc::new(ways)));
        return egresses.environment.get_or_init(read).clone();
    }
    if text.text == AUTOMATIC {
        let lower = || automatic::lower(section.cx, &text);
        let lower = || lower().map(|auto| Way::Auto(Arc::new(auto)));
        return egresses.automatic.get_or_init(lower).clone();
    }
    let Some(way) = egresses.by_name.get(text.text) else {
        let mut names: Vec<&str> = egresses.by_name.keys().copied().collect();
        names.sort_unstable();
        names.extend([DIRECT, ENVIRONMENT, AUTOMATIC]);
        unknown_name(section.cx, &text, "egress", names.into_iter());
        return None;
    };
    way.clone()
}

fn timeouts(section: Section<'_>) -> Timeouts {
    let default = Timeouts::default();
    let Some(section) = section.section("timeouts", &schema::BACKEND_TIMEOUTS) else {
        return default;
    };
    Timeouts {
        resolve: section.duration("resolve", default.resolve),
        connect: section.duration("connect", default.connect),
        tls: section.duration("tls", default.tls),
        upgrade: section.duration("upgrade", default.upgrade),
        total: section.duration("total", default.total),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Ws,
    Wss,
    Unix,
}

/// A server before it is known what TLS it gets.
struct Draft<'a> {
    url: Text<'a>,
    scheme: Scheme,
    address: ServerAddress,
    base_path: String,
    host_header: String,
}

fn servers(field: Field<'_>) -> Vec<Draft<'_>> {
    let sections = field.sections(&schema::BACKEND_SERVER);
    if field.is_array() && sections.is_empty() {
        let fault = Fault::at(field.span(), "`servers` is empty");
        let fault = fault.expected("at least one { url = \"ws://…\" }");
        field.cx.report(fault.may_follow());
    }
    sections.into_iter().filter_map(server).collect()
}

fn server(section: Section<'_>) -> Option<Draft<'_>> {
    let url = section.required("url")?.text()?;
    match parse(&url) {
        Ok(draft) => Some(draft),
        Err((reason, help)) => {
            let message = format!("not the URL of a server: {reason}");
            let fault = Fault::at(url.span.clone(), message).found(url.quoted());
            let fault = fault.expected("ws://host:port/base, wss://… or ws+unix:/path");
            section.cx.report(fault.help_if_any(help));
            None
        }
    }
}

/// Half a sentence of what is wrong, and perhaps one of what to write instead.
type Refused = (&'static str, Option<String>);

fn parse<'a>(text: &Text<'a>) -> Result<Draft<'a>, Refused> {
    // A relative path makes it no URL, but it is plain what was meant.
    if let Some(path) = text.text.strip_prefix("ws+unix:") {
        return unix(text, path);
    }
    let Some(url) = Url::split(text.text) else {
        let help = format!("did you mean \"ws://{}\"?", text.text);
        let is_host = Authority::parse(text.text).is_ok();
        return Err(("it has no scheme", is_host.then_some(help)));
    };
    let instead = |scheme: &str| Some(format!("did you mean {scheme}://?"));
    match url.scheme.as_str() {
        "ws" => tcp(text, &url, Scheme::Ws),
        "wss" => tcp(text, &url, Scheme::Wss),
        "http" => Err(("its scheme is http", instead("ws"))),
        "https" => Err(("its scheme is https", instead("wss"))),
        "unix" => Err((
            "its scheme is unix",
            Some("did you mean ws+unix:?".to_owned()),
        )),
        _ => Err(("its scheme is unknown", None)),
    }
}

fn tcp<'a>(text: &Text<'a>, url: &Url<'_>, scheme: Scheme) -> Result<Draft<'a>, Refused> {
    let target = url
        .target()
        .map_err(|error| (error.reason(), target_hint(&error)))?;
    rewrite::check_path(&format!("/{}", target.path)).map_err(|reason| (reason, None))?;
    let Target { host, port, path } = target;
    let default = default_port(&url.scheme).unwrap_or(80);
    let named = Authority {
        host: host.clone(),
        port: port.filter(|p| *p != default),
    };
    Ok(Draft {
        url: text.clone(),
        scheme,
        address: ServerAddress::Tcp(host, port.unwrap_or(default)),
        base_path: path.trim_end_matches('/').to_owned(),
        host_header: named.to_string(),
    })
}

fn target_hint(error: &NotAUrl) -> Option<String> {
    let hint = match error {
        NotAUrl::Userinfo => "a route sets credentials: set_headers = { Authorization = \"…\" }",
        NotAUrl::Query => "the query is the client's; leave it out here",
        NotAUrl::Host => return None,
    };
    Some(hint.to_owned())
}

fn unix<'a>(text: &Text<'a>, rest: &str) -> Result<Draft<'a>, Refused> {
    // `ws+unix:/run/a.sock` and `ws+unix:///run/a.sock` are the same; a host makes no sense.
    let path = match rest.strip_prefix("//") {
        Some(path) => path,
        None => rest,
    };
    if !path.starts_with('/') || path.ends_with('/') {
        let help = "such as \"ws+unix:/run/chat.sock\"".to_owned();
        return Err(("it holds no absolute path of a socket", Some(help)));
    }
    if path.contains('\0') || path.len() > UNIX_PATH_BYTES_MAX {
        return Err((
            "its path is longer than a socket's can be (107 bytes)",
            None,
        ));
    }
    Ok(Draft {
        url: text.clone(),
        scheme: Scheme::Unix,
        address: ServerAddress::Unix(PathBuf::from(path)),
        base_path: String::new(),
        host_header: "localhost".to_owned(),
    })
}

impl Draft<'_> {
    fn finish(self, cx: &Context<'_>, leg: Option<&Leg>) -> Option<Server> {
        let leg = leg.filter(|_| self.scheme == Scheme::Wss);
        let tls = match (leg, &self.address) {
            (Some(leg), ServerAddress::Tcp(host, _)) => {
                let tls = leg.to(host);
                if tls.is_none() {
                    let message = "a name that no certificate can hold";
                    let fault = Fault::at(self.url.span.clone(), message);
                    cx.report(fault.help("set `server_name` in the backend's `tls`"));
                }
                Some(tls?)
            }
            _ => None,
        };
        Some(Server {
            url: self.url.text.to_owned(),
            address: self.address,
            tls,
            base_path: self.base_path,
            host_header: self.host_header,
        })
    }
}
