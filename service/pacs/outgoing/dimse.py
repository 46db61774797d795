"""Associations that we request of other nodes: opened, kept from hanging, ended; and why one did not come about, in plain words."""

import queue
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from service.pacs.outgoing.outcome import NodeFailed
from service.pacs.outgoing.wire import Wire
from service.pacs.settle import settle_pynetdicom
from service.pacs.site import TLS, Node

Handlers = Sequence[tuple[evt.EventType, Any]]

MAX_QUEUED_PDUS = 64
"""1 MiB at the usual 16 KiB a PDU."""
IDLE = "Sta1"
OWN_ABORT, ABORT_RECEIVED, CONNECTION_CLOSED = "Evt15", "Evt16", "Evt17"
ENDS = (OWN_ABORT, ABORT_RECEIVED, CONNECTION_CLOSED)
"""PS3.8 9.2.2: a state and events of the upper layer's machine. Closing follows upon either abort; the first of them is why."""


@contextmanager
def associate(
    node: Node, contexts: Sequence[PresentationContext], *, ae_title: str, timeout_s: float, handlers: Handlers = ()
) -> Iterator["Line"]:
    """An association with `node`, which has accepted one of `contexts` at least; released at the end.

    No wait is longer than `timeout_s`: not for a connection, an answer, or a peer that has stopped reading. Nothing is shared between
    two associations. Raises: NodeFailed.
    """
    line = _open(node, contexts, ae_title, timeout_s, handlers)
    try:
        yield line
    finally:
        line.close()


class Line:
    """An open association, watched."""

    def __init__(self, node: Node, timeout_s: float) -> None:
        self.node = node
        self.timeout_s = timeout_s
        self.association: Association
        self._ended_by: str | None = None
        self._has_ended = threading.Event()
        self._outbox = _Outbox()

    def use(self, association: Association) -> None:
        self.association = association
        # pynetdicom reads the whole file into this queue, however slowly the peer takes it: a 500 MB clip would be 500 MB of memory.
        association.dul.to_provider_queue = self._outbox

    def close(self) -> None:
        self.association.release()  # does nothing to one that is over already

    def lost(self, advice: str = "Its log should say why.") -> NodeFailed:
        """Why no answer came to what was asked."""
        self._has_ended.wait(0.2)
        what = {
            ABORT_RECEIVED: "aborted the association",
            CONNECTION_CLOSED: f"broke off the connection, or read nothing for {self.timeout_s:g} s",
        }.get(self._ended_by or "", f"did not answer within {self.timeout_s:g} s")
        return NodeFailed(f"{name_of(self.node)} {what}.", advice, is_reached=False)

    def moved_on(self, event: evt.Event) -> None:
        """Notes why an association ends, and when it has: nobody reads the outbox from then on."""
        if event.fsm_event in ENDS:
            self._ended_by = self._ended_by or event.fsm_event
        if event.next_state == IDLE:
            self._outbox.shut()
            self._has_ended.set()


class _Outbox(queue.Queue[Any]):
    """PDUs that wait to be sent, a few at a time; takes none any more once the association is over."""

    def __init__(self) -> None:
        super().__init__(MAX_QUEUED_PDUS)
        self._is_shut = threading.Event()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        while not self._is_shut.is_set():
            with suppress(queue.Full):
                super().put(item, timeout=0.1)
                return

    def shut(self) -> None:
        """Who waits to put something gives up."""
        self._is_shut.set()


def _open(node: Node, contexts: Sequence[PresentationContext], ae_title: str, timeout_s: float, handlers: Handlers) -> Line:
    settle_pynetdicom()
    line, entity, wire = Line(node, timeout_s), AE(ae_title), Wire(timeout_s, None if node.tls is None else client_context(node.tls, node))
    entity.acse_timeout = entity.dimse_timeout = entity.connection_timeout = timeout_s
    entity.network_timeout = None  # the wire's own limit is there instead; this one would count the time of a long object
    bound: Any = [(evt.EVT_FSM_TRANSITION, line.moved_on), *handlers]
    start_s = time.monotonic()
    try:
        association = entity.associate(
            node.address, node.port, list(contexts), node.ae_title, tls_args=wire.tls_args(node.address), evt_handlers=bound
        )
    except (OSError, UnicodeError):
        raise _unknown_host(node) from None
    if not association.is_established:
        wire.close()
        raise _why_not(association, line, wire, ae_title, time.monotonic() - start_s)
    line.use(association)
    return line


def client_context(tls: TLS, node: Node) -> ssl.SSLContext:
    """Verifies the other side, its name too, against `ca`, or the machine's authorities where none is given."""
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key, password=_no_passphrase)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise NodeFailed(
            f"The TLS files for {name_of(node)} could not be read.",
            "Check certificate, key and ca in the site file: PEM files, readable for Seashore, the key without a passphrase.",
            is_reached=False,
        ) from None
    return context


def _no_passphrase() -> str:
    """Without this, OpenSSL asks at the terminal, and waits for ever."""
    raise ValueError


# Why it did not come about


def name_of(node: Node) -> str:
    return f"{node.ae_title} at {node.address}:{node.port}"


def _why_not(association: Association, line: Line, wire: Wire, ae_title: str, elapsed_s: float) -> NodeFailed:
    node = line.node
    if association.is_rejected:
        return _rejected(association, node, ae_title)
    if wire.failure is not None:
        return _not_connected(node, line.timeout_s, wire.failure)
    if association.rejected_contexts:
        return _no_context(association, node)
    if elapsed_s >= line.timeout_s:
        return NodeFailed(
            f"{name_of(node)} took the connection and did not answer within {line.timeout_s:g} s.",
            "Something else than DICOM may listen on that port, or it expects TLS; or the archive is overloaded.",
            is_reached=False,
        )
    return NodeFailed(
        f"{name_of(node)} ended the connection instead of answering.",
        "Something else than DICOM may listen on that port, or it expects TLS, or does not take calls from this address.",
        is_reached=False,
    )


SERVICES = {
    Verification: ("C-ECHO", "Allow it there."),
    StorageCommitmentPushModel: ("storage commitment", "Switch it on there, or set commit = false in the site file."),
    StudyRootQueryRetrieveInformationModelFind: ("queries (C-FIND, study root)", "Allow them there."),
    StudyRootQueryRetrieveInformationModelMove: ("C-MOVE (study root)", "Allow it there."),
}
OBJECTS = ("anything that was offered", "Allow this kind of object and its transfer syntax there, or leave it out of `results`.")
"""What an archive that accepts no context does not take, and what to do."""


def _no_context(association: Association, node: Node) -> NodeFailed:
    what, advice = SERVICES.get(UID(str(association.rejected_contexts[0].abstract_syntax)), OBJECTS)
    return NodeFailed(f"{name_of(node)} does not take {what}.", advice, is_permanent=True)


def _unknown_host(node: Node) -> NodeFailed:
    return NodeFailed(
        f"The address {node.address} could not be found.", "Check its spelling in the site file, and the name server.", is_reached=False
    )


CALLING, CALLED = (1, 3), (1, 7)
FULL = ((3, 1), (3, 2))
"""PS3.8 table 9-21: source and reason of a rejection."""


def _rejected(association: Association, node: Node, ae_title: str) -> NodeFailed:
    answer: Any = association.acceptor.primitive
    reason = (answer.result_source, answer.diagnostic)
    if reason == CALLING:
        return NodeFailed(
            f"{name_of(node)} rejected the AE title {ae_title}.",
            f"Add {ae_title} there, or change ae_title under [receive] in the site file.",
        )
    if reason == CALLED:
        return NodeFailed(
            f"The node at {node.address}:{node.port} says it is not called {node.ae_title}.",
            "Write its own AE title into the site file; capital letters count.",
        )
    if reason in FULL or answer.result == 2:
        return NodeFailed(f"{name_of(node)} has no room for another association just now.", "Wait, or raise its limit there.")
    return NodeFailed(
        f"{name_of(node)} rejected the association (source {reason[0]}, reason {reason[1]}).",
        f"Its log should say why; check that it knows {ae_title} and the address that Seashore calls from.",
    )


def _not_connected(node: Node, timeout_s: float, failure: OSError) -> NodeFailed:
    found, advice = _connection_words(node, timeout_s, failure)
    return NodeFailed(found, advice, is_reached=False)


def _connection_words(node: Node, timeout_s: float, failure: OSError) -> tuple[str, str]:
    name, look = name_of(node), "Check address and port in the site file"
    if isinstance(failure, TimeoutError):
        found = f"{name} did not take the connection within {timeout_s:g} s."
        return found, f"{look}, that the machine is on, and that no firewall swallows the call."
    if isinstance(failure, ssl.SSLCertVerificationError):
        found = f"The TLS certificate of {name} was not accepted: {failure.verify_message.rstrip('.')}."
        return found, "Give the authority that signed it as ca in the site file; the certificate must name the address written there."
    if node.tls is not None and not isinstance(failure, ConnectionRefusedError):
        found = f"The TLS handshake with {name} failed."
        return found, "Check that this port is its TLS port, and that it accepts the certificate in the site file."
    if isinstance(failure, ConnectionRefusedError):
        return f"{name} refused the connection: nothing listens there.", f"{look}, and that the archive is running."
    return f"{name} could not be reached.", f"{look}, and the network in between."
