//! From the file's tree to the plan: the sections in the order in which they need each other.
//!
//! Goes on after each fault, so the plan it makes counts only where there was none.

use tracing_subscriber::EnvFilter;

use crate::egress::Backend;
use crate::observe::log::{self, Format};
use crate::plan::{Limits, Plan, THREADS_MAX};
use crate::policy::limits::Ping;
use crate::policy::route::Routes;

use super::context::Text;
use super::fault::Fault;
use super::reader::Section;
use super::{backend, drain, egress, listener, name, origin, route, schema, suggest};

/// The only version of the file's shape that there is.
const VERSION: usize = 1;

/// One session takes four descriptors or so, and a process of a million needs a wider plan.
const CONNECTIONS_MAX: usize = 1_000_000;

const HEAD_BYTES: std::ops::RangeInclusive<usize> = 1024..=1024 * 1024;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

pub(super) fn file(file: Section<'_>) -> Plan {
    if let Some(version) = file.required("version") {
        version.integer(VERSION..=VERSION);
    }
    let certificates = listener::certificates(file);
    let (listeners, listener_names) = listener::lower(file, &certificates);
    let egresses = egress::lower(file);
    let backends = name::named(file, "backend", &[]);
    let names = backends.iter().map(|field| field.key).collect();
    let lowered: Vec<Backend> = backends
        .into_iter()
        .filter_map(|f| backend::lower(f, &egresses))
        .collect();
    let pings = lowered.iter().filter(|b| b.ping != Ping::Off);
    let known = route::Known {
        listeners: listener_names,
        backends: names,
        pinged: pings.map(|b| b.name.as_str()).collect(),
        origins: origin::groups(file),
    };
    let routes = Routes::new(route::lower(file, &known));
    Plan {
        listeners,
        certificates: certificates.facts,
        backends: lowered,
        routes,
        threads: threads(file),
        limits: limits(file),
        drain: drain::lower(file),
        proxy_status: proxy_status(file),
        log: log(file),
        page: None,
    }
}

fn threads(file: Section<'_>) -> Option<usize> {
    let server = file.section("server", &schema::SERVER);
    let threads = server.and_then(|server| server.field("threads"))?;
    threads.integer(1..=THREADS_MAX)
}

fn proxy_status(file: Section<'_>) -> bool {
    let server = file.section("server", &schema::SERVER);
    server.is_some_and(|server| server.flag("proxy_status", false))
}

fn limits(file: Section<'_>) -> Limits {
    let default = Limits::default();
    let Some(section) = file.section("limits", &schema::LIMITS) else {
        return default;
    };
    let connections = section.field("connections");
    let head_bytes = section.field("head_bytes");
    Limits {
        connections: connections
            .and_then(|f| f.integer(1..=CONNECTIONS_MAX))
            .unwrap_or(default.connections),
        handshake: section.duration("handshake", default.handshake),
        head_bytes_max: head_bytes
            .and_then(|f| f.size(HEAD_BYTES))
            .unwrap_or(default.head_bytes_max),
    }
}

fn log(file: Section<'_>) -> log::Params {
    let Some(section) = file.section("log", &schema::LOG) else {
        return log::Params::default();
    };
    let formats = [
        ("auto", Format::Auto),
        ("text", Format::Text),
        ("json", Format::Json),
    ];
    let level = section.text("level");
    let level = level.map(|text| {
        check_level(section, &text);
        text.text.to_owned()
    });
    log::Params {
        level: level.unwrap_or_else(|| log::Params::default().level),
        format: section.choice("format", &formats),
    }
}

/// A filter that parses may still be a mistyped level: a single word that is none names a module.
fn check_level(section: Section<'_>, text: &Text<'_>) {
    let word = text.text.trim();
    let is_word = !word.contains(['=', ',', ':', '[']);
    let is_level = LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level));
    let is_ours = word == env!("CARGO_PKG_NAME");
    let parses = EnvFilter::builder().parse(word).is_ok();
    if parses && (!is_word || is_level || is_ours) {
        return;
    }
    let near = suggest::nearest(word, LEVELS).map(|l| format!("did you mean \"{l}\"?"));
    let fault = Fault::at(text.span.clone(), "not a filter for the log");
    let fault = fault.found(text.quoted());
    let expected =
        "off, error, warn, info, debug, trace, or a list such as \"info,throughway=debug\"";
    section
        .cx
        .report(fault.expected(expected).help_if_any(near));
}
