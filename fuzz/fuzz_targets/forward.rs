//! What goes on to the backend of a client's headers, and what is said of the client. The first
//! byte of the data chooses whom the client came through, the rest is a header a line.

#![no_main]

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use throughway::policy::forward::{self, Facts, Seen};
use throughway::policy::route::Rewrite;
use throughway::wire::authority::Authority;
use throughway::wire::target::Target;
use throughway::wire::ws::handshake::Opening;
use throughway::wire::{fields, list};
use throughway_fuzz::headers;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, lines)) = data.split_first() else {
        return;
    };
    let seen = seen(choice);
    let opening = opening(headers(lines));
    let facts = seen.facts(&opening.headers);
    is_told_or_seen(&facts, &seen, &opening.headers);
    let rewrite = Rewrite::default();
    let sent = forward::to_backend(opening.headers, &opening.authority, &seen, &facts, &rewrite);
    says_what_was_seen(&sent, &seen, &facts);
    ends_here(&sent);
    if !facts.trusted {
        let ip = seen.address.ip().to_canonical().to_string();
        assert_eq!(sent["x-forwarded-for"], ip, "a stranger is not believed");
        assert_eq!(sent["x-forwarded-host"], "chat.example.com:8443");
        assert!(!sent.contains_key("x-real-ip"));
    }
});

fn seen(choice: u8) -> Seen {
    let ip = match choice >> 1 & 3 {
        0 => "10.0.0.1",
        1 => "::ffff:10.0.0.1",
        2 => "2001:db8::1",
        _ => "192.0.2.7",
    };
    let trusted = ["10.0.0.0/8", "2001:db8::/32"];
    Seen {
        listener: "public".to_owned(),
        address: SocketAddr::new(ip.parse().expect("an address"), 4711),
        secure: choice & 1 != 0,
        trusted: trusted.map(|net| net.parse().expect("a range")).into(),
    }
}

fn opening(headers: HeaderMap) -> Opening {
    Opening {
        authority: Authority::parse("chat.example.com:8443").expect("an authority"),
        target: Target::parse("/chat").expect("a target"),
        key: "dGhlIHNhbXBsZSBub25jZQ==".to_owned(),
        origin: None,
        subprotocols: Vec::new(),
        headers,
    }
}

/// The address is the one seen, or stands in the header with nothing but trusted ones behind it.
fn is_told_or_seen(facts: &Facts, seen: &Seen, headers: &HeaderMap) {
    let own = seen.address.ip().to_canonical();
    let trusts = |ip: &IpAddr| seen.trusted.iter().any(|net| net.contains(ip));
    assert_eq!(facts.trusted, trusts(&own));
    if !facts.trusted {
        assert_eq!(facts.address, own);
        return;
    }
    let lines = headers.get_all("x-forwarded-for").iter();
    let lines: Vec<_> = lines
        .map(|line| String::from_utf8_lossy(line.as_bytes()))
        .collect();
    let told = lines.join(",");
    let told: Vec<Option<IpAddr>> = told
        .split(',')
        .map(|entry| entry.trim_matches([' ', '\t']))
        .filter(|entry| !entry.is_empty())
        .map(|entry| entry.parse().ok())
        .map(|ip: Option<IpAddr>| ip.map(|ip| ip.to_canonical()))
        .collect();
    let behind = told
        .iter()
        .rev()
        .take_while(|ip| ip.is_some_and(|ip| trusts(&ip)));
    let behind = behind.count();
    let first_stranger = told.iter().rev().nth(behind).copied().flatten();
    let last_trusted = behind
        .checked_sub(1)
        .and_then(|n| told.iter().rev().nth(n).copied());
    let expected = first_stranger.or(last_trusted.flatten()).unwrap_or(own);
    assert_eq!(facts.address, expected, "{told:?}");
}

/// Whatever a client says, the last word is ours.
fn says_what_was_seen(sent: &HeaderMap, seen: &Seen, facts: &Facts) {
    let ip = seen.address.ip().to_canonical();
    let one = |name: &str| {
        let lines: Vec<_> = sent.get_all(name).iter().collect();
        let [line] = lines.as_slice() else {
            panic!("{} lines of {name}", lines.len());
        };
        line.to_str().expect("text").to_owned()
    };
    let forwarded_for = one("x-forwarded-for");
    let last = forwarded_for.rsplit(',').next().map(str::trim);
    assert_eq!(last, Some(ip.to_string().as_str()));
    assert_eq!(one("x-forwarded-proto"), facts.scheme);
    assert!(!one("x-forwarded-host").is_empty());
    let node = match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("\"[{ip}]\""),
    };
    let scheme = if seen.secure { "https" } else { "http" };
    let ours = format!("for={node};host=\"chat.example.com:8443\";proto={scheme}");
    let forwarded = one("forwarded");
    assert_eq!(
        list::elements(&forwarded).last(),
        Some(ours.as_str()),
        "{forwarded}"
    );
    let via: Vec<_> = fields::tokens(sent, &http::header::VIA).collect();
    assert!(
        via.last().is_some_and(|v| v.ends_with("1.1 throughway")),
        "{via:?}"
    );
}

/// Nothing of the client's connection goes on, and nothing that others could take for ours.
fn ends_here(sent: &HeaderMap) {
    assert_eq!(
        sent.get_all("connection").iter().collect::<Vec<_>>(),
        ["Upgrade"]
    );
    assert_eq!(
        sent.get_all("upgrade").iter().collect::<Vec<_>>(),
        ["websocket"]
    );
    for name in sent.keys().map(|name| name.as_str()) {
        assert!(!name.starts_with("proxy-"), "{name}");
        let of_the_hop = [
            "content-length",
            "host",
            "http2-settings",
            "keep-alive",
            "te",
            "trailer",
            "transfer-encoding",
        ];
        assert!(!of_the_hop.contains(&name), "{name}");
        let spelling = name.replace(['_', '.'], "-");
        let is_ours = spelling == "forwarded" || spelling.starts_with("x-forwarded-");
        assert!(!is_ours || spelling == name, "{name}");
    }
}
