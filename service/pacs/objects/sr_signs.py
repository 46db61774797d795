"""A sign beside sliding in the structured report: a group of its own, by its own model, concluded from nothing else.

the sign: Present | Absent | Undetermined
  its probability, the reason that limits it, the frame that shows it best
  in words: that it is a research finding, and on what clips its model was measured
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from service.evidence.words import SIGN_IS_RESEARCH, sign_line
from service.findings import SignFinding
from service.pacs.objects import codes
from service.pacs.objects.source import SourceInstance
from service.pacs.objects.sr_parts import IMAGE_CLASS, algorithm, frames_of, number, site, text, tracking

if TYPE_CHECKING:
    from highdicom.sr import ImageContentItem, Measurement, MeasurementsAndQualitativeEvaluations, QualitativeEvaluation, TextContentItem


def sign_group(source: SourceInstance, found: SignFinding) -> "MeasurementsAndQualitativeEvaluations":
    from highdicom.sr import MeasurementsAndQualitativeEvaluations, SourceImageForMeasurementGroup

    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(source, found.model, f"Sign {found.sign}"),
        finding_type=codes.SIGNS[found.sign],
        finding_sites=[site(source, codes.SIGN_SITES[found.sign])],
        algorithm_id=algorithm(found.model),
        measurements=[*_measurements(found)],
        qualitative_evaluations=[*_evaluations(found)],
        source_images=[SourceImageForMeasurementGroup(IMAGE_CLASS, source.sop_instance_uid)],
    )
    group[0].ContentSequence.extend([*_texts(found), *_frame(source, found)])
    return group


def _measurements(found: SignFinding) -> "Iterator[Measurement]":
    yield from number(codes.SIGN_PROBABILITY, found.probability)
    yield from number(codes.SIGN_TIME, None if found.representative is None else round(found.representative.t_s, 3), codes.SECONDS)


def _evaluations(found: SignFinding) -> "Iterator[QualitativeEvaluation]":
    from highdicom.sr import QualitativeEvaluation

    yield QualitativeEvaluation(codes.SIGNS[found.sign], codes.VERDICTS[found.verdict])
    if found.reason is not None:
        yield QualitativeEvaluation(codes.LIMIT, codes.SIGN_REASONS[found.reason.code])


def _texts(found: SignFinding) -> "Iterator[TextContentItem]":
    yield text(codes.ANSWER, sign_line(found))
    yield text(codes.RESEARCH, SIGN_IS_RESEARCH)
    yield text(codes.MEASURED, found.measured)


def _frame(source: SourceInstance, found: SignFinding) -> "Iterator[ImageContentItem]":
    """Not the source image of the group, which is the whole clip. None where frames of the source cannot be referred to."""
    from highdicom.sr import ImageContentItem, RelationshipTypeValues

    frames = None if found.representative is None else frames_of(source, found.representative.index)
    if frames is not None:
        yield ImageContentItem(
            codes.SIGN_FRAME, IMAGE_CLASS, source.sop_instance_uid, frames, relationship_type=RelationshipTypeValues.CONTAINS
        )
