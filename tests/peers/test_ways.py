"""Several proxies for one egress, one of which dies and comes back; and those of the environment."""

from collections.abc import Callable
from urllib.parse import quote

import pytest

from support.backend import Backend
from support.client import Client
from support.gateway import Gateway, table_config
from support.process import eventually, free_port
from support.proxy import PASSWORD, USER, Proxy
from support.route import ORIGIN, assert_echoes

# How often the log tells of one session's CONNECT: once without the password, once with it.
ASKED = {"squid with Basic": 2, "tinyproxy with Basic": 2}


@pytest.fixture
def client(make_client: Callable[[str], Client]) -> Client:
    return make_client("python")


@pytest.mark.parametrize("order", ["failover", "round-robin"])
def test_a_proxy_that_dies_is_passed_over_and_comes_back(
    order: str,
    own_proxy: Callable[[str], Proxy],
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
) -> None:
    a, b = own_proxy("squid"), own_proxy("squid")
    server, port = backend("python"), free_port()
    egress = f"""
egress = "corp"

[egress.corp]
via = ["a", "b"]
order = "{order}"
retry_after = "500ms"

[[egress.a.hop]]
url = "http://localhost:{a.port}"

[[egress.b.hop]]
url = "http://localhost:{b.port}"
"""
    url = f"ws://backend.test:{server.port}"
    running = gateway(table_config(port, url, ORIGIN, rest_of_backend=egress))

    def carried(chain: str) -> int:
        return sum(f'"egress":"corp/{chain}"' in line for line in running.log().splitlines())

    for _ in range(2):
        assert_echoes(client, port)
    expected = (2, 0) if order == "failover" else (1, 1)
    eventually("two records", lambda: (carried("a"), carried("b")) == expected)

    a.stop()
    before = carried("a")
    for _ in range(4):
        assert_echoes(client, port)
    told = running.wait_log("chain put aside", '"egress":"corp"', '"chain":"a"')
    assert f"(http localhost:{a.port}): connect to localhost:{a.port}: " in told["error"]
    eventually("four more by the other", lambda: carried("b") == expected[1] + 4)
    assert carried("a") == before
    assert running.log().count("chain put aside") == 1
    b.wait_log(f"CONNECT backend.test:{server.port}", times=expected[1] + 4)

    a.start()

    def comes_back() -> bool:
        assert_echoes(client, port)
        return carried("a") > before

    eventually("a session by the proxy that is back", comes_back)
    running.wait_log("chain is back", '"chain":"a"')
    assert running.log().count("chain is back") == 1


def test_a_session_that_is_open_through_one_proxy_outlives_the_other(
    own_proxy: Callable[[str], Proxy],
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
) -> None:
    a, b = own_proxy("squid"), own_proxy("squid")
    server, port = backend("python"), free_port()
    egress = f"""
egress = "corp"

[egress.corp]
via = ["a", "b"]
order = "round-robin"

[[egress.a.hop]]
url = "http://localhost:{a.port}"

[[egress.b.hop]]
url = "http://localhost:{b.port}"
"""
    url = f"ws://backend.test:{server.port}"
    gateway(table_config(port, url, ORIGIN, rest_of_backend=egress))
    address = f"wss://localhost:{port}/table/echo"
    by_a, by_b = client.connect(address, ORIGIN), client.connect(address, ORIGIN)
    a.stop()
    assert by_a.ended().code == 1011
    by_b.send("still here")
    assert by_b.receive() == "still here"
    by_b.close(1000, "")


@pytest.mark.parametrize("name", ["squid with Basic", "tinyproxy with Basic"])
def test_the_proxy_of_the_environment_is_found_and_its_password_is_not_told(
    name: str,
    proxies: Callable[[str], Proxy],
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
) -> None:
    proxy, server, port = proxies(name), backend("python"), free_port()
    url = f"http://{USER}:{quote(PASSWORD)}@localhost:{proxy.port}"
    nothing = dict.fromkeys(["https_proxy", "all_proxy", "no_proxy", "NO_PROXY"], "")
    nothing |= dict.fromkeys(["HTTPS_PROXY", "ALL_PROXY", "REQUEST_METHOD"], "")
    config = table_config(
        port, f"ws://backend.test:{server.port}", ORIGIN, rest_of_backend='egress = "env"'
    )
    running = gateway(config, nothing | {"http_proxy": url})
    assert_echoes(client, port)
    proxy.wait_log(f"CONNECT backend.test:{server.port}", times=ASKED[name])
    found = running.wait_log("proxies of the environment")
    assert found["ws"] == f"http localhost:{proxy.port} from http_proxy"
    assert found["wss"] == "direct"
    running.wait_log('"egress":"env"', "session ended")
    assert PASSWORD not in running.log()
