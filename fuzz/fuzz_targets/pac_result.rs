//! What a PAC script answers: a list of ways.

#![no_main]

use libfuzzer_sys::fuzz_target;
use throughway::wire::authority::Host;
use throughway::wire::pac_result::{self, Entry, Kind};
use throughway_fuzz::text;

/// As the parser has it: more are a mistake.
const ENTRIES_MAX: usize = 16;

fuzz_target!(|data: &[u8]| {
    let Some(text) = text(data) else {
        return;
    };
    let listed = pac_result::parse(text);
    assert!(listed.entries.len() <= ENTRIES_MAX);
    // The last one says that there are too many.
    assert!(listed.skipped.len() <= ENTRIES_MAX + 1);
    assert!(!listed.entries.is_empty() || !listed.skipped.is_empty());
    for (i, entry) in listed.entries.iter().enumerate() {
        assert!(!listed.entries[..i].contains(entry), "{entry:?} twice");
    }
    for skipped in &listed.skipped {
        assert!(skipped.text.chars().count() <= 100 && text.contains(&skipped.text));
    }
    let printed: Vec<String> = listed.entries.iter().map(printed).collect();
    if printed.is_empty() {
        return;
    }
    let again = pac_result::parse(&printed.join(";"));
    assert_eq!(again.entries, listed.entries);
    assert_eq!(again.skipped, []);
});

fn printed(entry: &Entry) -> String {
    let Entry::Proxy(proxy) = entry else {
        return "DIRECT".to_owned();
    };
    assert_ne!(proxy.port, 0);
    assert_eq!(
        Host::parse(&proxy.host.to_string()).as_ref(),
        Ok(&proxy.host)
    );
    let kind = match proxy.kind {
        Kind::Http => "PROXY",
        Kind::Https => "HTTPS",
        Kind::Socks5 => "SOCKS5",
    };
    format!("{kind} {}:{}", proxy.host, proxy.port)
}
