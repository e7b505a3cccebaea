"""The real SOCKS5 proxies: dante and microsocks, each open and with a password.

Each resolves `backend.test` from a file of its own; dante refuses `denied.test` by a rule. Nothing
else on the machine knows these names.
"""

import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.process import Process, eventually, free_port
from support.proxy import names_from

# A rule of dante's holds for the address of the name that it is written with.
HOSTS = "127.0.0.1 localhost backend.test\n127.0.0.2 denied.test\n"
USER, PASSWORD = "alice", "open-sesame.42"


@dataclass(frozen=True)
class Kind:
    """What a SOCKS proxy is."""

    program: str
    auth: bool = False


KINDS = {
    "dante": Kind("dante"),
    "dante with a password": Kind("dante", auth=True),
    "microsocks": Kind("microsocks"),
    "microsocks with a password": Kind("microsocks", auth=True),
}


class SocksProxy:
    """A running SOCKS proxy and what it says of its connections."""

    def __init__(
        self,
        kind: Kind,
        folder: Path,
        address: str = "127.0.0.1",
        outward: str = "127.0.0.1",
        hosts: str = HOSTS,
    ) -> None:
        """It listens at one address of its machine and connects from another."""
        self.kind = kind
        self.address = address
        self._outward = outward
        self.port = free_port()
        (folder / "hosts").write_text(hosts)
        self._process = {"dante": self._dante, "microsocks": self._microsocks}[kind.program](folder)
        self._process.wait_for_port(self.port, address)

    def hop(self, scheme: str, password: str = PASSWORD) -> str:
        """The configuration of a hop to it."""
        auth = f'auth = {{ user = "{USER}", password = "{password}" }}'
        url = f'url = "{scheme}://127.0.0.1:{self.port}"'
        return f"[[egress.corp.hop]]\n{url}\n{auth if self.kind.auth else ''}\n"

    def log(self) -> str:
        return "\n".join(self._process.stderr.all())

    def wait_connected(self, host: str, port: int) -> None:
        """Returns once its log has a connection to there; dante's has addresses only."""
        there = {"dante": f"127.0.0.1.{port}", "microsocks": f"connected to {host}:{port}"}
        text = there[self.kind.program]
        eventually(f"{text!r} in the proxy's log", lambda: text in self.log())

    def stop(self) -> None:
        # Dante has children, and ends them when it is asked to end.
        if self._process.running():
            self._process.signal(signal.SIGTERM)
            self._process.exit_code()
        self._process.kill()

    def _dante(self, folder: Path) -> Process:
        config = folder / "danted.conf"
        config.write_text(
            f"""
logoutput: stderr
internal: {self.address} port = {self.port}
external: {self._outward}
clientmethod: none
socksmethod: {"username" if self.kind.auth else "none"}
client pass {{
  from: 0.0.0.0/0 to: 0.0.0.0/0
}}
socks block {{
  from: 0.0.0.0/0 to: denied.test
  log: connect error
}}
socks pass {{
  from: 0.0.0.0/0 to: 0.0.0.0/0
  log: connect error
}}
"""
        )
        env = names_from(folder / "hosts") | _users(folder)
        return Process(["danted", "-p", folder / "pid", "-f", config], env)

    def _microsocks(self, folder: Path) -> Process:
        auth = ["-u", USER, "-P", PASSWORD] if self.kind.auth else []
        words = ["microsocks", "-i", self.address, "-p", str(self.port), *auth]
        return Process(words, names_from(folder / "hosts"))


def _users(folder: Path) -> dict[str, str]:
    """The environment in which a program knows one more user of the system."""
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True
    ).stdout.strip()
    passwd = Path("/etc/passwd").read_text() + f"{USER}:x:65533:65534::/:/bin/false\n"
    (folder / "passwd").write_text(passwd)
    (folder / "group").write_text(Path("/etc/group").read_text())
    (folder / "shadow").write_text(f"{USER}:{hashed}:19000:0:99999:7:::\n")
    names = ("PASSWD", "GROUP", "SHADOW")
    return {f"NSS_WRAPPER_{name}": str(folder / name.lower()) for name in names}
