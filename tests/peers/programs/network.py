"""A company's network of its own: a resolver, a `wpad` in one domain, a proxy, and a server whose
name nobody else knows. Runs a command in it and tells the names that were asked for.

    unshare --user --map-root-user --net --mount --pid --fork --kill-child \\
        python3 network.py FOLDER SEARCH DOMAIN COMMAND…

SEARCH is the machine's search list, DOMAIN that of `wpad`. `BACKEND` in the command stands for the
server's host and port. Resolver and proxy are dnsmasq and tinyproxy.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

LOOPBACK = "127.0.0.1"
PROXY_PORT = 3128
SCRIPT = """function FindProxyForURL(url, host) {
    return dnsDomainIs(host, ".inside.example") ? "PROXY proxy.inside.example:3128" : "DIRECT";
}
"""


def main() -> None:
    folder, search, domain, *command = sys.argv[1:]
    home = Path(folder)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    replace("/etc/resolv.conf", home, f"nameserver {LOOPBACK}\nsearch {search}\n")
    replace("/etc/nsswitch.conf", home, "hosts: files dns\n")
    queries = start_resolver(home, domain)
    start_proxy(home)
    Thread(target=serve_script, daemon=True).start()
    port = start_backend()
    server = f"chat.inside.example:{port}"
    ended = subprocess.run(
        [word.replace("BACKEND", server) for word in command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    asked = {line.split()[-3] for line in queries.read_text().splitlines() if " query[" in line}
    print(
        json.dumps(
            {
                "code": ended.returncode,
                "out": ended.stdout,
                "err": ended.stderr,
                "asked": sorted(asked),
                "proxied": f"CONNECT {server}" in (home / "tinyproxy.log").read_text(),
            }
        )
    )


def replace(path: str, home: Path, text: str) -> None:
    """Puts a file in the place of one of the machine's, for this namespace alone."""
    ours = home / Path(path).name
    ours.write_text(text)
    subprocess.run(["mount", "--bind", ours, path], check=True)


def start_resolver(home: Path, domain: str) -> Path:
    queries = home / "dnsmasq.log"
    words = ["--keep-in-foreground", "--user=", "--group=", "--no-resolv", "--no-hosts", "--conf-file=-"]
    words += [f"--listen-address={LOOPBACK}", "--bind-interfaces", "--pid-file"]
    words += ["--log-queries", f"--log-facility={queries}", "--local=/example/", "--local=/uk/"]
    for name in ("proxy.inside.example", "chat.inside.example", f"wpad.{domain}"):
        words.append(f"--host-record={name},{LOOPBACK}")
    subprocess.Popen(["/usr/sbin/dnsmasq", *words], stdin=subprocess.DEVNULL)
    wait_for(lambda: queries.exists() and "started" in queries.read_text())
    return queries


def start_proxy(home: Path) -> None:
    log, config = home / "tinyproxy.log", home / "tinyproxy.conf"
    config.write_text(
        f'Listen {LOOPBACK}\nPort {PROXY_PORT}\nLogFile "{log}"\nLogLevel Connect\nTimeout 60\n'
    )
    subprocess.Popen(["tinyproxy", "-d", "-c", config], stdout=subprocess.DEVNULL)
    wait_for(lambda: accepts(PROXY_PORT))


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = SCRIPT.encode() if self.path == "/wpad.dat" else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "application/x-ns-proxy-autoconfig")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def serve_script() -> None:
    HTTPServer((LOOPBACK, 80), Page).serve_forever()


def start_backend() -> int:
    program = Path(__file__).with_name("backend.py")
    backend = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True)
    assert backend.stdout
    port: int = json.loads(backend.stdout.readline())["port"]
    return port


def accepts(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_for(condition: Callable[[], bool], within: float = 20.0) -> None:
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "something did not start"
        time.sleep(0.02)


main()
