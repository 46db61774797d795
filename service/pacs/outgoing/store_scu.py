"""Results out by C-STORE (PS3.4 B): one association for all files of a set, each sent as it is on the disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.presentation import PresentationContext

from service.pacs.outgoing.dimse import Line, associate, name_of
from service.pacs.outgoing.outcome import NodeFailed, Outcome
from service.pacs.outgoing.statuses import Verdict
from service.pacs.outgoing.tally import Tally
from service.pacs.site import Node


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """A Part 10 file and what its meta information says of it."""

    path: Path
    sop_class_uid: UID
    sop_instance_uid: str
    transfer_syntax_uid: UID

    @classmethod
    def read(cls, path: Path) -> "ObjectFile":
        meta = read_file_meta_info(path)
        return cls(path, meta.MediaStorageSOPClassUID, str(meta.MediaStorageSOPInstanceUID), meta.TransferSyntaxUID)

    @property
    def contexts(self) -> tuple[tuple[UID, UID], ...]:
        """SOP class and transfer syntax, the best first. What is not compressed is offered in the default transfer syntax too, which
        every archive takes (PS3.5 10.1); pixels are never encoded anew."""
        own = (self.sop_class_uid, self.transfer_syntax_uid)
        plain = (self.sop_class_uid, ImplicitVRLittleEndian)
        is_plain = not self.transfer_syntax_uid.is_encapsulated and self.transfer_syntax_uid.is_little_endian
        return tuple(dict.fromkeys((own, plain) if is_plain else (own,)))


def store(paths: Sequence[Path], node: Node, *, ae_title: str, timeout_s: float) -> Outcome:
    """Send Part 10 files. Not all or nothing: what was accepted is named in every outcome, and may be sent again without harm."""
    files = [ObjectFile.read(path) for path in paths]
    tally = Tally(name_of(node))
    try:
        with associate(node, _contexts(files), ae_title=ae_title, timeout_s=timeout_s) as line:
            for number, file in enumerate(files, start=1):
                _store(line, file, number, tally)
    except NodeFailed as failure:
        return failure.outcome(tuple(tally.accepted))
    return tally.outcome()


def _contexts(files: Sequence[ObjectFile]) -> list[PresentationContext]:
    """One for each pair: an archive picks one transfer syntax of a context, and it must be the file's own."""
    pairs = dict.fromkeys(pair for file in files for pair in file.contexts)
    return [build_context(sop_class, syntax) for sop_class, syntax in pairs]


def _store(line: Line, file: ObjectFile, number: int, tally: Tally) -> None:
    accepted = {(context.abstract_syntax, context.transfer_syntax[0]) for context in line.association.accepted_contexts}
    agreed = next((pair for pair in file.contexts if pair in accepted), None)
    if agreed is None:
        tally.note_untaken(_no_context(file))
        return
    if not line.association.is_established:
        raise line.lost()
    is_own = agreed[1] == file.transfer_syntax_uid
    answer = line.association.send_c_store(file.path if is_own else dcmread(file.path), msg_id=number)
    tally.note(file.sop_instance_uid, _status(line, answer))


def _status(line: Line, answer: Dataset) -> int:
    """pynetdicom gives an empty answer when none came."""
    if "Status" not in answer:
        raise line.lost()
    return int(answer.Status)


def _no_context(file: ObjectFile) -> Verdict:
    what = f"it does not take {file.sop_class_uid.name} in {file.transfer_syntax_uid.name}"
    return Verdict(False, True, what, "Allow it there, or leave it out of `results` in the site file.")
