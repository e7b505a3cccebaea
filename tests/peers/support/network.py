"""Networks of this machine's own: namespaces in a row, each linked to its neighbours alone.

A namespace here has no name. It lives as long as a process in it, or as the descriptor that is held
here, so that a test that fails, or is killed, leaves nothing behind. Making one takes root.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNET = 0x40000000
OF_THIS_THREAD = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network with a loopback and nothing else, until it is linked."""

    def __init__(self) -> None:
        with _coming_home():
            _call("unshare", CLONE_NEWNET)
            self._held = os.open(OF_THIS_THREAD, os.O_RDONLY)
            _ip("link", "set", "lo", "up")
            Path("/proc/sys/net/ipv4/ip_forward").write_text("0")

    @contextmanager
    def inside(self) -> Iterator[None]:
        """What this thread opens or starts meanwhile, threads included, is in the namespace."""
        with _coming_home():
            _call("setns", self._held, CLONE_NEWNET)
            yield

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self._held}"

    def close(self) -> None:
        os.close(self._held)


class Row:
    """So many namespaces; the link between number n and the next has the network 10.99.n.0/30."""

    def __init__(self, length: int) -> None:
        self.namespaces = [Namespace() for _ in range(length)]
        for n, (near, far) in enumerate(zip(self.namespaces, self.namespaces[1:])):
            with near.inside():
                to_next = ["link", "add", "next", "type", "veth"]
                _ip(*to_next, "peer", "name", "previous", "netns", far.path)
                _bring_up("next", self.outward(n))
            with far.inside():
                _bring_up("previous", self.inward(n + 1))

    @staticmethod
    def outward(n: int) -> str:
        """The address of namespace n on its link to the next."""
        return f"10.99.{n}.1"

    @staticmethod
    def inward(n: int) -> str:
        """Its address on the link to the one before: where that finds it."""
        return f"10.99.{n - 1}.2"

    def close(self) -> None:
        for namespace in self.namespaces:
            namespace.close()


def _bring_up(link: str, address: str) -> None:
    _ip("address", "add", f"{address}/30", "dev", link)
    _ip("link", "set", link, "up")


@contextmanager
def _coming_home() -> Iterator[None]:
    home = os.open(OF_THIS_THREAD, os.O_RDONLY)
    try:
        yield
    finally:
        _call("setns", home, CLONE_NEWNET)
        os.close(home)


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}; network namespaces take root")


def _ip(*words: str) -> None:
    ran = ["ip", *words]
    done = subprocess.run(ran, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(ran)}: {done.stderr}"
