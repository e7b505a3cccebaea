"""What warm tunnels save: the time to a 101 through a proxy that is 20 ms away, without and with them.

Not a test: it prints a table. As root, after `tests/run` has made the virtual environment:

    unshare --net target/peers/venv/bin/python tests/peers/measure_warm.py

Everything runs in a network of its own, in which each packet between gateway and proxy is held for
10 ms by a TUN device that this program serves: not every kernel has tc's netem. Client, gateway and
backend are next door. The client is a socket: what is timed begins with its request, on a connection
that it has already, and ends with the last byte of the 101.
"""

import fcntl
import os
import queue
import socket
import statistics
import struct
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from support import certificates
from support.backend import Backend
from support.certificates import Certificates
from support.gateway import Gateway
from support.process import free_port
from support.proxy import DOMAIN, KINDS, PASSWORD, USER, Proxy

ONE_WAY_SECONDS = 0.010
HERE, FAR = "10.9.0.1", "10.9.0.2"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
SESSIONS = 50
# Long enough for a tunnel that was used to be replaced.
PAUSE_SECONDS = 0.2
PROXIES = ["squid with Basic", "squid over TLS with Basic", "squid with NTLM"]
HEAD = (
    "GET /table/echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def run(*words: str) -> None:
    subprocess.run(words, check=True)


def far_away() -> None:
    """Makes FAR this very machine, reached from HERE by a line on which each packet takes its time.

    What goes to FAR comes back as if FAR had sent it: with both addresses exchanged, which leaves
    every checksum as it was.
    """
    line = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(line, TUNSETIFF, struct.pack("16sH22x", b"far", IFF_TUN | IFF_NO_PI))
    run("sysctl", "-qw", "net.ipv6.conf.far.disable_ipv6=1")
    run("ip", "addr", "add", f"{HERE}/24", "dev", "far")
    run("ip", "link", "set", "far", "up")
    held: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def take() -> None:
        while True:
            packet = os.read(line, 65536)
            held.put((time.perf_counter() + ONE_WAY_SECONDS, packet))

    def give() -> None:
        while True:
            due, packet = held.get()
            time.sleep(max(0.0, due - time.perf_counter()))
            # RFC 791 §3.1: the source stands at 12, the destination at 16.
            os.write(line, packet[:12] + packet[16:20] + packet[12:16] + packet[20:])

    for work in (take, give):
        threading.Thread(target=work, daemon=True).start()


def config(port: int, server: str, proxy: Proxy, warm: int) -> str:
    kind = proxy.kind
    domain = f', domain = "{DOMAIN}"' if kind.ntlm else ""
    return f"""
version = 1

[[listener]]
name = "public"
bind = ["127.0.0.1:{port}"]

[[route]]
name = "table"
origins = "any"
backend = "table"

[backend.table]
servers = [{{ url = "{server}" }}]
egress = "corp"
{'tls = { ca = "ca.pem" }' if server.startswith("wss:") else ""}

[egress.corp]
warm = {warm}

[[egress.corp.hop]]
url = "{kind.scheme}://{FAR}:{proxy.port}"
auth = {{ user = "{USER}", password = "{PASSWORD}"{domain} }}
{'tls = { ca = "ca.pem", server_name = "localhost" }' if kind.tls else ""}

[log]
level = "throughway=debug"
"""


def session(port: int) -> float:
    """Milliseconds from the request to the end of its 101."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begun = time.perf_counter()
        client.sendall(HEAD.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            more = client.recv(4096)
            assert more, answer
            answer += more
        took = (time.perf_counter() - begun) * 1000
        assert answer.startswith(b"HTTP/1.1 101"), answer
        return took


def measure(folder: Path, server: str, proxy: Proxy, warm: int) -> list[float]:
    port = free_port()
    gateway = Gateway(folder, config(port, server, proxy, warm))
    try:
        # The first session learns what the proxy asks for.
        session(port)
        times = []
        for _ in range(SESSIONS):
            time.sleep(PAUSE_SECONDS)
            times.append(session(port))
        gateway.stop()
        used = gateway.log().count('"warm":true')
        assert used >= SESSIONS if warm else used == 0, used
        return times
    finally:
        gateway.kill()


def main() -> None:
    run("ip", "link", "set", "lo", "up")
    far_away()
    print(f"{'proxy':28}{'server':8}{'warm':>5}{'median':>9}{'least':>9}{'most':>9}  ms")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        certs: Certificates = certificates.make(folder)
        plain, secure = Backend("python"), Backend("python", certs)
        stack.callback(plain.kill)
        stack.callback(secure.kill)
        for name in PROXIES:
            own = Path(stack.enter_context(TemporaryDirectory()))
            own.chmod(0o777)
            proxy = Proxy(KINDS[name], own, certs, address="0.0.0.0")
            stack.callback(proxy.stop)
            servers = [f"ws://backend.test:{plain.port}", f"wss://backend.test:{secure.port}"]
            for server in servers:
                for warm in (0, 2):
                    row(name, server, warm, measure(folder, server, proxy, warm))


def row(name: str, server: str, warm: int, times: list[float]) -> None:
    scheme = server.split(":")[0]
    values = (statistics.median(times), min(times), max(times))
    print(f"{name:28}{scheme:8}{warm:5}" + "".join(f"{value:9.1f}" for value in values), flush=True)


if __name__ == "__main__":
    main()
