"""The real proxies: squid (plain, with Basic, Digest or NTLM, over TLS), tinyproxy (plain, with Basic),
nghttpx, which speaks HTTP/2 over TLS and passes everything on to a squid,
and two that have others judge: pyspnego NTLM (over TLS too, and in Negotiate), MIT's library Kerberos (over TLS).

Each resolves `backend.test` and `denied.test` from a file of its own and refuses the latter.
Nothing else on the machine knows these names: a connection that arrives was resolved by the proxy.
"""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.backend import PROGRAMS
from support.certificates import Certificates
from support.process import Process, eventually, free_port

HOSTS = "127.0.0.1 backend.test denied.test\n"
USER, PASSWORD, DOMAIN = "alice", "open-sesame.42", "CORP"


# What squid is told of each scheme. A Digest nonce is good for five answers, so that some tests
# outlive one.
SQUID_SCHEMES = {
    "basic": """
auth_param basic program /usr/lib/squid/basic_ncsa_auth {folder}/basic
auth_param basic children 1
""",
    "digest": """
auth_param digest program /usr/lib/squid/digest_file_auth {folder}/digest
auth_param digest children 1
auth_param digest realm the "corp"
auth_param digest nonce_max_count 5
""",
    # It goes through the legs and takes whatever it is told.
    "ntlm": """
auth_param ntlm program /usr/lib/squid/ntlm_fake_auth
auth_param ntlm children 1
auth_param ntlm keep_alive on
""",
    # It tells NTLM from tickets by how a token begins, and takes whatever NTLM it is told.
    "ntlm in negotiate": """
auth_param negotiate program /usr/lib/squid/negotiate_wrapper_auth --ntlm /usr/lib/squid/ntlm_fake_auth --kerberos /bin/false
auth_param negotiate children 1
auth_param negotiate keep_alive on
""",
    "negotiate": """
auth_param negotiate program /usr/lib/squid/negotiate_kerberos_auth -k {folder}/http.keytab -s GSS_C_NO_NAME
auth_param negotiate children 1
auth_param negotiate keep_alive on
""",
}


@dataclass(frozen=True)
class Kind:
    """What a proxy is, and what the log tells of a wrong password and of a denied name.

    No word of a wrong password: it takes every one.
    """

    program: str
    auth: bool = False
    schemes: tuple[str, ...] = ("basic",)
    tls: bool = False
    # Of tinyproxy: after so long it cuts what is idle.
    idle_seconds: int = 600
    wrong_password: str = "credentials rejected by"
    denied: str = "403 Forbidden"

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    @property
    def ntlm(self) -> bool:
        return self.auth and self.schemes[0].startswith("ntlm")

    def requests(self, sessions: int) -> int:
        """How many requests so many sessions make, one after the other."""
        if not self.auth:
            return sessions
        # NTLM is told in two requests, by each connection anew. Whoever wants a password asks once;
        # later sessions bring it unasked.
        return 1 + sessions * (2 if self.ntlm else 1)


KINDS = {
    "squid": Kind("squid"),
    "squid with Basic": Kind("squid", auth=True),
    "squid with Digest": Kind("squid", auth=True, schemes=("digest",)),
    "squid with Basic and Digest": Kind("squid", auth=True, schemes=("basic", "digest")),
    "squid with NTLM": Kind("squid", auth=True, schemes=("ntlm",), wrong_password=""),
    "squid with NTLM in Negotiate": Kind(
        "squid", auth=True, schemes=("ntlm in negotiate",), wrong_password=""
    ),
    "squid over TLS": Kind("squid", tls=True),
    "squid over TLS with Basic": Kind("squid", auth=True, tls=True),
    # In HTTP/2 a status has no words.
    "nghttpx": Kind("nghttpx", tls=True, denied="403"),
    "nghttpx with Basic": Kind("nghttpx", auth=True, tls=True, denied="403"),
    "nghttpx with Digest": Kind(
        "nghttpx", auth=True, schemes=("digest",), tls=True, denied="403"
    ),
    "tinyproxy": Kind("tinyproxy", denied="403 Filtered"),
    # Tinyproxy asks with 407 and answers a wrong password with 401.
    "tinyproxy with Basic": Kind(
        "tinyproxy", auth=True, wrong_password="401 Unauthorized", denied="403 Filtered"
    ),
    "pyspnego": Kind("pyspnego", auth=True, schemes=("ntlm",)),
    "pyspnego over TLS": Kind("pyspnego", auth=True, schemes=("ntlm",), tls=True),
    "pyspnego with NTLM in Negotiate": Kind(
        "pyspnego", auth=True, schemes=("ntlm in negotiate",), tls=True
    ),
}
# For `test_warm.py` alone.
IMPATIENT = Kind("tinyproxy", idle_seconds=6)
# For `test_kerberos.py` alone: these need a realm, and a gateway with the feature `gssapi`.
NEGOTIATES = Kind("squid", auth=True, schemes=("negotiate",))
NEGOTIATES_OVER_TLS = Kind("gssapi", auth=True, schemes=("negotiate",), tls=True)


class Proxy:
    """A running proxy and its log of requests."""

    def __init__(
        self,
        kind: Kind,
        folder: Path,
        certificates: Certificates,
        env: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
        hosts: str = HOSTS,
    ) -> None:
        self.kind = kind
        self.address = address
        self._env = env
        self.port = free_port()
        (folder / "hosts").write_text(hosts)
        self._log = folder / "access.log"
        self._front_log = folder / "nghttpx.log"
        self._behind: Process | None = None
        program = {
            "squid": self._squid,
            "nghttpx": self._nghttpx,
            "tinyproxy": self._tinyproxy,
            "pyspnego": self._pyspnego,
            "gssapi": self._gssapi,
        }[kind.program]
        self._run = lambda: program(folder, certificates)
        self.start()

    def wait_log(self, text: str, times: int) -> None:
        """Waits until the log holds `text` exactly this often."""
        eventually(
            f"{text!r} in the proxy's log", lambda: self._log.read_text().count(text) == times
        )

    def wait_front_log(self, text: str) -> None:
        """Waits until nghttpx has logged `text`."""
        eventually(f"{text!r} in nghttpx's log", lambda: text in self._front_log.read_text())

    def start(self) -> None:
        """Runs it, at the start or again after a stop, on the port it has had from the start."""
        self._process = self._run()
        self._process.wait_for_port(self.port, self.address)

    def stop(self) -> None:
        self._process.kill()
        if self._behind is not None:
            self._behind.kill()

    def _squid(self, folder: Path, certificates: Certificates) -> Process:
        if not self.kind.tls:
            return self._squid_at(folder, f"http_port {self.address}:{self.port}")
        files = f"tls-cert={certificates.cert} tls-key={certificates.key}"
        return self._squid_at(folder, f"https_port {self.address}:{self.port} {files}")

    def _nghttpx(self, folder: Path, certificates: Certificates) -> Process:
        port = free_port()
        self._behind = self._squid_at(folder, f"http_port 127.0.0.1:{port}")
        self._behind.wait_for_port(port)
        flags = ["--http2-proxy", "--workers=1", "--conf=/dev/null"]
        flags += [f"--frontend={self.address},{self.port}", f"--backend=127.0.0.1,{port}"]
        flags += [f"--accesslog-file={self._front_log}"]
        return Process(["nghttpx", *flags, certificates.key, certificates.cert])

    def _squid_at(self, folder: Path, listen: str) -> Process:
        (folder / "basic").write_text(f"{USER}:{_hash(PASSWORD)}\n")
        (folder / "digest").write_text(f"{USER}:{PASSWORD}\n")
        schemes = "\n".join(SQUID_SCHEMES[name] for name in self.kind.schemes)
        auth = f"""
{schemes.format(folder=folder)}
acl known proxy_auth REQUIRED
http_access deny !known
"""
        config = folder / "squid.conf"
        config.write_text(
            f"""
{listen}
visible_hostname proxy.test
hosts_file {folder}/hosts
pid_filename none
coredump_dir {folder}
access_log stdio:{self._log}
cache_log {folder}/cache.log
cache deny all
pinger_enable off
acl denied dstdomain denied.test
http_access deny denied
{auth if self.kind.auth else ""}
http_access allow all
"""
        )
        return Process(["squid", "-N", "-f", config], self._env)

    def _tinyproxy(self, folder: Path, _: Certificates) -> Process:
        (folder / "filter").write_text("denied\\.test\n")
        auth = f"BasicAuth {USER} {PASSWORD}"
        config = folder / "tinyproxy.conf"
        config.write_text(
            f"""
Port {self.port}
Listen {self.address}
Timeout {self.kind.idle_seconds}
LogFile "{self._log}"
LogLevel Connect
MaxClients 50
Filter "{folder}/filter"
{auth if self.kind.auth else ""}
"""
        )
        return Process(["tinyproxy", "-d", "-c", config], names_from(folder / "hosts"))

    def _pyspnego(self, folder: Path, certificates: Certificates) -> Process:
        users = folder / "users"
        users.write_text(f"{DOMAIN}:{USER}:{PASSWORD}\n")
        name = "ntlm_proxy.py" if "ntlm" in self.kind.schemes else "ntlm_in_negotiate_proxy.py"
        return self._asking(name, certificates, {"NTLM_USER_FILE": str(users)})

    def _gssapi(self, folder: Path, certificates: Certificates) -> Process:
        keytab = {"KRB5_KTNAME": f"FILE:{folder}/http.keytab"}
        return self._asking("kerberos_proxy.py", certificates, {**(self._env or {}), **keytab})

    def _asking(self, name: str, certificates: Certificates, env: dict[str, str]) -> Process:
        argv: list[str | Path] = [sys.executable, PROGRAMS / name, str(self.port), self._log]
        if self.kind.tls:
            argv += ["--tls", certificates.cert, certificates.key]
        return Process(argv, env)


def names_from(hosts: Path) -> dict[str, str]:
    """The environment in which a program takes names from this file instead of /etc/hosts."""
    return {"LD_PRELOAD": "libnss_wrapper.so", "NSS_WRAPPER_HOSTS": str(hosts)}


def _hash(password: str) -> str:
    words = ["openssl", "passwd", "-apr1", password]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
