//! The configuration file, and the environment that it may refer to: what stands behind the first
//! NUL of the data is a variable a line.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use throughway::config;
use throughway_fuzz::text;
use toml::de::{DeTable, DeValue};

/// What no message of ours holds by itself. Where it stands once, as a password, it is not shown.
const SECRET: &str = "hunter2";

fuzz_target!(|data: &[u8]| {
    let Some(text) = text(data) else {
        return;
    };
    let (file, variables) = text.split_once('\0').unwrap_or((text, ""));
    let env = |name: &str| {
        let mut set = variables.lines().filter_map(|line| line.split_once('='));
        let found = set.find(|(key, _)| *key == name);
        found.map(|(_, value)| value.to_owned())
    };
    // No such directory: a relative path leads nowhere.
    let shown = match config::parse(file, Path::new("no-such-directory/throughway.toml"), &env) {
        Ok(plan) => config::summary(&plan),
        Err(faults) => {
            assert!(faults.len() > 0);
            faults.to_string()
        }
    };
    let is_plain = |c: char| c == '\n' || !c.is_control();
    assert!(shown.chars().all(is_plain), "{shown:?}");
    let is_secret = match (
        file.matches(SECRET).count(),
        variables.matches(SECRET).count(),
    ) {
        (1, 0) => is_password(file),
        (0, 1) => variables.lines().any(is_password_of_proxy),
        _ => false,
    };
    assert!(!is_secret || !shown.contains(SECRET), "{shown}");
});

/// Whether the secret is a password: by the tree where there is one, else by its line.
fn is_password(file: &str) -> bool {
    match DeTable::parse(file) {
        Ok(tree) => is_password_in(tree.get_ref()),
        Err(_) => file.lines().any(is_password_by_line),
    }
}

fn is_password_in(table: &DeTable<'_>) -> bool {
    table.iter().any(|(key, value)| match value.get_ref() {
        DeValue::String(text) => key.get_ref() == "password" && text.contains(SECRET),
        DeValue::Table(table) => is_password_in(table),
        DeValue::Array(array) => array.iter().any(|value| match value.get_ref() {
            DeValue::Table(table) => is_password_in(table),
            _ => false,
        }),
        _ => false,
    })
}

fn is_password_by_line(line: &str) -> bool {
    let value = line
        .trim_start()
        .strip_prefix("password")
        .map(str::trim_start);
    let value = value.and_then(|rest| rest.strip_prefix('='));
    value.is_some_and(|value| value.contains(SECRET))
}

/// `https_proxy=http://ann:hunter2@proxy`, whatever else is wrong with it.
fn is_password_of_proxy(line: &str) -> bool {
    let names = ["https_proxy", "http_proxy", "all_proxy"];
    let Some((name, value)) = line.split_once('=') else {
        return false;
    };
    let userinfo = value.rsplit_once('@').map(|(before, _)| before);
    names.contains(&name) && userinfo.is_some_and(|userinfo| userinfo.contains(SECRET))
}
