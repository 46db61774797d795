"""A C-STORE's data set, poured into the inbox's folder as it comes: memory stays at one PDU, whatever the instance's size.

pynetdicom can do the like (`STORE_RECV_CHUNKED_DATASET`), but for the whole process, in the folder for temporary files of the system,
without limits, and it leaves the file there when the sender goes away. So its DIMSE provider is given another file to write to.
"""

from pathlib import Path
from typing import Any

from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ, DIMSEMessage
from pynetdicom.dsutils import create_file_meta, encode_file_meta
from pynetdicom.pdu_primitives import P_DATA

from service.pacs.incoming.identity import CANNOT_UNDERSTAND, is_uid
from service.pacs.incoming.inbox import Limits, Part, RefusedInstance

MAX_OTHER_BYTES = 8 * 2**20
"""Of a data set that is not stored. Eight megabytes are a Storage Commitment request for some 80 thousand instances."""


class PouringDimse(DIMSEServiceProvider):
    """The DIMSE provider of one association."""

    def __init__(self, association: Association, folder: Path, limits: Limits) -> None:
        super().__init__(association)
        self._folder, self._limits = folder, limits
        self._pouring: PouredDataSet | None = None

    def receive_primitive(self, primitive: P_DATA) -> None:
        if self.message is None:
            self.message = DIMSEMessage()
            self._pouring = PouredDataSet(self.message, self.assoc, Part(self._folder, self._limits))
            stand_in: Any = self._pouring
            self.message._data_set_file = stand_in
        super().receive_primitive(primitive)
        if self.message is None:  # it is whole, and belongs to the handler now
            self._pouring = None

    def give_up(self) -> None:
        """The connection is gone: what had not arrived whole goes too."""
        if self._pouring is not None:
            self._pouring.part.discard()


class PouredDataSet:
    """Stands where pynetdicom has its temporary file for the data set of `message`. Nothing here raises: it would end the thread."""

    name = ""
    """pynetdicom removes the file of that name afterwards; there is none."""

    def __init__(self, message: DIMSEMessage, association: Association, part: Part) -> None:
        self.part = part
        self._message = message
        self._association = association
        self._has_begun = False
        self._num_other_bytes = 0

    @property
    def file(self) -> "PouredDataSet":
        return self

    def write(self, data: bytes) -> None:
        if not isinstance(self._message, C_STORE_RQ):
            self._keep_in_memory(data)
            return
        if not self._has_begun:
            self._has_begun = True
            self._write_meta()
        self.part.write(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _keep_in_memory(self, data: bytes) -> None:
        self._num_other_bytes += len(data)
        if self._num_other_bytes <= MAX_OTHER_BYTES and self._message.data_set is not None:
            self._message.data_set.write(data)

    def _write_meta(self) -> None:
        """PS3.10 7.1: preamble, prefix, and the file meta information that the negotiation and the request tell."""
        command = self._message.command_set
        context = self._association._accepted_cx.get(self._message.context_id or 0)
        uids = [str(command.get(keyword, "")) for keyword in ("AffectedSOPClassUID", "AffectedSOPInstanceUID")]
        if context is None or not all(map(is_uid, uids)):
            self.part.refuse(RefusedInstance(CANNOT_UNDERSTAND, "The request has no valid SOP Class UID and SOP Instance UID."))
            return
        meta = create_file_meta(sop_class_uid=UID(uids[0]), sop_instance_uid=UID(uids[1]), transfer_syntax=context.transfer_syntax[0])
        meta.SourceApplicationEntityTitle = self._association.requestor.ae_title
        self.part.write(bytes(128) + b"DICM" + encode_file_meta(meta))
