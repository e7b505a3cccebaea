//! The request target of a client.

#![no_main]

use http::uri::PathAndQuery;
use libfuzzer_sys::fuzz_target;
use throughway::policy::forward::path_to_backend;
use throughway::policy::route::Rewrite;
use throughway::wire::target::Target;
use throughway_fuzz::{percent_decoded, text};

fuzz_target!(|data: &[u8]| {
    let Some(text) = text(data) else {
        return;
    };
    let Ok(target) = Target::parse(text) else {
        return;
    };
    is_sound(&target);
    let authority = target.authority.as_ref();
    let printed = authority.map_or(String::new(), |a| format!("ws://{a}")) + &target.path_and_query;
    assert_eq!(Target::parse(&printed).as_ref(), Ok(&target));
    for prefix in ["/ws", "/a/b", "/%"] {
        let rewrite = Rewrite {
            strip_prefix: Some(prefix.to_owned()),
            ..Rewrite::default()
        };
        let path = path_to_backend(&target.path_and_query, &rewrite);
        let stripped = Target::parse(&path);
        assert!(stripped.is_ok(), "{path:?} goes to a backend: {stripped:?}");
        is_sound(&stripped.expect("it is one"));
    }
});

fn is_sound(target: &Target) {
    let sent = &target.path_and_query;
    assert!(sent.starts_with('/') && sent.bytes().all(|b| b.is_ascii_graphic()));
    // The request to the backend is made of it.
    assert!(sent.parse::<PathAndQuery>().is_ok(), "{sent:?}");
    let raw = sent.split('?').next().unwrap_or_default();
    let decoded = percent_decoded(raw).expect("every escape is whole");
    assert_eq!(target.path, String::from_utf8_lossy(&decoded));
    assert!(!decoded.contains(&0) && !decoded.contains(&b'\\'));
    let names = |b: &u8| *b == b'/';
    for segment in decoded.split(names).chain(raw.as_bytes().split(names)) {
        let name = segment.split(|&b| b == b';').next().unwrap_or_default();
        assert!(
            name != b"." && name != b"..",
            "{sent:?} can leave its place"
        );
    }
    assert!(
        !decoded.starts_with(b"//"),
        "{sent:?} can name another host"
    );
}
