"""A proxy that asks for NTLM and has pyspnego judge the answers; it is told of in support/proxy.py.

The users are those of the file in NTLM_USER_FILE. Over TLS, an answer must be bound to the
certificate. Every name that is not denied is this machine.
"""

import argparse
import asyncio
import hashlib
import ssl
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path

import spnego
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

DENIED = "denied.test"
TYPE_1 = b"NTLMSSP\0\1"
# A body between the legs, and in chunks, as some proxies send it.
ASK = (
    "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM{token}\r\n"
    "Transfer-Encoding: chunked\r\n\r\n5\r\nwho??\r\n0\r\n\r\n"
)


class Judge:
    """The three legs of one connection."""

    def __init__(self, bindings: GssChannelBindings | None) -> None:
        self._bindings = bindings
        self._acceptor: spnego.ContextProxy | None = None

    def ask(self, answer: str | None) -> str | None:
        """What to ask for next; nothing once it knows who it is."""
        scheme, _, token = (answer or "").partition(" ")
        if scheme != "NTLM":
            return ASK.format(token="")
        message = b64decode(token, validate=True)
        if message.startswith(TYPE_1):
            self._acceptor = spnego.server(
                protocol="ntlm",
                options=spnego.NegotiateOptions.use_ntlm,
                channel_bindings=self._bindings,
            )
            challenge = self._acceptor.step(message)
            assert challenge
            return ASK.format(token=" " + b64encode(challenge).decode())
        return None if self._holds(message) else ASK.format(token="")

    def _holds(self, proof: bytes) -> bool:
        if not self._acceptor:
            return False
        # Pyspnego also lets those pass who are bound to nothing.
        if self._bindings and hashlib.md5(self._bindings.pack()).digest() not in proof:
            return False
        with suppress(SpnegoError):
            self._acceptor.step(proof)
        return self._acceptor.complete


class Server:
    """Listens, asks, connects, and notes each request with its status."""

    def __init__(self, log: Path, bindings: GssChannelBindings | None) -> None:
        self._log = log
        self._bindings = bindings

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._converse(reader, writer)
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        judge = Judge(self._bindings)
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *rest = head.split("\r\n")
            headers = dict(field.split(": ", 1) for field in rest if field)
            target = line.split(" ")[1]
            if ask := judge.ask(headers.get("Proxy-Authorization")):
                self._note(407, target)
                writer.write(ask.encode())
                continue
            host, port = target.rsplit(":", 1)
            if host == DENIED:
                self._note(403, target)
                writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                return
            far = await asyncio.open_connection("127.0.0.1", int(port))
            self._note(200, target)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(carry(reader, far[1]), carry(far[0], writer))
            return

    def _note(self, status: int, target: str) -> None:
        with self._log.open("a") as log:
            log.write(f"NTLM/{status} CONNECT {target}\n")


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


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("log", type=Path)
    parser.add_argument("--tls", nargs=2, type=Path, metavar=("CERT", "KEY"))
    args = parser.parse_args()
    context = bindings = None
    if args.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*args.tls)
        # RFC 5929: the certificate is signed over SHA-256.
        certificate = ssl.PEM_cert_to_DER_cert(args.tls[0].read_text())
        data = b"tls-server-end-point:" + hashlib.sha256(certificate).digest()
        bindings = GssChannelBindings(application_data=data)
    server = Server(args.log, bindings)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", args.port, ssl=context)
    await listening.serve_forever()


asyncio.run(main())
