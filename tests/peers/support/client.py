"""The real clients behind one face: Python `websockets`, Node `ws`, Chromium."""

import asyncio
import base64
import json
import ssl
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from playwright.sync_api import BrowserContext
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from support.backend import PROGRAMS
from support.messages import random_messages
from support.process import PATIENCE_SECONDS, Process

T = TypeVar("T")

KINDS = ["python", "node", "chromium"]

# Messages of an exchange that have not come back.
IN_FLIGHT_MAX = 64


@dataclass(frozen=True)
class Ended:
    """How a session ended, as its client saw it."""

    code: int
    reason: str


class Refused(Exception):
    """The client got no session. A browser tells neither status nor body."""

    def __init__(self, status: int | None, body: str) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class Session(Protocol):
    """An open WebSocket."""

    subprotocol: str
    extensions: str

    def send(self, message: str | bytes) -> None: ...
    def receive(self) -> str | bytes: ...
    def ping(self) -> None: ...
    def close(self, code: int, reason: str) -> None: ...
    def ended(self) -> Ended: ...

    def exchange(self, seed: int, count: int) -> int:
        """Sends so many random messages to an echo and compares each that comes back; returns the
        bytes of them all, one way. A browser cannot."""
        ...


class Client(Protocol):
    """Something that opens WebSockets."""

    def connect(
        self,
        url: str,
        origin: str,
        subprotocols: Sequence[str] = (),
        compression: bool = True,
    ) -> Session: ...
    def stop(self) -> None: ...


class Loop:
    """An event loop in a thread of its own: the tests are not asynchronous.

    The threaded client of `websockets` would spare it, but reads and writes one TLS connection
    from two threads, which Python's ssl does not survive: one handshake in some hundreds hung.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)


class PythonSession:
    def __init__(self, loop: Loop, connection: ClientConnection) -> None:
        self._loop = loop
        self._connection = connection
        response = connection.response
        assert response
        self.subprotocol = connection.subprotocol or ""
        self.extensions = response.headers.get("Sec-WebSocket-Extensions", "")

    def send(self, message: str | bytes) -> None:
        self._loop.run(self._connection.send(message))

    def receive(self) -> str | bytes:
        return self._loop.run(self._connection.recv())

    def ping(self) -> None:
        async def ping() -> None:
            await (await self._connection.ping("still here"))

        self._loop.run(ping())

    def close(self, code: int, reason: str) -> None:
        self._loop.run(self._connection.close(code, reason))

    def ended(self) -> Ended:
        self._loop.run(self._connection.wait_closed())
        code = self._connection.close_code
        assert code
        return Ended(code, self._connection.close_reason or "")

    def exchange(self, seed: int, count: int) -> int:
        messages = random_messages(seed, count)
        self._loop.run(self._exchange(messages))
        return sum(len(m.encode() if isinstance(m, str) else m) for m in messages)

    async def _exchange(self, messages: list[str | bytes]) -> None:
        room = asyncio.Semaphore(IN_FLIGHT_MAX)
        expected: deque[str | bytes] = deque()

        async def send() -> None:
            for message in messages:
                await room.acquire()
                expected.append(message)
                await self._connection.send(message)

        async def compare() -> None:
            for number in range(len(messages)):
                echoed = await self._connection.recv()
                assert echoed == expected.popleft(), f"message {number} of {len(messages)}"
                room.release()

        await asyncio.gather(send(), compare())


class PythonClient:
    def __init__(self, ca: Path) -> None:
        self._tls = ssl.create_default_context(cafile=ca)
        self._sessions = AsyncExitStack()
        self._loop = Loop()

    def connect(
        self,
        url: str,
        origin: str,
        subprotocols: Sequence[str] = (),
        compression: bool = True,
    ) -> Session:
        connecting = connect(
            url,
            ssl=self._tls if url.startswith("wss:") else None,
            origin=Origin(origin),
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            compression="deflate" if compression else None,
            proxy=None,
            max_size=None,
            max_queue=None,
            close_timeout=1,
        )
        try:
            connection = self._loop.run(self._sessions.enter_async_context(connecting))
        except InvalidStatus as refusal:
            body = (refusal.response.body or b"").decode()
            raise Refused(refusal.response.status_code, body) from refusal
        return PythonSession(self._loop, connection)

    def stop(self) -> None:
        self._loop.run(self._sessions.aclose())
        self._loop.stop()


class ToldSession:
    """A session in another program, which is told a verb and its arguments."""

    def __init__(self, tell: Callable[..., Any], url: str, *words: Any) -> None:
        self._tell = tell
        opened = tell("connect", url, *words)
        if refused := opened.get("refused"):
            raise Refused(refused["status"], refused["body"])
        self.subprotocol: str = opened["subprotocol"]
        self.extensions: str = opened["extensions"]

    def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._tell("send", {"text": message})
        else:
            self._tell("send", {"base64": base64.b64encode(message).decode()})

    def receive(self) -> str | bytes:
        message = self._tell("receive")
        return message["text"] if "text" in message else base64.b64decode(message["base64"])

    def ping(self) -> None:
        assert self._tell("ping") == "still here"

    def close(self, code: int, reason: str) -> None:
        self._tell("close", code, reason)

    def ended(self) -> Ended:
        end = self._tell("ended")
        return Ended(end["code"], end["reason"])

    def exchange(self, seed: int, count: int) -> int:
        sent: int = self._tell("exchange", seed, count, IN_FLIGHT_MAX)
        return sent


class NodeClient:
    def __init__(self, ca: Path) -> None:
        self._ca = ca
        self._processes: list[Process] = []

    def connect(
        self,
        url: str,
        origin: str,
        subprotocols: Sequence[str] = (),
        compression: bool = True,
    ) -> Session:
        process = Process(["node", PROGRAMS / "client.cjs"])
        self._processes.append(process)
        options = {"ca": str(self._ca), "origin": origin, "compression": compression}
        return ToldSession(_teller(process), url, list(subprotocols), options)

    def stop(self) -> None:
        for process in self._processes:
            process.kill()


def _teller(process: Process) -> Callable[..., Any]:
    answers = 0

    def tell(verb: str, *words: Any) -> Any:
        nonlocal answers
        process.stdin.write(json.dumps([verb, *words]) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.wait_nth(answers))
        answers += 1
        assert "error" not in answer, answer
        return answer["result"]

    return tell


class ChromiumClient:
    """Every session in a page of its own, loaded from the origin."""

    def __init__(self, context: BrowserContext) -> None:
        self._context = context

    def connect(
        self,
        url: str,
        origin: str,
        subprotocols: Sequence[str] = (),
        compression: bool = True,
    ) -> Session:
        assert compression, "a browser always offers compression"
        page = self._context.new_page()
        page.goto(f"{origin}/")

        def tell(verb: str, *words: Any) -> Any:
            return page.evaluate("([verb, ...words]) => verbs[verb](...words)", [verb, *words])

        return ToldSession(tell, url, list(subprotocols))

    def stop(self) -> None:
        self._context.close()
