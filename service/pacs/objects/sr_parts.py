"""What every group of the structured report is made of: where, numbers, words, names, whose algorithm, which frames."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydicom.sr.coding import Code
from pydicom.uid import (
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from service.findings import ModelRef
from service.pacs.objects import codes
from service.pacs.objects.heading import MANUFACTURER
from service.pacs.objects.source import Laterality, SourceInstance
from service.pacs.objects.uids import tracking_uid

if TYPE_CHECKING:
    from highdicom.sr import AlgorithmIdentification, FindingSite, Measurement, TextContentItem, TrackingIdentifier

IMAGE_CLASS = UltrasoundMultiFrameImageStorage
"""What the source is called while the report is made: highdicom knows no other; the report puts the source's own in its place."""

_WITH_FRAMES = {
    UltrasoundMultiFrameImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
}
"""Classes whose frames may be referred to by number. Validators hold the retired Ultrasound Multi-frame and private classes to be
single images; a region in such a clip is then given without its frame."""


def frames_of(source: SourceInstance, index: int) -> list[int] | None:
    """The frame of this index as a reference counts it, from 1; None where frames of the source cannot be referred to."""
    return [min(index + 1, source.num_frames)] if source.sop_class_uid in _WITH_FRAMES else None


def site(source: SourceInstance, place: Code) -> "FindingSite":
    """On the side that the source states."""
    from highdicom.sr import FindingSite

    if source.laterality is None:
        return FindingSite(place)
    if source.laterality is Laterality.LEFT:
        return FindingSite(codes.LEFT_OF.get(place, place), laterality=codes.LEFT)
    return FindingSite(codes.RIGHT_OF.get(place, place), laterality=codes.RIGHT)


def number(name: Code, value: float | None, unit: Code = codes.NO_UNITS, derivation: Code | None = None) -> "Iterator[Measurement]":
    """One measurement, or none where there is no number. Probabilities: four digits, as in the JSON."""
    from highdicom.sr import Measurement

    if value is not None:
        yield Measurement(name, round(float(value), 4), unit, derivation=derivation)


def text(name: Code, words: str) -> "TextContentItem":
    """ASCII, which every character set a source may state holds."""
    from highdicom.sr import RelationshipTypeValues, TextContentItem

    return TextContentItem(name, words.encode("ascii", "replace").decode("ascii"), RelationshipTypeValues.CONTAINS)


def tracking(source: SourceInstance, model: ModelRef, name: str) -> "TrackingIdentifier":
    from highdicom.sr import TrackingIdentifier

    return TrackingIdentifier(uid=tracking_uid(source.sop_instance_uid, model.sha256, name), identifier=name)


def algorithm(model: ModelRef) -> "AlgorithmIdentification":
    from highdicom.sr import AlgorithmIdentification

    parameters = [f"sha256={model.sha256}", f"device={model.device}"]
    return AlgorithmIdentification(
        model.name, model.version, parameters=parameters, family=codes.ARTIFICIAL_INTELLIGENCE, manufacturer=MANUFACTURER
    )
