"""A proxy that asks for NTLM and has pyspnego judge the answers; it is told of in support/proxy.py."""

import asyncio

from asking import listen
from judging_ntlm import Ntlm

asyncio.run(listen("NTLM", Ntlm))
