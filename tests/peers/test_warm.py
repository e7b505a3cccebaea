"""Tunnels kept warm through a real proxy that wants a password."""

from collections.abc import Callable

import pytest

from support.backend import Backend
from support.certificates import Certificates
from support.client import Client
from support.gateway import Gateway, table_config
from support.process import eventually, free_port
from support.proxy import IMPATIENT, PASSWORD, USER, Proxy
from support.route import ORIGIN, assert_echoes

READY = "tunnel opened ahead"
SESSIONS = 3


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("name", ["squid with Basic", "squid with Digest", "tinyproxy with Basic"])
def test_sessions_take_tunnels_that_stand_ready_and_each_is_replaced(
    name: str,
    scheme: str,
    own_proxy: Callable[[str], Proxy],
    make_client: Callable[[str], Client],
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
    certs: Certificates,
) -> None:
    client, proxy, port = make_client("python"), own_proxy(name), free_port()
    server = backend("python", certs if scheme == "wss" else None)
    egress = f"""
egress = "corp"

[egress.corp]
warm = 2

[[egress.corp.hop]]
url = "http://localhost:{proxy.port}"
auth = {{ user = "{USER}", password = "{PASSWORD}" }}

[log]
level = "throughway=debug"
"""
    url = f"{scheme}://backend.test:{server.port}"
    running = gateway(table_config(port, url, ORIGIN, rest_of_backend=egress))

    def ready(times: int) -> None:
        eventually(f"{times} tunnels opened ahead", lambda: running.log().count(READY) == times)

    ready(2)
    for session in range(SESSIONS):
        assert_echoes(client, port)
        ready(2 + session + 1)
    running.stop()
    assert running.log().count('"warm":true') == SESSIONS
    # Asked for the password once, and from then on told it at once. Digest's nonces are good for
    # five of them.
    proxy.wait_log(f"CONNECT backend.test:{server.port}", 1 + 2 + SESSIONS)


def test_a_proxy_that_cuts_idle_tunnels_is_found_out_and_forestalled(
    tmp_path_factory: pytest.TempPathFactory,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
    certs: Certificates,
) -> None:
    proxy = Proxy(IMPATIENT, tmp_path_factory.mktemp("proxy"), certs)
    egress = f"""
egress = "corp"

[egress.corp]
warm = 1

[[egress.corp.hop]]
url = "http://localhost:{proxy.port}"

[log]
level = "throughway=debug"
"""
    url = f"ws://backend.test:{backend('python').port}"
    try:
        running = gateway(table_config(free_port(), url, ORIGIN, rest_of_backend=egress))
        told = running.wait_log("the proxy, or the server behind it, cuts idle tunnels at about 6 s")
        assert told["renewed_after"].startswith("4.8"), told
        cuts = running.log().count("idle tunnel was cut")
        before = running.log().count(READY)
        # Two more are renewed, and not because they were cut.
        eventually("two more", lambda: running.log().count(READY) >= before + 3)
        assert running.log().count("idle tunnel was cut") == cuts == 2
        running.stop()
    finally:
        proxy.stop()
