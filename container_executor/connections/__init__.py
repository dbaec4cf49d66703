"""HTTP/1.1 for threads that make thousands of small requests: one server, connections that are kept, calls that block.

A small request costs 0.08 ms of the processor here, 0.2 with http.client, 0.28 with obstore (docs/decisions/small-requests-are-our-own.md). What comes is
parsed by llhttp, the parser of Node.js (httptools). There are no redirects, no proxies and no cookies: whoever needs those asks
another way (see :func:`is_direct`).
"""

from container_executor.connections.connection import CONNECT, IDLE, SILENCE
from container_executor.connections.parsed import NotHttpError
from container_executor.connections.pool import Asked, Connections
from container_executor.connections.reply import Reply
from container_executor.connections.request import Pieces, Request
from container_executor.connections.way import is_direct, tls_context

__all__ = [
    "CONNECT",
    "IDLE",
    "SILENCE",
    "Asked",
    "Connections",
    "NotHttpError",
    "Pieces",
    "Reply",
    "Request",
    "is_direct",
    "tls_context",
]
