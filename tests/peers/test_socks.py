"""The way to the backend through real SOCKS5 proxies, alone and with HTTP proxies in a row."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support import proxy as http
from support.backend import Backend
from support.certificates import Certificates
from support.client import Client
from support.gateway import Gateway, table_config
from support.process import free_port
from support.proxy import Proxy, names_from
from support.route import ORIGIN, assert_echoes, assert_refused
from support.socks import KINDS, SocksProxy

ASKING = [name for name, kind in KINDS.items() if kind.auth]


@pytest.fixture
def client(make_client: Callable[[str], Client]) -> Client:
    return make_client("python")


@pytest.fixture(params=KINDS)
def socks(request: pytest.FixtureRequest, socks_proxies: Callable[[str], SocksProxy]) -> SocksProxy:
    """Each SOCKS proxy in turn."""
    return socks_proxies(request.param)


def config(port: int, server: str, *hops: str) -> str:
    """The table's route through these hops."""
    egress = "\n".join(['egress = "corp"', "[egress.corp]", *hops])
    return table_config(port, server, ORIGIN, rest_of_backend=egress)


def http_hop(proxy: Proxy) -> str:
    auth = f'auth = {{ scheme = "basic", user = "{http.USER}", password = "{http.PASSWORD}" }}'
    tls = 'tls = { ca = "ca.pem" }' if proxy.kind.tls else ""
    url = f'url = "{proxy.kind.scheme}://localhost:{proxy.port}"'
    lines = ["[[egress.corp.hop]]", url, tls, auth if proxy.kind.auth else ""]
    return "\n".join(lines)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_backend_is_reached_by_a_name_that_only_the_proxy_knows(
    scheme: str,
    socks: SocksProxy,
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
    certs: Certificates,
) -> None:
    server = backend("python", certs if scheme == "wss" else None)
    port = free_port()
    gateway(config(port, f"{scheme}://backend.test:{server.port}", socks.hop("socks5h")))
    assert_echoes(client, port)
    socks.wait_connected("backend.test", server.port)


def test_a_backend_is_reached_by_a_name_that_only_the_gateway_knows(
    socks: SocksProxy,
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
    tmp_path: Path,
) -> None:
    server, port = backend("python"), free_port()
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost here.test\n")
    text = config(port, f"ws://here.test:{server.port}", socks.hop("socks5"))
    gateway(text, names_from(hosts))
    assert_echoes(client, port)
    socks.wait_connected("127.0.0.1", server.port)


def test_an_address_that_the_proxy_cannot_reach_gives_way_to_the_next(
    socks: SocksProxy,
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
    tmp_path: Path,
) -> None:
    server, port = backend("python"), free_port()
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n127.0.0.9 two.test\n127.0.0.1 two.test\n")
    env = names_from(hosts) | {"THROUGHWAY_LOG": "throughway=debug"}
    running = gateway(config(port, f"ws://two.test:{server.port}", socks.hop("socks5")), env)
    assert_echoes(client, port)
    running.wait_log("next address", f"CONNECT 127.0.0.9:{server.port} (two.test) refused")


@pytest.mark.parametrize("name", ["dante", "dante with a password"])
def test_a_name_that_the_proxy_denies_is_502_and_the_log_says_why(
    name: str,
    socks_proxies: Callable[[str], SocksProxy],
    client: Client,
    gateway: Callable[..., Gateway],
) -> None:
    socks, port = socks_proxies(name), free_port()
    running = gateway(config(port, "ws://denied.test:80", socks.hop("socks5h")))
    assert_refused(client, port, 502)
    running.wait_log(
        f"hop 1 of 1 (socks5h 127.0.0.1:{socks.port}): CONNECT denied.test:80 refused: "
        "connection not allowed by ruleset"
    )


def test_a_server_that_nobody_listens_at_is_502_and_the_log_says_why(
    socks: SocksProxy, client: Client, gateway: Callable[..., Gateway]
) -> None:
    port, nobody = free_port(), free_port()
    running = gateway(config(port, f"ws://backend.test:{nobody}", socks.hop("socks5h")))
    assert_refused(client, port, 502)
    running.wait_log(
        f"hop 1 of 1 (socks5h 127.0.0.1:{socks.port}): CONNECT backend.test:{nobody} refused: "
        "connection refused"
    )


@pytest.mark.parametrize("name", ASKING)
def test_a_wrong_password_is_502_and_the_log_names_the_hop_but_not_the_password(
    name: str,
    socks_proxies: Callable[[str], SocksProxy],
    client: Client,
    gateway: Callable[..., Gateway],
) -> None:
    socks, port = socks_proxies(name), free_port()
    hop = socks.hop("socks5h", password="wrong-password")
    running = gateway(config(port, "ws://backend.test:80", hop))
    assert_refused(client, port, 502)
    running.wait_log(
        f"hop 1 of 1 (socks5h 127.0.0.1:{socks.port}): SOCKS5 authentication: credentials rejected"
    )
    assert "wrong-password" not in running.log()


@pytest.mark.parametrize("name", ASKING)
def test_a_password_that_is_missing_is_502_and_the_log_says_so(
    name: str,
    socks_proxies: Callable[[str], SocksProxy],
    client: Client,
    gateway: Callable[..., Gateway],
) -> None:
    socks, port = socks_proxies(name), free_port()
    hop = f'[[egress.corp.hop]]\nurl = "socks5h://127.0.0.1:{socks.port}"'
    running = gateway(config(port, "ws://backend.test:80", hop))
    assert_refused(client, port, 502)
    running.wait_log(
        f"hop 1 of 1 (socks5h 127.0.0.1:{socks.port})", "no credentials are configured"
    )


@pytest.mark.parametrize("http_name", ["squid", "squid over TLS with Basic"])
@pytest.mark.parametrize("order", ["socks first", "http first"])
def test_socks_and_http_proxies_stand_in_a_row_in_either_order(
    order: str,
    http_name: str,
    proxies: Callable[[str], Proxy],
    socks_proxies: Callable[[str], SocksProxy],
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
    certs: Certificates,
) -> None:
    web, socks = proxies(http_name), socks_proxies("dante with a password")
    server, port = backend("python", certs), free_port()
    hops = [socks.hop("socks5h"), http_hop(web)]
    if order == "http first":
        hops.reverse()
    gateway(config(port, f"wss://backend.test:{server.port}", *hops))
    assert_echoes(client, port)
    # The log of each has where it was asked to connect to; squid's has the 407 too.
    to_socks, to_server = f"127.0.0.1:{socks.port}", f"backend.test:{server.port}"
    asked, reached = {
        "socks first": (to_server, web.port),
        "http first": (to_socks, server.port),
    }[order]
    socks.wait_connected("localhost", reached)
    web.wait_log(f"CONNECT {asked}", times=2 if web.kind.auth else 1)
