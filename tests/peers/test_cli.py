"""The command line and the life of the process, from outside."""

import re
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from signal import Signals

import pytest

from support.backend import Backend
from support.client import Client, Session
from support.gateway import PROGRAM, PROJECT, Gateway, table_config
from support.process import accepts, eventually, free_port

ORIGIN = "https://app.test"
GOOD = """
version = 1

[[listener]]
name = "public"
bind = ["127.0.0.1:8080"]

[[route]]
name = "chat"
backend = "rooms"

[backend.rooms]
servers = [{ url = "ws://127.0.0.1:9000" }]
egress = "corp"

[[egress.corp.hop]]
url = "http://proxy.test:3128"
auth = { scheme = "basic", user = "alice", password = "open sesame" }
"""


def throughway(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=20)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(config: str) -> Path:
        path = tmp_path / "throughway.toml"
        path.write_text(config)
        return path

    return write


def test_help_names_the_commands_and_the_exit_codes() -> None:
    ended = throughway("--help")
    assert ended.returncode == 0
    for word in ("run", "check", "demo", "78", "THROUGHWAY_CONFIG", "THROUGHWAY_LOG"):
        assert word in ended.stdout


def test_version_is_the_version_of_the_package() -> None:
    manifest = (PROJECT / "Cargo.toml").read_text()
    version = re.search(r'^version = "(.+)"', manifest, re.MULTILINE)
    assert version
    assert throughway("--version").stdout == f"throughway {version[1]}\n"


@pytest.mark.parametrize("words", [["--no-such-flag"], ["no-such-command"], ["run", "--what"], []])
def test_what_cannot_be_understood_exits_with_2(words: list[str]) -> None:
    assert throughway(*words).returncode == 2


def test_check_of_a_good_file_says_what_it_means(write: Callable[[str], Path]) -> None:
    ended = throughway("check", "-c", write(GOOD))
    assert (ended.returncode, ended.stderr) == (0, "")
    for word in ("public", "127.0.0.1:8080", "chat", "rooms", "ws://127.0.0.1:9000", "corp"):
        assert word in ended.stdout
    assert "open sesame" not in ended.stdout


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_bad_file_exits_with_78_and_shows_every_place(
    command: str, write: Callable[[str], Path]
) -> None:
    bad = GOOD.replace('backend = "rooms"', 'backnd = "rooms"').replace('"corp"', '"corps"')
    ended = throughway(command, "-c", write(bad))
    assert (ended.returncode, ended.stdout) == (78, "")
    assert "throughway.toml:10:1" in ended.stderr
    assert re.search(r"^[ |]*\^+", ended.stderr, re.MULTILINE), ended.stderr
    assert "did you mean `backend`" in ended.stderr
    assert "corps" in ended.stderr


def test_a_bad_file_shows_no_secret(write: Callable[[str], Path]) -> None:
    bad = GOOD.replace('scheme = "basic"', 'scheme = "basik"')
    ended = throughway("check", "-c", write(bad))
    assert ended.returncode == 78
    assert "throughway.toml:18" in ended.stderr
    assert "open sesame" not in ended.stderr


def test_a_port_that_is_taken_exits_with_1_and_names_it(write: Callable[[str], Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = throughway("run", "-c", write(GOOD.replace("127.0.0.1:8080", address)))
    assert ended.returncode == 1
    assert address in ended.stderr


class Running:
    """A gateway with one open session."""

    def __init__(self, gateway: Gateway, session: Session, port: int) -> None:
        self.gateway = gateway
        self.session = session
        self.port = port

    def echoes(self, text: str) -> bool:
        self.session.send(text)
        return self.session.receive() == text

    def drain(self, number: Signals) -> None:
        """Sends a signal and returns once nobody listens any more."""
        self.gateway.signal(number)
        eventually("the listener is closed", lambda: not accepts(self.port))


@pytest.fixture
def run(
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
    make_client: Callable[[str], Client],
) -> Callable[[str], Running]:
    """Starts a gateway with this drain timeout and opens a session through it."""

    def run(drain: str) -> Running:
        port, server = free_port(), f"ws://127.0.0.1:{backend('python').port}"
        started = gateway(table_config(port, server, ORIGIN, drain))
        session = make_client("python").connect(f"wss://localhost:{port}/table/echo", ORIGIN)
        return Running(started, session, port)

    return run


@pytest.mark.parametrize("number", [Signals.SIGTERM, Signals.SIGINT])
def test_a_signal_tells_a_session_to_go_within_half_of_the_drain_timeout(
    number: Signals, run: Callable[[str], Running]
) -> None:
    running = run("4s")
    signalled = time.monotonic()
    running.drain(number)
    assert running.session.ended().code == 1001
    assert running.gateway.exit_code() == 0
    assert time.monotonic() - signalled < 4


def test_a_draining_gateway_ends_with_its_last_session(run: Callable[[str], Running]) -> None:
    running = run("1h")
    running.drain(Signals.SIGTERM)
    assert running.echoes("still here")
    running.session.close(1000, "done")
    assert running.gateway.exit_code() == 0


def test_a_second_signal_cuts_at_once(run: Callable[[str], Running]) -> None:
    running = run("1h")
    running.drain(Signals.SIGTERM)
    assert running.echoes("still here")
    running.gateway.signal(Signals.SIGTERM)
    assert running.session.ended().code == 1001
    assert running.gateway.exit_code() == 0


def test_a_gateway_without_sessions_ends_at_once(gateway: Callable[..., Gateway]) -> None:
    started = gateway(table_config(free_port(), "ws://127.0.0.1:9", ORIGIN, drain="1h"))
    started.signal(Signals.SIGTERM)
    assert started.exit_code() == 0


def test_the_record_of_a_session_says_how_it_went(run: Callable[[str], Running]) -> None:
    running = run("1s")
    assert running.echoes("twelve bytes")
    running.session.close(4001, "bye")
    record = running.gateway.wait_log("session ended")
    assert record["route"] == "table"
    assert record["origin"] == ORIGIN
    assert record["path"] == "/table/echo"
    assert record["egress"] == "direct"
    # The server closes the connection (RFC 6455 §7.1.1), and it was the client that began.
    assert record["ended_by"] == "client"
    assert record["client_close"] == 4001
    assert record["client_close_reason"] == "bye"
    assert record["backend_told"] == "passed"
    assert record["bytes_to_backend"] > 12
    assert record["bytes_to_client"] > 12
