//! What desktops and `/etc/resolv.conf` say of proxies and domains, as other programs write it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use throughway::wire::authority::Authority;
use throughway::wire::desktop::{At, Setting, gsettings, kioslaverc, scutil};
use throughway::wire::resolv_conf;
use throughway_fuzz::text;

fuzz_target!(|data: &[u8]| {
    let Some(text) = text(data) else {
        return;
    };
    for parse in [gsettings::parse, kioslaverc::parse, scutil::parse] {
        if let Some(setting) = parse(text) {
            is_sound(&setting);
        }
    }
    for domain in resolv_conf::domains(text) {
        assert!(!domain.is_empty() && text.contains(&domain));
        assert!(!domain.contains([' ', '\t', '\n', '\r']), "{domain:?}");
    }
});

fn is_sound(setting: &Setting) {
    let Setting::Manual(manual) = setting else {
        return;
    };
    let proxies = [&manual.http, &manual.https, &manual.socks];
    assert!(proxies.iter().any(|at| at.is_some()), "off is off");
    for at in proxies.into_iter().flatten() {
        is_an_authority(at);
    }
}

/// Nothing of a user or a scheme is left in it.
fn is_an_authority(at: &At) {
    let authority = Authority::parse(&at.to_string()).expect("a host and a port");
    assert_eq!((&authority.host, authority.port), (&at.host, Some(at.port)));
}
