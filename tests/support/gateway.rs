//! A gateway in this process, described in a sentence:
//! `gateway().route("/chat", &backend).via(&proxy).run()`.
//!
//! The sentence becomes a configuration file's text, so that a test goes the way a user goes.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;
use throughway::config;
use throughway::lifecycle::{self, Gateway};

use super::certs::DevCert;

/// A configuration in the making.
#[derive(Debug)]
pub struct Builder {
    dir: TempDir,
    listener: String,
    certificates: String,
    routes: String,
    backends: String,
    egress: String,
    rest: String,
    server: String,
    /// Added to each route from here on.
    route_keys: String,
    via: Option<String>,
}

/// A running gateway.
#[derive(Debug)]
pub struct Running {
    /// Where its first listener is.
    pub address: SocketAddr,
    pub gateway: Gateway,
    _dir: TempDir,
}

/// One plain listener on a free port, and no route yet.
pub fn gateway() -> Builder {
    Builder {
        dir: TempDir::new().unwrap(),
        listener: String::new(),
        certificates: String::new(),
        routes: String::new(),
        backends: String::new(),
        egress: String::new(),
        rest: String::new(),
        server: String::new(),
        route_keys: "origins = \"any\"\n".to_owned(),
        via: None,
    }
}

impl Builder {
    /// The folder of the configuration file.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The listener speaks TLS with this certificate.
    pub fn tls(mut self, cert: &DevCert) -> Self {
        cert.write_to(self.dir.path());
        self.listener += "tls = {}\n";
        let hosts = format!("{:?}", cert.names);
        write!(
            self.certificates,
            "[[certificate]]\nhosts = {hosts}\ncert = \"cert.pem\"\nkey = \"key.pem\"\n"
        )
        .unwrap();
        self
    }

    /// More keys for the listener.
    pub fn listener(mut self, keys: &str) -> Self {
        self.listener += keys;
        self.listener.push('\n');
        self
    }

    /// The keys of the routes that follow, instead of `origins = "any"`.
    pub fn keys(mut self, keys: &str) -> Self {
        self.route_keys = format!("{keys}\n");
        self
    }

    /// The routes that follow carry bytes that are no frames.
    pub fn opaque(self) -> Self {
        self.keys("origins = \"any\"\nframes = \"opaque\"")
    }

    /// The backends that follow are reached through this proxy, `host:port`.
    pub fn via(mut self, proxy: impl std::fmt::Display) -> Self {
        let name = format!("egress{}", self.egress.matches("[[egress").count());
        write!(
            self.egress,
            "[[egress.{name}.hop]]\nurl = \"http://{proxy}\"\n"
        )
        .unwrap();
        self.via = Some(name);
        self
    }

    /// More keys for the hop that was named last.
    pub fn hop(mut self, keys: &str) -> Self {
        self.egress += keys;
        self.egress.push('\n');
        self
    }

    /// A route for `path` to a backend with one server.
    pub fn route(self, path: &str, server: impl std::fmt::Display) -> Self {
        self.route_to(path, &[server.to_string()], "")
    }

    /// A route for `path` to a backend with these servers and further keys.
    pub fn route_to(mut self, path: &str, servers: &[String], keys: &str) -> Self {
        let name = format!("backend{}", self.backends.matches("[backend").count());
        let urls: Vec<String> = servers
            .iter()
            .map(|s| format!("{{ url = \"{s}\" }}"))
            .collect();
        write!(
            self.backends,
            "[backend.{name}]\nservers = [{}]\n{keys}\n",
            urls.join(", ")
        )
        .unwrap();
        if let Some(egress) = &self.via {
            writeln!(self.backends, "egress = \"{egress}\"").unwrap();
        }
        write!(
            self.routes,
            "[[route]]\nname = \"{name}\"\nmatch = {{ path = \"{path}\" }}\nbackend = \"{name}\"\n{}",
            self.route_keys
        )
        .unwrap();
        self
    }

    /// `drain.timeout`.
    pub fn drain(self, timeout: &str) -> Self {
        self.draining(&format!("timeout = \"{timeout}\""))
    }

    /// The keys of `drain`.
    pub fn draining(mut self, keys: &str) -> Self {
        writeln!(self.server, "drain = {{ {keys} }}").unwrap();
        self
    }

    /// `threads`; without it there is one for each core.
    pub fn threads(mut self, threads: usize) -> Self {
        writeln!(self.server, "threads = {threads}").unwrap();
        self
    }

    /// Further sections.
    pub fn section(mut self, toml: &str) -> Self {
        self.rest += toml;
        self.rest.push('\n');
        self
    }

    /// The configuration file as it stands.
    pub fn toml(&self) -> String {
        let server = match self.server.is_empty() {
            true => String::new(),
            false => format!("[server]\n{}", self.server),
        };
        format!(
            "version = 1\n{server}[[listener]]\nname = \"public\"\nbind = [\"127.0.0.1:0\"]\n{}{}{}{}{}{}",
            self.listener, self.certificates, self.routes, self.backends, self.egress, self.rest
        )
    }

    /// Starts it.
    pub fn run(self) -> Running {
        let path = self.dir.path().join("throughway.toml");
        let text = self.toml();
        let plan = config::parse(&text, &path, &|_| None)
            .unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        let gateway = lifecycle::start(plan).unwrap();
        Running {
            address: gateway.addresses()[0].1,
            gateway,
            _dir: self.dir,
        }
    }
}
