"""A proxy that asks who it is until a judge knows, and then connects. Knows no scheme.

Every name that is not denied is this machine. Each request is noted with its status.
"""

import argparse
import asyncio
import hashlib
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

DENIED = "denied.test"
# A body between the legs, and in chunks, as some proxies send it.
ASK = (
    "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: {challenge}\r\n"
    "Transfer-Encoding: chunked\r\n\r\n5\r\nwho??\r\n0\r\n\r\n"
)


class Judge(Protocol):
    """Hears the answers of one connection."""

    user: str
    proof: str
    """What goes with the 200; nothing if there is nothing to prove."""

    def ask(self, answer: str | None) -> str | None:
        """What to ask for next; nothing once it knows who it is."""


class Server:
    """Listens, asks, connects, and notes each request with its status."""

    def __init__(self, scheme: str, log: Path, judge: Callable[[], Judge]) -> None:
        self._scheme = scheme
        self._log = log
        self._judge = judge

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._converse(reader, writer)
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        judge = self._judge()
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *rest = head.split("\r\n")
            headers = dict(field.split(": ", 1) for field in rest if field)
            target = line.split(" ")[1]
            if challenge := judge.ask(headers.get("Proxy-Authorization")):
                self._note(407, target)
                writer.write(ASK.format(challenge=challenge).encode())
                continue
            host, port = target.rsplit(":", 1)
            if host == DENIED:
                self._note(403, target)
                writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                return
            far = await asyncio.open_connection("127.0.0.1", int(port))
            self._note(200, f"{target} {judge.user} ")
            proof = f"Proxy-Authenticate: {judge.proof}\r\n" if judge.proof else ""
            writer.write(f"HTTP/1.1 200 Connection established\r\n{proof}\r\n".encode())
            await asyncio.gather(carry(reader, far[1]), carry(far[0], writer))
            return

    def _note(self, status: int, target: str) -> None:
        with self._log.open("a") as log:
            log.write(f"{self._scheme}/{status} CONNECT {target}\n")


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything one way, and then the end; TLS has no half of it."""
    with suppress(ConnectionError):
        while some := await reader.read(65536):
            writer.write(some)
            await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    else:
        writer.close()


async def listen(scheme: str, judge: Callable[[bytes | None], Judge]) -> None:
    """Serves as the command line says; the judge gets the binding of the channel, if it has one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("log", type=Path)
    parser.add_argument("--tls", nargs=2, type=Path, metavar=("CERT", "KEY"))
    args = parser.parse_args()
    context = binding = None
    if args.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*args.tls)
        # RFC 5929: the certificate is signed over SHA-256.
        certificate = ssl.PEM_cert_to_DER_cert(args.tls[0].read_text())
        binding = b"tls-server-end-point:" + hashlib.sha256(certificate).digest()
    server = Server(scheme, args.log, lambda: judge(binding))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", args.port, ssl=context)
    await listening.serve_forever()
