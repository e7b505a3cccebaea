//! `egress = "env"`: the proxies that the environment's variables name, read once and only when a
//! backend asks for them.
//!
//! No message repeats the value of a variable that may hold a password. Knows no servers.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::egress::{
    Auth, ByScheme, Choice, Credentials, Egress, Found, Hop, HopTimeouts, Protocol, Secret,
    Versions,
};
use crate::policy::no_proxy::NoProxy;

use super::context::{Context, Text, quoted};
use super::egress;
use super::fault::Fault;
use super::leg::Leg;
use super::socks;

/// The first that is set and not empty holds: the scheme's own before the general one, lower case
/// before upper case, as curl has it.
const FOR_WSS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const FOR_WS: [&str; 4] = ["http_proxy", HTTP_PROXY, "all_proxy", "ALL_PROXY"];
const NO_PROXY: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// A CGI server makes this of a client's `Proxy` header, so that it is no word of the
/// administrator's where [`CGI`] is set (<https://httpoxy.org>).
const HTTP_PROXY: &str = "HTTP_PROXY";
const CGI: &str = "REQUEST_METHOD";

/// What a value without a scheme means.
const SCHEME: &str = "http";

/// A variable that is set.
struct Variable {
    name: &'static str,
    value: Zeroizing<String>,
}

/// A fault that is in the list already.
struct Reported;

/// What the environment says, for an egress of this name. `at` is where it was asked for; `None`
/// after a fault.
pub(super) fn read(cx: &Context<'_>, at: &Text<'_>, name: &'static str) -> Option<ByScheme> {
    let (ws, wss) = (first_of(cx, &FOR_WS), first_of(cx, &FOR_WSS));
    // Without a proxy nobody goes past it, and a faulty list of who does harms nobody.
    let no_proxy = match (&ws, &wss) {
        (None, None) => NoProxy::default(),
        _ => no_proxy(cx, at)?,
    };
    let found = |variable: Option<Variable>| match variable {
        Some(variable) => found(cx, at, name, &variable, &no_proxy).map(Some),
        None => Ok(None),
    };
    match (found(ws), found(wss)) {
        (Ok(ws), Ok(wss)) => Some(ByScheme { ws, wss }),
        _ => None,
    }
}

fn first_of(cx: &Context<'_>, names: &[&'static str]) -> Option<Variable> {
    let is_believed = |name: &&str| **name != *HTTP_PROXY || (cx.env)(CGI).is_none();
    let mut names = names.iter().copied().filter(is_believed);
    names.find_map(|name| {
        let value = Zeroizing::new((cx.env)(name)?);
        (!value.trim().is_empty()).then_some(Variable { name, value })
    })
}

fn no_proxy(cx: &Context<'_>, at: &Text<'_>) -> Option<NoProxy> {
    let Some(variable) = first_of(cx, &NO_PROXY) else {
        return Some(NoProxy::parse(&[]).unwrap_or_default());
    };
    let separator = |c: char| c == ',' || c.is_whitespace();
    let entries = variable.value.split(separator).filter(|e| !e.is_empty());
    let entries: Vec<&str> = entries.collect();
    let parsed = NoProxy::parse(&entries);
    let Err(error) = parsed else {
        return parsed.ok();
    };
    // The first faulty entry is told alone: the list is not the file's, and has no places.
    let faulty = entries.get(error.index).copied().unwrap_or_default();
    let name = variable.name;
    let message = format!(
        "the environment variable {name} holds no list for `no_proxy`: {}",
        error.reason
    );
    let fault = Fault::at(at.span.clone(), message).found(quoted(faulty));
    cx.report(fault.expected("names, addresses, ranges or `*`, between commas or blanks"));
    None
}

fn found(
    cx: &Context<'_>,
    at: &Text<'_>,
    name: &'static str,
    variable: &Variable,
    no_proxy: &NoProxy,
) -> Result<Found, Reported> {
    let hop = hop(cx, at, &variable.value).map_err(|(reason, help)| {
        let variable = variable.name;
        let message =
            format!("the environment variable {variable} is not the URL of a proxy: {reason}");
        let fault = Fault::at(at.span.clone(), message);
        let fault = fault.expected("http://user:password@host:port, as all programs read it");
        cx.report(fault.help_if_any(help));
        Reported
    })?;
    Ok(Found {
        source: variable.name,
        egress: Arc::new(Egress {
            name: name.to_owned(),
            no_proxy: no_proxy.clone(),
            hops: vec![hop],
            timeouts: HopTimeouts::default(),
            warm: None,
        }),
    })
}

/// Half a sentence of what is wrong, and perhaps one of what to write instead.
pub(super) type Refused = (&'static str, Option<String>);

fn hop(cx: &Context<'_>, at: &Text<'_>, value: &str) -> Result<Hop, Refused> {
    let value = value.trim();
    let (scheme, rest) = value.split_once("://").unwrap_or((SCHEME, value));
    // The last `@`: a proxy has no path, so that all before it is the user and the password, with
    // whatever characters somebody forgot to encode.
    let (userinfo, address) = match rest.rsplit_once('@') {
        Some((userinfo, address)) => (Some(userinfo), address),
        None => (None, rest),
    };
    let url = format!("{scheme}://{address}");
    let proxy = egress::parse(&Text {
        text: &url,
        span: at.span.clone(),
    })?;
    let credentials = match userinfo.filter(|userinfo| !userinfo.is_empty()) {
        Some(userinfo) => Some(credentials(userinfo, proxy.protocol)?),
        None => None,
    };
    let tls = match proxy.is_tls {
        true => {
            let leg = Leg::lower(cx, None, at.span.clone());
            let to = leg.and_then(|leg| leg.to(&proxy.host));
            Some(to.ok_or(("TLS to it cannot be set up", None))?)
        }
        false => None,
    };
    Ok(Hop {
        host: proxy.host,
        port: proxy.port,
        protocol: proxy.protocol,
        tls,
        credentials,
        auth: Auth::by(Choice::Auto),
        versions: Versions::default(),
    })
}

/// User and password as they stand before the `@` of a URL.
pub(super) fn credentials(userinfo: &str, protocol: Protocol) -> Result<Credentials, Refused> {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let (user, password) = (decoded(user)?, decoded(password)?);
    if protocol != Protocol::Http {
        return socks::checked(Credentials { user, password });
    }
    // As in the file: the first colon ends the user.
    if user.reveal().contains(':') {
        return Err(("its user holds a colon, which no scheme can carry", None));
    }
    Ok(Credentials { user, password })
}

/// RFC 3986 §2.1: `%` and two hexadecimal digits stand for a byte.
fn decoded(text: &str) -> Result<Secret, Refused> {
    let not_encoded = || {
        let help = "write %25 for a percent sign in the user or the password";
        ("a `%` in it begins no encoded byte", Some(help.to_owned()))
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit().zip(digit()).map(|(high, low)| high * 16 + low);
        let byte = value.and_then(|value| u8::try_from(value).ok());
        bytes.push(byte.ok_or_else(not_encoded)?);
    }
    let text = std::str::from_utf8(&bytes);
    let text = text.map_err(|_| ("its user or password is not text in UTF-8", None))?;
    match text.chars().any(char::is_control) {
        true => Err(("its user or password holds a control character", None)),
        false => Ok(Secret::new(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(userinfo: &str, expected: Option<(&str, &str)>) {
        let credentials = credentials(userinfo, Protocol::Http).ok();
        let found = credentials
            .as_ref()
            .map(|c| (c.user.reveal(), c.password.reveal()));
        assert_eq!(found, expected, "{userinfo:?}");
    }

    #[test]
    fn socks_takes_a_colon_in_a_user_and_no_user_without_a_password() {
        let check = |userinfo: &str, is_taken: bool| {
            let protocol = Protocol::Socks5(crate::egress::Resolve::There);
            assert_eq!(credentials(userinfo, protocol).is_ok(), is_taken);
        };
        check("alice:open", true);
        check("a%3Ab:c", true);
        check("alice", false);
        check(":open", false);
        check(&format!("alice:{}", "x".repeat(255)), true);
        check(&format!("alice:{}", "x".repeat(256)), false);
    }

    #[test]
    fn a_user_and_a_password_are_decoded_after_they_are_told_apart() {
        check("alice:open", Some(("alice", "open")));
        check("alice", Some(("alice", "")));
        check("alice:", Some(("alice", "")));
        check("alice:a:b", Some(("alice", "a:b")));
        check(
            "CORP%5Calice:p%40ss%3aw%2Frd%25",
            Some(("CORP\\alice", "p@ss:w/rd%")),
        );
        check("al+ice:a b@c/d", Some(("al+ice", "a b@c/d")));
        check("%C3%A9:%C3%A9", Some(("é", "é")));
        check("a%3Ab:c", None);
        check("alice:%", None);
        check("alice:%4", None);
        check("alice:%zz", None);
        check("alice:%+1", None);
        check("alice:%FF", None);
        check("alice:%0d%0aX: y", None);
        check("%00:x", None);
    }
}
