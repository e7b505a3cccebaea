//! Ways out: proxies in a row, who goes past them, and what they are told.

use std::sync::Arc;

use crate::egress::{Auth, Choice, Credentials, Egress, Hop, HopTimeouts, Protocol, Scheme, Way};
use crate::policy::no_proxy::NoProxy;
use crate::wire::authority::Host;

use super::backend::{AUTOMATIC, DIRECT, ENVIRONMENT, Egresses};
use super::context::Text;
use super::fault::Fault;
use super::field::Field;
use super::keys::Keys;
use super::leg::Leg;
use super::reader::Section;
use super::url::{NotAUrl, Url};
use super::via::{self, Member, Members};
use super::{
    kerberos, keys, membership, name, pac, schema, secret, socks, suggest, versions, warm,
};

/// More proxies in a row than this is a loop or a mistake.
const HOPS_MAX: usize = 8;

/// Words that mean a way out without a section.
const RESERVED: [&str; 3] = [DIRECT, ENVIRONMENT, AUTOMATIC];

pub(super) fn lower<'a>(file: Section<'a>) -> Egresses<'a> {
    let fields = name::named(file, "egress", &RESERVED).into_iter();
    let all: Vec<_> = fields
        .map(|field| (field, field.section(&schema::EGRESS)))
        .collect();
    // Those with hops first: the others lead to them.
    let members: Members<'_> = all.iter().map(|(f, s)| (f.key, member(*f, *s))).collect();
    let way = |(field, section): (Field<'a>, Option<Section<'a>>)| {
        let way = match members.get(field.key)? {
            Member::Chain(egress) => Some(Way::Through(egress.clone())),
            Member::Via => section
                .and_then(|section| via::lower(field.key, section, &members))
                .map(|alternatives| Way::Among(Arc::new(alternatives))),
            Member::Pac(pac) => Some(Way::Pac(pac.clone())),
            Member::Faulty => None,
        };
        Some((field.key, way))
    };
    Egresses::new(all.into_iter().filter_map(way).collect())
}

fn member(field: Field<'_>, section: Option<Section<'_>>) -> Member {
    let Some(section) = section else {
        return Member::Faulty;
    };
    let is_by_script = pac::is_asked_for(section);
    warm::check_place(section);
    if via::is_asked_for(section) {
        return Member::Via;
    }
    if is_by_script {
        let pac = pac::lower(field.key, section);
        return pac.map_or(Member::Faulty, |pac| Member::Pac(Arc::new(pac)));
    }
    match egress(field.key, section) {
        Some(egress) => Member::Chain(Arc::new(egress)),
        None => Member::Faulty,
    }
}

fn egress(name: &str, section: Section<'_>) -> Option<Egress> {
    let no_proxy = no_proxy(section);
    let timeouts = timeouts(section);
    let warm = warm::lower(section);
    let Some(hop_field) = section.field("hop") else {
        let message = "neither `hop`, `via` nor `pac` is in this `egress.NAME`";
        let help = "add [[egress.NAME.hop]] for proxies in a row, or `via` for several chains";
        let fault = Fault::at(section.span(), message).help(help);
        section.cx.report(fault.may_follow());
        return None;
    };
    let sections = hop_field.sections(&schema::HOP);
    if hop_field.is_array() && (sections.is_empty() || sections.len() > HOPS_MAX) {
        let message = format!("an egress has 1 to {HOPS_MAX} hops");
        let fault = Fault::at(hop_field.span(), message);
        section.cx.report(fault.found(sections.len().to_string()));
    }
    let hops: Vec<Option<Hop>> = sections.into_iter().map(hop).collect();
    Some(Egress {
        name: name.to_owned(),
        no_proxy: no_proxy?,
        hops: hops.into_iter().collect::<Option<_>>()?,
        timeouts,
        warm,
    })
}

pub(super) fn no_proxy(section: Section<'_>) -> Option<NoProxy> {
    let Some(field) = section.field("no_proxy") else {
        return Some(NoProxy::parse(&[]).unwrap_or_default());
    };
    let texts = field.texts()?;
    // One by one, so that each faulty entry is told.
    let mut is_faulty = false;
    for text in &texts {
        if let Err(error) = NoProxy::parse(&[text.text]) {
            let message = format!("not an entry of `no_proxy`: {}", error.reason);
            let fault = Fault::at(text.span.clone(), message).found(text.quoted());
            let expected = "a name, an address, a range or `*`, with a port if wanted";
            section.cx.report(
                fault
                    .expected(expected)
                    .help_if_any(no_proxy_hint(text.text)),
            );
            is_faulty = true;
        }
    }
    if is_faulty {
        return None;
    }
    let entries: Vec<&str> = texts.iter().map(|t| t.text).collect();
    match NoProxy::parse(&entries) {
        Ok(list) => Some(list),
        Err(error) => {
            section
                .cx
                .report(Fault::at(field.span(), error.reason.to_string()));
            None
        }
    }
}

fn no_proxy_hint(text: &str) -> Option<String> {
    if text.contains([',', ' ']) {
        return Some("write each entry as a string of its own".to_owned());
    }
    let (_, rest) = text.split_once("://")?;
    let rest = rest.trim_end_matches('/');
    NoProxy::parse(&[rest])
        .is_ok()
        .then(|| format!("leave the scheme out: \"{rest}\""))
}

pub(super) fn timeouts(section: Section<'_>) -> HopTimeouts {
    let default = HopTimeouts::default();
    let Some(section) = section.section("timeouts", &schema::HOP_TIMEOUTS) else {
        return default;
    };
    HopTimeouts {
        resolve: section.duration("resolve", default.resolve),
        connect: section.duration("connect", default.connect),
        tls: section.duration("tls", default.tls),
        reply: section.duration("reply", default.reply),
    }
}

fn hop(section: Section<'_>) -> Option<Hop> {
    let url = section.required("url").and_then(|f| f.text());
    // By the scheme alone, so that a fault in the rest of the URL hides none in `auth`.
    let scheme = url.as_ref().and_then(|url| Url::split(url.text));
    let is_socks = scheme.is_some_and(|url| socks::protocol(&url.scheme).is_some());
    let auth = section.section("auth", &schema::HOP_AUTH);
    let credentials = auth.map(match is_socks {
        true => of_socks,
        false => credentials,
    });
    let tls = section.section("tls", &schema::HOP_TLS);
    let url = url?;
    let proxy = match parse(&url) {
        Ok(proxy) => proxy,
        Err((reason, help)) => {
            let message = format!("not the URL of a proxy: {reason}");
            let fault = Fault::at(url.span.clone(), message).found(url.quoted());
            let fault = fault.expected("http, https, socks5 or socks5h, as in http://host:port");
            section.cx.report(fault.help_if_any(help));
            return None;
        }
    };
    let tls = match (proxy.is_tls, tls) {
        (true, tls) => {
            let leg = Leg::lower(section.cx, tls, url.span.clone())?;
            let to = leg.to(&proxy.host);
            if to.is_none() {
                let fault = Fault::at(url.span.clone(), "a name that no certificate can hold");
                section
                    .cx
                    .report(fault.help("set `server_name` in the hop's `tls`"));
            }
            Some(to?)
        }
        (false, Some(tls)) => {
            let fault = Fault::at(tls.span(), "`tls`, and the proxy is reached without it");
            section
                .cx
                .report(fault.help("TLS to the proxy itself is https:// in `url`"));
            return None;
        }
        (false, None) => None,
    };
    let (credentials, auth) = match credentials {
        Some(faulty_or_not) => {
            let (credentials, auth) = faulty_or_not?;
            (Some(credentials), auth)
        }
        None => (None, Auth::default()),
    };
    let versions = versions::versions(section, proxy.is_tls, &auth)?;
    Some(Hop {
        host: proxy.host,
        port: proxy.port,
        protocol: proxy.protocol,
        tls,
        credentials,
        auth,
        versions,
    })
}

/// The URL of a proxy.
pub(super) struct Proxy {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) protocol: Protocol,
    pub(super) is_tls: bool,
}

pub(super) fn parse(text: &Text<'_>) -> Result<Proxy, (&'static str, Option<String>)> {
    let Some(url) = Url::split(text.text) else {
        return Err(("it has no scheme", None));
    };
    let protocol = socks::protocol(&url.scheme).unwrap_or(Protocol::Http);
    let default_port = match url.scheme.as_str() {
        "http" => None,
        "https" => Some(443),
        "socks5" | "socks5h" => Some(socks::DEFAULT_PORT),
        "socks" | "socks4" | "socks4a" => {
            let help = "socks5:// resolves names here, socks5h:// leaves that to the proxy";
            return Err(("of SOCKS only version 5 is spoken", Some(help.to_owned())));
        }
        "ws" | "wss" => {
            let help =
                "a proxy speaks HTTP (http:// or https://) or SOCKS5 (socks5:// or socks5h://)";
            return Err(("its scheme is a server's", Some(help.to_owned())));
        }
        _ => return Err(("its scheme is unknown", None)),
    };
    let auth = "write auth = { user = \"…\", password = \"…\" }";
    let target = url.target().map_err(|error| {
        let help = (error == NotAUrl::Userinfo).then(|| auth.to_owned());
        (error.reason(), help)
    })?;
    if !matches!(target.path, "" | "/") {
        return Err(("it holds a path, and a proxy has none", None));
    }
    // Programs disagree about what an http proxy without a port means: 80, 1080, 3128, 8080.
    let port = target.port.or(default_port);
    let port = port.ok_or(("its port is missing", Some("often 3128 or 8080".to_owned())))?;
    Ok(Proxy {
        host: target.host,
        port,
        protocol,
        is_tls: url.scheme == "https",
    })
}

/// `None` after a fault.
fn of_socks(section: Section<'_>) -> Option<(Credentials, Auth)> {
    Some((socks::credentials(section)?, Auth::default()))
}

pub(super) fn credentials(section: Section<'_>) -> Option<(Credentials, Auth)> {
    let cx = section.cx;
    let choice = match section.field("scheme") {
        Some(field) => choice(field),
        None => Some(Choice::Auto),
    };
    let keys = choice.and_then(|c| keys::keys(section, c));
    // Keys are Kerberos's alone: with nothing else to tell, `auto` has no other scheme.
    let choice = match keys {
        Some(Keys::Keytab(_) | Keys::Cache(_)) => Some(Choice::Only(Scheme::Negotiate)),
        _ => choice,
    };
    let membership = choice.and_then(|c| membership::membership(section, c));
    let told = |field: Option<Field<'_>>| match field {
        Some(field) => secret::secret(field),
        None => Some(crate::egress::Secret::new(String::new())),
    };
    // A ticket says itself whose it is.
    let by_ticket = choice == Some(Choice::Only(Scheme::Negotiate));
    let user_field = match by_ticket {
        true => section.field("user"),
        false => section.required("user"),
    };
    let (user, password) = (told(user_field), told(section.field("password")));
    if user_field.is_none() && !by_ticket {
        return None;
    }
    let user = user?;
    // RFC 7617 §2: the first colon ends the user. In Digest (RFC 7616 §3.4.2) the realm follows
    // it, so that two users could be one.
    if let Some(field) = user_field {
        if user.reveal().contains(':') {
            let message = "`user` holds a colon, which no scheme can carry";
            cx.report(Fault::at(field.span(), message));
            return None;
        }
        if choice.is_some_and(|c| !membership::is_user(field, &user, c)) {
            return None;
        }
    }
    let (password, choice) = (password?, choice?);
    let kerberos = kerberos::kerberos(section, choice, &user, &password, keys?);
    let auth = Auth::by(choice).within(membership?);
    let auth = match kerberos? {
        Some(kerberos) => auth.with(kerberos),
        None => auth,
    };
    Some((Credentials { user, password }, auth))
}

/// What it is called, by HTTP and by people.
const KERBEROS: [&str; 2] = ["negotiate", "kerberos"];
const BY_NEGOTIATE: &str = "Kerberos is told by \"negotiate\"";

/// `None` after a fault. As in HTTP, case does not matter.
fn choice(field: Field<'_>) -> Option<Choice> {
    let text = field.text()?;
    let choices = [
        Choice::Auto,
        Choice::Only(Scheme::Basic),
        Choice::Only(Scheme::Digest),
        Choice::Only(Scheme::Ntlm),
        Choice::Only(Scheme::Negotiate),
    ];
    let choices = &choices[..choices.len() - usize::from(!kerberos::IS_BUILT)];
    let is_meant = |name: &str| text.text.eq_ignore_ascii_case(name);
    let found = choices.iter().find(|c| is_meant(&c.to_string()));
    if found.is_none() {
        let names: Vec<String> = choices.iter().map(Choice::to_string).collect();
        let near = suggest::nearest(text.text, names.iter().map(String::as_str));
        let near = near.map(|n| format!("did you mean \"{n}\"?"));
        let (message, help) = match KERBEROS.iter().any(|k| is_meant(k)) {
            true if kerberos::IS_BUILT => ("no such scheme", Some(BY_NEGOTIATE.to_owned())),
            true => (
                "this build has no Kerberos",
                Some(kerberos::HOW_TO_BUILD.to_owned()),
            ),
            false => ("no such scheme", near),
        };
        let fault = Fault::at(text.span.clone(), message).found(text.quoted());
        let expected = names
            .iter()
            .map(|n| format!("\"{n}\""))
            .collect::<Vec<_>>()
            .join(", ");
        field.cx.report(fault.expected(expected).help_if_any(help));
    }
    found.copied()
}
