"""A backend on Python `websockets`; what it does is told in support/backend.py."""

import asyncio
import json
import os
import ssl
import sys
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

CHAT = Subprotocol("chat.v2")
QUESTION = b"are you there"


def tell(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, **facts}, separators=(",", ":")), flush=True)


async def answer(connection: ServerConnection, request: Request) -> Response | None:
    headers = {name.lower(): value for name, value in request.headers.raw_items()}
    tell("request", target=request.path, headers=headers)
    if not urlsplit(request.path).path.endswith("/unauthorized"):
        return None
    response = connection.respond(HTTPStatus.UNAUTHORIZED, "no ticket, no chat\n")
    response.headers["WWW-Authenticate"] = 'Bearer realm="chat"'
    return response


async def converse(connection: ServerConnection) -> None:
    assert connection.request
    target = urlsplit(connection.request.path)
    wish = {name: values[0] for name, values in parse_qs(target.query).items()}
    match target.path.rsplit("/", 1)[-1]:
        case "echo":
            with suppress(ConnectionClosed):
                while True:
                    await connection.send(await connection.recv())
        case "close":
            await connection.close(int(wish["code"]), wish["reason"])
        case "ping":
            await (await connection.ping(QUESTION))
            await connection.send(QUESTION.decode())
    await connection.wait_closed()
    tell("closed", code=connection.close_code, reason=connection.close_reason)


async def main() -> None:
    context = None
    if files := sys.argv[1:]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*files)
    async with serve(
        converse,
        os.environ.get("ADDRESS", "127.0.0.1"),
        0,
        ssl=context,
        select_subprotocol=lambda _, offered: CHAT if CHAT in offered else None,
        process_request=answer,
        max_size=None,
    ) as server:
        tell("listening", port=server.sockets[0].getsockname()[1])
        await server.serve_forever()


asyncio.run(main())
