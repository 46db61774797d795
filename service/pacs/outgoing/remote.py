"""What to fetch from an archive: UIDs that a caller named, and the instances found under them that can be clips."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.uid import (
    UID,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from service.errors import BadOption
from service.pacs.incoming.identity import is_uid

RETIRED_ULTRASOUND_MULTI_FRAME = UID("1.2.840.10008.5.1.4.1.1.3")
CLIP_CLASSES = frozenset(
    {
        UltrasoundMultiFrameImageStorage,
        RETIRED_ULTRASOUND_MULTI_FRAME,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        MultiFrameTrueColorSecondaryCaptureImageStorage,
    }
)
"""SOP classes that hold a cine. Whether one shows lung is told from its pixels."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A study, or less of it. Raises: BadOption for what is no UID, before it gets into a URL or a query, where `*` or `/` would ask
    for more."""

    study: str
    series: str | None = None
    instance: str | None = None

    def __post_init__(self) -> None:
        for level, uid in (("study", self.study), ("series", self.series), ("instance", self.instance)):
            if uid is not None and not is_uid(uid):
                raise BadOption(f"The {level} is not a DICOM UID: digits and dots, at most 64 characters.")
        if self.instance is not None and self.series is None:
            raise BadOption("An instance is asked for without its series; give both.")


@dataclass(frozen=True, slots=True)
class RemoteInstance:
    """One object in an archive. `num_frames`: as the archive says, None where it does not."""

    study: str
    series: str
    instance: str
    sop_class_uid: str
    num_frames: int | None = None

    @property
    def can_be_a_clip(self) -> bool:
        return self.sop_class_uid in CLIP_CLASSES and self.num_frames != 1


def clips_among(found: Iterable[RemoteInstance]) -> tuple[RemoteInstance, ...]:
    """Each once, in the order found. What an archive answers is held to the same form as what a caller asks."""
    sound = (one for one in found if all(map(is_uid, (one.study, one.series, one.instance))) and one.can_be_a_clip)
    return tuple({one.instance: one for one in sound}.values())
