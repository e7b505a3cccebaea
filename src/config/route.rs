//! Routes: what they match, where they lead, and that no two match the same.

use std::sync::{Arc, Mutex};

use crate::policy::clients::Clients;
use crate::policy::origin::MissingOrigin;
use crate::policy::route::{HostPattern, PathPattern, Route};
use crate::wire::authority::Host;

use super::context::{Text, unknown_name};
use super::fault::Fault;
use super::origin::Groups;
use super::reader::Section;
use super::{limits, name, offers, origin, ping, rate, rewrite, schema};

/// What a route may refer to.
pub(super) struct Known<'a> {
    pub(super) listeners: Vec<Text<'a>>,
    /// In the order of the plan.
    pub(super) backends: Vec<&'a str>,
    /// Those of them to which pings are sent.
    pub(super) pinged: Vec<&'a str>,
    pub(super) origins: Groups<'a>,
}

pub(super) fn lower(file: Section<'_>, known: &Known<'_>) -> Vec<Route> {
    let sections = file.required("route").map(|f| f.sections(&schema::ROUTE));
    let sections = sections.unwrap_or_default();
    name::unique(&sections, "route");
    let mut routes: Vec<(Section<'_>, Route)> = Vec::new();
    for section in sections {
        let Some(route) = route(section, known) else {
            continue;
        };
        if let Some((other, _)) = routes.iter().find(|(_, r)| same_match(r, &route)) {
            let line = section.cx.line_of(&other.span());
            let message = format!("this route matches exactly what the one in line {line} matches");
            let fault = Fault::at(section.span(), message);
            section.cx.report(
                fault
                    .help("only the first would ever be taken")
                    .may_follow(),
            );
        }
        routes.push((section, route));
    }
    routes.into_iter().map(|(_, route)| route).collect()
}

fn route(section: Section<'_>, known: &Known<'_>) -> Option<Route> {
    let matching = section.section("match", &schema::ROUTE_MATCH);
    let missing_origin = [
        ("allow", MissingOrigin::Allow),
        ("deny", MissingOrigin::Deny),
    ];
    let listeners = listeners(section, known);
    let host = matching.map_or(Some(HostPattern::Any), host);
    let path = matching.map_or_else(|| Some(PathPattern::Prefix("/".to_owned())), path);
    let subprotocols = matching.map(|m| offers::names(m, "subprotocols"));
    let subprotocols = subprotocols.unwrap_or_default();
    let origins = origin::of_route(section, &known.origins);
    let missing_origin = section.choice("missing_origin", &missing_origin);
    let backend = backend(section, known);
    let offers = offers::lower(section, &subprotocols);
    let backend_pings = backend.is_some_and(|n| known.pinged.contains(&known.backends[n]));
    let frames = limits::frames(section, backend_pings);
    let records = limits::records(section);
    let limits = limits::lower(section);
    let rates = rate::lower(section);
    let ping = ping::lower(section, &schema::ROUTE_PING);
    let rewrite = rewrite::lower(section);
    Some(Route {
        name: section.text("name")?.text.to_owned(),
        listeners,
        host: host?,
        path: path?,
        subprotocols,
        origins,
        missing_origin,
        backend: backend?,
        offers,
        frames,
        limits,
        rates,
        clients: rates
            .client
            .map(|rate| Arc::new(Mutex::new(Clients::new(rate)))),
        ping,
        records,
        rewrite,
    })
}

fn listeners(section: Section<'_>, known: &Known<'_>) -> Option<Vec<String>> {
    let names = section.field("listeners")?.texts_not_empty()?;
    for name in &names {
        let known = known.listeners.iter().map(|n| n.text);
        if !known.clone().any(|n| n == name.text) {
            unknown_name(section.cx, name, "listener", known);
        }
    }
    Some(names.iter().map(|n| n.text.to_owned()).collect())
}

fn backend(section: Section<'_>, known: &Known<'_>) -> Option<usize> {
    let name = section.required("backend")?.text()?;
    let index = known.backends.iter().position(|b| *b == name.text);
    if index.is_none() {
        unknown_name(section.cx, &name, "backend", known.backends.iter().copied());
    }
    index
}

fn host(section: Section<'_>) -> Option<HostPattern> {
    let Some(field) = section.field("host") else {
        return Some(HostPattern::Any);
    };
    let text = field.text()?;
    if text.text == "*" {
        return Some(HostPattern::Any);
    }
    let (wildcard, rest) = match text.text.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, text.text),
    };
    match Host::parse(rest) {
        Ok(Host::Name(parent)) if wildcard => Some(HostPattern::Wildcard(parent)),
        Ok(host) if !wildcard => Some(HostPattern::Exact(host)),
        _ => {
            let fault = Fault::at(text.span.clone(), "not a host to match");
            let fault = fault.found(text.quoted());
            let expected = "a name such as chat.example.com, *.example.com, or \"*\"";
            section
                .cx
                .report(fault.expected(expected).help_if_any(host_hint(text.text)));
            None
        }
    }
}

fn host_hint(text: &str) -> Option<String> {
    let (host, _) = text.rsplit_once(':')?;
    let without_port = Host::parse(host).is_ok();
    without_port.then(|| format!("a route matches the host on every port: \"{host}\""))
}

fn path(section: Section<'_>) -> Option<PathPattern> {
    let Some(field) = section.field("path") else {
        return Some(PathPattern::Prefix("/".to_owned()));
    };
    let text = field.text()?;
    let (path, is_prefix) = match text.text.strip_suffix('*') {
        Some(path) if path.ends_with('/') => (path, true),
        _ => (text.text, false),
    };
    if let Err(reason) = rewrite::check_path(path) {
        let fault = Fault::at(text.span.clone(), format!("not a path to match: {reason}"));
        let fault = fault.found(text.quoted());
        section
            .cx
            .report(fault.expected("\"/exact\", or \"/prefix/*\""));
        return None;
    }
    let path = path.to_owned();
    Some(match is_prefix {
        true => PathPattern::Prefix(path),
        false => PathPattern::Exact(path),
    })
}

fn same_match(a: &Route, b: &Route) -> bool {
    let both_listen = match (&a.listeners, &b.listeners) {
        (Some(a), Some(b)) => a.iter().any(|name| b.contains(name)),
        _ => true,
    };
    let same_subprotocols = a.subprotocols.iter().all(|s| b.subprotocols.contains(s))
        && b.subprotocols.iter().all(|s| a.subprotocols.contains(s));
    both_listen && a.host == b.host && a.path == b.path && same_subprotocols
}
