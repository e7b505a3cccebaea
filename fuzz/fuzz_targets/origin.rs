//! The `Origin` header against an entry of a list: the first line of the data is the entry, the
//! second the header's value.

#![no_main]

use libfuzzer_sys::fuzz_target;
use throughway::policy::origin::{MissingOrigin, OriginDenied, OriginPattern, Origins};
use throughway::wire::authority::Authority;
use throughway::wire::origin::Origin;
use throughway_fuzz::text;

fuzz_target!(|data: &[u8]| {
    let Some(text) = text(data) else {
        return;
    };
    let (entry, value) = text.split_once('\n').unwrap_or((text, text));
    let origin = Origin::parse(value).ok();
    if let Some(origin) = &origin {
        let printed = origin.to_string();
        assert!(printed.bytes().all(|b| b.is_ascii_graphic()), "{printed:?}");
        assert_eq!(Origin::parse(&printed).as_ref(), Ok(origin));
    }
    is_the_same_page_or_not(value, origin.as_ref());
    let Ok(pattern) = OriginPattern::parse(entry) else {
        return;
    };
    let printed = pattern.to_string();
    assert_eq!(OriginPattern::parse(&printed).as_ref(), Ok(&pattern));
    let origins = Origins::Listed {
        patterns: vec![pattern],
        expose: true,
    };
    let decided = origins.decide(Some(value), MissingOrigin::Deny, "https", &of_request());
    match origin {
        None => assert_eq!(decided, Err(OriginDenied::Malformed)),
        Some(origin) if matches(&printed, &origin.to_string()) => {
            assert_eq!(decided, Ok(Some(origin)));
        }
        Some(origin) => assert_eq!(decided, Err(OriginDenied::NotAllowed(origin))),
    }
});

fn of_request() -> Authority {
    Authority::parse("chat.example.com").expect("an authority")
}

/// `same` takes one origin and no other.
fn is_the_same_page_or_not(value: &str, origin: Option<&Origin>) {
    let decided = Origins::Same.decide(Some(value), MissingOrigin::Deny, "https", &of_request());
    let printed = origin.map(Origin::to_string);
    let is_same = printed.as_deref() == Some("https://chat.example.com");
    assert_eq!(decided.is_ok(), is_same, "{value:?}");
}

/// By their texts in canonical form: equal, or one label in place of the star.
fn matches(pattern: &str, origin: &str) -> bool {
    let Some((scheme, parent)) = pattern.split_once("://*.") else {
        return pattern == origin;
    };
    let Some((theirs, host)) = origin.split_once("://") else {
        return false;
    };
    let label = host.strip_suffix(&format!(".{parent}"));
    scheme == theirs && label.is_some_and(|label| !label.is_empty() && !label.contains('.'))
}
