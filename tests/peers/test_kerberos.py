"""Negotiate through squid, in a realm of its own: whose tickets, and what is said without one.

The gateway is the one with the feature `gssapi`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.backend import Backend
from support.certificates import Certificates
from support.client import Client, Refused
from support.gateway import PROGRAM_WITH_GSSAPI, Gateway, table_config
from support.kerberos import PASSWORD, USER, Realm
from support.process import free_port
from support.proxy import NEGOTIATES, Proxy

ORIGIN = "https://app.test"
DEBUG = '\n[log]\nlevel = "throughway=debug"\n'
BY_TICKET = 'scheme = "negotiate"'
BY_PASSWORD = f'{BY_TICKET}, user = "{USER}", password = "{PASSWORD}"'


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # Squid gives up root for a user of its own, whom pytest's own folders keep out.
    with TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture(scope="module")
def realm(folder: Path) -> Iterator[Realm]:
    running = Realm(folder)
    yield running
    running.stop()


@pytest.fixture
def proxy(realm: Realm, folder: Path, certs: Certificates) -> Iterator[Proxy]:
    """One a test, so that its log is the test's own."""
    with TemporaryDirectory(dir=folder) as name:
        Path(name).chmod(0o777)
        (Path(name) / "http.keytab").symlink_to(realm.service_keytab)
        running = Proxy(NEGOTIATES, Path(name), certs, realm.env)
        yield running
        running.stop()


@pytest.fixture
def client(make_client: Callable[[str], Client]) -> Client:
    return make_client("python")


def config(port: int, server: str, proxy: Proxy, auth: str) -> str:
    """The table's route through the proxy, told like this."""
    egress = f"""
egress = "corp"

[[egress.corp.hop]]
url = "http://localhost:{proxy.port}"
auth = {{ {auth} }}
"""
    return table_config(port, server, ORIGIN, rest_of_backend=egress) + DEBUG


@pytest.mark.parametrize(
    ("auth", "env"),
    [
        (BY_PASSWORD, lambda realm: realm.env),
        (BY_PASSWORD.replace(BY_TICKET, 'scheme = "auto"'), lambda realm: realm.env),
        (BY_TICKET, lambda realm: realm.with_ticket("ticket")),
        (f'{BY_TICKET}, user = "{USER}"', lambda realm: realm.with_ticket("ticket")),
        (BY_TICKET, lambda realm: realm.with_keytab()),
        (f'{BY_TICKET}, user = "{USER}"', lambda realm: realm.with_keytab()),
    ],
    ids=["password", "auto", "ticket", "ticket of a user", "keytab", "keytab of a user"],
)
def test_the_proxy_asks_once_and_lets_every_session_pass(
    auth: str,
    env: Callable[[Realm], dict[str, str]],
    realm: Realm,
    proxy: Proxy,
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
) -> None:
    server, port = backend("python"), free_port()
    text = config(port, f"ws://backend.test:{server.port}", proxy, auth)
    running = gateway(text, env(realm), PROGRAM_WITH_GSSAPI)
    for _ in range(3):
        session = client.connect(f"wss://localhost:{port}/table/echo", ORIGIN)
        session.send("by ticket")
        assert session.receive() == "by ticket"
        session.close(1000, "")
    running.wait_log("proxy was told who we are", '"scheme":"negotiate"')
    target = f"CONNECT backend.test:{server.port}"
    proxy.wait_log(f"{target} {USER} ", 3)
    proxy.wait_log("/407 ", 1)
    assert PASSWORD not in running.log()


@pytest.mark.parametrize(
    ("auth", "env", "reason"),
    [
        (
            BY_PASSWORD.replace(PASSWORD, "guessed-wrong"),
            lambda realm: realm.env,
            "no Kerberos token for HTTP/localhost@CORP.TEST: the password is wrong",
        ),
        (
            BY_PASSWORD.replace("alice", "nobody"),
            lambda realm: realm.env,
            "the KDC knows no such user",
        ),
        (
            f'{BY_PASSWORD}, spn = "HTTP/nowhere"',
            lambda realm: realm.env,
            "no Kerberos token for HTTP/nowhere: the KDC knows no such service",
        ),
        (BY_PASSWORD, lambda realm: realm.without_kdc(), "no KDC answers"),
        (BY_TICKET, lambda realm: realm.env, "there is no ticket"),
        (BY_TICKET, lambda realm: realm.with_expired_ticket(), "the ticket has expired"),
    ],
    ids=["password", "user", "service", "KDC", "no ticket", "expired ticket"],
)
def test_without_a_token_it_is_502_and_the_log_says_why(
    auth: str,
    env: Callable[[Realm], dict[str, str]],
    reason: str,
    realm: Realm,
    proxy: Proxy,
    client: Client,
    gateway: Callable[..., Gateway],
) -> None:
    port = free_port()
    text = config(port, "ws://backend.test:80", proxy, auth)
    running = gateway(text, env(realm), PROGRAM_WITH_GSSAPI)
    with pytest.raises(Refused) as refusal:
        client.connect(f"wss://localhost:{port}/table/echo", ORIGIN)
    assert refusal.value.status == 502
    where = f"hop 1 of 1 (http localhost:{proxy.port}): CONNECT backend.test:80"
    running.wait_log(f"{where}: asks for Negotiate; ", reason)
    assert "guessed-wrong" not in running.log()


def test_a_proxy_with_another_key_is_502(
    realm: Realm, proxy: Proxy, client: Client, gateway: Callable[..., Gateway]
) -> None:
    port = free_port()
    # The proxy cannot read a ticket for another service.
    text = config(port, "ws://backend.test:80", proxy, f'{BY_PASSWORD}, spn = "host/other"')
    realm.add_service("host/other")
    running = gateway(text, realm.env, PROGRAM_WITH_GSSAPI)
    with pytest.raises(Refused) as refusal:
        client.connect(f"wss://localhost:{port}/table/echo", ORIGIN)
    assert refusal.value.status == 502
    running.wait_log("credentials rejected by negotiate; asks for Negotiate")
