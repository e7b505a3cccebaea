//! Names and addresses for a PAC script: the system's resolver, which blocks, and this machine's
//! own addresses.
//!
//! Knows no time: who calls is ended by somebody else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

use ipnet::IpNet;

/// Where a packet would leave this machine for. Documentation addresses: nothing is ever sent.
const FAR_4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const FAR_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// All addresses of `host`, each once.
fn addresses(host: &str) -> Vec<IpAddr> {
    if let Ok(ip) = host.parse() {
        return vec![ip];
    }
    let mut found: Vec<IpAddr> = Vec::new();
    for ip in (host, 0).to_socket_addrs().into_iter().flatten() {
        if !found.contains(&ip.ip()) {
            found.push(ip.ip());
        }
    }
    found
}

/// The first IPv4 address of `host`.
pub(super) fn resolve(host: &str) -> Option<String> {
    let first = addresses(host).into_iter().find(IpAddr::is_ipv4);
    first.map(|ip| ip.to_string())
}

/// All addresses of `host`.
pub(super) fn resolve_all(host: &str) -> String {
    joined(&addresses(host))
}

/// The IPv4 address with which this machine goes out.
pub(super) fn my_address() -> String {
    let ip = leaving_for(FAR_4.into());
    ip.unwrap_or(Ipv4Addr::LOCALHOST.into()).to_string()
}

/// The same, and that of IPv6.
pub(super) fn my_addresses() -> String {
    let ways = [FAR_6.into(), FAR_4.into()];
    joined(&ways.into_iter().filter_map(leaving_for).collect::<Vec<_>>())
}

// Connecting a datagram socket chooses an address and sends nothing.
fn leaving_for(far: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match far {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(far, 53)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

/// Whether an address of `host` is in `prefix`, as in `fc00::/7`.
pub(super) fn is_in(host: &str, prefix: &str) -> bool {
    let Ok(net) = prefix.parse::<IpNet>() else {
        return false;
    };
    addresses(host).iter().any(|ip| net.contains(ip))
}

/// A list of addresses in order, those of IPv6 first; empty if one of them is none.
pub(super) fn sorted(list: &str) -> String {
    let parsed: Result<Vec<IpAddr>, _> = list.split(';').map(|a| a.trim().parse()).collect();
    let mut parsed = parsed.unwrap_or_default();
    parsed.sort_by_key(|ip| (ip.is_ipv4(), *ip));
    joined(&parsed)
}

fn joined(ips: &[IpAddr]) -> String {
    let texts: Vec<String> = ips.iter().map(ToString::to_string).collect();
    texts.join(";")
}
