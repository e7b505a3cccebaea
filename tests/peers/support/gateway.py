"""The program under test, started from a configuration. Knows no client and no backend."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from signal import Signals
from typing import Any

from support.process import Process

PROJECT = Path(__file__).resolve().parents[3]
PROGRAM = Path(os.environ.get("THROUGHWAY", PROJECT / "target/release/throughway")).resolve()
# The same with Kerberos.
PROGRAM_WITH_GSSAPI = Path(
    os.environ.get("THROUGHWAY_GSSAPI", PROJECT / "target/gssapi/throughway")
).resolve()


class Gateway:
    """A running `throughway run`, with its log."""

    def __init__(
        self,
        folder: Path,
        config: str,
        env: Mapping[str, str] | None = None,
        program: Path = PROGRAM,
    ) -> None:
        path = folder / "throughway.toml"
        path.write_text(config)
        self._process = Process([program, "run", "-c", path], env)
        for port in re.findall(r"bind.*127\.0\.0\.1:(\d+)", config):
            self._process.wait_for_port(int(port))

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_log(self, *parts: str) -> dict[str, Any]:
        """The first record that holds every part, once it is there."""
        record: dict[str, Any] = json.loads(self._process.stderr.wait(*parts))
        return record

    def log(self) -> str:
        return "\n".join(self._process.stderr.all())

    def signal(self, number: Signals) -> None:
        self._process.signal(number)

    def exit_code(self) -> int:
        """Its exit code, once it has ended."""
        return self._process.exit_code()

    def stop(self) -> None:
        """Asks it to end and holds it to ending well."""
        if self._process.running():
            self.signal(Signals.SIGTERM)
        assert self.exit_code() == 0
        self._process.stderr.join()
        assert "panicked" not in self.log()

    def kill(self) -> None:
        self._process.kill()


def table_config(
    port: int,
    server: str,
    origin: str,
    drain: str = "1s",
    rest_of_backend: str = "",
    rest_of_route: str = "",
) -> str:
    """One TLS listener, one route, one server: the shape that most tests need."""
    return f"""
version = 1

[server]
drain = {{ timeout = "{drain}" }}

[[listener]]
name = "public"
bind = ["127.0.0.1:{port}"]
tls = {{ min_version = "1.2" }}

[[certificate]]
hosts = ["localhost"]
cert = "server.pem"
key = "server.key"

[[route]]
name = "table"
match = {{ path = "/table/*" }}
origins = ["{origin}"]
backend = "table"
{rest_of_route}

[backend.table]
servers = [{{ url = "{server}" }}]
{'tls = { ca = "ca.pem" }' if server.startswith("wss:") else ""}
{rest_of_backend}
"""
