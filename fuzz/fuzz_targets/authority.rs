//! `host[:port]`, and the list of proxies that may be told credentials: the first line of the data
//! is an authority, the second an entry of the list.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use throughway::policy::auth_for::AuthFor;
use throughway::wire::authority::{Authority, Host};
use throughway_fuzz::text;

/// RFC 1035 §2.3.4.
const NAME_BYTES_MAX: usize = 253;

fuzz_target!(|data: &[u8]| {
    let Some(text) = text(data) else {
        return;
    };
    let (line, entry) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(authority) = Authority::parse(line) else {
        return;
    };
    let printed = authority.to_string();
    assert_eq!(Authority::parse(&printed).as_ref(), Ok(&authority));
    assert_ne!(authority.port, Some(0));
    is_sound(&authority.host);
    is_the_same_to_others(&authority, line);
    let mut list = AuthFor::default();
    if list.add(entry) {
        let port = authority.port_or(3128);
        let holds = list.holds(&authority.host, port);
        assert_eq!(
            holds,
            is_listed(entry, &authority.host, port),
            "{entry:?} {authority}"
        );
    }
});

fn is_sound(host: &Host) {
    let Host::Name(name) = host else {
        return;
    };
    assert!(name.len() <= NAME_BYTES_MAX);
    assert!(name.split('.').all(|label| (1..=63).contains(&label.len())));
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    assert!(name.bytes().all(is_plain), "{name}");
    assert!(name.parse::<IpAddr>().is_err(), "{name} is an address");
}

/// Whatever is an authority here is one for others, with the same host and port.
fn is_the_same_to_others(authority: &Authority, line: &str) {
    let theirs: http::uri::Authority = line.parse().expect("an authority");
    assert_eq!(theirs.port_u16(), authority.port);
    let host = theirs.host();
    match &authority.host {
        Host::Name(name) => {
            let host = host.strip_suffix('.').unwrap_or(host);
            assert!(name.eq_ignore_ascii_case(host));
        }
        Host::Ip(ip) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            assert_eq!(host.parse(), Ok(*ip));
        }
    }
}

/// By texts: the name itself, or for an entry with a dot in front what ends in it.
fn is_listed(entry: &str, host: &Host, port: u16) -> bool {
    let entry = entry.to_ascii_lowercase();
    let is_suffix = entry.starts_with('.');
    let named = Authority::parse(entry.trim_start_matches('.')).expect("it was added");
    if named.port.is_some_and(|p| p != port) {
        return false;
    }
    let (named, host) = (named.host.to_string(), host.to_string());
    match is_suffix {
        true => host.ends_with(&format!(".{named}")),
        false => host == named,
    }
}
