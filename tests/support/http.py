"""HTTP requests to servers on loopback, which speak plain.

Each call of `httpx.get` makes a TLS context and reads the certificates of all authorities: 10 to 20 ms of the
processor, many times where a test waits for a server.
"""

import ssl
from functools import partial

import httpx

_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

get = partial(httpx.get, verify=_NO_AUTHORITIES)
put = partial(httpx.put, verify=_NO_AUTHORITIES)
post = partial(httpx.post, verify=_NO_AUTHORITIES)
request = partial(httpx.request, verify=_NO_AUTHORITIES)
