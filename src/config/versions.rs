//! Which HTTP a hop is asked in: `http`, for proxies that are reached by TLS.
//!
//! Knows no ALPN.

use crate::egress::{Auth, Choice, Http, Scheme, Versions};

use super::fault::Fault;
use super::reader::Section;

const KEY: &str = "http";

/// Of a hop that is told by `auth`. `None` after a fault.
pub(super) fn versions(section: Section<'_>, is_tls: bool, auth: &Auth) -> Option<Versions> {
    let Some(field) = section.field(KEY) else {
        return Some(Versions::default());
    };
    let refuse = |message: String, help: &str| {
        let fault = Fault::at(field.span(), message).help(help);
        section.cx.report(fault);
        None
    };
    if !is_tls {
        let message = format!("`{KEY}`, and the proxy is reached without TLS");
        let help = "leave it out: only TLS tells what a proxy speaks, with https:// in `url`";
        return refuse(message, help);
    }
    let words = [("auto", Http::Auto), ("1.1", Http::One), ("2", Http::Two)];
    let http = section.choice(KEY, &words);
    match (http, auth.choice()) {
        (Http::Two, Choice::Only(scheme @ (Scheme::Ntlm | Scheme::Negotiate))) => {
            let message = format!("HTTP/2 does not carry {scheme}");
            refuse(
                message,
                "write http = \"auto\" or \"1.1\", or another `scheme`",
            )
        }
        _ => Some(Versions::by(http)),
    }
}
