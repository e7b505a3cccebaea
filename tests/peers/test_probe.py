"""`throughway probe` through real proxies to real backends."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.backend import Backend
from support.certificates import Certificates
from support.gateway import PROGRAM
from support.proxy import PASSWORD, USER, Proxy
from support.socks import SocksProxy


def probe(*words: str | Path) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [PROGRAM, "probe", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert PASSWORD not in ended.stdout + ended.stderr
    return ended


def marks(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """Mark and label of each step."""
    steps = [line.strip() for line in ended.stdout.splitlines() if line.startswith(("  ✓", "  ✗"))]
    return [step.split("  ")[0] for step in steps]


def url_of(proxy: Proxy, password: str = PASSWORD) -> str:
    return f"{proxy.kind.scheme}://{USER}:{password}@localhost:{proxy.port}"


# Tinyproxy closes the connection on which it asked, so the way begins anew.
@pytest.mark.parametrize(("name", "tries"), [("squid with Basic", 1), ("tinyproxy with Basic", 2)])
def test_the_way_through_a_proxy_that_asks_is_open(
    name: str, tries: int, proxies: Callable[[str], Proxy], backend: Callable[..., Backend]
) -> None:
    proxy = proxies(name)
    server = f"backend.test:{backend('python').port}"
    words = ["--proxy", url_of(proxy), "--subprotocol", "chat.v2"]
    ended = probe(f"ws://{server}/echo", *words)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    to_proxy = ["✓ DNS localhost", f"✓ TCP to localhost:{proxy.port}", f"✓ CONNECT {server}"]
    assert marks(ended) == to_proxy * tries + ["✓ WebSocket handshake", "✓ ping"]
    assert "407, offers Basic" in ended.stdout
    assert "200 to Basic" in ended.stdout
    assert "subprotocol chat.v2" in ended.stdout


def test_tls_to_the_proxy_and_to_the_backend_is_told(
    proxies: Callable[[str], Proxy],
    backend: Callable[..., Backend],
    certs: Certificates,
    tmp_path: Path,
) -> None:
    proxy, server = proxies("squid over TLS with Basic"), backend("python", certs)
    path = tmp_path / "throughway.toml"
    path.write_text(f"""
version = 1

[[listener]]
name = "public"
bind = ["127.0.0.1:0"]

[[route]]
name = "table"
backend = "table"

[backend.table]
servers = [{{ url = "wss://backend.test:{server.port}" }}]
tls = {{ ca = "{certs.ca}" }}
egress = "corp"

[[egress.corp.hop]]
url = "https://localhost:{proxy.port}"
auth = {{ scheme = "basic", user = "{USER}", password = "{PASSWORD}" }}
tls = {{ ca = "{certs.ca}" }}
""")
    ended = probe(f"wss://backend.test:{server.port}/echo", "-c", path, "--json", "--idle=1s")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    way, *steps, end = map(json.loads, ended.stdout.splitlines())
    assert (way["source"], way["egress"]) == ("egress", "corp")
    assert [step["step"] for step in steps] == [
        *("resolve", "connect", "tls", "tunnel", "tls", "upgrade", "ping", "idle")
    ]
    secured = [step for step in steps if step["step"] == "tls"]
    for step, place in zip(secured, ["hop", "server"], strict=True):
        assert step["place"] == place
        assert step["tls"] in ("TLS 1.2", "TLS 1.3")
        assert "Authority of the peers' tests" in step["issuer"]
    assert (end["reason"], end["exit"]) == ("open", 0)
    assert server.wait_event("closed")["code"] == 1000


def test_a_refusal_is_77_and_says_whose(proxies: Callable[[str], Proxy]) -> None:
    proxy = proxies("squid with Basic")
    ended = probe("ws://denied.test:80", "--proxy", url_of(proxy))
    assert ended.returncode == 77
    assert "the proxy's policy refuses denied.test:80 (403)" in ended.stdout
    ended = probe("ws://backend.test:80", "--proxy", url_of(proxy, "guessed-wrong"))
    assert ended.returncode == 77
    assert "the proxy says no: credentials rejected by basic" in ended.stdout
    assert "guessed-wrong" not in ended.stdout + ended.stderr


SILENT_TO_SOCKS = "it may be an HTTP proxy, which waits for a line that never comes"
IN_CLEAR = "the proxy does not speak TLS on this port"
CLOSED_AT_TLS = "the proxy ended the connection in the middle of the TLS handshake"

# What each is, what it is taken for, and what is said of that. Dante says nothing to a line of HTTP.
WRONG_KINDS = [
    ("squid", "https", IN_CLEAR),
    ("squid", "socks5h", SILENT_TO_SOCKS),
    ("squid over TLS", "http", "what answers there speaks TLS, not HTTP"),
    ("squid over TLS", "socks5h", SILENT_TO_SOCKS),
    ("tinyproxy", "https", "the proxy did not answer the TLS handshake in time"),
    ("tinyproxy", "socks5h", SILENT_TO_SOCKS),
    ("dante", "http", "check the proxy's scheme (http, https or socks5h)"),
    ("dante", "https", CLOSED_AT_TLS),
    ("microsocks", "http", "what answers there speaks SOCKS5, not HTTP"),
    ("microsocks", "https", IN_CLEAR),
]


@pytest.mark.parametrize(("name", "scheme", "said"), WRONG_KINDS)
def test_a_proxy_of_another_kind_is_told_as_what_it_is(
    name: str,
    scheme: str,
    said: str,
    own_proxy: Callable[[str], Proxy],
    socks_proxies: Callable[[str], SocksProxy],
    tmp_path: Path,
) -> None:
    """Each HTTP proxy is its own: what it logs of such a test is no text."""
    proxy = (socks_proxies if name in ("dante", "microsocks") else own_proxy)(name)
    path = tmp_path / "throughway.toml"
    path.write_text(f"""
version = 1

[[listener]]
name = "public"
bind = ["127.0.0.1:0"]

[[route]]
name = "table"
backend = "table"

[backend.table]
servers = [{{ url = "ws://backend.test:80" }}]
egress = "corp"

[egress.corp]
timeouts = {{ tls = "1s", reply = "1s" }}

[[egress.corp.hop]]
url = "{scheme}://localhost:{proxy.port}"
""")
    ended = probe("ws://backend.test:80", "-c", path)
    assert ended.returncode in (69, 75), ended.stdout + ended.stderr
    assert said in ended.stdout
