"""The listener's socket and its connections: what pynetdicom's server leaves open to whoever can reach the port, closed.

As it comes, a TLS handshake runs in the thread that takes connections, so that one silent client stops them all; an accepted socket
has no time limit, so that a sender whose machine died in the middle of a PDU holds its place for ever; and a PDU's stated length is
believed, up to 4 GiB.
"""

import gc
import logging
import socket
import time
from functools import partial
from pathlib import Path
from socketserver import BaseServer
from typing import Any

from pynetdicom.association import Association
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from service.pacs.incoming.inbox import Limits
from service.pacs.incoming.pouring import PouringDimse

MAX_PDU_BYTES = 2 * 2**20
"""A request for an association is the longest PDU but data, and has some 100 kB."""
CONNECTIONS_PER_ASSOCIATION = 4
"""Of the associations allowed; so many connections are taken, to be told that there are too many. More are closed without a word."""
COLLECT_EVERY_S = 60.0

log = logging.getLogger(__name__)


class AssociationServer(ThreadedAssociationServer):
    """Takes connections; each is an association in threads of its own."""

    daemon_threads = True  # else stopping waits for handshakes that never end
    request_queue_size = 64
    """That wait to be taken. With socketserver's 5, each burst makes some sender wait a second for its SYN to be sent again."""

    def __init__(self, *args: Any, folder: Path, limits: Limits, idle_s: float, max_associations: int, **options: Any) -> None:
        self.folder, self.limits, self.idle_s = folder, limits, idle_s
        self._max_connections = CONNECTIONS_PER_ASSOCIATION * max_associations
        self._has_come, self._collected_s = False, time.monotonic()
        super().__init__(*args, **options)

    @property
    def num_established(self) -> int:
        return sum(association.is_established for association in self.active_associations)

    def abandon(self) -> None:
        """End every connection there is, whatever it waits for."""
        for association in self.active_associations:
            if association.is_established:
                association.abort()
            else:
                let_go(association)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        assert self.socket is not None
        client, address = self.socket.accept()
        client.settimeout(self.idle_s)
        if self.ssl_context is not None:
            client = self.ssl_context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        return client, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        self._has_come = True
        return len(self.active_associations) < self._max_connections

    def service_actions(self) -> None:
        """Rids the process of associations that have ended; called after every look at the socket.

        pynetdicom's has all of the process's objects gone through every 60 looks, whether anybody came or not: half a million here,
        0.2 s of an idle core and seconds of a busy one, in which nobody at all is answered. Here only where somebody came since.
        """
        if self._has_come and time.monotonic() - self._collected_s > COLLECT_EVERY_S:
            self._has_come, self._collected_s = False, time.monotonic()
            gc.collect()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Called for a handshake that failed. socketserver would print a traceback."""
        log.warning("a connection from %s came to nothing%s", client_address[0], ": it spoke no TLS we accept" if self.ssl_context else "")

    def shutdown(self) -> None:
        """Take no more connections. pynetdicom's would also look for itself in a list it was never put into."""
        BaseServer.shutdown(self)
        self.server_close()


def let_go(association: Association) -> None:
    """End one that never asked for anything, as port scans and monitors do: it would hold its threads until the time for that is up."""
    transport = association.dul.socket
    if transport is not None:
        transport._shutdown_socket()
    nothing: Any = None
    association.dul.to_user_queue.put(nothing)


class Connection(RequestHandler):
    """One connection, in a thread of its own until its association has one."""

    server: AssociationServer

    def handle(self) -> None:
        if self.server.ssl_context is not None:
            self.request.do_handshake()
        super().handle()

    def _create_association(self) -> Association:
        association = super()._create_association()
        association.dul.daemon = True
        association.dimse = PouringDimse(association, self.server.folder, self.server.limits)
        transport = association.dul.socket
        assert transport is not None
        transport.recv = partial(_recv_bounded, transport.recv)  # type: ignore[method-assign]
        return association


def _recv_bounded(recv: Any, num_bytes: int) -> bytearray:
    """pynetdicom closes the connection on an OSError."""
    if num_bytes > MAX_PDU_BYTES:
        raise OSError("a PDU of more bytes than any that is expected")
    data: bytearray = recv(num_bytes)
    return data
