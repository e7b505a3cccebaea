"""`throughway demo`: its page in a browser, over both routes, and the commands that it prints."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from signal import Signals

import pytest
from playwright.sync_api import Browser, Page, expect

from support.gateway import PROGRAM, PROJECT
from support.process import Process, free_port

SCREENSHOTS = PROJECT / "target/peers/screenshots"


@dataclass(frozen=True)
class Demo:
    """A running demo and its page's addresses."""

    process: Process
    addresses: dict[str, str]


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    port, plain = free_port(), free_port()
    process = Process([PROGRAM, "demo", "--port", str(port), "--plain-port", str(plain)])
    process.wait_for_port(port)
    process.wait_for_port(plain)
    yield Demo(
        process, {"https": f"https://localhost:{port}/", "http": f"http://localhost:{plain}/"}
    )
    process.signal(Signals.SIGTERM)
    assert process.exit_code() == 0
    process.kill()


def printed(demo: Demo, pattern: str) -> str:
    """What the demo prints of this shape, once it has printed everything."""
    demo.process.stdout.wait("Ctrl-C")
    found = re.search(pattern, "\n".join(demo.process.stdout.all()))
    assert found
    return found[0]


@pytest.fixture(params=["https", "http"])
def page(request: pytest.FixtureRequest, demo: Demo, browser: Browser) -> Iterator[Page]:
    """The demo's page; it may load nothing from elsewhere and complain of nothing."""
    address = demo.addresses[request.param]
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    requests: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    yield page
    context.close()
    assert [url for url in requests if not url.startswith(address)] == []
    assert errors == []


def logged(page: Page, event: str, **facts: object) -> None:
    """Waits for an entry of the page's log."""
    selector = "".join(f'[data-{name}="{value}"]' for name, value in facts.items())
    expect(page.locator(f'#log [data-event="{event}"]{selector}').first).to_be_attached()


@pytest.mark.parametrize("route", ["direct", "proxied"])
def test_a_page_talks_to_the_echo_over_the_route(page: Page, route: str) -> None:
    page.select_option("#route", f"/{route}")
    page.click("#connect")
    logged(page, "open")
    expect(page.locator("#state")).to_have_attribute("data-state", "open")

    page.fill("#text", "grüß dich")
    page.click("#send")
    logged(page, "message", kind="text", size=11, echo="same")

    page.fill("#bytes", "1 MiB")
    page.click("#send-binary")
    logged(page, "message", kind="binary", size=1 << 20, echo="same")
    expect(page.locator("#rtt")).to_contain_text("ms")
    scheme = page.url.partition(":")[0]
    page.screenshot(path=SCREENSHOTS / f"demo-{scheme}-{route}.png", full_page=True)

    page.fill("#code", "4001")
    page.fill("#reason", "enough")
    page.click("#disconnect")
    logged(page, "close", code=4001, reason="enough", clean="true")


def test_the_subprotocol_is_shown(page: Page) -> None:
    page.fill("#protocol", "chat.v2")
    page.click("#connect")
    logged(page, "open", protocol="chat.v2")


def test_a_foreign_origin_is_refused(page: Page, demo: Demo) -> None:
    page.select_option("#route", "foreign")
    page.click("#connect")
    logged(page, "error")
    logged(page, "close", code=1006, clean="false")
    demo.process.stderr.wait("403")


@pytest.mark.parametrize(
    ("more", "status"), [("", "101"), (" -H 'Origin: https://elsewhere.example'", "403")]
)
def test_the_handshake_by_hand_that_it_prints_is_answered(
    demo: Demo, more: str, status: str
) -> None:
    command = printed(demo, r"curl --(.*\\\n)*.*") + more
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20)
    assert answer.stdout.startswith(f"HTTP/1.1 {status} "), answer


def test_the_conversation_in_python_that_it_prints_is_echoed(demo: Demo) -> None:
    words = printed(demo, r"python3 -m websockets .*").split()
    conversation = Process([sys.executable, *words[1:]])
    conversation.stdin.write("hello\n")
    conversation.stdin.flush()
    conversation.stdout.wait("< hello")
    conversation.kill()
