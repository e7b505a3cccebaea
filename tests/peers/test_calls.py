"""What a message costs in system calls: counted, so that no other load on the machine matters."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from support import raw
from support.calls import Calls
from support.certificates import Certificates
from support.gateway import Gateway
from support.process import free_port

SESSIONS = 50
ROUNDS = 20
ECHOES = SESSIONS * ROUNDS
MESSAGE = bytes(range(64))
READS = ("read", "recvfrom", "recvmsg", "readv")
WRITES = ("write", "sendto", "sendmsg", "writev")
WAITS = ("epoll_wait", "epoll_pwait", "epoll_pwait2")


def config(port: int, server: int, tls: bool) -> str:
    certificate = '[[certificate]]\nhosts = ["localhost"]\ncert = "server.pem"\nkey = "server.key"'
    return f"""
version = 1
server = {{ threads = 1 }}

[[listener]]
name = "public"
bind = ["127.0.0.1:{port}"]
{"tls = {}" if tls else ""}

{certificate if tls else ""}

[[route]]
name = "raw"
origins = "any"
backend = "raw"

[backend.raw]
servers = [{{ url = "ws://127.0.0.1:{server}" }}]
"""


@pytest.fixture(params=[False, True], ids=["ws", "wss"])
def sessions(
    request: pytest.FixtureRequest,
    gateway: Callable[..., Gateway],
    certs: Certificates,
) -> Iterator[tuple[Gateway, list[raw.Ends]]]:
    """Open, and used once, so that nothing is left of their handshakes."""
    port, server = free_port(), raw.listening()
    running = gateway(config(port, server.getsockname()[1], request.param))
    trust = ssl.create_default_context(cafile=certs.ca) if request.param else None
    street = raw.Street(port, server, trust)
    opened = [street.open() for _ in range(SESSIONS)]
    for ends in opened:
        echo_one(ends)
    yield running, opened
    for ends in opened:
        ends.close()
    server.close()


def echo_one(ends: raw.Ends) -> None:
    ends.client.sendall(MESSAGE)
    ends.backend.sendall(raw.exactly(ends.backend, len(MESSAGE)))
    assert raw.exactly(ends.client, len(MESSAGE)) == MESSAGE


def echo_all_at_once(gateway: Gateway, opened: list[raw.Ends]) -> None:
    """The gateway finds every message of a direction when it wakes, and not one by one."""
    gateway.signal(SIGSTOP)
    for ends in opened:
        ends.client.sendall(MESSAGE)
    gateway.signal(SIGCONT)
    heard = [raw.exactly(ends.backend, len(MESSAGE)) for ends in opened]
    gateway.signal(SIGSTOP)
    for ends, message in zip(opened, heard):
        ends.backend.sendall(message)
    gateway.signal(SIGCONT)
    assert all(raw.exactly(ends.client, len(MESSAGE)) == MESSAGE for ends in opened)


def test_an_echo_is_two_reads_two_writes_and_the_share_of_one_wait(
    sessions: tuple[Gateway, list[raw.Ends]], tmp_path: Path
) -> None:
    gateway, opened = sessions
    counting = Calls(gateway.pid, tmp_path)
    for _ in range(ROUNDS):
        echo_all_at_once(gateway, opened)
    calls, _ = counting.stop()
    assert sum(calls[name] for name in READS) == 2 * ECHOES
    assert sum(calls[name] for name in WRITES) == 2 * ECHOES
    # Each direction of a round has fifty messages ready together, and a few waits find them all.
    assert sum(calls[name] for name in WAITS) <= 2 * ROUNDS * 4
    others = {name: n for name, n in calls.items() if name not in READS + WRITES + WAITS}
    assert not others
