//! `pac`: what the file says becomes the way out, and what makes no sense is a fault with its place.

use std::time::Duration;

use throughway::config;
use throughway::egress::pac::{Pac, Source};
use throughway::egress::{Choice, Way};

use super::config::{Home, LEAST, PASSWORD, USER};

fn parse(home: &Home, keys: &str) -> Result<throughway::plan::Plan, String> {
    let text = format!("{LEAST}egress = 'corp'\n[egress.corp]\n{keys}\n");
    home.parse(&text).map_err(|faults| faults.to_string())
}

fn with(keys: &str, check: impl Fn(&Pac)) {
    let home = Home::new();
    home.write("proxy.pac", "");
    let plan = parse(&home, keys).unwrap_or_else(|faults| panic!("{faults}"));
    match &plan.backends[0].way {
        Way::Pac(pac) => check(pac),
        way => panic!("{way:?}"),
    }
}

const AUTH: &str = "auth = { user = '${env:PROXY_USER}', password = '${env:PROXY_PASSWORD}' }";

#[test]
fn a_script_is_a_file_or_a_url_and_has_defaults() {
    with("pac = 'proxy.pac'", |pac| {
        assert!(matches!(&pac.source, Source::File(path) if path.is_absolute()));
        assert_eq!(pac.refresh, Duration::from_secs(600));
        assert_eq!(pac.cache, Duration::from_secs(300));
        assert!(pac.auth().is_none());
    });
    let chosen = "pac = 'HTTP://wpad.test/x/proxy.pac'\npac_refresh = '1m'\npac_cache = '2m'";
    with(chosen, |pac| {
        let Source::Url(url) = &pac.source else {
            panic!("{pac:?}");
        };
        assert_eq!((url.host.to_string().as_str(), url.port), ("wpad.test", 80));
        let asked = (url.path.as_str(), url.host_header.as_str());
        assert_eq!(asked, ("/x/proxy.pac", "wpad.test"));
        assert!(url.tls.is_none());
        assert_eq!(pac.refresh, Duration::from_secs(60));
        assert_eq!(pac.cache, Duration::from_secs(120));
    });
    with("pac = 'https://wpad.test:8443'", |pac| {
        let Source::Url(url) = &pac.source else {
            panic!("{pac:?}");
        };
        let asked = (url.path.as_str(), url.host_header.as_str());
        assert_eq!(asked, ("/", "wpad.test:8443"));
        assert!(url.tls.is_some());
    });
}

#[test]
fn credentials_come_with_the_proxies_that_may_be_told() {
    let keys = "pac = 'proxy.pac'\nauth_for = ['a.test:1', '.b.test']\n\
                auth = { scheme = 'digest', user = 'u', password = 'p' }";
    with(keys, |pac| {
        let auth = pac.auth().expect("some are told");
        assert_eq!(auth.choice().to_string(), "digest");
        assert_ne!(auth.choice(), Choice::Auto);
    });
}

#[test]
fn check_says_what_a_script_is_and_no_secret() {
    let home = Home::new();
    let keys = format!("pac = 'http://wpad.test/proxy.pac'\nauth_for = ['a.test']\n{AUTH}");
    let keys = keys.replace("${env:PROXY_PASSWORD}", PASSWORD);
    let plan = parse(&home, &keys).unwrap_or_else(|faults| panic!("{faults}"));
    let said = config::summary(&plan);
    for words in [
        "through corp",
        "as http://wpad.test/proxy.pac says",
        "with auto auth for some",
    ] {
        assert!(said.contains(words), "{words:?} in\n{said}");
    }
    for secret in [USER, PASSWORD] {
        assert!(!format!("{said} {plan:?}").contains(secret), "{secret}");
    }
}

#[test]
fn what_makes_no_sense_is_a_fault() {
    let check = |keys: &str, words: &[&str]| {
        let home = Home::new();
        home.write("proxy.pac", "");
        let printed = parse(&home, keys).unwrap_err();
        for word in words.iter().chain(&["1 error in"]) {
            assert!(printed.contains(word), "{word:?} about {keys}:\n{printed}");
        }
    };
    let and = |rest: &str| format!("pac = 'proxy.pac'\n{rest}");
    check(&and("hop = [{ url = 'http://a:1' }]"), &["`pac` and `hop`"]);
    check(&and("order = 'failover'"), &["`pac` and `order`"]);
    check("pac = 'missing.pac'", &["cannot read", "missing.pac"]);
    check("pac = 'ftp://a/x'", &["neither http nor https"]);
    check("pac = 'http://a b/x'", &["not the URL of a script"]);
    check("pac = 'http://a/x?y'", &["query"]);
    check("pac = 'http://u:p@a/x'", &["user or a password"]);
    check("pac = 7", &["a string"]);
    check(&and("pac_cache = 5"), &["write the unit too"]);
    check(
        &and("auth_for = ['a.test']"),
        &["`auth_for` without `auth`"],
    );
    check(
        &and("auth = { user = 'u' }"),
        &["`auth` without `auth_for`"],
    );
    check(&and("auth = { user = 'u' }\nauth_for = []"), &["is empty"]);
    let wild = "auth = { user = 'u' }\nauth_for = ['*']";
    check(&and(wild), &["not an entry of `auth_for`"]);
    let hop = "hop = [{ url = 'http://a:1' }]\n";
    for lonely in ["pac_cache = '1m'", "pac_refresh = '1m'", "auth_for = ['a']"] {
        check(&format!("{hop}{lonely}"), &["without `pac`"]);
    }
    check(&format!("{hop}auth = {{ user = 'u' }}"), &["in its `hop`"]);
}

#[test]
fn an_egress_by_script_is_no_chain_of_another() {
    let home = Home::new();
    let keys = "via = ['scripted']\n[egress.scripted]\npac = 'http://a/x'";
    let printed = parse(&home, keys).unwrap_err();
    assert!(printed.contains("has `pac` itself"), "{printed}");
}

#[test]
fn a_script_may_have_an_authority_of_its_own_and_nothing_else_of_tls() {
    let home = Home::new();
    home.write("proxy.pac", "");
    let with_ca = "pac = 'https://a.test/x'\ntls = { ca = 'certs/internal-ca.pem' }";
    parse(&home, with_ca).unwrap_or_else(|faults| panic!("{faults}"));
    let check = |keys: &str, words: &[&str]| {
        let printed = parse(&home, keys).unwrap_err();
        for word in words.iter().chain(&["1 error in"]) {
            assert!(printed.contains(word), "{word:?} about {keys}:\n{printed}");
        }
    };
    let tls = |keys: &str| format!("pac = 'proxy.pac'\ntls = {keys}");
    check(&tls("{ ca = 'missing.pem' }"), &["missing.pem"]);
    check(
        &tls("{ server_name = 'a' }"),
        &["unknown key `server_name`"],
    );
    check(&tls("7"), &["`tls` has the wrong type"]);
    let hop = "hop = [{ url = 'http://a:1' }]\ntls = {}";
    check(hop, &["`tls` without `pac`", "is in its `hop`"]);
}
