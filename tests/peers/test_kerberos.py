"""Negotiate through squid, in a realm of its own: whose tickets, and what is said without one.

The gateway is the one with the feature `gssapi`.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.backend import Backend
from support.certificates import Certificates
from support.client import Client, Refused
from support.gateway import PROGRAM_WITH_GSSAPI, Gateway, table_config
from support.kerberos import OTHER, PASSWORD, USER, Realm
from support.process import free_port
from support.proxy import NEGOTIATES, NEGOTIATES_OVER_TLS, Kind, Proxy

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
def start_proxy(
    realm: Realm, folder: Path, certs: Certificates
) -> Iterator[Callable[[Kind], Proxy]]:
    """Starts proxies with the same key, each with a log of its own."""
    with ExitStack() as stack:

        def start(kind: Kind) -> Proxy:
            name = stack.enter_context(TemporaryDirectory(dir=folder))
            Path(name).chmod(0o777)
            (Path(name) / "http.keytab").symlink_to(realm.service_keytab)
            running = Proxy(kind, Path(name), certs, realm.env)
            stack.callback(running.stop)
            return running

        yield start


@pytest.fixture
def proxy(start_proxy: Callable[[Kind], Proxy]) -> Proxy:
    """One a test, so that its log is the test's own."""
    return start_proxy(NEGOTIATES)


@pytest.fixture
def client(make_client: Callable[[str], Client]) -> Client:
    return make_client("python")


def config(port: int, server: str, proxy: Proxy, auth: str) -> str:
    """The table's route through the proxy, told like this."""
    egress = f"""
egress = "corp"

[[egress.corp.hop]]
url = "{proxy.kind.scheme}://localhost:{proxy.port}"
auth = {{ {auth} }}
{'tls = { ca = "ca.pem" }' if proxy.kind.tls else ""}
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


def test_a_proxy_that_takes_tickets_alone_is_said_to(
    realm: Realm, proxy: Proxy, client: Client, gateway: Callable[..., Gateway]
) -> None:
    port = free_port()
    # No realm: a password is all there is, and NTLM is tried with it.
    text = config(port, "ws://backend.test:80", proxy, f'user = "alice", password = "{PASSWORD}"')
    running = gateway(text, realm.env, PROGRAM_WITH_GSSAPI)
    with pytest.raises(Refused) as refusal:
        client.connect(f"wss://localhost:{port}/table/echo", ORIGIN)
    assert refusal.value.status == 502
    running.wait_log("asks for Negotiate; it takes a ticket of Kerberos and no NTLM there")


def keytab(realm: Realm) -> tuple[str, str]:
    """What Alice and Bob are told by: their keys."""
    own = f'user = "{USER}", keytab = "{realm.keytab}"'
    other = f'scheme = "negotiate", user = "{OTHER}", keytab = "FILE:{realm.other_keytab}"'
    return own, other


def cache(realm: Realm) -> tuple[str, str]:
    """The same by their tickets."""
    own, other = realm.cache("alice.cc", USER), realm.cache("bob.cc", OTHER)
    return f'ccache = "{own}"', f'user = "{OTHER}", ccache = "FILE:{other}"'


@pytest.mark.parametrize("keys", [keytab, cache])
def test_two_hops_are_two_principals_at_once(
    keys: Callable[[Realm], tuple[str, str]],
    realm: Realm,
    start_proxy: Callable[[Kind], Proxy],
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
) -> None:
    first, second = start_proxy(NEGOTIATES), start_proxy(NEGOTIATES)
    server, port = backend("python"), free_port()
    own, other = keys(realm)
    inner = f"""
[[egress.corp.hop]]
url = "http://backend.test:{second.port}"
auth = {{ {other}, spn = "HTTP/localhost" }}
"""
    text = config(port, f"ws://backend.test:{server.port}", first, own) + inner
    running = gateway(text, realm.env, PROGRAM_WITH_GSSAPI)
    for _ in range(3):
        session = client.connect(f"wss://localhost:{port}/table/echo", ORIGIN)
        session.send("in two names")
        assert session.receive() == "in two names"
        session.close(1000, "")
    first.wait_log(f"CONNECT backend.test:{second.port} {USER} ", 3)
    second.wait_log(f"CONNECT backend.test:{server.port} {OTHER} ", 3)
    running.wait_log("proxy was told who we are", '"scheme":"negotiate"')


def test_a_ticket_over_tls_is_bound_to_the_proxys_certificate(
    realm: Realm,
    start_proxy: Callable[[Kind], Proxy],
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
) -> None:
    proxy, server, port = start_proxy(NEGOTIATES_OVER_TLS), backend("python"), free_port()
    text = config(port, f"ws://backend.test:{server.port}", proxy, BY_PASSWORD)
    gateway(text, realm.env, PROGRAM_WITH_GSSAPI)
    for _ in range(2):
        session = client.connect(f"wss://localhost:{port}/table/echo", ORIGIN)
        session.send("bound")
        assert session.receive() == "bound"
        session.close(1000, "")
    target = f"CONNECT backend.test:{server.port}"
    # It asks once, and its own proof, which goes with each 200, is found to hold.
    proxy.wait_log(f"Negotiate/407 {target}", 1)
    proxy.wait_log(f"Negotiate/200 {target} {USER} ", 2)


@pytest.mark.parametrize("is_there", [False, True], ids=["missing", "expired"])
def test_without_a_ticket_in_the_hops_cache_the_log_says_how_to_get_one(
    is_there: bool,
    realm: Realm,
    proxy: Proxy,
    client: Client,
    gateway: Callable[..., Gateway],
) -> None:
    path = realm.expired_cache() if is_there else realm.cache("missing", USER)
    port = free_port()
    text = config(port, "ws://backend.test:80", proxy, f'ccache = "{path}"')
    # The keytab of the process must neither step in nor overwrite the cache.
    running = gateway(text, realm.with_keytab(), PROGRAM_WITH_GSSAPI)
    if not is_there:
        path.unlink()
    with pytest.raises(Refused) as refusal:
        client.connect(f"wss://localhost:{port}/table/echo", ORIGIN)
    assert refusal.value.status == 502
    reason = "the ticket has expired (" if is_there else "there is no ticket ("
    where = f"no Kerberos token for HTTP/localhost: {reason}"
    running.wait_log(where, f"; kinit -c FILE:{path} gets one")
    assert path.exists() == is_there


def test_a_new_ticket_in_the_hops_cache_is_taken_up(
    realm: Realm,
    proxy: Proxy,
    client: Client,
    gateway: Callable[..., Gateway],
    backend: Callable[..., Backend],
) -> None:
    server, port, path = backend("python"), free_port(), realm.expired_cache()
    text = config(port, f"ws://backend.test:{server.port}", proxy, f'ccache = "{path}"')
    gateway(text, realm.env, PROGRAM_WITH_GSSAPI)
    with pytest.raises(Refused):
        client.connect(f"wss://localhost:{port}/table/echo", ORIGIN)
    realm.cache(path.name, USER)
    client.connect(f"wss://localhost:{port}/table/echo", ORIGIN).close(1000, "")
    proxy.wait_log(f"CONNECT backend.test:{server.port} {USER} ", 1)


def run(realm: Realm, *words: str | Path) -> tuple[int, str]:
    """Exit code and every word of one command."""
    argv = [PROGRAM_WITH_GSSAPI, *words]
    ended = subprocess.run(
        argv, env=realm.env, capture_output=True, text=True, timeout=60, check=False
    )
    return ended.returncode, " ".join((ended.stdout + ended.stderr).split())


@pytest.mark.parametrize(
    ("auth", "cause", "remedy"),
    [
        (
            lambda realm: f'ccache = "{realm.expired_cache()}"',
            "HTTP/localhost: the ticket has expired (Ticket expired)",
            "get a ticket by kinit",
        ),
        (
            lambda realm: f'user = "carol@CORP.TEST", keytab = "{realm.keytab}"',
            "HTTP/localhost@CORP.TEST: there is no key of this user",
            "klist -k tells whose keys are in it",
        ),
        (
            lambda realm: f'user = "{OTHER}", keytab = "{realm.stale_keytab()}"',
            "the key is not the one that the KDC has",
            "klist -k tells whose keys are in it",
        ),
        (
            lambda realm: f'user = "{OTHER}", ccache = "{realm.cache("alice.cc", USER)}"',
            "the tickets are another user's",
            "get a ticket by kinit",
        ),
        (
            lambda _: BY_PASSWORD.replace(PASSWORD, "guessed-wrong"),
            "the password is wrong",
            "check user and password of the hop",
        ),
    ],
    ids=["expired", "no key", "old key", "another's", "password"],
)
def test_probe_tells_cause_and_remedy(
    auth: Callable[[Realm], str],
    cause: str,
    remedy: str,
    realm: Realm,
    proxy: Proxy,
    certs: Certificates,
    tmp_path: Path,
) -> None:
    for path in (certs.ca, certs.cert, certs.key):
        (tmp_path / path.name).symlink_to(path)
    file = tmp_path / "throughway.toml"
    file.write_text(config(free_port(), "ws://backend.test:80", proxy, auth(realm)))
    words = ["probe", "-c", file, "--egress", "corp", "ws://backend.test:80/echo"]
    code, shown = run(realm, *words)
    assert code == 77, shown
    assert cause in shown and remedy in shown, shown
    assert "guessed-wrong" not in shown


def test_check_says_where_a_cache_that_is_not_there_is_named(
    realm: Realm, proxy: Proxy, certs: Certificates, tmp_path: Path
) -> None:
    for path in (certs.ca, certs.cert, certs.key):
        (tmp_path / path.name).symlink_to(path)
    file = tmp_path / "throughway.toml"
    file.write_text(config(free_port(), "ws://backend.test:80", proxy, 'ccache = "nowhere"'))
    code, shown = run(realm, "check", "-c", file)
    assert code == 78, shown
    assert f"not a ticket cache: {tmp_path}/nowhere: no such file" in shown, shown
    assert "kinit -c makes one" in shown
