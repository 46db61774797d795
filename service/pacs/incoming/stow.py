"""STOW-RS (PS3.18 10.5): a request's body to files in the inbox as it streams by, and the answer to it. No HTTP framework here.

Every instance that has come whole is handed to the inbox at once; a body that breaks off later does not take it back, and the sender
who sends everything again is answered the same.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from service.errors import EmptyUpload
from service.pacs.incoming.identity import DOES_NOT_MATCH, Identity, read_identity, received_of
from service.pacs.incoming.inbox import Inbox, InboxFull, Limits, Part, RefusedInstance, StoreRefused, hand_over
from service.pacs.incoming.stow_body import HINT, open_body
from service.pacs.incoming.syntaxes import STORED

MEDIA_TYPE = "application/dicom+json"
CLASS_NOT_SUPPORTED = 0x0122
PROCESSING_FAILURE = 0x0110
"""PS3.18 table 10.5.3-3 and PS3.7 annex C."""


@dataclass(frozen=True, slots=True, repr=False)
class Stored:
    """What became of one instance. `status` 0: the inbox has it. `identity` is None where the part could not be read."""

    identity: Identity | None
    status: int = 0
    may_try_again: bool = False


@dataclass(frozen=True, slots=True)
class StowAnswer:
    """HTTP status and the data set of PS3.18 table 10.5.3-2 in the DICOM JSON model."""

    http_status: int
    dataset: Dataset = field(repr=False)

    @property
    def json(self) -> str:
        return self.dataset.to_json()


async def store(
    chunks: AsyncIterator[bytes], content_type: str, inbox: Inbox, limits: Limits, study_instance_uid: str | None = None
) -> StowAnswer:
    """`study_instance_uid`: the one named in the address; instances of another are not stored.

    Raises: UnsupportedFormat, UnreadableClip, EmptyUpload, UploadTooLarge, for a body that is wrong as a whole.
    """
    body = open_body(content_type, inbox.folder, limits)
    outcomes: list[Stored] = []
    try:
        async for chunk in chunks:
            for part in body.feed(chunk):
                outcomes.append(await asyncio.to_thread(take, part, inbox, study_instance_uid))
        for part in body.close():
            outcomes.append(await asyncio.to_thread(take, part, inbox, study_instance_uid))
    finally:
        body.discard()
    if not outcomes:
        raise EmptyUpload(f"The request holds no instance. {HINT}")
    return answer(outcomes)


def take(part: Part, inbox: Inbox, study_instance_uid: str | None) -> Stored:
    """One instance that has come whole, into the inbox. Blocks."""
    identity = None
    try:
        size_bytes = part.finish()
        if part.path is None:
            return Stored(None, PROCESSING_FAILURE)
        identity = read_identity(part.path)
        _check(identity, study_instance_uid)
        hand_over(inbox, received_of(part.path, identity, calling_ae_title="", size_bytes=size_bytes))
    except StoreRefused as refusal:
        return Stored(identity, refusal.status, isinstance(refusal, InboxFull))
    finally:
        part.discard()
    return Stored(identity)


def answer(outcomes: Sequence[Stored]) -> StowAnswer:
    """200 when all were stored, 202 when some were, 409 when none was (PS3.18 table 10.5.3-1).

    503 when none was and all may be sent again later: a sender gives up after a 409, and the study would be lost.
    """
    stored = [outcome for outcome in outcomes if outcome.status == 0]
    if len(stored) == len(outcomes):
        return StowAnswer(200, _dataset(outcomes))
    if stored:
        return StowAnswer(202, _dataset(outcomes))
    return StowAnswer(503 if all(outcome.may_try_again for outcome in outcomes) else 409, _dataset(outcomes))


def _check(identity: Identity, study_instance_uid: str | None) -> None:
    if identity.sop_class_uid not in STORED:
        raise RefusedInstance(CLASS_NOT_SUPPORTED, "Objects of this SOP Class are not taken.")
    if study_instance_uid is not None and identity.study_instance_uid != study_instance_uid:
        raise RefusedInstance(DOES_NOT_MATCH, "The instance is of another study than the address says.")


def _dataset(outcomes: Sequence[Stored]) -> Dataset:
    """RetrieveURL is left out: nothing can be retrieved here."""
    lists: dict[str, list[Dataset]] = {"ReferencedSOPSequence": [], "FailedSOPSequence": [], "OtherFailuresSequence": []}
    for outcome in outcomes:
        named = "ReferencedSOPSequence" if outcome.status == 0 else "FailedSOPSequence"
        lists[named if outcome.identity else "OtherFailuresSequence"].append(_item(outcome))
    answered = Dataset()
    for keyword, items in lists.items():
        if items:
            setattr(answered, keyword, items)
    return answered


def _item(outcome: Stored) -> Dataset:
    item = Dataset()
    if outcome.identity is not None:
        item.ReferencedSOPClassUID = outcome.identity.sop_class_uid
        item.ReferencedSOPInstanceUID = outcome.identity.sop_instance_uid
    if outcome.status:
        item.FailureReason = outcome.status
    return item
