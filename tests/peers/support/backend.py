"""The real backends: Python `websockets` and Node `ws`, each a process that can be killed."""

import json
import sys
from pathlib import Path
from typing import Any

from support.certificates import Certificates
from support.process import Process

PROGRAMS = Path(__file__).resolve().parent.parent / "programs"
KINDS = ["python", "node"]


class Backend:
    """A backend and the events it tells: `listening`, `request`, `closed`.

    The last segment of a request's path chooses what it does: `echo`; `close?code=&reason=`
    closes at once; `ping` pings and sends the pong's payload as text; `unauthorized` answers 401.
    """

    def __init__(
        self, kind: str, tls: Certificates | None = None, address: str = "127.0.0.1"
    ) -> None:
        program, script = {
            "python": (sys.executable, PROGRAMS / "backend.py"),
            "node": ("node", PROGRAMS / "backend.cjs"),
        }[kind]
        files = [tls.cert, tls.key] if tls else []
        self._process = Process([program, script, *files], {"ADDRESS": address})
        self.port: int = self.wait_event("listening")["port"]

    def wait_event(self, event: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._process.stdout.wait(f'"event":"{event}"'))
        return told

    def seen(self, event: str) -> bool:
        return self._process.stdout.find(f'"event":"{event}"') is not None

    def kill(self) -> None:
        self._process.kill()
