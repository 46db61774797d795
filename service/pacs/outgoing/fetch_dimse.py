"""Clips in from an archive by C-FIND and C-MOVE (PS3.4 C, study root). They arrive at our listener like anything that is sent to us.

C-GET would need no listener, but far fewer archives offer it, and hospitals that do allow it seldom to everybody.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from service.pacs.outgoing.dimse import Line, associate, name_of
from service.pacs.outgoing.outcome import NodeFailed
from service.pacs.outgoing.remote import RemoteInstance, Wanted, clips_among
from service.pacs.site import Node

PENDING = (0xFF00, 0xFF01)
MODALITIES = ("US", "SC", "OT", "")
"""Of series in which clips may lie; "" where the archive does not say."""
MOVE_SILENCE_S = 600.0
"""How long a C-MOVE may say nothing. Many archives say nothing at all before the object is through, whatever its size."""
_UNKNOWN_DESTINATION = 0xA801


@dataclass(frozen=True, slots=True)
class Moved:
    """How an archive's C-MOVE of one object ended. It says that it has sent it, not that our listener kept it."""

    instance: str
    is_sent: bool
    sentence: str = ""


def find_by_dimse(node: Node, wanted: Wanted, *, ae_title: str, timeout_s: float) -> tuple[RemoteInstance, ...]:
    """Level by level, as PS3.4 C.4.1.2.1 asks: archives refuse a question about instances that names no series. Raises: NodeFailed."""
    contexts = [build_context(StudyRootQueryRetrieveInformationModelFind)]
    with associate(node, contexts, ae_title=ae_title, timeout_s=timeout_s) as line:
        series = [wanted.series] if wanted.series is not None else list(_series(line, wanted.study))
        return clips_among(one for uid in series for one in _instances(line, wanted, uid))


def _series(line: Line, study: str) -> Iterator[str]:
    for answer in _find(line, QueryRetrieveLevel="SERIES", StudyInstanceUID=study, SeriesInstanceUID="", Modality=""):
        if str(answer.get("Modality") or "") in MODALITIES:
            yield str(answer.get("SeriesInstanceUID"))


def _instances(line: Line, wanted: Wanted, series: str) -> Iterator[RemoteInstance]:
    asked = {"StudyInstanceUID": wanted.study, "SeriesInstanceUID": series, "SOPInstanceUID": wanted.instance or ""}
    for answer in _find(line, QueryRetrieveLevel="IMAGE", **asked, SOPClassUID="", NumberOfFrames=None):
        frames = answer.get("NumberOfFrames")
        yield RemoteInstance(
            wanted.study,
            series,
            str(answer.get("SOPInstanceUID")),
            str(answer.get("SOPClassUID")),
            None if frames in (None, "") else int(frames),
        )


def _find(line: Line, **elements: str | None) -> list[Dataset]:
    """All answers at once: another question may not be asked on the association before they are through."""
    found = []
    for status, answer in line.association.send_c_find(_dataset(**elements), StudyRootQueryRetrieveInformationModelFind):
        if "Status" not in status:
            raise line.lost()
        if status.Status in PENDING and answer is not None:
            found.append(answer)
        elif status.Status != 0:
            raise _query_failed(line.node, int(status.Status))
    return found


def _dataset(**elements: str | None) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def _query_failed(node: Node, status: int) -> NodeFailed:
    return NodeFailed(
        f"{name_of(node)} did not answer the query (C-FIND, {status:04X}).",
        "Allow Seashore to query it; its log should say why.",
        status=status,
    )


def move(
    node: Node,
    instances: Sequence[RemoteInstance],
    *,
    ae_title: str,
    timeout_s: float,
    on_progress: Callable[[Moved], None] | None = None,
    silence_s: float = MOVE_SILENCE_S,
) -> tuple[Moved, ...]:
    """Have `node` send objects to `ae_title`, one at a time, on one association. `on_progress` hears of each as it ends.

    Raises: NodeFailed when nothing more can be had; and whatever `on_progress` raises, which is how a caller stops it.
    """
    contexts = [build_context(StudyRootQueryRetrieveInformationModelMove)]
    moved = []
    with associate(node, contexts, ae_title=ae_title, timeout_s=timeout_s) as line:
        line.association.dimse_timeout = silence_s
        for instance in instances:
            moved.append(_move(line, instance, ae_title))
            if on_progress is not None:
                on_progress(moved[-1])
    return tuple(moved)


def _move(line: Line, instance: RemoteInstance, ae_title: str) -> Moved:
    asked = _dataset(
        QueryRetrieveLevel="IMAGE",
        StudyInstanceUID=instance.study,
        SeriesInstanceUID=instance.series,
        SOPInstanceUID=instance.instance,
    )
    for status, _ in line.association.send_c_move(asked, ae_title, StudyRootQueryRetrieveInformationModelMove):
        if "Status" not in status:
            raise line.lost(_register(ae_title))
        if status.Status not in PENDING:
            return _ended(line.node, instance, ae_title, status)
    raise line.lost()


def _register(ae_title: str) -> str:
    return f"Add {ae_title} there, with the address and port that Seashore listens on, and allow it to query and to move."


def _ended(node: Node, instance: RemoteInstance, ae_title: str, status: Dataset) -> Moved:
    """Success counts only where something was sent: an archive that holds no such object moves nothing, successfully."""
    code, num_sent = int(status.Status), int(status.get("NumberOfCompletedSuboperations") or 0)
    if code == _UNKNOWN_DESTINATION:
        raise NodeFailed(f"{name_of(node)} does not know {ae_title} as a place to send to.", _register(ae_title), status=code)
    if code == 0 and num_sent > 0:
        return Moved(instance.instance, True)
    if code == 0:
        return Moved(instance.instance, False, f"{name_of(node)} found nothing to send.")
    return Moved(instance.instance, False, f"{name_of(node)} could not send it to {ae_title} (C-MOVE, {code:04X}).")
