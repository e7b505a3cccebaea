"""A proxy that asks for NTLM and has pyspnego judge the answers; it is told of in support/proxy.py.

The users are those of the file in NTLM_USER_FILE. Over TLS, an answer must be bound to the
certificate.
"""

import asyncio
import hashlib
from base64 import b64decode, b64encode
from contextlib import suppress

import spnego
from asking import listen
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

TYPE_1 = b"NTLMSSP\0\1"


class Ntlm:
    """The three legs of one connection."""

    user = "-"
    proof = ""

    def __init__(self, binding: bytes | None) -> None:
        self._bindings = GssChannelBindings(application_data=binding) if binding else None
        self._acceptor: spnego.ContextProxy | None = None

    def ask(self, answer: str | None) -> str | None:
        scheme, _, token = (answer or "").partition(" ")
        if scheme != "NTLM":
            return "NTLM"
        message = b64decode(token, validate=True)
        if message.startswith(TYPE_1):
            self._acceptor = spnego.server(
                protocol="ntlm",
                options=spnego.NegotiateOptions.use_ntlm,
                channel_bindings=self._bindings,
            )
            challenge = self._acceptor.step(message)
            assert challenge
            return f"NTLM {b64encode(challenge).decode()}"
        return None if self._holds(message) else "NTLM"

    def _holds(self, proof: bytes) -> bool:
        if not self._acceptor:
            return False
        # Pyspnego also lets those pass who are bound to nothing.
        if self._bindings and hashlib.md5(self._bindings.pack()).digest() not in proof:
            return False
        with suppress(SpnegoError):
            self._acceptor.step(proof)
        return self._acceptor.complete


asyncio.run(listen("NTLM", Ntlm))
