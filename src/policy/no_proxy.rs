//! Which targets go direct although their egress has a proxy.
//!
//! One table, because every program reads these lists differently:
//!
//! | entry | lets go direct |
//! |---|---|
//! | `*` | every target |
//! | `example.com`, `.example.com`, `*.example.com` | `example.com` and every name below it, as curl reads it; never `notexample.com`, never an address |
//! | `10.1.2.3`, `[2001:db8::1]`, `2001:db8::1` | that address, written as an address |
//! | `10.0.0.0/8`, `2001:db8::/32`, `[2001:db8::]/32` | every target written as an address in that range |
//! | any of these with `:port` (an IPv6 address in brackets then) | the same, on that port only |
//! | no entry | `localhost`, `*.localhost`, and addresses in 127.0.0.0/8, `::1`, 169.254.0.0/16 and fe80::/10: no proxy elsewhere can mean this machine or this link |
//! | `<-loopback>` | switches the line above off, so that those go through the proxy too |
//!
//! Names are never resolved to find out: a name matches name entries, an address matches address
//! entries. What the names stand for is the proxy's knowledge, not ours.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::wire::authority::Host;

/// More entries than this is a list for a proxy's own configuration, not for a gateway's.
pub const ENTRIES_MAX: usize = 1024;

/// As Chromium spells it: take away the bypass that is there without an entry.
const NO_IMPLICIT: &str = "<-loopback>";

/// A parsed `no_proxy` list.
///
/// The default lets nobody go direct, not even loopback; a parsed list does, unless it holds
/// `<-loopback>`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoProxy {
    entries: Vec<Entry>,
    /// Loopback, link-local and `localhost` go direct without an entry.
    implicit: bool,
}

/// An entry that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoProxyError {
    /// Which entry of the list, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub reason: NotAnEntry,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAnEntry {
    /// A port that is no number from 1 to 65535.
    Port,
    /// A range whose address or length is none.
    Range,
    /// Neither a name nor an address.
    Name,
    /// One too many.
    TooMany,
}

/// What lets a target go direct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bypass<'l> {
    /// It is this machine or this link, and no entry says otherwise.
    Implicit,
    /// An entry of the list.
    Listed(&'l Entry),
}

/// One entry of a list; shown as it could be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    target: Target,
    /// `None`: every port.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Everything,
    /// A name and all names below it; lower case, without a dot in front.
    Name(String),
    /// A single address is a range of one.
    Range(IpNet),
}

impl NoProxy {
    /// Parses a list, one entry an item.
    pub fn parse(entries: &[&str]) -> Result<Self, NoProxyError> {
        let mut list = Self {
            entries: Vec::new(),
            implicit: true,
        };
        for (index, entry) in entries.iter().enumerate() {
            let fail = |reason| NoProxyError { index, reason };
            if index >= ENTRIES_MAX {
                return Err(fail(NotAnEntry::TooMany));
            }
            if *entry == NO_IMPLICIT {
                list.implicit = false;
                continue;
            }
            list.entries.push(Entry::parse(entry).map_err(fail)?);
        }
        Ok(list)
    }

    /// Whether a target goes direct.
    pub fn bypasses(&self, host: &Host, port: u16) -> bool {
        self.why(host, port).is_some()
    }

    /// What lets a target go direct, if anything does: the first entry where several would.
    pub fn why(&self, host: &Host, port: u16) -> Option<Bypass<'_>> {
        if self.implicit && is_near(host) {
            return Some(Bypass::Implicit);
        }
        let entry = self.entries.iter().find(|e| e.matches(host, port));
        entry.map(Bypass::Listed)
    }
}

/// This machine, or this link.
fn is_near(host: &Host) -> bool {
    match host {
        Host::Name(name) => is_at_or_below(name, "localhost"),
        Host::Ip(ip) => match ip.to_canonical() {
            IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local(),
        },
    }
}

fn is_at_or_below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent)
        .is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

impl Entry {
    fn parse(text: &str) -> Result<Self, NotAnEntry> {
        if let Some((address, rest)) = text.split_once('/') {
            return parse_range(address, rest);
        }
        // A bare IPv6 address is full of colons, and none of them begins a port.
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::address(ip, None));
        }
        let (host, port) = split_port(text)?;
        if host == "*" {
            let target = Target::Everything;
            return Ok(Self { target, port });
        }
        let name = host.strip_prefix('*').unwrap_or(host);
        let name = name.strip_prefix('.').unwrap_or(name);
        // `*example.com` would have to match `notexample.com`: refused rather than guessed at.
        if host.starts_with('*') && !host.starts_with("*.") {
            return Err(NotAnEntry::Name);
        }
        match Host::parse(name).map_err(|_| NotAnEntry::Name)? {
            Host::Ip(ip) if name == host => Ok(Self::address(ip, port)),
            Host::Ip(_) => Err(NotAnEntry::Name),
            Host::Name(name) => {
                let target = Target::Name(name);
                Ok(Self { target, port })
            }
        }
    }

    fn address(ip: IpAddr, port: Option<u16>) -> Self {
        let target = Target::Range(IpNet::from(ip.to_canonical()));
        Self { target, port }
    }

    fn matches(&self, host: &Host, port: u16) -> bool {
        if self.port.is_some_and(|p| p != port) {
            return false;
        }
        match (&self.target, host) {
            (Target::Everything, _) => true,
            (Target::Name(parent), Host::Name(name)) => is_at_or_below(name, parent),
            (Target::Range(range), Host::Ip(ip)) => range.contains(&ip.to_canonical()),
            (Target::Name(_), Host::Ip(_)) | (Target::Range(_), Host::Name(_)) => false,
        }
    }
}

/// `address` stood before the slash; `rest` is the length and perhaps a port.
fn parse_range(address: &str, rest: &str) -> Result<Entry, NotAnEntry> {
    let (length, port) = split_port(rest)?;
    let address = match address.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or(NotAnEntry::Range)?,
        None => address,
    };
    let ip: IpAddr = address.parse().map_err(|_| NotAnEntry::Range)?;
    let length: u8 = length.parse().map_err(|_| NotAnEntry::Range)?;
    let (ip, length) = canonical(ip, length).ok_or(NotAnEntry::Range)?;
    let range = IpNet::new(ip, length).map_err(|_| NotAnEntry::Range)?;
    let target = Target::Range(range.trunc());
    Ok(Entry { target, port })
}

/// A range of IPv4-mapped addresses is one of IPv4 addresses, as which each target is compared. One
/// that reaches beyond them would let no IPv4 address go although it seems to.
fn canonical(ip: IpAddr, length: u8) -> Option<(IpAddr, u8)> {
    let canonical = ip.to_canonical();
    let bits_before = if ip == canonical { 0 } else { 96 };
    Some((canonical, length.checked_sub(bits_before)?))
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), NotAnEntry> {
    if text.ends_with(']') {
        return Ok((text, None));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Ok((text, None));
    };
    let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    match port.parse() {
        Ok(number) if is_number && number != 0 => Ok((host, Some(number))),
        _ => Err(NotAnEntry::Port),
    }
}

impl fmt::Display for NoProxy {
    /// What goes direct, for people, with `, ` between the entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let implicit = self.implicit.then(|| "this machine".to_owned());
        let entries = self.entries.iter().map(Entry::to_string);
        let all: Vec<String> = implicit.into_iter().chain(entries).collect();
        match all.is_empty() {
            true => f.write_str("nothing"),
            false => f.write_str(&all.join(", ")),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brackets = self.port.is_some();
        match &self.target {
            Target::Everything => f.write_str("*")?,
            Target::Name(name) => f.write_str(name)?,
            Target::Range(range) if range.prefix_len() == range.max_prefix_len() => {
                write!(f, "{}", Host::Ip(range.addr()))?;
            }
            Target::Range(IpNet::V6(range)) if brackets => {
                write!(f, "[{}]/{}", range.addr(), range.prefix_len())?;
            }
            Target::Range(range) => range.fmt(f)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Bypass<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Implicit => f.write_str("this machine or this link, without an entry"),
            Self::Listed(entry) => entry.fmt(f),
        }
    }
}

impl fmt::Display for NotAnEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port => f.write_str("its port is not a number from 1 to 65535"),
            Self::Range => f.write_str("it is not a range such as 10.0.0.0/8"),
            Self::Name => f.write_str("it is neither a name, an address nor a range"),
            Self::TooMany => write!(f, "the list is longer than {ENTRIES_MAX} entries"),
        }
    }
}

impl fmt::Display for NoProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}: {}", self.index + 1, self.reason)
    }
}

impl std::error::Error for NoProxyError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::authority::Authority;

    fn check(entries: &[&str], direct: &[&str], proxied: &[&str]) {
        let list = NoProxy::parse(entries).unwrap();
        let bypasses = |target: &str| {
            let authority = Authority::parse(target).unwrap();
            list.bypasses(&authority.host, authority.port_or(443))
        };
        for target in direct {
            assert!(
                bypasses(target),
                "{entries:?} should let {target} go direct"
            );
        }
        for target in proxied {
            assert!(!bypasses(target), "{entries:?} should proxy {target}");
        }
    }

    #[test]
    fn a_star_is_everything() {
        check(
            &["*"],
            &["example.com", "10.0.0.1", "[2001:db8::1]:80"],
            &[],
        );
        check(&["*:80"], &["example.com:80"], &["example.com:443"]);
    }

    #[test]
    fn a_name_covers_itself_and_what_is_below_it() {
        for entry in [
            "example.com",
            ".example.com",
            "*.example.com",
            "EXAMPLE.com.",
        ] {
            check(
                &[entry],
                &[
                    "example.com",
                    "a.example.com",
                    "a.b.Example.COM",
                    "example.com.:80",
                ],
                &[
                    "notexample.com",
                    "example.com.evil",
                    "com",
                    "example.org",
                    "10.0.0.1",
                ],
            );
        }
    }

    #[test]
    fn an_address_covers_itself_and_never_a_name() {
        check(
            &["10.1.2.3"],
            &["10.1.2.3", "[::ffff:10.1.2.3]"],
            &["10.1.2.4", "a.test"],
        );
        for entry in ["2001:db8::1", "[2001:db8::1]"] {
            check(&[entry], &["[2001:DB8:0::1]"], &["[2001:db8::2]"]);
        }
    }

    #[test]
    fn a_range_covers_addresses_that_are_written_as_such() {
        check(
            &["10.0.0.0/8"],
            &["10.255.0.1"],
            &["11.0.0.1", "ten.test", "[::a00:1]"],
        );
        check(&["10.9.9.9/8"], &["10.1.1.1"], &["11.0.0.1"]);
        check(&["0.0.0.0/0"], &["8.8.8.8"], &["[2001:db8::1]", "a.test"]);
        for entry in ["2001:db8::/32", "[2001:db8::]/32"] {
            check(&[entry], &["[2001:db8:1::1]"], &["[2001:db9::1]"]);
        }
    }

    /// Such a range had been taken and had let nothing go, since targets are compared without
    /// their mapping.
    #[test]
    fn a_range_of_mapped_addresses_covers_what_they_stand_for() {
        check(
            &["::ffff:10.0.0.0/104", "[::ffff:192.0.2.7]/128:80"],
            &["10.1.2.3", "[::ffff:10.1.2.3]", "192.0.2.7:80"],
            &["11.0.0.1", "192.0.2.7:443", "[::1:0:0:1]"],
        );
        let wider = NoProxy::parse(&["::ffff:10.0.0.0/95"]).map_err(|e| e.reason);
        assert_eq!(wider, Err(NotAnEntry::Range));
    }

    #[test]
    fn a_port_narrows_every_kind_of_entry() {
        check(
            &[".corp.example:8080"],
            &["a.corp.example:8080"],
            &["a.corp.example:8081"],
        );
        check(&["10.1.2.3:80"], &["10.1.2.3:80"], &["10.1.2.3:81"]);
        check(
            &["[2001:db8::1]:80"],
            &["[2001:db8::1]:80"],
            &["[2001:db8::1]"],
        );
        check(&["10.0.0.0/8:80"], &["10.1.2.3:80"], &["10.1.2.3"]);
        check(
            &["[2001:db8::]/32:80"],
            &["[2001:db8::1]:80"],
            &["[2001:db8::1]"],
        );
    }

    #[test]
    fn loopback_and_link_local_go_direct_unless_that_is_switched_off() {
        let near = [
            "localhost",
            "LOCALHOST:9000",
            "api.localhost",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "169.254.1.1",
            "[fe80::1]",
        ];
        check(
            &[],
            &near,
            &["notlocalhost", "localhost.evil", "128.0.0.1", "0.0.0.0"],
        );
        check(&["<-loopback>"], &[], &near);
        check(
            &["<-loopback>", "localhost"],
            &["localhost"],
            &["127.0.0.1"],
        );
        let localhost = Host::Name("localhost".to_owned());
        assert!(!NoProxy::default().bypasses(&localhost, 80));
    }

    #[test]
    fn the_first_entry_that_lets_a_target_go_direct_is_the_reason() {
        let list = NoProxy::parse(&["10.0.0.0/8:80", "10.0.0.0/8", "a.test"]).unwrap();
        let why = |target: &str| {
            let authority = Authority::parse(target).unwrap();
            let why = list.why(&authority.host, authority.port_or(443));
            why.map(|why| why.to_string())
        };
        let implicit = Some("this machine or this link, without an entry".to_owned());
        assert_eq!(why("localhost"), implicit);
        assert_eq!(why("10.1.2.3:80").as_deref(), Some("10.0.0.0/8:80"));
        assert_eq!(why("10.1.2.3").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(why("b.a.test").as_deref(), Some("a.test"));
        assert_eq!(why("b.test"), None);
    }

    #[test]
    fn a_list_is_shown_as_it_could_be_written() {
        let entries = [
            "*:80",
            "example.com",
            "a.test:81",
            "10.1.2.3",
            "[2001:db8::1]:82",
            "10.0.0.0/8:83",
            "2001:db8::/32",
            "[2001:db8::]/32:84",
        ];
        let list = NoProxy::parse(&entries).unwrap();
        assert_eq!(
            list.to_string(),
            format!("this machine, {}", entries.join(", "))
        );
        assert_eq!(NoProxy::default().to_string(), "nothing");
    }

    #[test]
    fn what_is_no_entry_says_which_and_why() {
        let table = [
            ("", NotAnEntry::Name),
            (".", NotAnEntry::Name),
            ("*.", NotAnEntry::Name),
            ("*example.com", NotAnEntry::Name),
            ("a.*.com", NotAnEntry::Name),
            (".10.0.0.1", NotAnEntry::Name),
            ("a b", NotAnEntry::Name),
            ("a,b", NotAnEntry::Name),
            ("http://a", NotAnEntry::Range),
            ("example.com:", NotAnEntry::Port),
            ("example.com:0", NotAnEntry::Port),
            ("example.com:+80", NotAnEntry::Port),
            ("example.com:70000", NotAnEntry::Port),
            ("10.0.0.0/33", NotAnEntry::Range),
            ("10.0.0.0/", NotAnEntry::Range),
            ("10.0.0/8", NotAnEntry::Range),
            ("example.com/8", NotAnEntry::Range),
            ("[2001:db8::/32", NotAnEntry::Range),
        ];
        for (entry, reason) in table {
            let error = NoProxy::parse(&["ok.test", entry]).unwrap_err();
            assert_eq!(error, NoProxyError { index: 1, reason }, "{entry:?}");
        }
        let long = vec!["a.test"; ENTRIES_MAX + 1];
        let error = NoProxy::parse(&long).unwrap_err();
        assert_eq!(error.reason, NotAnEntry::TooMany);
    }
}
