//! The life of the process: signals, the drain, exit codes, the environment, what it prints.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::support::PATIENCE;
use crate::support::backend::echo_backend;
use crate::support::client::{Client, handshake, open};
use crate::support::gateway::{Builder, gateway};
use crate::support::process::{Process, field, throughway};
use crate::support::script::Script;
use crate::support::started::{started, started_with, written};

const DRAINING: &str = "\"draining; a second signal cuts at once\"";

fn to_echo(backend: &Script, drain: &str) -> Builder {
    let server = format!("ws://{}", backend.address);
    gateway().opaque().drain(drain).route("/", server)
}

async fn echo(client: &mut Client, words: &[u8]) {
    client.send(words).await;
    assert_eq!(client.exactly(words.len()).await, words);
}

// --- the drain ---------------------------------------------------------------------------------

#[tokio::test]
async fn a_signal_ends_accepting_and_lets_sessions_run_until_the_drain_is_over() {
    for signal in ["TERM", "INT"] {
        let backend = echo_backend().await;
        let mut gateway = started(to_echo(&backend, "1s"));
        let (mut client, _) = open(gateway.address, &handshake("/")).await;
        let begun = Instant::now();
        gateway.signal(signal);
        let line = &gateway.logs(1, DRAINING).await[0];
        assert_eq!(field(line, "signal"), format!("SIG{signal}"));
        assert_eq!(field(line, "sessions"), "1");
        refuses(gateway.address).await;
        echo(&mut client, b"while it drains").await;
        assert!(gateway.try_ended().is_none());
        assert_eq!(client.rest().await, b"");
        assert_eq!(gateway.exits().await.code(), Some(0));
        let lasted = begun.elapsed();
        assert!(lasted >= Duration::from_secs(1), "{lasted:?}");
        assert!(lasted < Duration::from_secs(5), "{lasted:?}");
        let record = &gateway.logs(1, "\"session ended\"").await[0];
        assert_eq!(field(record, "ended_by"), "gateway");
        assert_eq!(field(record, "why"), "drain");
    }
}

/// Nobody listens there any more, soon.
async fn refuses(address: std::net::SocketAddr) {
    let refused = async { while TcpStream::connect(address).await.is_ok() {} };
    timeout(PATIENCE, refused)
        .await
        .expect("connections are refused");
}

#[tokio::test]
async fn a_drain_is_over_when_its_last_session_is() {
    let backend = echo_backend().await;
    let mut gateway = started(to_echo(&backend, "1h"));
    let (mut client, _) = open(gateway.address, &handshake("/")).await;
    gateway.signal("TERM");
    gateway.logs(1, DRAINING).await;
    echo(&mut client, b"last words").await;
    assert!(gateway.try_ended().is_none());
    drop(client);
    assert_eq!(gateway.exits().await.code(), Some(0));
    assert!(gateway.lines_with("cutting").is_empty());
}

#[tokio::test]
async fn a_second_signal_cuts_at_once() {
    let backend = echo_backend().await;
    let mut gateway = started(to_echo(&backend, "1h"));
    let (mut client, _) = open(gateway.address, &handshake("/")).await;
    gateway.signal("TERM");
    gateway.logs(1, DRAINING).await;
    gateway.signal("INT");
    assert_eq!(client.rest().await, b"");
    assert_eq!(gateway.exits().await.code(), Some(0));
}

#[tokio::test]
async fn who_connected_before_the_drain_and_asks_after_it_began_is_told_to_come_back() {
    let backend = echo_backend().await;
    let mut gateway = started(to_echo(&backend, "1h"));
    let mut client = Client::connect(gateway.address).await;
    let head = handshake("/").bytes();
    let (begin, rest) = head.split_at(20);
    client.send(begin).await;
    // Accepted in order: once the second has its 101, the first is in.
    let (other, _) = open(gateway.address, &handshake("/")).await;
    gateway.signal("TERM");
    gateway.logs(1, DRAINING).await;
    client.send(rest).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("Retry-After").is_some());
    let line = &gateway.logs(1, "\"request refused\"").await[0];
    assert_eq!(field(line, "reason"), "draining");
    drop((client, other));
    assert_eq!(gateway.exits().await.code(), Some(0));
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn a_client_that_says_nothing_does_not_outlast_the_drain() {
    let backend = echo_backend().await;
    let mut gateway = started(to_echo(&backend, "1s"));
    let mut silent = Client::connect(gateway.address).await;
    let (other, _) = open(gateway.address, &handshake("/")).await;
    let begun = Instant::now();
    gateway.signal("TERM");
    assert_eq!(silent.rest().await, b"");
    assert_eq!(gateway.exits().await.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "not `handshake`");
    drop(other);
}

#[tokio::test]
async fn nothing_to_drain_is_over_at_once() {
    let backend = echo_backend().await;
    let mut gateway = started(to_echo(&backend, "1h"));
    gateway.signal("TERM");
    assert_eq!(gateway.exits().await.code(), Some(0));
}

// --- exit codes --------------------------------------------------------------------------------

/// Runs it to its end.
fn output(command: &mut Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn with_config(command: &str, path: &Path) -> Command {
    let mut program = throughway();
    program.arg(command).arg("-c").arg(path);
    program
}

/// A configuration that is sound and needs nobody.
fn sound() -> Builder {
    gateway().route("/", "ws://127.0.0.1:9")
}

#[test]
fn a_port_in_use_is_exit_1_and_says_which() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let builder = sound();
    let path = written(&builder);
    let toml = builder.toml().replace("127.0.0.1:0", &address);
    std::fs::write(&path, toml).unwrap();
    let (code, stdout, stderr) = output(&mut with_config("run", &path));
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(last.starts_with("error: "), "{last}");
    assert!(last.contains(&address) && last.contains("in use"), "{last}");
    assert!(last.contains("public"), "the listener's name: {last}");
}

#[test]
fn a_word_that_is_no_command_is_exit_2() {
    for arguments in [&["fly"][..], &["run", "--fast"], &[]] {
        let (code, stdout, stderr) = output(throughway().args(arguments));
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains("Usage: throughway"), "{stderr}");
    }
}

#[test]
fn a_configuration_that_is_invalid_or_missing_is_exit_78() {
    let builder = sound();
    let path = written(&builder);
    std::fs::write(&path, builder.toml().replace("origins", "orgins")).unwrap();
    for command in ["run", "check"] {
        let (code, stdout, stderr) = output(&mut with_config(command, &path));
        assert_eq!((code, stdout.as_str()), (78, ""), "{stderr}");
        assert!(stderr.contains("did you mean `origins`?"), "{stderr}");
        assert!(stderr.contains("throughway.toml:"), "{stderr}");
        let missing = builder.dir().join("missing.toml");
        let (code, _, stderr) = output(&mut with_config(command, &missing));
        assert_eq!(code, 78, "{stderr}");
        assert!(stderr.contains("missing.toml"), "{stderr}");
    }
}

// --- the environment ---------------------------------------------------------------------------

#[test]
fn the_file_is_named_by_the_flag_else_by_the_environment_else_it_is_the_default() {
    let (flagged, named) = (sound(), gateway().route("/named", "ws://127.0.0.1:9"));
    let (flagged_path, named_path) = (written(&flagged), written(&named));
    let mut program = with_config("check", &flagged_path);
    let (code, stdout, _) = output(program.env("THROUGHWAY_CONFIG", &named_path));
    assert_eq!(code, 0);
    assert!(!stdout.contains("/named"), "{stdout}");
    let mut program = throughway();
    let (code, stdout, _) = output(program.arg("check").env("THROUGHWAY_CONFIG", &named_path));
    assert_eq!(code, 0);
    assert!(stdout.contains("/named"), "{stdout}");
    let (code, _, stderr) = output(throughway().arg("check"));
    // No machine that runs tests has one there.
    assert_eq!(code, 78);
    assert!(
        stderr.contains("/etc/throughway/throughway.toml"),
        "{stderr}"
    );
}

#[tokio::test]
async fn the_log_is_filtered_by_the_environment_before_the_file() {
    let backend = echo_backend().await;
    let builder = to_echo(&backend, "1s").section("[log]\nlevel = \"error\"");
    let gateway = started_with(builder, &[("THROUGHWAY_LOG", "throughway=debug")]);
    let mut client = Client::connect(gateway.address).await;
    client.send(b"GET /").await;
    drop(client);
    let line = &gateway.logs(1, "client gone").await[0];
    assert_eq!(field(line, "level"), "DEBUG");
}

#[test]
fn a_filter_that_is_none_is_exit_2() {
    let builder = sound();
    let mut program = with_config("run", &written(&builder));
    let (code, _, stderr) = output(program.env("THROUGHWAY_LOG", "throughway=loud"));
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("THROUGHWAY_LOG"), "{stderr}");
    assert!(stderr.contains("throughway=loud"), "{stderr}");
}

#[test]
fn the_log_is_text_or_json_as_the_file_says_and_json_where_nobody_watches() {
    let table = [("text", false), ("json", true), ("auto", true)];
    for (format, is_json) in table {
        let builder = sound().section(&format!("[log]\nformat = \"{format}\""));
        let process = Process::spawn(with_config("run", &written(&builder)));
        let line = process.line_with("listening");
        assert_eq!(
            line.starts_with('{') && line.ends_with('}'),
            is_json,
            "{line}"
        );
        assert_eq!(line.contains("\"level\":\"INFO\""), is_json, "{line}");
        assert!(line.contains("127.0.0.1:"), "{line}");
        assert!(
            !line.contains('\x1b'),
            "no colour where nobody watches: {line}"
        );
    }
}

// --- what it prints ----------------------------------------------------------------------------

#[test]
fn check_prints_what_the_file_means_as_tables() {
    let builder = sound();
    let (code, stdout, stderr) = output(&mut with_config("check", &written(&builder)));
    assert_eq!((code, stderr.as_str()), (0, ""));
    for part in [
        "LISTENER",
        "public",
        "127.0.0.1:0",
        "ROUTE, AS TRIED",
        "backend0",
        "BACKEND",
        "ws://127.0.0.1:9",
        "direct",
        "LIMIT",
        "50000",
    ] {
        assert!(stdout.contains(part), "no {part} in\n{stdout}");
    }
}

#[test]
fn help_and_version_say_what_one_needs_first() {
    let (code, stdout, stderr) = output(throughway().arg("--help"));
    assert_eq!((code, stderr.as_str()), (0, ""));
    for part in [
        "A WebSocket gateway and a way through corporate proxies",
        "Usage: throughway <COMMAND>",
        "Run the gateway until SIGTERM or SIGINT, then drain its sessions",
        "Read a configuration, report every mistake in it, and say what it means",
        "Exit codes: 0 done, 1 failed while running, 2 usage, 78 configuration invalid.",
        "THROUGHWAY_CONFIG",
        "THROUGHWAY_LOG",
        "Begin with `throughway demo`",
    ] {
        assert!(stdout.contains(part), "no {part:?} in\n{stdout}");
    }
    assert!(
        stdout.lines().all(|line| line.chars().count() <= 100),
        "{stdout}"
    );
    let (code, stdout, _) = output(throughway().arg("--version"));
    let version = format!("throughway {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((code, stdout), (0, version));
}

#[test]
fn run_help_names_the_flag_its_default_and_its_variable() {
    let (code, stdout, _) = output(throughway().args(["run", "--help"]));
    assert_eq!(code, 0);
    for part in [
        "Run the gateway until SIGTERM or SIGINT, then drain its sessions",
        "-c, --config <FILE>",
        "The configuration file",
        "THROUGHWAY_CONFIG",
        "/etc/throughway/throughway.toml",
    ] {
        assert!(stdout.contains(part), "no {part:?} in\n{stdout}");
    }
}
