"""The DICOM listener: C-ECHO, C-STORE and Storage Commitment, as SCP, over pynetdicom.

    connection -> TLS -> admission (AE titles, limits) -> C-STORE -> poured into a part -> identity -> Inbox.accept -> 0x0000
                                                             |             |                |
                                                             A700          A900, C000       A700, what the inbox says

0x0000 means that `Inbox.accept` has returned: the sender may delete its copy. Whatever is odd about an instance but its identity (no
pixels, cut-off pixels, a wrong frame count) is no reason to refuse it here: a study that is refused is a study that is lost.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association

from service.errors import BadSite
from service.options import quoted
from service.pacs.incoming.admission import UNDECIDED, Rejection, prefer_the_senders_order, rejection, unserved
from service.pacs.incoming.commitment import PUSH_MODEL, CommitmentService, Reporter
from service.pacs.incoming.connections import AssociationServer, Connection, let_go
from service.pacs.incoming.identity import CANNOT_UNDERSTAND, check_matches, read_identity, received_of
from service.pacs.incoming.inbox import OUT_OF_RESOURCES, Inbox, Limits, Received, RefusedInstance, StoreRefused, hand_over, sweep
from service.pacs.incoming.pouring import PouredDataSet, PouringDimse
from service.pacs.incoming.syntaxes import STORED, TRANSFER_SYNTAXES
from service.pacs.incoming.tls import server_context
from service.pacs.outgoing.commitment_scu import CommitmentReport, event_report_handler
from service.pacs.settle import settle_pynetdicom
from service.pacs.site import Receive
from service.telemetry import describe_bug

VERIFICATION = "1.2.840.10008.1.1"
GRACE_S = 30.0
MAX_NEGOTIATION_S = 30.0

log = logging.getLogger(__name__)


class Listener:
    """One AE title on one port. `start`, then `stop`; or as a context manager."""

    def __init__(
        self,
        receive: Receive,
        inbox: Inbox,
        reporter: Reporter,
        on_report: Callable[[CommitmentReport], None] | None = None,
    ) -> None:
        """`reporter` sees to it that Storage Commitment requests are answered.

        `on_report` takes what archives say of the results they were asked to keep; an archive opens an association to here for that.
        """
        self._receive, self._inbox = receive, inbox
        self._on_report = on_report
        self._commitment = CommitmentService(receive, inbox, reporter)
        self._server: AssociationServer | None = None

    @property
    def port(self) -> int:
        """The one that is really listened on. Only after `start`."""
        assert self._server is not None
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Returns when connections are taken. Raises: BadSite, also for a port that is taken."""
        settle_pynetdicom()
        sweep(self._inbox.folder)
        self._server = self._bind()
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="dicom-listener", daemon=True).start()
        log.info("listening for DICOM as %s on %s:%d", self._receive.ae_title, self._receive.address, self.port)

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Take no more connections, let those that are open finish for `grace_s`, then abort them. What was not acknowledged is gone."""
        if self._server is None:
            return
        self._server.shutdown()
        deadline_s = time.monotonic() + grace_s
        while self._server.num_established and time.monotonic() < deadline_s:
            time.sleep(0.02)
        self._server.abandon()
        self._server = None

    def __enter__(self) -> "Listener":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _bind(self) -> AssociationServer:
        receive = self._receive
        context = None if receive.tls is None else server_context(receive.tls)
        try:
            server: Any = _entity(receive).make_server(
                (receive.address, receive.port),
                ssl_context=context,
                evt_handlers=self._handlers(),
                server_class=AssociationServer,
                request_handler=Connection,
                folder=self._inbox.folder,
                limits=Limits(receive.max_instance_bytes, receive.min_free_bytes),
                idle_s=receive.idle_s,
                max_associations=receive.max_associations,
            )
        except OSError as error:
            hint = "another program listens there, or the address is not this machine's."
            where = f"address {quoted(receive.address)} with port {receive.port}"
            raise BadSite(f"receive: {where} cannot be listened on: {hint}", log_detail=type(error).__name__) from None
        assert isinstance(server, AssociationServer)
        return server

    def _handlers(self) -> list[Any]:
        reports = [] if self._on_report is None else [(evt.EVT_N_EVENT_REPORT, event_report_handler(self._on_report))]
        return [
            *reports,
            (evt.EVT_REQUESTED, self._admit),
            (evt.EVT_ACCEPTED, _note_unserved),
            (evt.EVT_CONN_CLOSE, _give_up),
            (evt.EVT_ABORTED, _give_up),
            (evt.EVT_C_ECHO, _echo),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_ACTION, self._commitment.answer),
        ]

    def _admit(self, event: evt.Event) -> None:
        """pynetdicom goes on after an error in here, and would let anybody in: so an error is a rejection too."""
        association = event.assoc
        try:
            refused = self._refused(association)
        except Exception as bug:
            log.error("association not admitted: %s", describe_bug(bug))
            refused = UNDECIDED
        if refused is not None:
            log.warning("association rejected: %s (from %s)", refused.sentence, association.requestor.address)
            association.acse.send_reject(refused.result, refused.source, refused.reason)
            association.kill()

    def _refused(self, association: Association) -> Rejection | None:
        request = association.requestor.primitive
        assert isinstance(association._server, AssociationServer)
        assert request is not None
        refused = rejection(request, self._receive, association._server.num_established + 1)
        if refused is None:
            prefer_the_senders_order(association, request)
        return refused

    def _store(self, event: evt.Event) -> int | Dataset:
        sender = event.assoc.requestor.ae_title.strip()
        try:
            received = self._received(event, sender)
            hand_over(self._inbox, received)
        except StoreRefused as refusal:
            log.warning("instance from %s refused (%04X): %s", quoted(sender), refusal.status, refusal)
            return _status(refusal.status, str(refusal))
        except Exception as bug:  # its text may quote the instance
            log.error("instance from %s could not be recorded: %s", quoted(sender), describe_bug(bug))
            return _status(OUT_OF_RESOURCES, "The instance could not be recorded here; send it again.")
        log.info("instance from %s accepted: %r", quoted(sender), received)
        return 0x0000

    def _received(self, event: evt.Event, sender: str) -> Received:
        """The instance, whole and who it says it is. Raises: StoreRefused, and then no file is left."""
        request: Any = event.request
        poured: PouredDataSet = request._dataset_file
        size_bytes = poured.part.finish()
        if poured.part.path is None:
            raise RefusedInstance(CANNOT_UNDERSTAND, "No data set came with the request.")
        try:
            identity = read_identity(poured.part.path)
            check_matches(identity, str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
        except BaseException:
            poured.part.discard()
            raise
        return received_of(poured.part.path, identity, calling_ae_title=sender, size_bytes=size_bytes)


def _entity(receive: Receive) -> AE:
    entity = AE(receive.ae_title)
    entity.maximum_pdu_size = receive.max_pdu_bytes
    entity.maximum_associations = 10 * receive.max_associations  # ours is `rejection`, which says why
    entity.network_timeout = entity.dimse_timeout = receive.idle_s
    entity.acse_timeout = min(receive.idle_s, MAX_NEGOTIATION_S)
    entity.add_supported_context(VERIFICATION)
    entity.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)  # asked as SCP, reported to as SCU
    for sop_class in STORED:
        entity.add_supported_context(sop_class, list(TRANSFER_SYNTAXES))
    return entity


def _echo(event: evt.Event) -> int:
    return 0x0000


def _note_unserved(event: evt.Event) -> None:
    missed = unserved(event.assoc)
    if missed is not None:
        log.warning("%s proposed what is not taken here: %s", quoted(event.assoc.requestor.ae_title.strip()), missed)


def _give_up(event: evt.Event) -> None:
    if isinstance(event.assoc.dimse, PouringDimse):
        event.assoc.dimse.give_up()
    if event.assoc.requestor.primitive is None:
        let_go(event.assoc)


def _status(status: int, sentence: str) -> Dataset:
    """PS3.7 annex C: Error Comment has 64 characters; many senders show it to their user."""
    answer = Dataset()
    answer.Status = status
    answer.ErrorComment = sentence[:64]
    return answer
