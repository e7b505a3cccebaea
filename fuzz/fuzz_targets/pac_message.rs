//! The lines between the gateway and the process that runs a PAC script, which a hostile script
//! may have taken over.

#![no_main]

use libfuzzer_sys::fuzz_target;
use throughway::wire::pac_message::{Ask, Reply};
use throughway_fuzz::text;

fuzz_target!(|data: &[u8]| {
    if let Some(text) = text(data) {
        arrives(text);
    }
    if let Some(ask) = Ask::parse(data) {
        let line = ask.line();
        assert!(!line.contains(['\n', '\r', '\0']), "{line:?}");
        assert_eq!(Ask::parse(line.as_bytes()), Some(ask));
    }
    if let Some(reply) = Reply::parse(data) {
        let line = reply.line();
        assert!(!line.contains(['\n', '\r', '\0']), "{line:?}");
        assert_eq!(Reply::parse(line.as_bytes()), Some(reply));
    }
});

/// Whatever is said is what the other side reads.
fn arrives(text: &str) {
    let ask = Ask::Script(text.to_owned());
    assert_eq!(Ask::parse(ask.line().as_bytes()), Some(ask));
    let (url, host) = text.split_once(' ').unwrap_or((text, ""));
    let (url, host) = (url.to_owned(), host.to_owned());
    let ask = Ask::Find { url, host };
    assert_eq!(Ask::parse(ask.line().as_bytes()), Some(ask));
    let alerts: Vec<String> = text.lines().map(str::to_owned).collect();
    for result in [Ok(text.to_owned()), Err(text.to_owned())] {
        let alerts = alerts.clone();
        let reply = Reply { result, alerts };
        assert_eq!(Reply::parse(reply.line().as_bytes()), Some(reply));
    }
}
