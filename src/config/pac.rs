//! An egress that a PAC script decides: where the script is, and who may be told credentials.
//!
//! Knows no script: what it says is found out when a session needs it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::egress::pac::{Pac, Params, Program, SCRIPT_BYTES_MAX, Source, Told, Url as At};
use crate::policy::auth_for::AuthFor;
use crate::wire::authority::{Authority, Host};

use super::context::{Context, Text};
use super::egress::{credentials, no_proxy, timeouts};
use super::fault::Fault;
use super::leg::Leg;
use super::reader::Section;
use super::url::Url;
use super::{file, schema};

const REFRESH: Duration = Duration::from_secs(10 * 60);
const CACHE: Duration = Duration::from_secs(5 * 60);
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Keys that mean something only beside `pac`.
const ONLY_WITH_PAC: [&str; 5] = ["pac_refresh", "pac_cache", "auth", "auth_for", "tls"];

/// What the evaluator gets of the environment: how it tells the time and finds names.
const ENVIRONMENT: [&str; 4] = ["TZ", "TZDIR", "LOCALDOMAIN", "RES_OPTIONS"];

/// Whether the egress has `pac`; what it has besides must go with that.
pub(super) fn is_asked_for(section: Section<'_>) -> bool {
    let Some(pac) = section.field("pac") else {
        let lonely = ONLY_WITH_PAC.iter().filter_map(|key| section.field(key));
        for field in lonely {
            let message = format!("`{}` without `pac`", field.key);
            let help = match field.key {
                "auth" => "a proxy's credentials are in its `hop`",
                "tls" => "TLS to an https:// proxy is in its `hop`",
                _ => "it belongs to a script, and this egress has none",
            };
            let fault = Fault::at(field.key_span(), message).help(help);
            section.cx.report(fault.may_follow());
        }
        return false;
    };
    for other in ["hop", "via", "order"] {
        if section.field(other).is_some() {
            let message = format!("`pac` and `{other}` in one egress");
            let help = "the script alone says which proxies there are, and in what order";
            let fault = Fault::at(pac.key_span(), message);
            section.cx.report(fault.help(help));
        }
    }
    true
}

/// An egress with `pac`. `None` after a fault.
pub(super) fn lower(name: &str, section: Section<'_>) -> Option<Pac> {
    let no_proxy = no_proxy(section);
    let told = told(section);
    let (refresh, cache) = (
        section.duration("pac_refresh", REFRESH),
        section.duration("pac_cache", CACHE),
    );
    let retry_after = section.duration("retry_after", RETRY_AFTER);
    let timeouts = timeouts(section);
    let text = section.text("pac")?;
    let tls = section.section("tls", &schema::PAC_TLS);
    let leg = Leg::trusting(section.cx, tls, text.span.clone());
    let source = source(section.cx, &text, leg.as_ref());
    Some(Pac::new(Params {
        name: name.to_owned(),
        no_proxy: no_proxy?,
        source: source?,
        refresh,
        cache,
        retry_after,
        told: told?,
        tls: leg?.config(),
        timeouts,
        evaluator: evaluator(section.cx),
    }))
}

/// This very program.
pub(super) fn evaluator(cx: &Context<'_>) -> Program {
    // Where there is one, the link leads to the running program even when its file was replaced.
    let link = Path::new("/proc/self/exe");
    let path = match link.exists() {
        true => link.to_path_buf(),
        false => std::env::current_exe().unwrap_or_else(|_| PathBuf::from("throughway")),
    };
    let set = |name: &str| Some((OsString::from(name), OsString::from((cx.env)(name)?)));
    Program {
        path,
        args: vec!["pac".into()],
        environment: ENVIRONMENT.into_iter().filter_map(set).collect(),
    }
}

fn source(cx: &Context<'_>, text: &Text<'_>, leg: Option<&Leg>) -> Option<Source> {
    let path = match text.text.split_once("://") {
        None => cx.resolve(text.text),
        Some((scheme, path)) if scheme.eq_ignore_ascii_case("file") && path.starts_with('/') => {
            PathBuf::from(path)
        }
        Some(_) => return url(cx, text, leg),
    };
    // Its content is the evaluator's to judge, and may change.
    if let Err(reason) = file::read(&path, SCRIPT_BYTES_MAX as u64) {
        let message = format!("`pac`: cannot read {}: {reason}", path.display());
        cx.report(Fault::at(text.span.clone(), message));
        return None;
    }
    Some(Source::File(path))
}

fn url(cx: &Context<'_>, text: &Text<'_>, leg: Option<&Leg>) -> Option<Source> {
    let refused = |reason: &str| {
        let message = format!("`pac` is not the URL of a script: {reason}");
        let fault = Fault::at(text.span.clone(), message).found(text.quoted());
        cx.report(fault.expected("http://host/path, https://host/path, or a file"));
    };
    let Some(url) = Url::split(text.text) else {
        refused("it has no valid scheme");
        return None;
    };
    let default = match url.scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => {
            refused("its scheme is neither http nor https");
            return None;
        }
    };
    let target = url.target().map_err(|e| refused(e.reason())).ok()?;
    let path = if target.path.is_empty() {
        "/"
    } else {
        target.path
    };
    if http::uri::PathAndQuery::try_from(path).is_err() {
        refused("its path holds a character that must be encoded");
        return None;
    }
    let tls = match default {
        443 => {
            let to = leg?.to(&target.host);
            if to.is_none() {
                refused("its host is a name that no certificate can hold");
            }
            Some(to?)
        }
        _ => None,
    };
    let port = target.port.filter(|p| *p != default);
    let host_header = authority(&target.host, port);
    Some(Source::Url(At {
        text: text.text.to_owned(),
        port: target.port.unwrap_or(default),
        host: target.host,
        tls,
        path: path.to_owned(),
        host_header,
    }))
}

fn authority(host: &Host, port: Option<u16>) -> String {
    let host = host.clone();
    Authority { host, port }.to_string()
}

/// `Some(None)`: nobody is told anything; `None` after a fault.
#[allow(
    clippy::option_option,
    reason = "the outer one is a fault, as everywhere here"
)]
fn told(section: Section<'_>) -> Option<Option<Told>> {
    let auth = section.field("auth");
    let known = auth.map(|field| credentials(field.section(&schema::PAC_AUTH)?));
    let only = section.field("auth_for").map(|_| auth_for(section));
    let (has, lacks, help) = match (known, only) {
        (None, None) => return Some(None),
        (Some(known), Some(only)) => {
            let ((credentials, auth), only) = (known?, only?);
            return Some(Some(Told {
                credentials,
                auth,
                only,
            }));
        }
        (Some(_), None) => (
            "auth",
            "auth_for",
            "list the proxies that may be told: a script could name any other",
        ),
        (None, Some(_)) => ("auth_for", "auth", "say what those proxies are told"),
    };
    let span = section.field(has).map_or(section.span(), |f| f.key_span());
    let fault = Fault::at(span, format!("`{has}` without `{lacks}`"));
    section.cx.report(fault.help(help).may_follow());
    None
}

fn auth_for(section: Section<'_>) -> Option<AuthFor> {
    let texts = section.field("auth_for")?.texts_not_empty()?;
    let mut list = AuthFor::default();
    let mut is_faulty = false;
    for text in &texts {
        if !list.add(text.text) {
            let fault = Fault::at(text.span.clone(), "not an entry of `auth_for`");
            let expected = "a host, or a dot and a domain, with a port if wanted";
            section
                .cx
                .report(fault.found(text.quoted()).expected(expected));
            is_faulty = true;
        }
    }
    (!is_faulty).then_some(list)
}
