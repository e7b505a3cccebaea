"""The proxies that are measured: how each is configured, started, and stopped. Knows no numbers."""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from .generator import ROOT, Failed

# How long a proxy may take until it listens, and until it is gone.
PATIENCE = 15

HOST = "127.0.0.1"


@dataclass
class Place:
    """Where everything of one run is: ports, certificates, a folder for files."""

    folder: Path
    plain: int = 19080
    tls: int = 19443
    backend: int = 19090
    backend_tls: int = 19493

    @property
    def certs(self):
        return self.folder / "certs"

    def words(self):
        ports = {name: getattr(self, name) for name in ("plain", "tls", "backend", "backend_tls")}
        return ports | {"folder": self.folder, "certs": self.certs}


@dataclass(frozen=True)
class Kind:
    """One column of the tables. `shows` empty: all measurements; else only those."""

    name: str
    label: str
    template: str
    command: list
    version: list
    words: dict = field(default_factory=dict, hash=False)
    shows: tuple = ()
    package: str = ""

    def is_there(self):
        return shutil.which(self.command[0], path=_path()) is not None

    def says_version(self):
        command = [shutil.which(self.version[0], path=_path()), *self.version[1:]]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(r"\d+\.\d+(\.\d+)?[\w.+~-]*", said.stdout + said.stderr)
        return found.group(0) if found else "unknown"


BULK = ("bulk",)

NGINX = dict(
    template="nginx.conf.in",
    command=["nginx", "-c", "@file@"],
    version=["nginx", "-v"],
    package="nginx",
)
HAPROXY = dict(
    template="haproxy.cfg.in",
    command=["haproxy", "-db", "-f", "@file@"],
    version=["haproxy", "-v"],
    package="haproxy",
)

KINDS = [
    Kind(
        "throughway",
        "Throughway",
        "throughway.toml.in",
        [str(ROOT / "target/release/throughway"), "run", "-c", "@file@"],
        [str(ROOT / "target/release/throughway"), "--version"],
    ),
    Kind("nginx", "nginx", **NGINX, words={"buffers": "proxy_buffer_size 4k;"}),
    Kind("haproxy", "HAProxy", **HAPROXY, words={"splice": ""}),
    Kind(
        "caddy",
        "Caddy",
        "Caddyfile.in",
        ["caddy", "run", "--adapter", "caddyfile", "--config", "@file@"],
        ["caddy", "version"],
        package="caddy",
    ),
    Kind(
        "nginx-64k",
        "nginx, 64k buffers",
        **NGINX,
        words={"buffers": "proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;"},
        shows=BULK,
    ),
    Kind(
        "haproxy-splice",
        "HAProxy, splice-auto",
        **HAPROXY,
        words={"splice": "option splice-auto"},
        shows=BULK,
    ),
]


def fingerprint():
    """Which build of Throughway is measured."""
    [program, *_] = KINDS[0].command
    return hashlib.sha256(Path(program).read_bytes()).hexdigest()


def install(kinds):
    """Brings the Debian packages that are missing."""
    packages = sorted({kind.package for kind in kinds if kind.package and not kind.is_there()})
    if not packages:
        return
    print("installing", *packages, flush=True)
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    quiet = dict(check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*sudo, "apt-get", "update", "-qq"], **quiet)
    install = ["apt-get", "install", "-qq", "--no-install-recommends", *packages]
    subprocess.run([*sudo, "env", "DEBIAN_FRONTEND=noninteractive", *install], **quiet)


class Running:
    """A fresh process of one kind on the given cores; a context manager."""

    def __init__(self, kind, place, cores):
        self.kind, self.place, self.cores = kind, place, cores

    def __enter__(self):
        for port in (self.place.plain, self.place.tls):
            # Else the other one would be measured.
            if _listens(port):
                raise Failed(f"somebody else listens on port {port}")
        folder = self.place.folder / self.kind.name
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / self.kind.template.removesuffix(".in")
        words = self.place.words() | self.kind.words
        words |= {"folder": folder, "file": file, "threads": len(self.cores)}
        template = ROOT / "benches/peers" / self.kind.template
        file.write_text(_filled(template.read_text(), words))
        cores = ",".join(map(str, self.cores))
        command = [_filled(part, words) for part in self.kind.command]
        self.log = open(folder / "log", "w", encoding="utf-8")
        self.process = subprocess.Popen(
            ["taskset", "-c", cores, *command],
            env=os.environ | _environment(folder, len(self.cores)),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        try:
            self._wait_until_it_listens()
        except Failed:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    @property
    def pid(self):
        # taskset becomes the program that it starts.
        return self.process.pid

    def _wait_until_it_listens(self):
        try:
            wait_until_listening(self.process, self.place.plain)
            wait_until_listening(self.process, self.place.tls)
        except Failed as failed:
            raise Failed(f"{self.kind.label}: {failed}; see {self.log.name}") from None


def _environment(folder, threads):
    """GOMAXPROCS and a place for what it keeps are Caddy's."""
    home = {"XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    return home | {"PATH": _path(), "GOMAXPROCS": str(threads)}


def wait_until_listening(process, port):
    end = time.monotonic() + PATIENCE
    while not _listens(port):
        if process.poll() is not None or time.monotonic() > end:
            raise Failed(f"nobody listens on port {port}")
        time.sleep(0.02)


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _filled(text, words):
    for word, value in words.items():
        text = text.replace(f"@{word}@", str(value))
    return text


def _path():
    # Debian keeps servers where only root's shell looks.
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
