"""A running program and the lines it writes. Knows nothing of what the lines mean."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 20.0


def eventually(what: str, check: Callable[[], T | None], within: float = PATIENCE_SECONDS) -> T:
    """The first true answer of `check`, asked again and again until the time is over."""
    end = time.monotonic() + within
    while not (answer := check()):
        assert time.monotonic() < end, f"not within {within} s: {what}"
        time.sleep(0.02)
    return answer


def free_port() -> int:
    """A port that nobody listened on a moment ago, for programs that cannot be given port 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int, address: str = "127.0.0.1") -> bool:
    """Whether somebody accepts TCP connections on this port."""
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


class Lines:
    """What a stream has carried so far, read by a thread of its own so that no pipe fills up."""

    def __init__(self, stream: IO[str]) -> None:
        self._lines: list[str] = []
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._more:
                    self._lines.append(line.rstrip("\n"))
                    self._more.notify_all()

    def all(self) -> list[str]:
        return list(self._lines)

    def find(self, *parts: str) -> str | None:
        """The first line that holds every part."""
        return next((line for line in self.all() if all(part in line for part in parts)), None)

    def wait(self, *parts: str) -> str:
        """The same, once it is there."""
        with self._more:
            line = self._more.wait_for(lambda: self.find(*parts), PATIENCE_SECONDS)
        assert line, f"no line with {parts} in:\n" + "\n".join(self.all())
        return line

    def wait_nth(self, index: int) -> str:
        """The line at this index, once it is there."""
        with self._more:
            there = self._more.wait_for(lambda: len(self._lines) > index, PATIENCE_SECONDS)
        assert there, f"only {len(self._lines)} lines"
        return self._lines[index]

    def join(self) -> list[str]:
        """Every line, once the stream has ended."""
        self._thread.join(PATIENCE_SECONDS)
        return self.all()


class Process:
    """A program that was started and must be stopped."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._name = Path(argv[0]).name
        self._child = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
        assert self._child.stdin and self._child.stdout and self._child.stderr
        self.stdin = self._child.stdin
        self.stdout = Lines(self._child.stdout)
        self.stderr = Lines(self._child.stderr)

    def wait_for_port(self, port: int, address: str = "127.0.0.1") -> None:
        """Returns once the port is open; fails at once when the program has ended."""

        def open_or_dead() -> bool:
            assert self.running(), f"{self._name} ended:\n" + "\n".join(self.stderr.join())
            return accepts(port, address)

        eventually(f"{self._name} accepts on port {port}", open_or_dead)

    @property
    def pid(self) -> int:
        return self._child.pid

    def running(self) -> bool:
        return self._child.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def exit_code(self) -> int:
        """Its exit code, once it has ended."""
        return self._child.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """Ends it at once, wherever it was."""
        self._child.kill()
        self._child.wait()
        self.stdin.close()
        self.stdout.join()
        self.stderr.join()
