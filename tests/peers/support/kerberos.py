"""A realm of its own: MIT's KDC on a port of the loopback, with its principals made on the spot.

Nothing of the machine's Kerberos is read or written: every program gets `env`.
"""

import subprocess
from pathlib import Path

from support.process import Process, eventually, free_port

REALM = "CORP.TEST"
USER, PASSWORD = f"alice@{REALM}", "open-sesame.42"
# Another, who has the same password.
OTHER = f"bob@{REALM}"
# The gateway's proxy is `localhost`.
SERVICE = f"HTTP/localhost@{REALM}"


class Realm:
    """A running KDC that knows two users and a proxy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.keytab, self.service_keytab = folder / "client.keytab", folder / "http.keytab"
        self.other_keytab = folder / "other.keytab"
        self.env = self._configure("krb5.conf", self.port)
        self._run("/usr/sbin/kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
        for query in (
            f"addprinc +requires_preauth -pw {PASSWORD} {USER}",
            f"addprinc +requires_preauth -pw {PASSWORD} {OTHER}",
            f"addprinc -randkey {SERVICE}",
            f"ktadd -norandkey -k {self.keytab} {USER}",
            f"ktadd -norandkey -k {self.other_keytab} {OTHER}",
            f"ktadd -k {self.service_keytab} {SERVICE}",
        ):
            self._run("/usr/sbin/kadmin.local", "-r", REALM, "-q", query)
        # Squid's helper reads it as a user of its own.
        self.service_keytab.chmod(0o644)
        self._kdc = Process(["/usr/sbin/krb5kdc", "-n"], self.env)
        self._kdc.wait_for_port(self.port)

    def with_keytab(self) -> dict[str, str]:
        """The environment of a process that has the user's key."""
        return self.env | {"KRB5_CLIENT_KTNAME": f"FILE:{self.keytab}"}

    def with_ticket(self, name: str, lifetime: str = "1h") -> dict[str, str]:
        """The environment of a process whose cache holds a ticket of the user's."""
        return self.env | {"KRB5CCNAME": f"FILE:{self.cache(name, USER, lifetime)}"}

    def with_expired_ticket(self) -> dict[str, str]:
        return self.env | {"KRB5CCNAME": f"FILE:{self.expired_cache()}"}

    def cache(self, name: str, user: str, lifetime: str = "1h") -> Path:
        """A file with a ticket of this user's."""
        path = self._folder / name
        env = self.env | {"KRB5CCNAME": f"FILE:{path}"}
        self._run("kinit", "-l", lifetime, user, env=env, typed=f"{PASSWORD}\n")
        return path

    def expired_cache(self) -> Path:
        path = self.cache("expired", USER, "1s")
        # The KDC's word counts: it takes a ticket a moment longer than klist does.
        words = ["kvno", "-q", "-c", str(path), SERVICE]
        run = lambda: subprocess.run(words, env=self.env, stderr=subprocess.DEVNULL)
        has_ended = lambda: run().returncode != 0
        eventually("the end of the ticket", has_ended)
        return path

    def stale_keytab(self) -> Path:
        """One with a key of the other user's that is none any more."""
        path = self._folder / "stale.keytab"
        commands = f"addent -password -p {OTHER} -k 1 -e aes256-cts-hmac-sha1-96\nold\nwkt {path}\n"
        self._run("ktutil", typed=commands)
        return path

    def without_kdc(self) -> dict[str, str]:
        """The environment of a process to which the KDC is not there."""
        return self.env | self._configure("nobody.conf", free_port())

    def add_service(self, name: str) -> None:
        """Whose key no proxy has."""
        self._run("/usr/sbin/kadmin.local", "-r", REALM, "-q", f"addprinc -randkey {name}")

    def stop(self) -> None:
        self._kdc.kill()

    def _configure(self, name: str, port: int) -> dict[str, str]:
        folder = self._folder
        (folder / name).write_text(
            f"""
[libdefaults]
default_realm = {REALM}
dns_lookup_kdc = false
dns_lookup_realm = false
rdns = false

[realms]
{REALM} = {{
    kdc = 127.0.0.1:{port}
}}

[logging]
default = FILE:{folder}/krb5.log
kdc = FILE:{folder}/krb5.log
"""
        )
        (folder / "kdc.conf").write_text(
            f"""
[kdcdefaults]
kdc_listen = 127.0.0.1:{self.port}
kdc_tcp_listen = 127.0.0.1:{self.port}

[realms]
{REALM} = {{
    database_name = {folder}/principal
    key_stash_file = {folder}/stash
    acl_file = {folder}/acl
}}
"""
        )
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "KRB5_CONFIG": str(folder / name),
            "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
            "KRB5RCACHEDIR": str(folder),
            # In memory, unless a test has a cache of its own.
            "KRB5CCNAME": "MEMORY:",
        }

    def _run(
        self, *words: str, env: dict[str, str] | None = None, typed: str | None = None
    ) -> None:
        ran = subprocess.run(
            words, env=env or self.env, input=typed, capture_output=True, text=True, timeout=20
        )
        assert ran.returncode == 0, ran.stderr
