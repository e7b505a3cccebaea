"""Sessions of bare sockets, both ends in this process. Knows the opening handshake and no frame."""

import base64
import hashlib
import socket
import ssl
from dataclasses import dataclass

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


@dataclass
class Ends:
    """The two far ends of one session."""

    client: socket.socket
    backend: socket.socket

    def close(self) -> None:
        self.client.close()
        self.backend.close()


class Street:
    """Opens sessions through a gateway on `port` that leads to `server`."""

    def __init__(self, port: int, server: socket.socket, tls: ssl.SSLContext | None) -> None:
        self._port = port
        self._server = server
        self._tls = tls

    def open(self) -> Ends:
        client: socket.socket = socket.create_connection(("127.0.0.1", self._port), timeout=20)
        if self._tls:
            client = self._tls.wrap_socket(client, server_hostname="localhost")
        client.sendall(
            b"GET /table/raw HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n"
        )
        backend, _ = self._server.accept()
        backend.settimeout(20)
        key = next(line for line in head(backend).split(b"\r\n") if b"websocket-key" in line.lower())
        accept = base64.b64encode(hashlib.sha1(key.split(b": ")[1] + GUID).digest())
        backend.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        assert head(client).startswith(b"HTTP/1.1 101 ")
        return Ends(client, backend)


def listening() -> socket.socket:
    """A server's socket on a free port of the loopback."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(20)
    return server


def head(stream: socket.socket) -> bytes:
    """Up to the empty line, and not a byte more."""
    read = b""
    while not read.endswith(b"\r\n\r\n"):
        byte = stream.recv(1)
        assert byte, read
        read += byte
    return read


def exactly(stream: socket.socket, length: int) -> bytes:
    read = b""
    while len(read) < length:
        more = stream.recv(length - len(read))
        assert more, read
        read += more
    return read
