//! A plan as short tables: what `check` prints.
//!
//! Knows no file, only the plan. Nothing in it is secret: credentials are a fact, not a text.

use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;

use crate::egress::{Backend, Way};
use crate::listen;
use crate::observe::log::Format;
use crate::plan::{CertificateFacts, Plan};
use crate::policy::origin::{MissingOrigin, Origins};
use crate::policy::route::Route;

use super::value::{show_duration, show_size};
use super::{ways, words};

/// What a plan means, for people: listeners, certificates, routes in the order in which they are
/// tried, backends, egresses and limits.
pub fn summary(plan: &Plan) -> String {
    let mut text = String::new();
    let listeners = plan.listeners.iter().map(listener);
    table(
        &mut text,
        ["listener", "address", "tls", "trusted proxies"],
        listeners,
    );
    let certificates = plan.certificates.iter().map(certificate);
    table(&mut text, ["certificate", "expires"], certificates);
    let routes = plan.routes.iter().map(|r| route(r, &plan.backends));
    let headings = [
        "route, as tried",
        "match",
        "offers",
        "origins",
        "backend",
        "limits",
    ];
    table(&mut text, headings, routes);
    table(
        &mut text,
        ["backend", "server", "way"],
        plan.backends.iter().map(backend),
    );
    table(
        &mut text,
        ["egress", "hop", "direct all the same"],
        ways::rows(plan),
    );
    table(&mut text, ["limit", "value"], limits(plan).into_iter());
    text
}

/// Columns as wide as their widest cell; a cell may have several lines.
fn table<const N: usize>(
    text: &mut String,
    headings: [&str; N],
    rows: impl Iterator<Item = [Vec<String>; N]>,
) {
    let mut lines: Vec<[String; N]> = vec![headings.map(str::to_uppercase)];
    for row in rows {
        let height = row.iter().map(Vec::len).max().unwrap_or(0);
        for i in 0..height {
            let cell = |column: &Vec<String>| column.get(i).cloned().unwrap_or_default();
            lines.push(row.each_ref().map(cell));
        }
    }
    if lines.len() == 1 {
        return;
    }
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    if !text.is_empty() {
        text.push('\n');
    }
    for line in &lines {
        let mut padded = String::new();
        for (cell, width) in line.iter().zip(widths) {
            // Writing to a String cannot fail.
            write!(padded, "{cell:width$}  ").expect("a String takes any text");
        }
        text.push_str(padded.trim_end());
        text.push('\n');
    }
}

pub(super) fn one(text: impl Into<String>) -> Vec<String> {
    vec![text.into()]
}

fn listener(listener: &Arc<listen::Params>) -> [Vec<String>; 4] {
    let trusted: Vec<String> = listener
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    [
        one(&listener.name),
        listener.bind.iter().map(ToString::to_string).collect(),
        one(if listener.tls.is_some() {
            "tls"
        } else {
            "plain"
        }),
        if trusted.is_empty() {
            one("none")
        } else {
            trusted
        },
    ]
}

fn certificate(facts: &CertificateFacts) -> [Vec<String>; 2] {
    let days = match facts.not_after.duration_since(SystemTime::now()) {
        Ok(left) => format!("in {} days", left.as_secs() / (24 * 60 * 60)),
        Err(_) => "expired".to_owned(),
    };
    let date = humantime::format_rfc3339_seconds(facts.not_after).to_string();
    let day = date.split('T').next().unwrap_or_default();
    [facts.hosts.clone(), one(format!("{day}, {days}"))]
}

fn route(route: &Route, backends: &[Backend]) -> [Vec<String>; 6] {
    let mut matching = one(format!("{}{}", route.host, route.path));
    if let Some(listeners) = &route.listeners {
        matching.push(format!("on {}", listeners.join(", ")));
    }
    let backend = backends.get(route.backend).map_or("", |b| b.name.as_str());
    [
        one(&route.name),
        matching,
        words::offers(route),
        origins(route),
        one(backend),
        words::limits(route),
    ]
}

fn origins(route: &Route) -> Vec<String> {
    let mut lines = match &route.origins {
        Origins::Same => one("same"),
        Origins::Any => one("any"),
        Origins::Listed { patterns, expose } => {
            let mut lines: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            lines.extend(expose.then(|| "exposed".to_owned()));
            lines
        }
    };
    lines.push(match route.missing_origin {
        MissingOrigin::Allow => "or none".to_owned(),
        MissingOrigin::Deny => "never none".to_owned(),
    });
    lines
}

fn backend(backend: &Backend) -> [Vec<String>; 3] {
    let way = match &backend.way {
        Way::Direct => "direct".to_owned(),
        Way::Through(egress) => format!("through {}", egress.name),
        Way::Among(alternatives) => format!("through {}", alternatives.name),
        Way::Pac(pac) => format!("through {}", pac.name),
        Way::ByScheme(_) => "through env".to_owned(),
        Way::Auto(_) => "through what auto finds".to_owned(),
    };
    let servers = backend.servers.iter().map(|s| s.url.clone());
    let mut way = one(way);
    way.extend(words::pings(backend.ping));
    [one(&backend.name), servers.collect(), way]
}

fn limits(plan: &Plan) -> Vec<[Vec<String>; 2]> {
    let format = match plan.log.format {
        Format::Auto => "auto",
        Format::Text => "text",
        Format::Json => "json",
    };
    let proxy_status = match plan.proxy_status {
        true => "on 502 and 504",
        false => "none",
    };
    let threads = match plan.threads {
        Some(threads) => threads.to_string(),
        None => "one a core".to_owned(),
    };
    let rows = [
        ("threads", threads),
        ("connections", plan.limits.connections.to_string()),
        ("handshake", show_duration(plan.limits.handshake)),
        ("head_bytes", show_size(plan.limits.head_bytes_max)),
        ("drain", words::drain(plan.drain)),
        ("proxy_status", proxy_status.to_owned()),
        ("log", format!("{} as {format}", plan.log.level)),
    ];
    rows.map(|(name, value)| [one(name), one(value)]).to_vec()
}
