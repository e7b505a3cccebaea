"""Every real client against every real backend, with the gateway between them."""

import random
from collections.abc import Callable, Sequence

import pytest

from support.backend import Backend
from support.certificates import Certificates
from support.client import Client, Ended, Refused, Session
from support.gateway import Gateway, table_config
from support.page import PageServer
from support.process import free_port


class Street:
    """A gateway in front of one backend, and the origin that it allows."""

    def __init__(self, gateway: Callable[..., Gateway], server: str, pages: PageServer) -> None:
        self.port = free_port()
        self.origin = pages.origin("app.test")
        self.evil_origin = pages.origin("evil.test")
        self.gateway = gateway(table_config(self.port, server, self.origin))

    def url(self, act: str) -> str:
        return f"wss://localhost:{self.port}/table/{act}"

    def connect(
        self,
        client: Client,
        act: str = "echo",
        subprotocols: Sequence[str] = (),
        compression: bool = True,
    ) -> Session:
        return client.connect(self.url(act), self.origin, subprotocols, compression)


@pytest.fixture
def street(gateway: Callable[..., Gateway], pages: PageServer, any_backend: Backend) -> Street:
    return Street(gateway, f"ws://127.0.0.1:{any_backend.port}", pages)


def test_text_arrives_both_ways(street: Street, any_client: Client) -> None:
    session = street.connect(any_client)
    for text in ("hello", "", "grüß dich 👋", "x" * 70_000):
        session.send(text)
        assert session.receive() == text


def test_a_mebibyte_of_binary_compares_equal_both_ways(street: Street, any_client: Client) -> None:
    session = street.connect(any_client)
    mebibyte = random.Random(1).randbytes(1 << 20)
    session.send(mebibyte)
    assert session.receive() == mebibyte


def test_the_negotiated_subprotocol_is_visible_to_the_client(
    street: Street, any_client: Client
) -> None:
    assert street.connect(any_client, subprotocols=["chat.v1", "chat.v2"]).subprotocol == "chat.v2"
    assert street.connect(any_client).subprotocol == ""


def test_a_ping_of_the_backend_is_answered_by_the_client(
    street: Street, any_client: Client
) -> None:
    assert street.connect(any_client, "ping").receive() == "are you there"


def test_a_ping_of_the_client_is_answered_by_the_backend(
    street: Street, any_program: Client
) -> None:
    street.connect(any_program).ping()


@pytest.mark.parametrize(("code", "reason"), [(1000, "done"), (4001, "moved to töpfer")])
def test_a_close_of_the_client_reaches_the_backend(
    street: Street, any_client: Client, any_backend: Backend, code: int, reason: str
) -> None:
    session = street.connect(any_client)
    session.close(code, reason)
    assert any_backend.wait_event("closed") == {"event": "closed", "code": code, "reason": reason}
    assert session.ended().code == code


@pytest.mark.parametrize(("code", "reason"), [(1000, "done"), (4001, "bye")])
def test_a_close_of_the_backend_reaches_the_client(
    street: Street, any_client: Client, code: int, reason: str
) -> None:
    session = street.connect(any_client, f"close?code={code}&reason={reason}")
    assert session.ended() == Ended(code, reason)


def test_compression_is_negotiated_end_to_end(street: Street, any_client: Client) -> None:
    session = street.connect(any_client)
    assert "permessage-deflate" in session.extensions
    dice = random.Random(2)
    for _ in range(100):
        text = "".join(dice.choices("abcdef ", k=dice.randrange(5000)))
        session.send(text)
        assert session.receive() == text


def test_no_compression_is_negotiated_that_was_not_offered(
    street: Street, any_program: Client
) -> None:
    session = street.connect(any_program, compression=False)
    assert session.extensions == ""
    session.send("plain")
    assert session.receive() == "plain"


def test_three_thousand_small_messages_keep_their_order(street: Street, any_client: Client) -> None:
    session = street.connect(any_client)
    messages = [f"message {number}" for number in range(3000)]
    for message in messages:
        session.send(message)
    assert [session.receive() for _ in messages] == messages


def test_a_killed_backend_ends_the_session_with_1011(
    street: Street, any_client: Client, any_backend: Backend
) -> None:
    session = street.connect(any_client)
    session.send("before")
    assert session.receive() == "before"
    any_backend.kill()
    assert session.ended().code == 1011


def test_a_refused_origin_gets_no_session_and_the_backend_hears_nothing(
    street: Street, any_client: Client, any_backend: Backend
) -> None:
    with pytest.raises(Refused) as refusal:
        any_client.connect(street.url("echo"), street.evil_origin)
    assert refusal.value.status == 403 or refusal.value.body == "closed with 1006"
    street.gateway.wait_log('"status":403', street.evil_origin)
    assert not any_backend.seen("request")


def test_a_path_without_a_route_is_404(street: Street, any_program: Client) -> None:
    with pytest.raises(Refused) as refusal:
        any_program.connect(f"wss://localhost:{street.port}/elsewhere", street.origin)
    assert refusal.value.status == 404


def test_a_backend_that_answers_401_is_heard_by_the_client(
    street: Street, any_program: Client
) -> None:
    with pytest.raises(Refused) as refusal:
        street.connect(any_program, "unauthorized")
    assert (refusal.value.status, refusal.value.body) == (401, "no ticket, no chat\n")


def test_the_backend_learns_who_asked_and_how(
    street: Street, any_client: Client, any_backend: Backend
) -> None:
    street.connect(any_client)
    request = any_backend.wait_event("request")
    headers = request["headers"]
    assert request["target"] == "/table/echo"
    assert headers["host"] == f"localhost:{street.port}"
    assert headers["origin"] == street.origin
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "https"


@pytest.mark.parametrize("kind", ["python", "node"])
def test_a_backend_over_tls_is_verified_and_reached(
    kind: str,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
    pages: PageServer,
    certs: Certificates,
    make_client: Callable[[str], Client],
) -> None:
    street = Street(gateway, f"wss://localhost:{backend(kind, certs).port}", pages)
    session = street.connect(make_client("python"))
    session.send("over TLS twice")
    assert session.receive() == "over TLS twice"
