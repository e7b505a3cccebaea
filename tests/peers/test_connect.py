"""`throughway connect` against Python `websockets`, and through a real proxy."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from signal import Signals

import pytest

from support.backend import Backend
from support.certificates import Certificates
from support.gateway import PROGRAM
from support.process import Process
from support.proxy import PASSWORD, USER, Proxy


def connect(
    *words: str | Path, given: bytes = b"", code: int = 0
) -> subprocess.CompletedProcess[bytes]:
    ended = subprocess.run(
        [PROGRAM, "connect", *words], input=given, capture_output=True, timeout=60, check=False
    )
    assert ended.returncode == code, ended.stderr.decode()
    assert PASSWORD not in ended.stderr.decode()
    return ended


def test_lines_and_bytes_come_back(backend: Callable[..., Backend]) -> None:
    server = backend("python")
    url = f"ws://127.0.0.1:{server.port}/echo"
    lines = "".join(f"grün {number}\n" for number in range(1000)).encode()
    assert connect(url, given=lines).stdout == lines
    assert server.wait_event("closed")["code"] == 1000
    noise = bytes(range(256)) * 4096
    assert connect(url, "--binary", given=noise).stdout == noise
    assert connect(url, "--binary", "--file", "-", given=noise).stdout == noise


@pytest.mark.parametrize(("said", "code"), [(1000, 0), (1001, 101), (1013, 113), (4001, 121)])
def test_the_exit_code_is_by_the_close_code(
    said: int, code: int, backend: Callable[..., Backend]
) -> None:
    url = f"ws://127.0.0.1:{backend('python').port}/close?code={said}&reason=enough"
    ended = connect(url, "--wait", code=code)
    assert ended.stdout == b""
    assert f"closed by the server: {said}" in ended.stderr.decode()
    assert '"enough"' in ended.stderr.decode()


def test_pings_go_both_ways(backend: Callable[..., Backend]) -> None:
    url = f"ws://127.0.0.1:{backend('python').port}"
    ended = connect(f"{url}/echo", "--ping", "100ms", "--wait=250ms")
    assert ended.stderr.count(b"* pong after ") >= 2
    assert connect(f"{url}/ping", "--wait=1s").stdout == b"are you there\n"


def test_an_interrupt_closes_well(backend: Callable[..., Backend]) -> None:
    server = backend("python")
    running = Process([PROGRAM, "connect", f"ws://127.0.0.1:{server.port}/echo"])
    try:
        running.stdin.write("hi\n")
        running.stdin.flush()
        assert running.stdout.wait_nth(0) == "hi"
        running.signal(Signals.SIGINT)
        assert running.exit_code() == 0
    finally:
        running.kill()
    assert server.wait_event("closed")["code"] == 1000


def test_a_refusal_shows_its_status_and_its_body(backend: Callable[..., Backend]) -> None:
    url = f"ws://127.0.0.1:{backend('python').port}/unauthorized"
    ended = connect(url, given=b"hi\n", code=77)
    assert ended.stdout == b""
    assert "answered 401 Unauthorized" in ended.stderr.decode()
    assert "it said: no ticket, no chat" in ended.stderr.decode()


def test_tls_through_a_proxy_that_wants_a_password(
    proxies: Callable[[str], Proxy], backend: Callable[..., Backend], certs: Certificates
) -> None:
    proxy, server = proxies("squid with Basic"), backend("python", certs)
    through = f"{proxy.kind.scheme}://{USER}:{PASSWORD}@localhost:{proxy.port}"
    words = ["--proxy", through, "--ca", certs.ca, "--subprotocol", "chat.v2"]
    ended = connect(f"wss://backend.test:{server.port}/echo", *words, given=b"hi\n")
    assert ended.stdout == b"hi\n"
    assert "subprotocol chat.v2; through --proxy" in ended.stderr.decode()
