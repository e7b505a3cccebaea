"""Has pyspnego judge NTLM; for the proxies that ask for it, by its own name or in Negotiate.

The users are those of the file in NTLM_USER_FILE. Over TLS, an answer must be bound to the
certificate.
"""

import hashlib
from base64 import b64decode, b64encode
from contextlib import suppress

import spnego
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

TYPE_1 = b"NTLMSSP\0\1"


class Ntlm:
    """The three legs of one connection."""

    scheme, protocol, options = "NTLM", "ntlm", spnego.NegotiateOptions.use_ntlm
    user = "-"
    proof = ""

    def __init__(self, binding: bytes | None) -> None:
        self._bindings = GssChannelBindings(application_data=binding) if binding else None
        self._acceptor: spnego.ContextProxy | None = None

    def ask(self, answer: str | None) -> str | None:
        scheme, _, token = (answer or "").partition(" ")
        if scheme != self.scheme:
            return self.scheme
        message = b64decode(token, validate=True)
        if message.startswith(TYPE_1):
            self._acceptor = spnego.server(
                protocol=self.protocol,
                options=self.options,
                channel_bindings=self._bindings,
            )
            challenge = self._acceptor.step(message)
            assert challenge
            return f"{self.scheme} {b64encode(challenge).decode()}"
        return None if self._holds(message) else self.scheme

    def _holds(self, proof: bytes) -> bool:
        if not self._acceptor:
            return False
        # Pyspnego also lets those pass who are bound to nothing.
        if self._bindings and hashlib.md5(self._bindings.pack()).digest() not in proof:
            return False
        with suppress(SpnegoError):
            self._acceptor.step(proof)
        return self._acceptor.complete


class InNegotiate(Ntlm):
    """The same by pyspnego's acceptor for Negotiate, which finds out itself what it is told."""

    scheme, protocol = "Negotiate", "negotiate"
    options = spnego.NegotiateOptions.use_negotiate
