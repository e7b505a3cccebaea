"""An https server for the one page that browsers open WebSockets from."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from support.certificates import Certificates

PAGE = (Path(__file__).parent / "page.html").read_bytes()


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


class PageServer:
    """Serves the page under every name of the certificate."""

    def __init__(self, certificates: Certificates) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificates.cert, certificates.key)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
        # The handshake belongs to the connection's own thread: a browser opens connections ahead
        # of need and says nothing on them for a while.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def origin(self, name: str) -> str:
        return f"https://{name}:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
