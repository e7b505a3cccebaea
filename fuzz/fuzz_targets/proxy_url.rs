//! The URL of a proxy with user and password, as a command line gives it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use throughway::config::Proxy;
use throughway_fuzz::{percent_decoded, text};

fuzz_target!(|data: &[u8]| {
    let Some(text) = text(data) else {
        return;
    };
    let Ok(proxy) = Proxy::parse(text) else {
        return;
    };
    let Some(credentials) = &proxy.credentials else {
        assert_eq!(proxy.url, text);
        return;
    };
    let (scheme, rest) = text.split_once("://").expect("a scheme");
    let (userinfo, address) = rest.rsplit_once('@').expect("credentials");
    assert_eq!(proxy.url, format!("{scheme}://{address}"));
    assert!(!address.contains('@'));
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let pairs = [(user, &credentials.user), (password, &credentials.password)];
    for (written, secret) in pairs {
        assert_eq!(
            percent_decoded(written).as_deref(),
            Some(secret.reveal().as_bytes())
        );
        assert!(!secret.reveal().chars().any(char::is_control));
        assert_eq!(format!("{secret:?}"), "***");
    }
});
