//! Ways that are found: the order in which this machine and its network are asked, what each may
//! say, what becomes of those that say their worst, and what is found when the network is another.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use throughway::egress::auto::{Auto, Desktop, Names, Network, Params, Said};
use throughway::egress::{
    Backend, ByScheme, Egress, Found, HopTimeouts, Program, Server, Timeouts, Way,
};
use throughway::net::tls;
use throughway::policy::no_proxy::NoProxy;

use super::servers::nobody;
use crate::support::backend::echo_backend;
use crate::support::desktop::{desktop, settings};
use crate::support::dialling::{
    assert_echoes, backend_by, failed, hop, linked, server_at, server_inside,
};
use crate::support::eventually;
use crate::support::proxy::{ASKS_AND_CLOSES, OK, proxy_that_refuses, proxy_that_says, say};
use crate::support::script::{Act, Script};

const LONG: Duration = Duration::from_secs(3600);

/// A machine without proxies, without a desktop and without a domain.
struct Machine {
    folder: TempDir,
    params: Params,
}

fn machine() -> Machine {
    let folder = TempDir::new().unwrap();
    let params = Params {
        environment: Arc::new(ByScheme {
            ws: None,
            wss: None,
        }),
        desktop: None,
        network: Network {
            resolv_conf: folder.path().join("resolv.conf"),
            host_name: String::new,
            names: Names::Listed(Vec::new()),
        },
        tls: tls::client(rustls::RootCertStore::empty(), None).unwrap(),
        evaluator: Program {
            path: PathBuf::from(env!("CARGO_BIN_EXE_throughway")),
            args: vec!["pac".into()],
            environment: Vec::new(),
        },
        again: LONG,
        again_in_doubt: LONG,
    };
    Machine { folder, params }
}

/// A machine that can be looked at while it changes.
struct Living {
    resolv_conf: PathBuf,
    _folder: TempDir,
    auto: Arc<Auto>,
}

impl Machine {
    /// A `wpad` in this domain is there; the machine need not be in it.
    fn wpad(mut self, domain: &str, at: SocketAddr) -> Self {
        if let Names::Listed(listed) = &mut self.params.network.names {
            listed.push((format!("wpad.{domain}"), at));
        }
        self
    }

    fn search(self, domains: &str) -> Self {
        std::fs::write(
            &self.params.network.resolv_conf,
            format!("search {domains}\n"),
        )
        .unwrap();
        self
    }

    fn desktop(mut self, desktop: Desktop) -> Self {
        self.params.desktop = Some(desktop);
        self
    }

    fn gnome(self, desktop: &crate::support::desktop::Desktop) -> Self {
        self.desktop(Desktop::Gnome(desktop.program()))
    }

    fn environment(mut self, proxy: SocketAddr) -> Self {
        let found = Found {
            source: "http_proxy",
            egress: Arc::new(Egress {
                name: "auto".to_owned(),
                no_proxy: NoProxy::default(),
                hops: vec![hop(proxy)],
                timeouts: HopTimeouts::default(),
                warm: None,
            }),
        };
        self.params.environment = Arc::new(ByScheme {
            ws: Some(found),
            wss: None,
        });
        self
    }

    fn lives(self) -> Living {
        Living {
            resolv_conf: self.params.network.resolv_conf.clone(),
            auto: Arc::new(Auto::new(self.params)),
            _folder: self.folder,
        }
    }
}

impl Living {
    fn to(&self, server: Server) -> Backend {
        backend_by(vec![server], Way::Auto(self.auto.clone()))
    }

    fn inside(&self) -> Backend {
        self.to(server_inside())
    }

    fn moves_to(&self, domains: &str) {
        std::fs::write(&self.resolv_conf, format!("search {domains}\n")).unwrap();
    }

    /// Where it looks anew, who says it.
    async fn looked(&self) -> &'static str {
        self.auto.look().await.by.word()
    }
}

impl Living {
    /// Who looks anew and finds the same keeps what is known of the script and its proxies.
    async fn keeps_its_script(&self) {
        let (before, after) = (self.auto.found().await, self.auto.look().await);
        let (Way::Pac(before), Way::Pac(after)) = (&before.way, &after.way) else {
            panic!("{before:?} {after:?}");
        };
        assert!(Arc::ptr_eq(before, after));
    }
}

async fn goes_by(backend: &Backend, egress: &str) {
    let link = linked(backend).await;
    assert_eq!(link.egress, egress);
    assert_echoes(link).await;
}

/// Opens tunnels to an echo.
async fn good() -> (Script, Script) {
    let far = echo_backend().await;
    (proxy_that_says(OK, far.address).await, far)
}

fn label(proxy: SocketAddr) -> String {
    format!("auto/http://{proxy}")
}

fn script(proxy: SocketAddr) -> String {
    format!("function FindProxyForURL() {{ return 'PROXY {proxy}'; }}")
}

fn page(body: &str) -> Vec<Act> {
    let length = body.len();
    let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
    vec![Act::Head, say(&text)]
}

async fn web(acts: Vec<Act>) -> Script {
    Script::play(vec![acts], None).await
}

/// A `wpad` whose script names this proxy.
async fn wpad(proxy: SocketAddr) -> Script {
    web(page(&script(proxy))).await
}

fn manual(proxy: SocketAddr) -> String {
    let host = format!(".http host '{}'", proxy.ip());
    settings("manual", &[&host, &format!(".http port {}", proxy.port())])
}

#[tokio::test]
async fn the_environment_comes_first_and_then_nobody_else_is_asked() {
    let ((proxy, _far), (other, _)) = (good().await, good().await);
    let (gnome, wpad) = (desktop(&manual(other.address)), wpad(other.address).await);
    let machine = machine().environment(proxy.address).gnome(&gnome);
    let machine = machine
        .search("corp.example")
        .wpad("corp.example", wpad.address);
    let machine = machine.lives();
    goes_by(&machine.inside(), "auto").await;
    assert_eq!(proxy.connections(), 1);
    assert_eq!(machine.auto.found().await.by, Said::Environment);
    assert_eq!((gnome.asked().len(), wpad.connections()), (0, 0));
}

#[tokio::test]
async fn then_the_desktop_and_then_the_network_is_not_asked() {
    let ((proxy, _far), (other, _)) = (good().await, good().await);
    let (gnome, wpad) = (desktop(&manual(proxy.address)), wpad(other.address).await);
    let machine = machine().gnome(&gnome).search("corp.example");
    let machine = machine.wpad("corp.example", wpad.address).lives();
    goes_by(&machine.inside(), "auto").await;
    assert_eq!(gnome.asked(), ["list-recursively org.gnome.system.proxy"]);
    assert_eq!((proxy.connections(), wpad.connections()), (1, 0));
    let found = machine.auto.found().await;
    assert_eq!(found.by.word(), "desktop");
    let words = format!(
        "wss direct, ws http {} from GNOME's settings",
        proxy.address
    );
    assert_eq!(found.to_string(), words);
}

#[tokio::test]
async fn then_wpad_in_the_order_of_the_domains() {
    let ((proxy, _far), (other, _)) = (good().await, good().await);
    let (first, second) = (wpad(proxy.address).await, wpad(other.address).await);
    let machine = machine().search("none.example a.example b.example");
    let machine = machine.wpad("b.example", second.address);
    let machine = machine.wpad("a.example", first.address).lives();
    goes_by(&machine.inside(), &label(proxy.address)).await;
    assert_eq!((first.connections(), second.connections()), (1, 0));
    let head = first.heard(0).to_lowercase();
    assert!(head.starts_with("get /wpad.dat http/1.1\r\n"), "{head}");
    assert!(head.contains("host: wpad.a.example\r\n"), "{head}");
    let found = machine.auto.found().await;
    let url = "http://wpad.a.example/wpad.dat";
    assert_eq!(found.by, Said::Wpad(url.to_owned()));
    assert_eq!(found.to_string(), format!("the script {url} by WPAD"));
}

#[tokio::test]
async fn the_machines_own_name_has_a_domain_too() {
    let (proxy, _far) = good().await;
    let wpad = wpad(proxy.address).await;
    let mut machine = machine().wpad("corp.example", wpad.address);
    machine.params.network.host_name = || "gateway.corp.example".to_owned();
    goes_by(&machine.lives().inside(), &label(proxy.address)).await;
}

#[tokio::test]
async fn and_where_nobody_names_a_proxy_the_way_is_straight() {
    let far = echo_backend().await;
    let machine = machine().lives();
    goes_by(&machine.to(server_at(far.address)), "direct").await;
    assert_eq!(machine.auto.found().await.by, Said::Nobody);
}

#[tokio::test]
async fn no_domain_is_asked_that_is_everybodys_or_another_machines() {
    let (other, _far) = good().await;
    let wpad = wpad(other.address).await;
    let mut machine = machine().search("dept.corp.co.uk local co.uk com github.io 10.0.0.1 .");
    for domain in ["corp.co.uk", "co.uk", "uk", "local", "com", "github.io"] {
        machine = machine.wpad(domain, wpad.address);
    }
    let machine = machine.wpad("", wpad.address).lives();
    assert_eq!(machine.looked().await, "nobody");
    assert_eq!(wpad.connections(), 0);
    assert_eq!(machine.auto.asks(), Vec::<String>::new());
}

#[tokio::test]
async fn a_desktop_may_name_a_script_leave_it_to_wpad_or_say_there_is_none() {
    let ((proxy, _far), (other, _)) = (good().await, good().await);
    let (set, wpad) = (wpad(proxy.address).await, wpad(other.address).await);
    let gnome = desktop("");
    let machine = machine().gnome(&gnome).search("corp.example");
    let machine = machine.wpad("corp.example", wpad.address).lives();
    let url = format!("http://{}/any.pac?x=y", set.address);
    gnome.set(&settings("auto", &[&format!(" autoconfig-url '{url}'")]));
    assert_eq!(machine.looked().await, "desktop");
    goes_by(&machine.inside(), &label(proxy.address)).await;
    assert!(set.heard(0).starts_with("GET /any.pac?x=y HTTP/1.1\r\n"));
    machine.keeps_its_script().await;
    assert_eq!(wpad.connections(), 0);
    gnome.set(&settings("none", &[]));
    assert_eq!(machine.looked().await, "desktop");
    let found = machine.auto.found().await;
    assert_eq!(found.to_string(), "direct, as GNOME's settings say");
    assert_eq!(wpad.connections(), 0);
    gnome.set(&settings("auto", &[" autoconfig-url ''"]));
    assert_eq!(machine.looked().await, "wpad");
    goes_by(&machine.inside(), &label(other.address)).await;
}

#[tokio::test]
async fn a_script_of_the_desktop_that_is_not_there_is_an_error_and_never_direct() {
    let url = format!("http://{}/x.pac", nobody().await);
    let gnome = desktop(&settings("auto", &[&format!(" autoconfig-url '{url}'")]));
    let machine = machine().gnome(&gnome).lives();
    let error = failed(&machine.inside()).await;
    assert_eq!(error.reason(), "pac");
    assert!(error.to_string().contains(&url), "{error}");
}

#[tokio::test]
async fn who_the_desktop_ignores_goes_direct_and_an_entry_that_is_none_harms_no_other() {
    let (proxy, _far) = good().await;
    let far = echo_backend().await;
    let ignored = " ignore-hosts ['10.*', '<-loopback>', '127.0.0.0/8', '*.example']";
    let text = manual(proxy.address) + &settings("manual", &[ignored]);
    let gnome = desktop(&text);
    let machine = machine().gnome(&gnome).lives();
    goes_by(&machine.to(server_at(far.address)), "direct").await;
    goes_by(&machine.inside(), "auto").await;
}

#[tokio::test]
async fn socks_is_for_what_the_others_leave() {
    let socks = nobody().await;
    let host = format!(".socks host '{}'", socks.ip());
    let port = format!(".socks port {}", socks.port());
    let gnome = desktop(&settings("manual", &[&host, &port]));
    let machine = machine().gnome(&gnome).lives();
    let error = failed(&machine.inside()).await.to_string();
    assert!(error.contains(&format!("socks5h {socks}")), "{error}");
}

#[tokio::test]
async fn kdes_file_is_read_where_it_is() {
    let (proxy, _far) = good().await;
    let machine = machine();
    let file = machine.folder.path().join("kioslaverc");
    let machine = machine.desktop(Desktop::Kde(file.clone())).lives();
    assert_eq!(machine.looked().await, "nobody");
    let (ip, port) = (proxy.address.ip(), proxy.address.port());
    let text = format!("[Proxy Settings]\nProxyType=1\nhttpProxy=http://{ip} {port}\n");
    std::fs::write(file, text).unwrap();
    assert_eq!(machine.looked().await, "desktop");
    goes_by(&machine.inside(), "auto").await;
}

#[tokio::test]
async fn a_desktop_that_is_not_there_or_tells_nothing_is_none() {
    let gnome = desktop("No such schema\n");
    let tells_nothing = machine().gnome(&gnome).lives();
    assert_eq!(tells_nothing.looked().await, "nobody");
    let fails = Program {
        path: "/bin/false".into(),
        ..gnome.program()
    };
    let missing = Program {
        path: "/nowhere/gsettings".into(),
        ..gnome.program()
    };
    for program in [fails, missing] {
        let machine = machine().desktop(Desktop::Gnome(program)).lives();
        assert_eq!(machine.looked().await, "nobody");
    }
}

#[tokio::test]
async fn a_desktop_that_hangs_has_not_changed_its_mind() {
    let (proxy, _far) = good().await;
    let gnome = desktop(&manual(proxy.address));
    let machine = machine().gnome(&gnome).lives();
    assert_eq!(machine.looked().await, "desktop");
    gnome.hangs();
    assert_eq!(machine.looked().await, "desktop");
    goes_by(&machine.inside(), "auto").await;
    assert_eq!(gnome.asked().len(), 2);
}

#[tokio::test]
async fn what_is_no_script_is_passed_over() {
    let (proxy, _far) = good().await;
    let elsewhere = wpad(nobody().await).await;
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{}/wpad.dat\r\nContent-Length: 0\r\n\r\n",
        elsewhere.address
    );
    let hostile: Vec<Vec<Act>> = vec![
        page("<html><body>Please log in</body></html>"),
        page("var FindProxyForURL = 7;"),
        page(""),
        vec![Act::Head, say(&redirect)],
        vec![
            Act::Head,
            say("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"),
        ],
        vec![Act::Head, say("HTTP/1.1 304 Not Modified\r\n\r\n")],
        vec![Act::Head, say("SSH-2.0-x\r\n")],
        vec![Act::Head, Act::Reset],
        vec![
            Act::Head,
            say("HTTP/1.1 200 OK\r\n\r\n"),
            Act::Repeat(vec![b' '; 65536]),
        ],
        vec![
            Act::Head,
            Act::Repeat(b"HTTP/1.1 103 Wait\r\n\r\n".to_vec()),
        ],
        vec![Act::Head, Act::Stall],
        page("for (;;) {}"),
    ];
    let check = async |acts: &Vec<Act>| {
        let (bad, good) = (web(acts.clone()).await, wpad(proxy.address).await);
        let machine = machine().search("a.example b.example");
        let machine = machine.wpad("a.example", bad.address);
        let machine = machine.wpad("b.example", good.address).lives();
        goes_by(&machine.inside(), &label(proxy.address)).await;
        assert_eq!(bad.connections(), 1);
    };
    // Some at once, since the silent ones take their time, and not all: each starts a program.
    for some in hostile.chunks(3) {
        futures_util::future::join_all(some.iter().map(check)).await;
    }
    assert_eq!(elsewhere.connections(), 0, "a redirect is not followed");
}

#[tokio::test]
async fn a_network_of_hostile_servers_is_left_in_the_end() {
    let far = echo_backend().await;
    let stalls = web(vec![Act::Head, Act::Stall]).await;
    let mut machine = machine().search("a.example b.example c.example d.example e.example");
    for domain in [
        "a.example",
        "b.example",
        "c.example",
        "d.example",
        "e.example",
    ] {
        machine = machine.wpad(domain, stalls.address);
    }
    let machine = machine.lives();
    goes_by(&machine.to(server_at(far.address)), "direct").await;
    assert!(stalls.connections() < 5, "{}", stalls.connections());
}

#[tokio::test]
async fn nobody_that_was_found_is_told_who_we_are() {
    let asks = proxy_that_refuses(ASKS_AND_CLOSES).await;
    let wpad = wpad(asks.address).await;
    let machine = machine().search("corp.example");
    let machine = machine.wpad("corp.example", wpad.address).lives();
    let error = failed(&machine.inside()).await;
    assert_eq!(error.reason(), "proxy_auth");
    let heard = asks.heard_in_all() + &wpad.heard_in_all();
    assert!(!heard.to_lowercase().contains("authorization"), "{heard}");
}

#[tokio::test]
async fn many_sessions_at_once_look_once() {
    let (proxy, _far) = good().await;
    let gnome = desktop(&manual(proxy.address));
    let machine = machine().gnome(&gnome).lives();
    let backend = machine.inside();
    let sessions = (0..10).map(|_| goes_by(&backend, "auto"));
    futures_util::future::join_all(sessions).await;
    assert_eq!(gnome.asked().len(), 1);
}

#[tokio::test]
async fn a_session_that_has_no_more_time_says_that_it_was_finding() {
    let gnome = desktop("");
    gnome.hangs();
    let machine = machine().gnome(&gnome).lives();
    let backend = Backend {
        timeouts: Timeouts {
            total: Duration::from_millis(200),
            ..Timeouts::default()
        },
        ..machine.inside()
    };
    let error = failed(&backend).await;
    assert_eq!((error.step(), error.reason()), ("find", "timeout"));
    assert!(
        error.to_string().contains("find proxies: timed out"),
        "{error}"
    );
}

#[tokio::test]
async fn another_network_is_found_and_left_again() {
    let (proxy, _far) = good().await;
    let far = echo_backend().await;
    let turns = vec![page(&script(proxy.address)), vec![Act::Head]];
    let wpad = Script::play(turns, None).await;
    let machine = machine().wpad("corp.example", wpad.address).lives();
    let outside = machine.to(server_at(far.address));
    goes_by(&outside, "direct").await;
    machine.moves_to("corp.example");
    assert_eq!(machine.looked().await, "wpad");
    goes_by(&machine.inside(), &label(proxy.address)).await;
    // Its server is down from here on, and nobody has moved.
    machine.keeps_its_script().await;
    goes_by(&machine.inside(), &label(proxy.address)).await;
    machine.moves_to("home.example");
    assert_eq!(machine.looked().await, "nobody");
    goes_by(&outside, "direct").await;
}

#[tokio::test]
async fn who_keeps_looking_finds_what_changed() {
    let (proxy, _far) = good().await;
    let gnome = desktop(&settings("none", &[]));
    let mut machine = machine().gnome(&gnome);
    machine.params.again = Duration::from_millis(5);
    let machine = machine.lives();
    let auto = machine.auto.clone();
    let keeping = tokio::spawn(async move { auto.keep().await });
    eventually("it is looked", || gnome.asked().len() > 1).await;
    gnome.set(&manual(proxy.address));
    let so_far = gnome.asked().len();
    eventually("it is looked again", || gnome.asked().len() > so_far + 1).await;
    goes_by(&machine.inside(), "auto").await;
    keeping.abort();
}

#[tokio::test]
async fn a_dial_that_fails_is_a_reason_to_look_again() {
    let gnome = desktop(&manual(nobody().await));
    let mut machine = machine().gnome(&gnome);
    machine.params.again_in_doubt = Duration::from_millis(1);
    let machine = machine.lives();
    let auto = machine.auto.clone();
    let keeping = tokio::spawn(async move { auto.keep().await });
    eventually("it is looked", || gnome.asked().len() == 1).await;
    let (proxy, _far) = good().await;
    failed(&machine.inside()).await;
    gnome.set(&manual(proxy.address));
    failed(&machine.inside()).await;
    eventually("it is looked again", || gnome.asked().len() > 1).await;
    keeping.abort();
}

#[tokio::test]
async fn an_environment_that_names_a_proxy_is_looked_at_once() {
    let machine = machine().environment(nobody().await).lives();
    let kept = tokio::time::timeout(crate::support::PATIENCE, machine.auto.keep());
    kept.await.expect("there is nothing to keep");
}
