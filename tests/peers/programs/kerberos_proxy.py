"""A proxy that asks for Negotiate and has MIT's library judge the tickets; it is told of in
support/proxy.py.

Its key is in KRB5_KTNAME. Over TLS, a ticket must be bound to the certificate: MIT's library also
lets those pass who are bound to nothing, and tells them apart by a flag.
"""

import asyncio
from base64 import b64decode, b64encode

import gssapi
from asking import listen
from gssapi.raw import ChannelBindings
from gssapi.raw.misc import GSSError

# GSS_C_CHANNEL_BOUND_FLAG of MIT's gssapi_ext.h, for which the Python module has no name.
CHANNEL_BOUND = 2048


class Kerberos:
    """One ticket a connection."""

    user = "-"
    proof = ""

    def __init__(self, binding: bytes | None) -> None:
        self._bindings = ChannelBindings(application_data=binding) if binding else None

    def ask(self, answer: str | None) -> str | None:
        scheme, _, token = (answer or "").partition(" ")
        if scheme != "Negotiate":
            return "Negotiate"
        acceptor = gssapi.SecurityContext(usage="accept", channel_bindings=self._bindings)
        try:
            proof = acceptor.step(b64decode(token, validate=True))
        except GSSError as error:
            print(error, flush=True)
            return "Negotiate"
        is_bound = int(acceptor.actual_flags) & CHANNEL_BOUND
        if not acceptor.complete or (self._bindings and not is_bound):
            return "Negotiate"
        self.user = str(acceptor.initiator_name)
        self.proof = f"Negotiate {b64encode(proof).decode()}" if proof else ""
        return None


asyncio.run(listen("Negotiate", Kerberos))
