"""What a client gets at the table's route, whatever lies behind it."""

import pytest

from support.client import Client, Refused

ORIGIN = "https://app.test"


def assert_echoes(client: Client, port: int) -> None:
    """A session with a subprotocol opens, echoes text and binary, and closes."""
    session = client.connect(f"wss://localhost:{port}/table/echo", ORIGIN, ["chat.v2"])
    assert session.subprotocol == "chat.v2"
    for message in ("through the proxy", b"\x00\xff" * 300_000):
        session.send(message)
        assert session.receive() == message
    session.close(1000, "")


def assert_refused(client: Client, port: int, status: int) -> None:
    """The handshake is answered with this status instead of a 101."""
    with pytest.raises(Refused) as refusal:
        client.connect(f"wss://localhost:{port}/table/echo", ORIGIN)
    assert refusal.value.status == status
