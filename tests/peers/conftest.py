"""Fixtures: each starts something real and stops it when the test is over."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from playwright.sync_api import Browser, sync_playwright

from support import backend as backends
from support import certificates, client, proxy, socks
from support.backend import Backend
from support.certificates import Certificates
from support.client import Client
from support.gateway import PROGRAM, PROGRAM_WITH_GSSAPI, Gateway
from support.page import PageServer
from support.proxy import Proxy
from support.socks import SocksProxy

CHROMIUM = "/usr/bin/chromium"
QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--host-resolver-rules=MAP *.test 127.0.0.1",
]


def pytest_sessionstart() -> None:
    if not PROGRAM.exists():
        raise pytest.UsageError(f"no {PROGRAM}: cargo build --release, or set THROUGHWAY")
    if not PROGRAM_WITH_GSSAPI.exists():
        raise pytest.UsageError(f"no {PROGRAM_WITH_GSSAPI}: tests/run, or set THROUGHWAY_GSSAPI")


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def pages(certs: Certificates) -> Iterator[PageServer]:
    server = PageServer(certs)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def gateway(tmp_path: Path, certs: Certificates) -> Iterator[Callable[..., Gateway]]:
    """Starts gateways; each must end well on SIGTERM when the test is over."""
    for path in (certs.ca, certs.cert, certs.key):
        (tmp_path / path.name).symlink_to(path)
    with ExitStack() as stack:

        def start(
            config: str, env: dict[str, str] | None = None, program: Path = PROGRAM
        ) -> Gateway:
            running = Gateway(tmp_path, config, env, program)
            stack.callback(running.kill)
            stack.callback(running.stop)
            return running

        yield start


@pytest.fixture
def backend() -> Iterator[Callable[..., Backend]]:
    """Starts backends of a kind, over TLS when given certificates."""
    with ExitStack() as stack:

        def start(kind: str, tls: Certificates | None = None) -> Backend:
            running = Backend(kind, tls)
            stack.callback(running.kill)
            return running

        yield start


@pytest.fixture(params=backends.KINDS)
def any_backend(request: pytest.FixtureRequest, backend: Callable[..., Backend]) -> Backend:
    """Each kind of backend in turn."""
    return backend(request.param)


@pytest.fixture
def make_client(
    request: pytest.FixtureRequest, certs: Certificates
) -> Iterator[Callable[[str], Client]]:
    """Makes clients of a kind; the browser starts only when it is asked for."""
    with ExitStack() as stack:

        def make(kind: str) -> Client:
            made = _client(kind, certs, lambda: request.getfixturevalue("browser"))
            stack.callback(made.stop)
            return made

        yield make


def _client(kind: str, certs: Certificates, browser: Callable[[], Browser]) -> Client:
    match kind:
        case "python":
            return client.PythonClient(certs.ca)
        case "node":
            return client.NodeClient(certs.ca)
        case _:
            # The authority is ours alone: only the other clients hold the gateway to it.
            return client.ChromiumClient(browser().new_context(ignore_https_errors=True))


@pytest.fixture(params=client.KINDS)
def any_client(request: pytest.FixtureRequest, make_client: Callable[[str], Client]) -> Client:
    """Each kind of client in turn."""
    return make_client(request.param)


@pytest.fixture(params=["python", "node"])
def any_program(request: pytest.FixtureRequest, make_client: Callable[[str], Client]) -> Client:
    """Each kind of client that is not a browser: these see a refusal's status and body."""
    return make_client(request.param)


@pytest.fixture(scope="session")
def proxies(certs: Certificates) -> Iterator[Callable[[str], Proxy]]:
    """Starts proxies by the names of `proxy.KINDS`, each once."""
    started: dict[str, Proxy] = {}
    with ExitStack() as stack:

        def start(name: str) -> Proxy:
            if name not in started:
                started[name] = start_proxy(stack, name, certs)
            return started[name]

        yield start


@pytest.fixture
def own_proxy(certs: Certificates) -> Iterator[Callable[[str], Proxy]]:
    """Starts proxies by the names of `proxy.KINDS`, each anew, for tests that stop them."""
    with ExitStack() as stack:
        yield lambda name: start_proxy(stack, name, certs)


def start_proxy(stack: ExitStack, name: str, certs: Certificates) -> Proxy:
    # Squid gives up root for a user of its own and writes its log as that user, whom pytest's own
    # folders keep out.
    folder = Path(stack.enter_context(TemporaryDirectory()))
    folder.chmod(0o777)
    running = Proxy(proxy.KINDS[name], folder, certs)
    stack.callback(lambda: running.stop())
    return running


@pytest.fixture(scope="session")
def socks_proxies(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], SocksProxy]]:
    """Starts SOCKS proxies by the names of `socks.KINDS`, each once."""
    started: dict[str, SocksProxy] = {}
    with ExitStack() as stack:

        def start(name: str) -> SocksProxy:
            if name not in started:
                folder = tmp_path_factory.mktemp("socks")
                started[name] = SocksProxy(socks.KINDS[name], folder)
                stack.callback(started[name].stop)
            return started[name]

        yield start
