//! `via` and `egress = "env"`: what the file and the environment say becomes the way out, and what
//! makes no sense is a fault that shows no secret.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use throughway::config;
use throughway::egress::{Alternatives, ByScheme, Egress, Order, Way};
use throughway::plan::Plan;

use super::config::LEAST;

/// A file and an environment that holds these variables.
fn parse(text: &str, env: &[(&str, &str)]) -> Result<Plan, String> {
    let env = |name: &str| {
        let found = env.iter().find(|(n, _)| *n == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    config::parse(text, Path::new("throughway.toml"), &env).map_err(|faults| faults.to_string())
}

const TWO: &str = "
egress = 'corp'
[[egress.a.hop]]
url = 'http://a:1'
[[egress.b.hop]]
url = 'http://b:1'
[egress.corp]
";

fn plan(keys: &str) -> Plan {
    parse(&format!("{LEAST}{TWO}{keys}\n"), &[]).unwrap_or_else(|faults| panic!("{faults}"))
}

fn alternatives(plan: &Plan) -> &Alternatives {
    match &plan.backends[0].way {
        Way::Among(alternatives) => alternatives,
        way => panic!("{way:?}"),
    }
}

/// The file with these keys of `corp` has one fault, which says each of `words`.
fn check(keys: &str, words: &[&str]) {
    let printed = parse(&format!("{LEAST}{TWO}{keys}\n"), &[]).unwrap_err();
    for word in words.iter().chain(&["1 error in"]) {
        assert!(printed.contains(word), "{word:?} about {keys}:\n{printed}");
    }
}

#[test]
fn via_names_chains_in_order_and_has_defaults() {
    let plan = plan("via = ['b', 'a']");
    let corp = alternatives(&plan);
    let names: Vec<_> = corp.chains.iter().map(|c| c.name.as_str()).collect();
    assert_eq!((corp.name.as_str(), names), ("corp", vec!["b", "a"]));
    assert_eq!((corp.order, corp.ends_direct), (Order::Failover, false));
    assert_eq!(corp.retry_after(), Duration::from_secs(30));
    let chosen =
        "via = ['a', 'direct']\norder = 'round-robin'\nretry_after = '5s'\nno_proxy = ['x']";
    let plan = self::plan(chosen);
    let corp = alternatives(&plan);
    assert_eq!((corp.order, corp.ends_direct), (Order::RoundRobin, true));
    assert_eq!(corp.retry_after(), Duration::from_secs(5));
    assert!(corp.no_proxy.to_string().ends_with(", x"));
}

#[test]
fn backends_share_what_is_known_of_a_chain() {
    let more = "via = ['a', 'b']\n[backend.c]\nservers = [{ url = 'ws://c:1' }]\negress = 'corp'";
    let plan = plan(more);
    match (&plan.backends[0].way, &plan.backends[1].way) {
        (Way::Among(a), Way::Among(b)) => assert!(Arc::ptr_eq(a, b)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_via_that_makes_no_sense_is_a_fault() {
    check("", &["neither `hop`, `via` nor `pac`"]);
    check("via = []", &["`via` is empty"]);
    check("via = ['direct']", &["names 1 to 16 egresses", "found 0"]);
    check("via = 'a'", &["a list of strings", "via = [\"…\"]"]);
    check(
        "via = ['a', 'c']",
        &["no egress with hops has this name", "a, b, direct"],
    );
    check("via = ['env']", &["no egress with hops has this name"]);
    check("via = ['a', 'b', 'a']", &["`a` is in `via` twice"]);
    check(
        "via = ['direct', 'a']",
        &["\"direct\" is not the last in `via`"],
    );
    check("via = ['a', 'corp']", &["`corp` has `via` itself"]);
    check(
        "via = ['other']\n[egress.other]\nvia = ['a']",
        &["`other` has `via` itself", "with hops that it leads to"],
    );
    check(
        "via = ['a']\n[[egress.corp.hop]]\nurl = 'http://c:1'",
        &["`via` and `hop` in one egress"],
    );
    check(
        "via = ['a']\ntimeouts = { connect = '1s' }",
        &["`timeouts` in an egress with `via`"],
    );
    check(
        "via = ['a']\norder = 'random'",
        &["\"failover\" or \"round-robin\""],
    );
    check("via = ['a']\nretry_after = 30", &["write the unit too"]);
    let hop = "[[egress.corp.hop]]\nurl = 'http://c:1'";
    for key in ["order = 'failover'", "retry_after = '1s'"] {
        check(&format!("{key}\n{hop}"), &["without `via`"]);
    }
    // A faulty chain is told once.
    check("via = ['x']\n[[egress.x.hop]]\nurl = 'http://x'", &["port"]);
}

#[test]
fn a_summary_lists_the_chains_of_an_egress() {
    let keys = "via = ['a', 'b', 'direct']\nno_proxy = ['x.example']";
    let summary = config::summary(&plan(keys));
    for expected in [
        "through corp",
        "corp         the first of these that is usable  this machine",
        "a dead one again after 30s         x.example",
        "corp/a       http a:1",
        "corp/b       http b:1",
        "corp/direct",
    ] {
        assert!(
            summary.contains(expected),
            "{expected:?} is not in\n{summary}"
        );
    }
}

// --- the environment ---------------------------------------------------------------------------

fn by_env(env: &[(&str, &str)]) -> Result<Plan, String> {
    parse(&format!("{LEAST}egress = 'env'\n"), env)
}

fn found(env: &[(&str, &str)]) -> Arc<ByScheme> {
    let plan = by_env(env).unwrap_or_else(|faults| panic!("{env:?}\n{faults}"));
    match &plan.backends[0].way {
        Way::ByScheme(ways) => ways.clone(),
        way => panic!("{way:?}"),
    }
}

/// The proxies for `wss://` and for `ws://` servers, each with its variable.
fn proxies(env: &[(&str, &str)], wss: Option<&str>, ws: Option<&str>) {
    let ways = found(env);
    let shown = [&ways.wss, &ways.ws].map(|f| f.as_ref().map(ToString::to_string));
    assert_eq!(shown, [wss, ws].map(|f| f.map(str::to_owned)), "{env:?}");
}

#[test]
fn the_schemes_own_variable_holds_before_the_general_one_and_lower_case_before_upper() {
    let https = ("https_proxy", "http://a:1");
    let upper_https = ("HTTPS_PROXY", "http://b:1");
    let http = ("http_proxy", "http://c:1");
    let upper_http = ("HTTP_PROXY", "http://d:1");
    let all = ("all_proxy", "http://e:1");
    let upper_all = ("ALL_PROXY", "http://f:1");
    let (from_a, from_b) = (
        Some("http a:1 from https_proxy"),
        Some("http b:1 from HTTPS_PROXY"),
    );
    let (from_c, from_d) = (
        Some("http c:1 from http_proxy"),
        Some("http d:1 from HTTP_PROXY"),
    );
    let (from_e, from_f) = (
        Some("http e:1 from all_proxy"),
        Some("http f:1 from ALL_PROXY"),
    );
    proxies(&[], None, None);
    proxies(&[https, upper_https], from_a, None);
    proxies(&[upper_https], from_b, None);
    proxies(&[http, upper_http], None, from_c);
    proxies(&[upper_http], None, from_d);
    proxies(&[all, upper_all], from_e, from_e);
    proxies(&[upper_all, upper_https], from_b, from_f);
    proxies(&[https, upper_http, all], from_a, from_d);
    // An empty one is as good as none.
    proxies(&[("https_proxy", ""), upper_https], from_b, None);
    proxies(&[("https_proxy", " "), ("all_proxy", "")], None, None);
}

#[test]
fn what_a_client_of_a_cgi_server_can_set_is_not_believed() {
    let cgi = ("REQUEST_METHOD", "GET");
    let upper = ("HTTP_PROXY", "http://evil:1");
    let lower = ("http_proxy", "http://c:1");
    let all = ("ALL_PROXY", "http://f:1");
    let from_f = Some("http f:1 from ALL_PROXY");
    proxies(&[cgi, upper], None, None);
    proxies(&[cgi, upper, all], from_f, from_f);
    proxies(&[cgi, upper, lower], None, Some("http c:1 from http_proxy"));
    let https = ("HTTPS_PROXY", "http://b:1");
    proxies(&[cgi, https], Some("http b:1 from HTTPS_PROXY"), None);
}

fn egress_of(value: &str) -> Arc<Egress> {
    found(&[("HTTPS_PROXY", value)])
        .wss
        .as_ref()
        .unwrap()
        .egress
        .clone()
}

#[test]
fn a_value_may_lack_its_scheme_and_hold_a_user_and_a_password() {
    for (value, hop, auth) in [
        (
            "proxy.corp.example:3128",
            "http proxy.corp.example:3128",
            None,
        ),
        (" http://proxy:3128/ ", "http proxy:3128", None),
        ("HTTPS://proxy", "https proxy:443", None),
        ("[::1]:3128", "http [::1]:3128", None),
        ("http://@proxy:1", "http proxy:1", None),
        (
            "http://alice:open@proxy:1",
            "http proxy:1",
            Some(("alice", "open")),
        ),
        (
            "alice:open@proxy:1",
            "http proxy:1",
            Some(("alice", "open")),
        ),
        (
            "http://CORP%5Calice:p%40ss@proxy:1",
            "http proxy:1",
            Some(("CORP\\alice", "p@ss")),
        ),
        (
            "http://a:p@ss/word@proxy:1",
            "http proxy:1",
            Some(("a", "p@ss/word")),
        ),
    ] {
        let egress = egress_of(value);
        assert_eq!((egress.name.as_str(), egress.hops.len()), ("env", 1));
        assert_eq!(egress.hops[0].to_string(), hop, "{value}");
        let credentials = egress.hops[0].credentials.as_ref();
        let told = credentials.map(|c| (c.user.reveal(), c.password.reveal()));
        assert_eq!(told, auth, "{value}");
    }
}

#[test]
fn no_proxy_is_a_list_with_commas_or_blanks() {
    let proxy = ("HTTPS_PROXY", "http://b:1");
    let shown = |env: &[(&str, &str)]| found(env).wss.as_ref().unwrap().egress.no_proxy.to_string();
    assert_eq!(shown(&[proxy]), "this machine");
    let list = ("NO_PROXY", ".corp.example,10.0.0.0/8, x:8080\t,,*.y ");
    let expected = "this machine, corp.example, 10.0.0.0/8, x:8080, y";
    assert_eq!(shown(&[proxy, list]), expected);
    let lower = ("no_proxy", "z");
    assert_eq!(shown(&[proxy, list, lower]), "this machine, z");
    // Nobody asks where there is no proxy.
    proxies(&[("NO_PROXY", "a b;c")], None, None);
}

#[test]
fn a_variable_that_means_nothing_is_a_fault_that_names_it_and_shows_no_secret() {
    let place = "throughway.toml:11:10\n";
    for (value, words) in [
        ("http://alice:hunter2@proxy", "its port is missing"),
        ("alice:hunter2@", "no valid host and port"),
        ("http://alice:hunter2", "no valid host and port"),
        ("hunter2://alice:hunter2@proxy:1", "its scheme is unknown"),
        ("ws://alice:hunter2@proxy:1", "its scheme is a server's"),
        ("http://alice:hunter2@proxy:1/hunter2", "it holds a path"),
        (
            "http://alice:hunter2@proxy:1?hunter2",
            "a query or a fragment",
        ),
        ("http://alice:hunter2@pro xy:1", "no valid host and port"),
        ("http://alice:hunter2%@proxy:1", "begins no encoded byte"),
        ("http://alice:hunter2%0A@proxy:1", "a control character"),
        ("http://alice:hunter2\r\n@proxy:1", "a control character"),
        (
            "http://hunter2%3A:hunter2@proxy:1",
            "its user holds a colon",
        ),
        ("http://alice:hunter2%FF@proxy:1", "not text in UTF-8"),
    ] {
        let printed = by_env(&[("HTTPS_PROXY", value)]).unwrap_err();
        for word in [words, place, "variable HTTPS_PROXY is", "1 error in"] {
            assert!(printed.contains(word), "{word:?} about {value}:\n{printed}");
        }
        assert!(!printed.contains("hunter2"), "{value}:\n{printed}");
    }
    let proxy = ("ALL_PROXY", "http://b:1");
    let printed = by_env(&[proxy, ("no_proxy", "a, *b;c")]).unwrap_err();
    for word in ["variable no_proxy", "found `*b;c`", place, "1 error in"] {
        assert!(printed.contains(word), "{word:?} in:\n{printed}");
    }
}

#[test]
fn two_backends_that_ask_read_the_environment_once_and_are_told_of_a_fault_once() {
    let asked = std::cell::Cell::new(0);
    let env = |name: &str| {
        asked.set(asked.get() + usize::from(name == "https_proxy"));
        None
    };
    let read = |text: &str| config::parse(text, Path::new("x.toml"), &env).unwrap();
    read(LEAST);
    assert_eq!(asked.get(), 0, "nobody asked for the environment");
    let other = "egress = 'env'\n[backend.c]\nservers = [{ url = 'ws://c:1' }]\negress = 'env'\n";
    let text = format!("{LEAST}{other}");
    read(&text);
    assert_eq!(asked.get(), 1);
    let printed = parse(&text, &[("ALL_PROXY", "nowhere")]).unwrap_err();
    assert!(printed.contains("1 error in"), "{printed}");
}

#[test]
fn a_summary_says_what_was_found_in_which_variable_and_no_secret() {
    let env = [
        ("HTTPS_PROXY", "http://hunter:hunter2@proxy:3128"),
        ("NO_PROXY", ".corp.example"),
    ];
    let plan = by_env(&env).unwrap();
    let summary = config::summary(&plan);
    for expected in [
        "through env",
        "wss: http proxy:3128 with auto auth, from HTTPS_PROXY",
        "ws: direct, no variable names a proxy",
        "corp.example",
    ] {
        assert!(
            summary.contains(expected),
            "{expected:?} is not in\n{summary}"
        );
    }
    assert!(!format!("{summary}{plan:?}").contains("hunter"));
}
