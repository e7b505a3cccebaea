//! What the dependency tree may hold: one TLS library, one crypto provider, one version of each
//! crate that matters, known licences. Reads Cargo.lock and what cargo knows of each package.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and ask cargo"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Libraries that would be a second TLS stack or a second crypto provider beside rustls with
/// aws-lc-rs.
const BANNED: &[&str] = &[
    "ring",
    "openssl",
    "openssl-sys",
    "native-tls",
    "boring",
    "mbedtls",
];

/// A second version of one of these would be two of a kind inside one program.
const ONE_VERSION: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "base64",
    "bytes",
    "h2",
    "http",
    "http-body",
    "httparse",
    "hyper",
    "hyper-util",
    "rustls",
    "rustls-webpki",
    "socket2",
    "tokio",
    "tokio-rustls",
    "tokio-util",
    "toml",
    "tracing",
    "tracing-subscriber",
];

/// Licences that ask for no more than their notice.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

fn locked() -> BTreeMap<String, Vec<String>> {
    locked_in("Cargo.lock")
}

fn locked_in(file: &str) -> BTreeMap<String, Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        let value = |key| {
            line.strip_prefix(key)
                .map(|v: &str| v.trim_matches('"').to_owned())
        };
        if let Some(n) = value("name = ") {
            name = n;
        } else if let Some(version) = value("version = ").filter(|_| !name.is_empty()) {
            versions
                .entry(std::mem::take(&mut name))
                .or_default()
                .push(version);
        }
    }
    assert!(versions.len() > 50, "Cargo.lock was not understood");
    versions
}

/// Cargo.lock also lists what no feature of ours turns on, so this asks for what is really built.
#[test]
fn one_tls_library_and_one_crypto_provider() {
    let built = packages("normal,build,dev", "{p}");
    let is_built = |name: &str| built.iter().any(|p| p.split(' ').next() == Some(name));
    for banned in BANNED {
        assert!(!is_built(banned), "{banned} is built");
    }
    for needed in ["rustls", "aws-lc-rs"] {
        assert!(is_built(needed), "{needed} is not built");
    }
}

#[test]
fn one_version_of_each_crate_that_matters() {
    let locked = locked();
    for name in ONE_VERSION {
        let versions = locked
            .get(*name)
            .unwrap_or_else(|| panic!("{name} is not in Cargo.lock"));
        assert_eq!(versions.len(), 1, "{name}: {versions:?}");
    }
}

#[test]
fn what_is_fuzzed_is_what_is_shipped() {
    let shipped = locked();
    let fuzzed = locked_in("fuzz/Cargo.lock");
    let of_fuzzing = ["arbitrary", "libfuzzer-sys", "throughway-fuzz"];
    for (name, versions) in &fuzzed {
        let is_shipped = |v: &String| shipped.get(name).is_some_and(|all| all.contains(v));
        let is_same = versions.iter().all(is_shipped);
        assert!(
            is_same || of_fuzzing.contains(&name.as_str()),
            "{name} {versions:?} in fuzz/Cargo.lock: fuzz/README.md tells how to renew it"
        );
    }
}

#[test]
fn every_crate_comes_from_the_registry() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let text = std::fs::read_to_string(path).unwrap();
    let foreign: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("source = ") && !line.contains("registry+"))
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

/// One line for each package that is built for this machine, in cargo's `format`.
fn packages(edges: &str, format: &str) -> Vec<String> {
    let listed = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--prefix", "none"])
        // What this build did not need may not have been downloaded.
        .args(cfg!(feature = "gssapi").then_some("--all-features"))
        .args(["--edges", edges, "--format", format])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let text = String::from_utf8(listed.stdout).unwrap();
    let packages: Vec<String> = text
        .lines()
        .map(|line| line.trim_end_matches(" (*)").to_owned())
        .collect();
    assert!(packages.len() > 50, "cargo tree was not understood");
    packages
}

/// Whether an SPDX expression can be met with what is allowed. `OR` binds less than `AND`.
fn is_allowed(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    plain.split(" OR ").any(|choice| {
        choice
            .split(" AND ")
            .all(|licence| LICENCES.contains(&licence.trim()))
    })
}

#[test]
fn every_licence_is_a_known_one() {
    let packages = packages("normal,build", "{p}\t{l}");
    let unknown: Vec<_> = packages
        .iter()
        .filter(|line| {
            !line
                .split_once('\t')
                .is_some_and(|(_, licence)| is_allowed(licence))
        })
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn an_expression_needs_every_part_of_one_choice() {
    assert!(is_allowed("MIT"));
    assert!(is_allowed("GPL-3.0 OR MIT"));
    assert!(is_allowed("MIT/Apache-2.0"));
    assert!(is_allowed("ISC AND (Apache-2.0 OR ISC)"));
    assert!(!is_allowed("GPL-3.0"));
    assert!(!is_allowed("MIT AND GPL-3.0"));
    assert!(!is_allowed(""));
}
