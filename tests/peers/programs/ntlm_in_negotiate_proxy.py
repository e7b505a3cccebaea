"""The same as ntlm_proxy.py for a proxy that asks for Negotiate alone."""

import asyncio

from asking import listen
from judging_ntlm import InNegotiate

asyncio.run(listen("Negotiate", InNegotiate))
