"""The way to the backend through real proxies, for ws:// and wss:// backends alike."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.backend import Backend
from support.certificates import Certificates
from support.client import Client
from support.gateway import Gateway, table_config
from support.process import free_port
from support.proxy import DOMAIN, KINDS, PASSWORD, USER, Kind, Proxy, names_from
from support.route import ORIGIN, assert_echoes, assert_refused

HOP_TLS = 'tls = { ca = "ca.pem" }'
KNOWING = [name for name, kind in KINDS.items() if kind.auth and kind.wrong_password]
NTLM = [name for name, kind in KINDS.items() if kind.ntlm]


@pytest.fixture
def client(make_client: Callable[[str], Client]) -> Client:
    return make_client("python")


@pytest.fixture(params=KINDS)
def proxy(request: pytest.FixtureRequest, proxies: Callable[[str], Proxy]) -> Proxy:
    """Each proxy in turn."""
    return proxies(request.param)


def config(
    port: int,
    server: str,
    kind: Kind,
    proxy_port: int,
    password: str = PASSWORD,
    no_proxy: str = "",
    scheme: str = "auto",
) -> str:
    """The table's route through one proxy."""
    domain = f', domain = "{DOMAIN}"' if kind.ntlm else ""
    auth = f'auth = {{ scheme = "{scheme}", user = "{USER}", password = "{password}"{domain} }}'
    egress = f"""
egress = "corp"

[egress.corp]
no_proxy = [{no_proxy}]

[[egress.corp.hop]]
url = "{kind.scheme}://localhost:{proxy_port}"
{HOP_TLS if kind.tls else ""}
{auth if kind.auth else ""}
"""
    return table_config(port, server, ORIGIN, rest_of_backend=egress)


def hop(kind: Kind, proxy_port: int) -> str:
    """How the log names this proxy."""
    return f"hop 1 of 1 ({kind.scheme} localhost:{proxy_port})"


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_backend_is_reached_through_the_proxy_by_a_name_that_only_the_proxy_knows(
    scheme: str,
    proxy: Proxy,
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
    certs: Certificates,
) -> None:
    server = backend("python", certs if scheme == "wss" else None)
    port = free_port()
    gateway(config(port, f"{scheme}://backend.test:{server.port}", proxy.kind, proxy.port))
    for _ in range(4):
        assert_echoes(client, port)
    proxy.wait_log(f"CONNECT backend.test:{server.port}", proxy.kind.requests(4))


def test_a_name_that_the_proxy_denies_is_502_and_the_log_says_why(
    proxy: Proxy, client: Client, gateway: Callable[..., Gateway]
) -> None:
    port = free_port()
    running = gateway(config(port, "ws://denied.test:80", proxy.kind, proxy.port))
    assert_refused(client, port, 502)
    where = hop(proxy.kind, proxy.port)
    running.wait_log(f"{where}: CONNECT denied.test:80 refused: {proxy.kind.denied}")


@pytest.mark.parametrize("name", KNOWING)
def test_a_wrong_password_is_502_and_the_log_names_the_hop_but_not_the_password(
    name: str,
    proxies: Callable[[str], Proxy],
    client: Client,
    gateway: Callable[..., Gateway],
) -> None:
    proxy, port = proxies(name), free_port()
    text = config(port, "ws://backend.test:80", proxy.kind, proxy.port, password="guessed-wrong")
    running = gateway(text)
    assert_refused(client, port, 502)
    where = hop(proxy.kind, proxy.port)
    running.wait_log(f"{where}: CONNECT backend.test:80", proxy.kind.wrong_password)
    assert "guessed-wrong" not in running.log()


@pytest.mark.parametrize("name", ["squid with Digest", "squid with Basic and Digest"])
def test_digest_is_asked_for_once_and_again_when_its_nonce_is_used_up(
    name: str,
    proxies: Callable[[str], Proxy],
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
) -> None:
    proxy, server, port = proxies(name), backend("python"), free_port()
    gateway(config(port, f"ws://backend.test:{server.port}", proxy.kind, proxy.port))
    for _ in range(8):
        assert_echoes(client, port)
    # The first nonce is good for five answers, and the second for the three that are left.
    proxy.wait_log(f"CONNECT backend.test:{server.port}", 8 + 2)


@pytest.mark.parametrize("scheme", ["basic", "digest"])
def test_the_scheme_that_was_chosen_is_the_one_that_is_spoken(
    scheme: str,
    proxies: Callable[[str], Proxy],
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
) -> None:
    proxy, server, port = proxies("squid with Basic and Digest"), backend("python"), free_port()
    target = f"ws://backend.test:{server.port}"
    text = config(port, target, proxy.kind, proxy.port, scheme=scheme)
    running = gateway(text + '\n[log]\nlevel = "throughway=debug"\n')
    assert_echoes(client, port)
    running.wait_log("proxy was told who we are", f'"scheme":"{scheme}"')


@pytest.mark.parametrize("name", NTLM)
def test_ntlm_is_told_in_two_requests_on_one_connection(
    name: str,
    proxies: Callable[[str], Proxy],
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
) -> None:
    proxy, server, port = proxies(name), backend("python"), free_port()
    target = f"ws://backend.test:{server.port}"
    text = config(port, target, proxy.kind, proxy.port, scheme="ntlm")
    running = gateway(text + '\n[log]\nlevel = "throughway=debug"\n')
    assert_echoes(client, port)
    running.wait_log("proxy was told who we are", '"scheme":"ntlm"', '"legs":2')
    assert PASSWORD not in running.log()


def test_a_proxy_that_does_not_offer_the_scheme_that_was_chosen_is_502(
    proxies: Callable[[str], Proxy], client: Client, gateway: Callable[..., Gateway]
) -> None:
    proxy, port = proxies("squid with Digest"), free_port()
    text = config(port, "ws://backend.test:80", proxy.kind, proxy.port, scheme="basic")
    running = gateway(text)
    assert_refused(client, port, 502)
    running.wait_log("asks for Digest qop=auth; credentials are configured for basic")


def test_a_proxy_whose_certificate_is_not_trusted_is_502(
    proxies: Callable[[str], Proxy],
    client: Client,
    gateway: Callable[..., Gateway],
) -> None:
    proxy, port = proxies("squid over TLS"), free_port()
    text = config(port, "ws://backend.test:80", proxy.kind, proxy.port)
    running = gateway(text.replace(HOP_TLS, ""))
    assert_refused(client, port, 502)
    running.wait_log(f"{hop(proxy.kind, proxy.port)}: TLS")


def test_a_proxy_that_is_not_there_is_502_and_the_log_names_it(
    client: Client, gateway: Callable[..., Gateway]
) -> None:
    kind, port, nobody = KINDS["squid"], free_port(), free_port()
    running = gateway(config(port, "ws://backend.test:80", kind, nobody))
    assert_refused(client, port, 502)
    running.wait_log(hop(kind, nobody))


@pytest.mark.parametrize(
    ("host", "no_proxy"),
    [("backend.test", '".test"'), ("127.0.0.1", '"127.0.0.0/8"'), ("localhost", "")],
)
def test_no_proxy_goes_direct(
    host: str,
    no_proxy: str,
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
    tmp_path: Path,
) -> None:
    server, port, nobody = backend("python"), free_port(), free_port()
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost backend.test\n")
    url = f"ws://{host}:{server.port}"
    # The proxy is not there: whatever went through it would end in 502.
    gateway(config(port, url, KINDS["squid"], nobody, no_proxy=no_proxy), names_from(hosts))
    assert_echoes(client, port)


@pytest.mark.parametrize(("http", "request_line"), [("auto", "HTTP/2"), ("1.1", "HTTP/1.1")])
def test_a_proxy_that_offers_http2_is_asked_in_it_unless_the_file_says_otherwise(
    http: str,
    request_line: str,
    proxies: Callable[[str], Proxy],
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
) -> None:
    proxy, server, port = proxies("nghttpx"), backend("python"), free_port()
    text = config(port, f"ws://backend.test:{server.port}", proxy.kind, proxy.port)
    gateway(text.replace(HOP_TLS, f'{HOP_TLS}\nhttp = "{http}"'))
    assert_echoes(client, port)
    proxy.wait_front_log(f'"CONNECT backend.test:{server.port} {request_line}" 200')


def test_http2_alone_is_refused_where_the_proxy_does_not_offer_it(
    proxies: Callable[[str], Proxy], client: Client, gateway: Callable[..., Gateway]
) -> None:
    proxy, port = proxies("squid over TLS"), free_port()
    text = config(port, "ws://backend.test:80", proxy.kind, proxy.port)
    running = gateway(text.replace(HOP_TLS, f'{HOP_TLS}\nhttp = "2"'))
    assert_refused(client, port, 502)
    where = hop(proxy.kind, proxy.port)
    running.wait_log(f"{where}: TLS: speaks no version of HTTP that it was offered")
