//! Listeners and the certificates that they share.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use ipnet::IpNet;
use rustls::{RootCertStore, ServerConfig};

use crate::listen;
use crate::net::tls::{self, BySni, MinVersion};
use crate::plan::CertificateFacts;
use crate::wire::authority::Host;

use super::context::{Context, Text};
use super::fault::Fault;
use super::reader::Section;
use super::{certificate, name, schema};

/// The certificates of the file, in its order.
pub(super) struct Certificates {
    served: Vec<tls::Certificate>,
    pub(super) facts: Vec<CertificateFacts>,
    /// How many the file means to have, faulty ones too.
    written: usize,
}

pub(super) fn certificates(file: Section<'_>) -> Certificates {
    let sections = file
        .field("certificate")
        .map(|f| f.sections(&schema::CERTIFICATE));
    let sections = sections.unwrap_or_default();
    let mut certificates = Certificates {
        served: Vec::new(),
        facts: Vec::new(),
        written: sections.len(),
    };
    for section in sections {
        if let Some((served, facts)) = certificate(section) {
            certificates.served.push(served);
            certificates.facts.push(facts);
        }
    }
    certificates
}

fn certificate(section: Section<'_>) -> Option<(tls::Certificate, CertificateFacts)> {
    let cx = section.cx;
    let hosts = section.required("hosts").and_then(|f| f.texts_not_empty());
    let cert = section.required("cert").and_then(|f| f.text());
    let key = section.required("key").and_then(|f| f.text());
    let hosts: Vec<(String, Range<usize>)> = hosts?
        .iter()
        .filter_map(|text| certificate_host(cx, text))
        .collect();
    let identity = certificate::identity(cx, &cert?, &key?)?;
    certificate::check_hosts(cx, identity.chain.first()?, &hosts);
    let hosts: Vec<String> = hosts.into_iter().map(|(host, _)| host).collect();
    let facts = CertificateFacts {
        hosts: hosts.clone(),
        not_after: identity.not_after,
    };
    let key = identity.key;
    Some((tls::Certificate { hosts, key }, facts))
}

fn certificate_host(cx: &Context<'_>, text: &Text<'_>) -> Option<(String, Range<usize>)> {
    let (wildcard, rest) = match text.text.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", text.text),
    };
    match Host::parse(rest) {
        Ok(host) if wildcard.is_empty() || host.name().is_some() => {
            Some((format!("{wildcard}{host}"), text.span.clone()))
        }
        _ => {
            let fault = Fault::at(text.span.clone(), "not a host of a certificate");
            let fault = fault.found(text.quoted());
            cx.report(fault.expected("a name such as chat.example.com, or *.example.com"));
            None
        }
    }
}

/// The listeners, and the names of all that are written, faulty ones too.
pub(super) fn lower<'a>(
    file: Section<'a>,
    certificates: &Certificates,
) -> (Vec<Arc<listen::Params>>, Vec<Text<'a>>) {
    let sections = file
        .required("listener")
        .map(|f| f.sections(&schema::LISTENER));
    let sections = sections.unwrap_or_default();
    let names = name::unique(&sections, "listener");
    let mut taken = HashMap::new();
    let params = sections
        .iter()
        .filter_map(|section| listener(*section, certificates, &mut taken))
        .map(Arc::new)
        .collect();
    (params, names)
}

fn listener(
    section: Section<'_>,
    certificates: &Certificates,
    taken: &mut HashMap<SocketAddr, Range<usize>>,
) -> Option<listen::Params> {
    let bind = section.required("bind").and_then(|f| f.texts_not_empty());
    let bind = bind.unwrap_or_default();
    let bind = bind
        .iter()
        .filter_map(|text| address(section.cx, text, taken))
        .collect();
    let trusted = section.field("trusted_proxies").and_then(|f| f.texts());
    let trusted = trusted.unwrap_or_default();
    let tls = match section.section("tls", &schema::LISTENER_TLS) {
        Some(tls) => Some(server_tls(tls, certificates)?),
        None => None,
    };
    Some(listen::Params {
        name: section.text("name")?.text.to_owned(),
        bind,
        tls,
        trusted_proxies: trusted
            .iter()
            .filter_map(|t| range(section.cx, t))
            .collect(),
    })
}

fn address(
    cx: &Context<'_>,
    text: &Text<'_>,
    taken: &mut HashMap<SocketAddr, Range<usize>>,
) -> Option<SocketAddr> {
    let Ok(address) = text.text.parse::<SocketAddr>() else {
        let fault = Fault::at(text.span.clone(), "not an address to listen on");
        let fault = fault
            .found(text.quoted())
            .expected("IP:port, such as \"0.0.0.0:8443\"");
        cx.report(fault.help_if_any(address_hint(text.text)));
        return None;
    };
    if address.port() == 0 {
        return Some(address);
    }
    if let Some(other) = taken.insert(address, text.span.clone()) {
        let message = format!("{address} is already taken in line {}", cx.line_of(&other));
        cx.report(Fault::at(text.span.clone(), message));
        return None;
    }
    Some(address)
}

fn address_hint(text: &str) -> Option<String> {
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    if host.contains(':') && !host.starts_with('[') {
        return Some(format!(
            "an IPv6 address stands in brackets: \"[{host}]:{port}\""
        ));
    }
    match host {
        "" | "*" if is_port(port) => Some(format!(
            "every address is \"0.0.0.0:{port}\" and \"[::]:{port}\""
        )),
        "localhost" => Some(format!("\"127.0.0.1:{port}\" and \"[::1]:{port}\"")),
        _ if text.parse::<std::net::IpAddr>().is_ok() => Some("add a port".to_owned()),
        _ => None,
    }
}

fn range(cx: &Context<'_>, text: &Text<'_>) -> Option<IpNet> {
    let address = || text.text.parse::<std::net::IpAddr>().ok().map(IpNet::from);
    let range = text.text.parse::<IpNet>().ok().or_else(address);
    if range.is_none() {
        let fault = Fault::at(text.span.clone(), "not an address or a range of addresses");
        let fault = fault.found(text.quoted());
        cx.report(fault.expected("an IP address or a CIDR, such as \"10.0.0.0/8\""));
    }
    range
}

/// The TLS of a listener; `None` after a fault.
fn server_tls(section: Section<'_>, certificates: &Certificates) -> Option<Arc<ServerConfig>> {
    let cx = section.cx;
    let versions = [("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)];
    let min_version = section.choice("min_version", &versions);
    let client_ca = section.text("client_ca").map(|file| {
        let mut roots = RootCertStore::empty();
        certificate::add_roots(cx, &mut roots, &file);
        roots
    });
    if certificates.written == 0 {
        let fault = Fault::at(section.span(), "a TLS listener, and no certificate");
        let help = "add a [[certificate]] with hosts, cert and key";
        cx.report(fault.help(help).may_follow());
    }
    // Without one, each of the faulty certificates has been reported.
    let by_sni = BySni::new(&certificates.served)?;
    // An empty client CA has been reported too, and rustls would only say so once more.
    if client_ca.as_ref().is_some_and(RootCertStore::is_empty) {
        return None;
    }
    match tls::server(by_sni, min_version, client_ca) {
        Ok(config) => Some(config),
        Err(error) => {
            cx.report(Fault::at(
                section.span(),
                format!("TLS cannot be set up: {error}"),
            ));
            None
        }
    }
}
