"""permessage-deflate between two libraries that the gateway is between: passed through, held to the
protocol, or refused."""

from collections.abc import Callable

import pytest

from support.backend import Backend
from support.client import Client, Session
from support.gateway import Gateway, table_config
from support.page import PageServer
from support.process import free_port

MESSAGES = 10_000
# Of so many messages each, so that none of them outlasts the patience of a test.
ROUND = 1000

Connect = Callable[..., tuple[Session, Gateway]]


@pytest.fixture
def connect(gateway: Callable[..., Gateway], pages: PageServer) -> Connect:
    """A session of this client with this backend, on a route with these keys."""

    def connect(client: Client, backend: Backend, keys: str = "") -> tuple[Session, Gateway]:
        port, origin = free_port(), pages.origin("app.test")
        server = f"ws://127.0.0.1:{backend.port}"
        running = gateway(table_config(port, server, origin, rest_of_route=keys))
        return client.connect(f"wss://localhost:{port}/table/echo", origin), running

    return connect


def exchange(session: Session, count: int) -> int:
    return sum(session.exchange(seed, ROUND) for seed in range(count // ROUND))


def carried(session: Session, gateway: Gateway) -> tuple[int, int]:
    """Ends the session: the bytes that it took, to the backend and to the client."""
    session.close(1000, "done")
    assert session.ended().code == 1000
    record = gateway.wait_log("session ended")
    assert record["why"] == "closed"
    return record["bytes_to_backend"], record["bytes_to_client"]


def test_ten_thousand_random_messages_come_back_as_they_were(
    connect: Connect, any_program: Client, any_backend: Backend
) -> None:
    session, gateway = connect(any_program, any_backend)
    assert "permessage-deflate" in session.extensions
    sent = exchange(session, MESSAGES)
    # A third of them is noise, which no compression makes any shorter.
    assert all(bytes_ < sent * 0.8 for bytes_ in carried(session, gateway))


@pytest.mark.parametrize(("client", "server"), [("python", "node"), ("node", "python")])
def test_what_two_libraries_compress_breaks_no_rule(
    connect: Connect,
    make_client: Callable[[str], Client],
    backend: Callable[..., Backend],
    client: str,
    server: str,
) -> None:
    keys = 'frames = "validate"'
    session, gateway = connect(make_client(client), backend(server), keys)
    assert "permessage-deflate" in session.extensions
    sent = exchange(session, MESSAGES // 2)
    assert all(bytes_ < sent * 0.8 for bytes_ in carried(session, gateway))


@pytest.mark.parametrize("frames", ["observe", "validate"])
def test_a_route_without_compression_carries_messages_as_they_are(
    connect: Connect, any_program: Client, any_backend: Backend, frames: str
) -> None:
    keys = f'compression = "off"\nframes = "{frames}"'
    session, gateway = connect(any_program, any_backend, keys)
    assert session.extensions == ""
    headers = any_backend.wait_event("request")["headers"]
    assert "sec-websocket-extensions" not in headers
    sent = exchange(session, ROUND)
    assert all(bytes_ > sent for bytes_ in carried(session, gateway))
