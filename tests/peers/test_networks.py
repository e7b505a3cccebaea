"""Networks that are made for a test: three proxies in a row, and a gateway without a local port.

In the row the gateway is in the first of five namespaces and the backend in the last. No namespace
forwards and none has a route beyond its neighbours, and each proxy alone knows the name of what
comes after it: bytes that arrive went through all three.
"""

import errno
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support import proxy, socks
from support.backend import Backend
from support.certificates import Certificates
from support.client import Client
from support.gateway import PROGRAM, Gateway, table_config
from support.network import Namespace, Row
from support.process import Process, free_port
from support.proxy import Proxy
from support.route import ORIGIN, assert_echoes
from support.socks import SocksProxy

GATEWAY, BACKEND = 0, 4
NAMES = {"http": "http.test", "socks5h": "socks.test", "https": "proxy.test"}
ORDERS = [("http", "socks5h", "https"), ("https", "http", "socks5h")]


@pytest.fixture
def row() -> Iterator[Row]:
    made = Row(5)
    yield made
    made.close()


def start(
    stack: ExitStack, row: Row, n: int, scheme: str, next_name: str, certs: Certificates
) -> Proxy | SocksProxy:
    """The proxy of namespace n, which knows one name: that of the next."""
    # Squid gives up root for a user of its own, whom pytest's own folders keep out.
    folder = Path(stack.enter_context(TemporaryDirectory()))
    folder.chmod(0o777)
    hosts = f"{row.inward(n + 1)} {next_name}\n"
    with row.namespaces[n].inside():
        at = row.inward(n)
        if scheme == "socks5h":
            kind = socks.KINDS["dante with a password"]
            running: Proxy | SocksProxy = SocksProxy(kind, folder, at, row.outward(n), hosts)
        else:
            name = {"http": "squid with Basic", "https": "squid over TLS"}[scheme]
            running = Proxy(proxy.KINDS[name], folder, certs, address=at, hosts=hosts)
    stack.callback(running.stop)
    return running


def hop(scheme: str, host: str, running: Proxy | SocksProxy) -> str:
    auth = f'auth = {{ user = "{proxy.USER}", password = "{proxy.PASSWORD}" }}'
    tls = f'tls = {{ ca = "ca.pem", server_name = "{NAMES["https"]}" }}'
    return f"""
[[egress.corp.hop]]
url = "{scheme}://{host}:{running.port}"
{auth if running.kind.auth else ""}
{tls if scheme == "https" else ""}
"""


def assert_no_route(address: str, port: int) -> None:
    with pytest.raises(OSError) as refused:
        socket.create_connection((address, port), timeout=5)
    assert refused.value.errno == errno.ENETUNREACH


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_wss_goes_through_three_networks_of_which_each_knows_only_the_next(
    order: tuple[str, str, str],
    row: Row,
    make_client: Callable[[str], Client],
    gateway: Callable[..., Gateway],
    certs: Certificates,
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        names = [NAMES[scheme] for scheme in order] + ["backend.test"]
        chain = [
            start(stack, row, n, scheme, names[n], certs) for n, scheme in enumerate(order, 1)
        ]
        with row.namespaces[BACKEND].inside():
            server = Backend("python", certs, row.inward(BACKEND))
        stack.callback(server.kill)
        there = [(row.inward(n), running.port) for n, running in enumerate(chain, 1)]
        there.append((row.inward(BACKEND), server.port))

        # From each, the next one answers and nothing beyond it can even be addressed.
        for n, namespace in enumerate(row.namespaces[:BACKEND]):
            with namespace.inside():
                socket.create_connection(there[n], timeout=5).close()
                for address, port in there[n + 1 :]:
                    assert_no_route(address, port)

        hosts = [row.inward(1), *names[1:3]]
        hops = "".join(hop(*parts) for parts in zip(order, hosts, chain))
        port = free_port()
        url = f"wss://backend.test:{server.port}"
        config = table_config(port, url, ORIGIN, rest_of_backend=f'egress = "corp"\n{hops}')
        with row.namespaces[GATEWAY].inside():
            for name in names:
                with pytest.raises(socket.gaierror):
                    socket.gethostbyname(name)
            running = gateway(config)
            client = make_client("python")
            for _ in range(2):
                assert_echoes(client, port)
            climbed = probe(tmp_path, url)
        for step in [
            *(f"CONNECT {host}:{at.port}" for host, at in zip(hosts[1:], chain[1:])),
            f"CONNECT backend.test:{server.port}",
            "TLS to backend.test",
            "WebSocket handshake",
            "ping",
        ]:
            assert f"✓ {step}" in climbed, climbed
        running.wait_log("session ended", '"egress":"corp"')


def probe(folder: Path, url: str) -> str:
    """What `throughway probe` says of the same way."""
    words = ["probe", "-c", folder / "throughway.toml", "--origin", ORIGIN, f"{url}/table/echo"]
    process = Process([PROGRAM, *words])
    assert process.exit_code() == 0, "\n".join(process.stdout.join())
    return "\n".join(process.stdout.join())


def test_a_gateway_without_a_local_port_says_503_and_what_to_widen(
    gateway: Callable[..., Gateway], certs: Certificates
) -> None:
    """A range of one port, which the first session to the backend takes."""
    namespace = Namespace()
    port = free_port()
    with ExitStack() as stack, namespace.inside():
        stack.callback(namespace.close)
        server = Backend("python")
        stack.callback(server.kill)
        config = f"""
version = 1

[[listener]]
name = "public"
bind = ["127.0.0.1:{port}"]

[[route]]
name = "all"
origins = "any"
backend = "one"

[backend.one]
servers = [{{ url = "ws://127.0.0.1:{server.port}" }}]
"""
        running = gateway(config)
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40000")
        first, second = (ask(stack, port, own) for own in (50001, 50002))
        assert first.startswith("HTTP/1.1 101 ")
        assert second.startswith("HTTP/1.1 503 ")
        assert re.search(r"^retry-after: 5\r$", second, re.IGNORECASE | re.MULTILINE)
        record = running.wait_log("request refused")
        assert record["reason"] == "shortage"
        assert record["detail"].endswith(
            "this machine has no local port left for that address: "
            "widen net.ipv4.ip_local_port_range"
        )


def ask(stack: ExitStack, port: int, own_port: int) -> str:
    """The head of the answer to a handshake on a connection that stays open as long as `stack`."""
    own = ("127.0.0.1", own_port)
    asking = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=own)
    stack.enter_context(asking)
    asking.sendall(
        b"GET /echo HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += asking.recv(4096)
    return head.decode()
