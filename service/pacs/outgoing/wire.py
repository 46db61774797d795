"""The socket under an association that we request: it never waits for ever, and says why it could not connect.

pynetdicom 3.0.4 takes the time limit off a connected socket, so that a peer which stops reading holds a thread for good; drops the
reason of a failed connection; and leaves sockets open. It wraps its socket where TLS is asked for: that is the way in.
"""

import socket
import ssl
from contextlib import suppress
from typing import Any


class _Limited(socket.socket):
    limit_s: float | None = None
    failure: OSError | None = None

    def settimeout(self, value: float | None) -> None:
        super().settimeout(self.limit_s if value is None else value)

    def connect(self, address: Any) -> None:
        try:
            super().connect(address)
        except OSError as error:
            self.failure = error
            raise

    def shutdown(self, how: int) -> None:
        """pynetdicom closes only what could be shut down."""
        with suppress(OSError):
            super().shutdown(how)


class _LimitedTLS(_Limited, ssl.SSLSocket):
    """Made by ssl, which takes no arguments of ours: `limit_s` is set afterwards."""


class Wire:
    """Stands where pynetdicom expects an `ssl.SSLContext`, for one association, with TLS or without."""

    def __init__(self, limit_s: float, context: ssl.SSLContext | None) -> None:
        self._limit_s = limit_s
        self._context = context
        self._socket: _Limited | None = None

    @property
    def failure(self) -> OSError | None:
        """Of the connection or the TLS handshake."""
        return None if self._socket is None else self._socket.failure

    def close(self) -> None:
        """For good: pynetdicom leaves it open where it gives up on a peer in the middle of the negotiation."""
        if self._socket is not None:
            self._socket.close()

    def tls_args(self, address: str) -> Any:
        return self, address

    def wrap_socket(self, plain: socket.socket, server_side: bool, server_hostname: str) -> socket.socket:
        self._socket = self._wrapped(plain, server_hostname)
        self._socket.limit_s = self._limit_s
        # Requests are small packets, each of which would wait for the last one's receipt: 0.12 s an object on loopback, 0.08 s without.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _wrapped(self, plain: socket.socket, server_hostname: str) -> Any:
        if self._context is None:
            return _Limited(fileno=plain.detach())
        self._context.sslsocket_class = _LimitedTLS
        return self._context.wrap_socket(plain, server_hostname=server_hostname)
