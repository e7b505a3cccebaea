//! An entry of `no_proxy` against a target: the first line of the data is the entry, the second
//! the target.

#![no_main]

use std::net::{IpAddr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;
use throughway::policy::no_proxy::NoProxy;
use throughway::wire::authority::{Authority, Host};
use throughway_fuzz::text;

/// Takes away what goes direct without an entry.
const NO_IMPLICIT: &str = "<-loopback>";

fuzz_target!(|data: &[u8]| {
    let Some(text) = text(data) else {
        return;
    };
    let (entry, target) = text.split_once('\n').unwrap_or((text, "chat.example.com"));
    let Ok(list) = NoProxy::parse(&[NO_IMPLICIT, entry]) else {
        return;
    };
    if entry == NO_IMPLICIT {
        return;
    }
    let printed = list.to_string();
    assert!(printed.bytes().all(|b| b.is_ascii_graphic()), "{printed:?}");
    assert_eq!(NoProxy::parse(&[NO_IMPLICIT, &printed]).as_ref(), Ok(&list));
    if let Ok(target) = Authority::parse(target) {
        let port = target.port_or(443);
        let expected = is_listed(&printed, &target.host, port);
        assert_eq!(
            list.bypasses(&target.host, port),
            expected,
            "{entry:?} {target}"
        );
    }
    lets_itself_go(&list, entry);
});

/// An entry that is an address, a range or a name lets that address or name go, on its port.
fn lets_itself_go(list: &NoProxy, entry: &str) {
    let (address, rest) = entry.split_once('/').unwrap_or((entry, entry));
    let port = rest
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        let port = port.filter(|_| entry.contains('/')).unwrap_or(443);
        assert!(list.bypasses(&Host::Ip(ip), port), "{entry:?} is of no use");
    }
    let is_name = !entry.contains(['/', '*']) && !entry.starts_with('.');
    if let Ok(authority) = Authority::parse(entry)
        .map_err(drop)
        .and_then(|a| match is_name {
            true => Ok(a),
            false => Err(()),
        })
    {
        let port = authority.port_or(443);
        assert!(
            list.bypasses(&authority.host, port),
            "{entry:?} is of no use"
        );
    }
}

/// By the entry's text in canonical form, bit by bit.
fn is_listed(entry: &str, host: &Host, port: u16) -> bool {
    let (entry, on) = port_of(entry);
    if on.is_some_and(|on| on != port) {
        return false;
    }
    if entry == "*" {
        return true;
    }
    let (address, length) = entry.split_once('/').unwrap_or((entry, "max"));
    let address = address.trim_start_matches('[').trim_end_matches(']');
    match (address.parse::<IpAddr>(), host) {
        (Ok(net), Host::Ip(ip)) => is_within(net, length, ip.to_canonical()),
        (Err(_), Host::Name(name)) => name == entry || name.ends_with(&format!(".{entry}")),
        (Ok(_), Host::Name(_)) | (Err(_), Host::Ip(_)) => false,
    }
}

fn port_of(entry: &str) -> (&str, Option<u16>) {
    let is_bare_v6 = |text: &str| {
        let address = text.split('/').next().unwrap_or_default();
        address.parse::<Ipv6Addr>().is_ok()
    };
    match entry.rsplit_once(':') {
        Some((rest, port)) if !is_bare_v6(entry) && !port.contains([']', '/']) => {
            (rest, port.parse().ok())
        }
        _ => (entry, None),
    }
}

fn is_within(net: IpAddr, length: &str, ip: IpAddr) -> bool {
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (u128::from(ip.to_bits()) << 96, 32),
        IpAddr::V6(ip) => (ip.to_bits(), 128),
    };
    let ((net, max), (ip, ip_max)) = (bits(net), bits(ip));
    let length: u32 = length.parse().unwrap_or(max);
    let shift = 128 - length;
    max == ip_max && (length == 0 || net >> shift == ip >> shift)
}
