//! `Proxy-Authenticate`: the challenges of all its lines, one line of the data each.

#![no_main]

use libfuzzer_sys::fuzz_target;
use throughway::wire::challenge::{self, Challenge};
use throughway::wire::list;
use throughway_fuzz::text;

fuzz_target!(|data: &[u8]| {
    let Some(text) = text(data) else {
        return;
    };
    let lines: Vec<&str> = text.split('\n').collect();
    let all = challenge::parse(lines.iter().copied());
    all.iter().for_each(is_sound);
    // No line can change what another says.
    let one_by_one = lines.iter().flat_map(|line| challenge::parse([*line]));
    assert_eq!(one_by_one.collect::<Vec<_>>(), all);
    let printed: Vec<String> = all.iter().map(printed).collect();
    assert_eq!(challenge::parse([printed.join(", ").as_str()]), all);
});

fn is_sound(challenge: &Challenge) {
    assert!(list::is_token(&challenge.scheme), "{challenge:?}");
    for (name, _) in &challenge.params {
        assert!(list::is_token(name), "{challenge:?}");
        assert!(
            !name.bytes().any(|b| b.is_ascii_uppercase()),
            "{challenge:?}"
        );
    }
    // RFC 9110 §11.2.
    let is_of_68 = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    let token68 = challenge.token68.as_deref().unwrap_or("x");
    assert!(
        !token68.is_empty() && token68.chars().all(is_of_68),
        "{challenge:?}"
    );
}

fn printed(challenge: &Challenge) -> String {
    let mut text = challenge.scheme.clone();
    if let Some(token68) = &challenge.token68 {
        text += &format!(" {token68}");
    }
    for (i, (name, value)) in challenge.params.iter().enumerate() {
        text += if i > 0 || challenge.token68.is_some() {
            ", "
        } else {
            " "
        };
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
        text += &format!("{name}=\"{escaped}\"");
    }
    text
}
