//! The configuration file as its writer meets it: the examples load, and say what they mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use throughway::config;
use throughway::egress::{Choice, Scheme, ServerAddress, Timeouts, Way};
use throughway::observe::log::Format;
use throughway::plan::{Limits, Plan};
use throughway::policy::drain::Drain;
use throughway::policy::limits::{Frames, Ping, Records};
use throughway::policy::offers::{Compression, Offers};
use throughway::policy::origin::Origins;
use throughway::policy::rate::{Action, Per, Rate, Rates};

/// What secrets resolve to, so that a leak can be searched for.
pub(crate) const USER: &str = "hunter-the-user";
pub(crate) const PASSWORD: &str = "hunter-the-password";

/// A directory that holds every file the examples name.
pub(crate) struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = Self { directory };
        let ca = authority();
        let hosts = ["chat.example.com", "*.chat.example.com"];
        home.write("certs/internal-ca.pem", &ca.pem());
        home.write("certs/inspection-ca.pem", &ca.pem());
        home.write("certs/clients-ca.pem", &ca.pem());
        home.leaf(&ca, "certs/chat", &hosts, |_| {});
        home.leaf(&ca, "certs/gateway", &["gateway.example.com"], |_| {});
        home.leaf(&ca, "certs/expired", &hosts, |params| {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 2, 2);
        });
        home.leaf(&ca, "certs/future", &hosts, |params| {
            params.not_before = date_time_ymd(3000, 1, 1);
            params.not_after = date_time_ymd(3001, 1, 1);
        });
        home.write("secrets/proxy-password", &format!("{PASSWORD}\n"));
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn parse(&self, text: &str) -> Result<Plan, config::Faults> {
        config::parse(text, &self.path("throughway.toml"), &|name| match name {
            "PROXY_USER" => Some(USER.to_owned()),
            _ => None,
        })
    }

    /// What is printed about a file that is not valid.
    pub(crate) fn faults(&self, text: &str) -> String {
        match self.parse(text) {
            Ok(_) => panic!("valid after all: {text}"),
            Err(faults) => faults.to_string(),
        }
    }

    fn leaf(
        &self,
        ca: &CertifiedIssuer<'_, KeyPair>,
        name: &str,
        hosts: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) {
        let hosts: Vec<String> = hosts.iter().map(|h| (*h).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, ca).unwrap();
        self.write(&format!("{name}.pem"), &leaf.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// The least that a file can say.
pub(crate) const LEAST: &str = r#"
version = 1
[[listener]]
name = "a"
bind = ["127.0.0.1:0"]
[[route]]
name = "r"
backend = "b"
[backend.b]
servers = [{ url = "ws://127.0.0.1:9000" }]
"#;

fn example(name: &str) -> Plan {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config")
        .join(name);
    let text = std::fs::read_to_string(file).unwrap();
    Home::new()
        .parse(&text)
        .unwrap_or_else(|faults| panic!("{name}:\n{faults}"))
}

#[test]
fn every_example_loads() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut loaded = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".toml") {
            example(&name);
            loaded += 1;
        }
    }
    assert!(loaded >= 3, "only {loaded} examples");
}

#[test]
fn a_file_that_says_the_least_gets_every_default() {
    let plan = Home::new().parse(LEAST).unwrap();
    assert_eq!(plan.limits, Limits::default());
    assert_eq!(plan.drain, Drain::default());
    assert_eq!(plan.log, throughway::observe::log::Params::default());
    assert!(plan.listeners[0].tls.is_none());
    assert_eq!(plan.backends[0].timeouts, Timeouts::default());
    assert!(matches!(plan.backends[0].way, Way::Direct));
    let route = plan.routes.iter().next().unwrap();
    assert_eq!(route.origins, Origins::Same);
    assert_eq!(route.limits.idle, Some(Duration::from_secs(300)));
    assert_eq!(route.limits.session, None);
    assert!(route.rewrite.preserve_host);
    assert!(route.listeners.is_none());
    assert_eq!(route.offers, Offers::default());
    assert_eq!(route.offers.compression, Compression::Pass);
    assert_eq!((route.frames, route.ping), (Frames::Observe, Ping::Off));
    assert_eq!(route.limits.frame_bytes, None);
    assert_eq!(route.limits.message_bytes, None);
    assert_eq!(route.rates, Rates::default());
    assert_eq!(route.records, Records::default());
    assert_eq!(plan.backends[0].ping, Ping::Off);
}

/// The plan of a file whose one route has these keys, and what `check` says of it.
fn routed(keys: &str) -> (Plan, String) {
    let keys = format!("backend = \"b\"\n{keys}");
    let text = LEAST.replace("backend = \"b\"", &keys);
    let plan = Home::new().parse(&text).unwrap_or_else(|f| panic!("{f}"));
    let summary = config::summary(&plan);
    (plan, summary)
}

#[test]
fn limits_of_frames_rates_pings_and_records_are_those_of_the_file() {
    let (plan, summary) = routed(
        "frames = 'validate'
limits = { frame_bytes = '64KiB', message_bytes = '64KiB', idle = 'none' }
rate = { session = { messages = '10/m', bytes = '1MiB/h', burst = '2m', action = 'close' }, client = { bytes = '2KiB/s' } }
ping = { every = '30s', timeout = '29s' }
record = { start = true, every = '5m' }",
    );
    let route = plan.routes.iter().next().unwrap();
    assert_eq!(route.frames, Frames::Validate);
    assert_eq!(route.limits.idle, None);
    assert_eq!(route.limits.frame_bytes, Some(65536));
    assert_eq!(route.limits.message_bytes, Some(65536));
    let seconds = Duration::from_secs;
    let per = |count, period| {
        let period = seconds(period);
        Some(Per { count, period })
    };
    let session = Rate {
        messages: per(10, 60),
        bytes: per(1 << 20, 3600),
        burst: seconds(120),
        action: Action::Close,
    };
    let client = Rate {
        messages: None,
        bytes: per(2048, 1),
        burst: seconds(1),
        action: Action::Delay,
    };
    assert_eq!(route.rates.session, Some(session));
    assert_eq!(route.rates.client, Some(client));
    let (every, timeout) = (seconds(30), seconds(29));
    assert_eq!(route.ping, Ping::Every { every, timeout });
    let every = Some(seconds(300));
    assert_eq!(route.records, Records { start: true, every });
    for line in [
        "idle none",
        "frame 64KiB",
        "message 64KiB",
        "each session: 10 messages/m, 1MiB/h, burst 2m, close",
        "each client: 2KiB/s, burst 1s, delay",
        "frames validated",
        "pinged after 30s, dead after 29s more",
        "recorded at its start and every 5m too",
    ] {
        assert!(summary.contains(line), "{line:?} is not in\n{summary}");
    }
}

#[test]
fn what_is_switched_off_is_off_and_opaque_goes_with_it() {
    let (plan, summary) = routed(
        "frames = 'opaque'\nping = 'off'\nrecord = { every = 'none' }\n\
         limits = { frame_bytes = 'none', message_bytes = 'none' }",
    );
    let route = plan.routes.iter().next().unwrap();
    assert_eq!((route.frames, route.ping), (Frames::Opaque, Ping::Off));
    assert_eq!(route.records, Records::default());
    assert!(summary.contains("frames opaque"), "{summary}");
    let (plan, summary) = routed("ping = 'auto'");
    assert_eq!(plan.routes.iter().next().unwrap().ping, Ping::Auto);
    assert!(summary.contains("as often as its way needs"), "{summary}");
}

#[test]
fn a_drain_is_spread_over_half_of_its_time_unless_the_file_says_otherwise() {
    let seconds = Duration::from_secs;
    for (keys, timeout, spread, close_code, told) in [
        ("", 30, 15, 1001, "30s, all told 1001 over 15s"),
        ("timeout = '10s'", 10, 5, 1001, "10s, all told 1001 over 5s"),
        ("timeout = '10s', spread = '10s'", 10, 10, 1001, "over 10s"),
        ("spread = 'none'", 30, 0, 1001, "30s, all told 1001 at once"),
        ("close_code = 1012", 30, 15, 1012, "all told 1012"),
        ("close_code = 4999", 30, 15, 4999, "all told 4999"),
    ] {
        let text = format!("{LEAST}[server]\ndrain = {{ {keys} }}\n");
        let plan = Home::new().parse(&text).unwrap_or_else(|f| panic!("{f}"));
        let expected = Drain {
            timeout: seconds(timeout),
            spread: seconds(spread),
            close_code,
        };
        assert_eq!(plan.drain, expected, "{keys}");
        let summary = config::summary(&plan);
        assert!(summary.contains(told), "{told:?} is not in\n{summary}");
    }
}

#[test]
fn the_rules_for_offers_are_those_of_the_file() {
    let rules = |keys: &str| {
        let (plan, summary) = routed(keys);
        let offers = plan.routes.iter().next().unwrap().offers.clone();
        (offers, summary)
    };
    let (offers, summary) = rules(
        "compression = 'off'\nsubprotocols = { require = ['b', 'a'], map = { a = 'b', b = 'a' }, strip = ['c'] }",
    );
    assert_eq!(offers.compression, Compression::Off);
    let told = ["b", "c", "a"].map(str::to_owned);
    let offer = offers.subprotocols.offer(&told);
    assert_eq!(offer.inside(), ["a", "b"]);
    assert_eq!(offer.required(), ["a", "b"]);
    for line in [
        "needs b or a",
        "a goes on as b",
        "without c",
        "no compression",
    ] {
        assert!(summary.contains(line), "{line:?} is not in\n{summary}");
    }
    let (offers, summary) = rules("compression = 'pass'\nsubprotocols = {}");
    assert_eq!(offers, Offers::default());
    assert!(summary.contains("any subprotocol or none"), "{summary}");
    // A name that is taken out meets no other.
    rules("subprotocols = { map = { a = 'c' }, strip = ['c'] }");
}

#[test]
fn the_reference_means_what_it_says() {
    let plan = example("reference.toml");
    assert!(plan.listeners[0].tls.is_some());
    assert_eq!(plan.listeners[0].trusted_proxies.len(), 1);
    assert_eq!(
        plan.certificates[0].hosts,
        ["chat.example.com", "*.chat.example.com"]
    );
    let chat = &plan.backends[0];
    let servers: Vec<_> = chat.servers.iter().map(|s| s.address.to_string()).collect();
    assert_eq!(
        servers,
        ["10.0.0.11:9000", "chat.internal:443", "unix:/run/chat.sock"]
    );
    let headers: Vec<_> = chat
        .servers
        .iter()
        .map(|s| s.host_header.as_str())
        .collect();
    assert_eq!(headers, ["10.0.0.11:9000", "chat.internal", "localhost"]);
    assert_eq!(chat.servers[1].base_path, "/base");
    assert!(chat.servers[0].tls.is_none() && chat.servers[1].tls.is_some());
    assert!(matches!(chat.servers[2].address, ServerAddress::Unix(_)));
    let Way::Through(corp) = &plan.backends[1].way else {
        panic!("feed goes through corp");
    };
    let hops: Vec<_> = corp.hops.iter().map(ToString::to_string).collect();
    let expected = [
        "https proxy.corp.example:3129",
        "http dmz.corp.example:3128",
        "socks5h edge.corp.example:1080",
    ];
    assert_eq!(hops, expected);
    let credentials = corp.hops[0].credentials.as_ref().unwrap();
    assert_eq!(credentials.user.reveal(), USER);
    assert_eq!(credentials.password.reveal(), PASSWORD);
    let route = plan.routes.iter().find(|r| r.name == "chat").unwrap();
    assert_eq!(route.rewrite.strip_prefix.as_deref(), Some("/ws"));
    assert_eq!(route.rewrite.set_headers.len(), 1);
    assert_eq!(plan.log.format, Format::Auto);
}

#[test]
fn a_secret_may_stand_among_other_text_and_a_dollar_be_a_dollar() {
    let home = Home::new();
    let with = |user: &str, password: &str| {
        let auth =
            format!("auth = {{ scheme = 'basic', user = '{user}', password = '{password}' }}");
        let text = format!("{LEAST}egress = 'e'\n[[egress.e.hop]]\nurl = 'http://p:1'\n{auth}\n");
        let plan = home.parse(&text).unwrap_or_else(|f| panic!("{f}"));
        let Way::Through(egress) = &plan.backends[0].way else {
            panic!("direct");
        };
        let credentials = egress.hops[0].credentials.as_ref().unwrap();
        let (user, password) = (&credentials.user, &credentials.password);
        (user.reveal().to_owned(), password.reveal().to_owned())
    };
    let (user, password) = with(
        "CORP\\${env:PROXY_USER}",
        "a${file:secrets/proxy-password}b",
    );
    assert_eq!(user, format!("CORP\\{USER}"));
    assert_eq!(password, format!("a{PASSWORD}b"));
    assert_eq!(with("u", "a$${env:X}$b").1, "a${env:X}$b");
}

#[test]
fn a_socks_hop_has_a_port_and_takes_any_user_and_password_that_can_be_sent() {
    let hop = |line: &str| {
        let text = format!("{LEAST}egress = 'e'\n[[egress.e.hop]]\n{line}\n");
        let plan = Home::new().parse(&text).unwrap_or_else(|f| panic!("{f}"));
        let Way::Through(egress) = &plan.backends[0].way else {
            panic!("direct");
        };
        let hop = &egress.hops[0];
        let credentials = hop.credentials.as_ref();
        let user = credentials.map(|c| c.user.reveal().to_owned());
        (hop.to_string(), hop.protocol, user)
    };
    use throughway::egress::{Protocol, Resolve};
    let (name, protocol, user) = hop("url = 'SOCKS5://p'");
    assert_eq!((name.as_str(), user), ("socks5 p:1080", None));
    assert_eq!(protocol, Protocol::Socks5(Resolve::Here));
    let long = "x".repeat(255);
    let auth = format!("url = 'socks5h://p:9'\nauth = {{ user = 'a:b', password = '{long}' }}");
    let (name, protocol, user) = hop(&auth);
    assert_eq!(
        (name.as_str(), user.as_deref()),
        ("socks5h p:9", Some("a:b"))
    );
    assert_eq!(protocol, Protocol::Socks5(Resolve::There));
}

#[test]
fn the_http_of_a_hop_is_left_open_unless_it_is_written() {
    use throughway::egress::Http;
    for (line, expected) in [
        ("", Http::Auto),
        ("http = 'auto'", Http::Auto),
        ("http = '1.1'", Http::One),
        ("http = '2'", Http::Two),
    ] {
        let text = format!("{LEAST}egress = 'e'\n[[egress.e.hop]]\nurl = 'https://p'\n{line}\n");
        let plan = Home::new().parse(&text).unwrap_or_else(|f| panic!("{f}"));
        let Way::Through(egress) = &plan.backends[0].way else {
            panic!("direct");
        };
        assert_eq!(egress.hops[0].versions.configured(), expected, "{line}");
    }
}

#[test]
fn a_summary_says_what_the_file_means_and_no_secret() {
    let summary = config::summary(&example("reference.toml"));
    for expected in [
        "public",
        "0.0.0.0:8443",
        "*.chat.example.com",
        "chat.example.com/ws/*",
        "chat.v2",
        "needs chat.v2 or chat.v1",
        "chat.v2 goes on as v2.chat.internal",
        "without debug",
        "https://*.example.com",
        "https://partner.example:8443",
        "through corp",
        "https proxy.corp.example:3129 with auto auth, domain CORP, workstation gateway-1",
        "socks5h edge.corp.example:1080 with user and password",
        "kept warm for each server: 2, for 50s",
        "corp.example:8080",
        "session 1day",
        "16KiB",
        "50000",
    ] {
        assert!(
            summary.contains(expected),
            "{expected:?} is not in\n{summary}"
        );
    }
    assert!(!summary.contains("hunter"), "{summary}");
    let chat = summary.find("chat.example.com/ws/*").unwrap();
    assert!(chat < summary.find("everything-else").unwrap(), "{summary}");
}

#[test]
fn a_proxy_is_told_by_the_scheme_of_the_file_or_by_the_strongest_it_offers() {
    let home = Home::new();
    for (scheme, expected, told) in [
        ("", Choice::Auto, "auto"),
        ("scheme = 'auto', ", Choice::Auto, "auto"),
        ("scheme = 'basic', ", Choice::Only(Scheme::Basic), "basic"),
        (
            "scheme = 'Digest', ",
            Choice::Only(Scheme::Digest),
            "digest",
        ),
        ("scheme = 'ntlm', ", Choice::Only(Scheme::Ntlm), "ntlm"),
    ] {
        let auth = format!("auth = {{ {scheme}user = 'u' }}");
        let text = format!("{LEAST}egress = 'e'\n[[egress.e.hop]]\nurl = 'http://p:1'\n{auth}\n");
        let plan = home.parse(&text).unwrap_or_else(|f| panic!("{f}"));
        let Way::Through(egress) = &plan.backends[0].way else {
            panic!("direct");
        };
        assert_eq!(egress.hops[0].auth.choice(), expected, "{scheme}");
        let summary = config::summary(&plan);
        assert!(
            summary.contains(&format!("http p:1 with {told} auth")),
            "{summary}"
        );
    }
}

#[cfg(feature = "gssapi")]
#[test]
fn kerberos_is_told_where_it_is_asked_for_and_in_auto_where_the_user_has_a_realm() {
    let home = Home::new();
    home.write("u.keytab", "\x05\x02");
    home.write("u.cc", "\x05\x04");
    let (keytab, cache) = (home.path("u.keytab"), home.path("u.cc"));
    let own = |what: &str, path: &Path| format!("negotiate auth, {what} FILE:{}", path.display());
    for (auth, expected) in [
        (
            "user = 'u@R', keytab = 'u.keytab'",
            own("keytab", &keytab).as_str(),
        ),
        (
            "scheme = 'negotiate', user = 'u', keytab = 'FILE:u.keytab'",
            &own("keytab", &keytab),
        ),
        ("ccache = 'u.cc'", &own("ticket cache", &cache)),
        (
            "user = 'u', ccache = 'FILE:u.cc'",
            &own("ticket cache", &cache),
        ),
        (
            "scheme = 'auto', ccache = 'KCM:0:u'",
            "negotiate auth, ticket cache KCM:0:u",
        ),
        ("scheme = 'negotiate'", "negotiate auth"),
        (
            "scheme = 'Negotiate', user = 'u@R', spn = 'HTTP/p@R'",
            "negotiate auth, spn HTTP/p@R",
        ),
        ("user = 'u@R', password = 'p'", "auto auth, Kerberos first"),
        ("user = 'u@r', password = 'p'", "auto auth"),
        ("user = 'u@R'", "auto auth"),
        ("user = 'u', password = 'p'", "auto auth"),
        ("scheme = 'ntlm', user = 'u@R', password = 'p'", "ntlm auth"),
    ] {
        let hop = format!("url = 'http://p:1'\nauth = {{ {auth} }}\n");
        let text = format!("{LEAST}egress = 'e'\n[[egress.e.hop]]\n{hop}");
        let plan = home.parse(&text).unwrap_or_else(|f| panic!("{f}"));
        let summary = config::summary(&plan);
        let is_there = summary.lines().any(|l| {
            l.split("  ")
                .any(|cell| cell.trim() == format!("http p:1 with {expected}"))
        });
        assert!(is_there, "{auth}: {summary}");
    }
}

#[test]
fn domain_and_workstation_are_those_of_the_file() {
    let plan = example("reference.toml");
    let ways = plan.backends.iter().map(|b| &b.way);
    let auth = ways
        .filter_map(|way| match way {
            Way::Through(egress) => Some(&egress.hops[0].auth),
            _ => None,
        })
        .next();
    let membership = auth.unwrap().membership();
    assert_eq!(membership.domain, "CORP");
    assert_eq!(membership.workstation, "gateway-1");
}

#[test]
fn a_plan_prints_no_secret() {
    let debug = format!("{:?}", example("reference.toml"));
    assert!(!debug.contains("hunter"), "{debug}");
    let header = LEAST.replace(
        "backend = \"b\"",
        "backend = \"b\"\nset_headers = { Authorization = 'hunter' }",
    );
    let debug = format!("{:?}", Home::new().parse(&header).unwrap());
    assert!(!debug.contains("hunter"), "{debug}");
}
