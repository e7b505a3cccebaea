//! What a SOCKS hop says of itself: who resolves, and user and password.
//!
//! Knows no other part of a hop, and of HTTP proxies nothing.

use crate::egress::{Credentials, Protocol, Resolve, Secret};
use crate::wire::socks5;

use super::fault::Fault;
use super::field::Field;
use super::reader::Section;
use super::secret;

/// RFC 1928 §3.
pub(super) const DEFAULT_PORT: u16 = 1080;

/// What the scheme of a proxy's URL, in lower case, stands for; `None`: not SOCKS5.
pub(super) fn protocol(scheme: &str) -> Option<Protocol> {
    match scheme {
        "socks5" => Some(Protocol::Socks5(Resolve::Here)),
        "socks5h" => Some(Protocol::Socks5(Resolve::There)),
        _ => None,
    }
}

/// User and password of a SOCKS hop; `None` after a fault.
pub(super) fn credentials(section: Section<'_>) -> Option<Credentials> {
    let cx = section.cx;
    let of_http = ["scheme", "domain", "workstation", "spn", "keytab", "ccache"];
    let of_http: Vec<_> = of_http
        .iter()
        .filter_map(|key| section.field(key))
        .collect();
    for field in &of_http {
        let message = format!("`{}`, and a SOCKS proxy has none", field.key);
        let fault = Fault::at(field.span(), message);
        cx.report(fault.help("leave it out: SOCKS5 knows user and password alone"));
    }
    let user = section.required("user").and_then(text);
    let password = section.required("password").and_then(text);
    let (user, password) = (user?, password?);
    of_http.is_empty().then_some(Credentials { user, password })
}

/// Those of an environment's variable, or half a sentence of what is wrong.
pub(super) fn checked(
    credentials: Credentials,
) -> Result<Credentials, (&'static str, Option<String>)> {
    let texts = [&credentials.user, &credentials.password];
    match texts.iter().all(|text| socks5::fits(text.reveal())) {
        true => Ok(credentials),
        false => Err((
            "SOCKS5 takes a user and a password of 1 to 255 bytes each",
            None,
        )),
    }
}

// RFC 1929 §2.
fn text(field: Field<'_>) -> Option<Secret> {
    let secret = secret::secret(field)?;
    if socks5::fits(secret.reveal()) {
        return Some(secret);
    }
    let message = match secret.reveal() {
        "" => format!("`{}` is empty", field.key),
        _ => format!("`{}` is too long", field.key),
    };
    let expected = format!("1 to {} bytes, as SOCKS5 has it", socks5::TEXT_BYTES_MAX);
    // Not what was found: it is a secret, and so is its length.
    let fault = Fault::at(field.span(), message);
    field.cx.report(fault.expected(expected));
    None
}
