"""The answer as a Comprehensive 3D SR, TID 1500: what every reader of structured reports can take up.

    Imaging Measurement Report
      the clip: lung sliding Present | Absent | Undetermined, its numbers, the reasons that limit it, who says so
      each interspace: the pleural line as a polyline on the picture, the slide measured there
      the lung point, where one is suspected: a point on the pleural line
      each sign beside sliding that was asked for, as a group of its own (sr_signs.py)

Numbers are rounded as in the JSON of `/predict`, so that both say the same.
"""

from collections.abc import Iterator
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from service.evidence.mmode import line_height
from service.evidence.words import INTENDED_USE, doubts, headline
from service.findings import Analysis, Column, PleuraFinding, Point, Verdict
from service.pacs.objects import codes
from service.pacs.objects.heading import MANUFACTURER, put_heading
from service.pacs.objects.source import SourceInstance
from service.pacs.objects.sr_parts import IMAGE_CLASS, algorithm, frames_of, number, site, text, tracking
from service.pacs.objects.sr_signs import sign_group
from service.pacs.objects.uids import device_uid
from service.pacs.site import ResultKind

if TYPE_CHECKING:
    from highdicom.sr import (
        Measurement,
        MeasurementReport,
        MeasurementsAndQualitativeEvaluations,
        PlanarROIMeasurementsAndQualitativeEvaluations,
        QualitativeEvaluation,
        TextContentItem,
    )

    Group = MeasurementsAndQualitativeEvaluations | PlanarROIMeasurementsAndQualitativeEvaluations


def structured_report(source: SourceInstance, analysis: Analysis, written_at: datetime) -> Dataset:
    """The report, whatever the verdict: a clip that cannot be assessed is Undetermined, with the reasons.

    It is complete as far as this software goes, and nobody has verified it.
    """
    # Half a second to import, which the command line should not wait for.
    from highdicom.sr import Comprehensive3DSR

    report = Comprehensive3DSR(
        evidence=[_stand_in(source)],
        content=_content(source, analysis)[0],
        series_instance_uid="2.25.1",  # this and the next three are put right by the heading
        series_number=1,
        sop_instance_uid="2.25.1",
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_verified=False,
    )
    report.CodingSchemeIdentificationSequence = [codes.scheme_item()]
    _name_class(report, source.sop_class_uid)
    put_heading(report, source, analysis, ResultKind.SR, written_at)
    return report


def _stand_in(source: SourceInstance) -> Dataset:
    """All that highdicom needs to know of the source. It logs what it thinks odd of names, so it sees none."""
    evidence = Dataset()
    evidence.SOPClassUID, evidence.SOPInstanceUID = IMAGE_CLASS, source.sop_instance_uid
    evidence.StudyInstanceUID, evidence.SeriesInstanceUID = source.study_instance_uid, source.series_instance_uid
    evidence.PatientID = evidence.PatientName = evidence.PatientBirthDate = evidence.PatientSex = ""
    evidence.AccessionNumber = evidence.StudyID = evidence.ReferringPhysicianName = ""
    evidence.StudyDate = evidence.StudyTime = None
    return evidence


def _name_class(report: Dataset, sop_class_uid: str) -> None:
    """highdicom refuses classes that it has no table for, the retired Ultrasound Multi-frame among them, so it was shown the new one."""
    for element in report.iterall():
        if element.keyword == "ReferencedSOPClassUID":
            element.value = sop_class_uid


# The content tree


def _content(source: SourceInstance, analysis: Analysis) -> "MeasurementReport":
    from highdicom.sr import DeviceObserverIdentifyingAttributes, MeasurementReport, ObservationContext, ObserverContext
    from pydicom.sr.codedict import codes as dictionary

    model = analysis.model
    device = DeviceObserverIdentifyingAttributes(
        uid=device_uid(model.sha256), name="Seashore", manufacturer_name=MANUFACTURER, model_name=f"{model.name} {model.version}"
    )
    return MeasurementReport(
        observation_context=ObservationContext(ObserverContext(dictionary.DCM.Device, device)),
        procedure_reported=codes.CHEST_ULTRASOUND,
        imaging_measurements=[*_groups(source, analysis)],
        title=codes.MEASUREMENT_REPORT,
    )


def _groups(source: SourceInstance, analysis: Analysis) -> "Iterator[Group]":
    pleura, x_px = analysis.pleura, analysis.lung_point.x_px
    yield _clip_group(source, analysis)
    if pleura is not None and pleura.line:
        for index, span in enumerate(pleura.interspaces):
            yield _interspace_group(source, analysis, pleura, index, span)
        if analysis.lung_point.suspected and x_px is not None:
            yield _lung_point_group(source, analysis, (x_px, line_height(pleura.line, x_px)))
    for found in analysis.signs:
        yield sign_group(source, found)


def _clip_group(source: SourceInstance, analysis: Analysis) -> "MeasurementsAndQualitativeEvaluations":
    from highdicom.sr import MeasurementsAndQualitativeEvaluations, SourceImageForMeasurementGroup

    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(source, analysis.model, "Clip"),
        finding_type=codes.LUNG_SLIDING,
        finding_sites=[site(source, codes.PLEURA)],
        algorithm_id=algorithm(analysis.model),
        measurements=[*_clip_measurements(analysis)],
        qualitative_evaluations=[*_evaluations(analysis)],
        source_images=[SourceImageForMeasurementGroup(IMAGE_CLASS, source.sop_instance_uid)],
    )
    group[0].ContentSequence.extend(_texts(analysis))
    return group


def _clip_measurements(analysis: Analysis) -> "Iterator[Measurement]":
    sliding, pleura = analysis.lung_sliding, analysis.pleura
    low, high = sliding.interval or (None, None)
    yield from number(codes.PROBABILITY, sliding.probability)
    yield from number(codes.PROBABILITY_LOW, low)
    yield from number(codes.PROBABILITY_HIGH, high)
    yield from number(codes.WALL_CONTROL, sliding.wall_control)
    yield from number(codes.QUALITY, analysis.quality.probability)
    yield from number(codes.PLEURA_CONFIDENCE, pleura.confidence if pleura else None)
    yield from _slides(pleura.columns if pleura else ())


def _evaluations(analysis: Analysis) -> "Iterator[QualitativeEvaluation]":
    from highdicom.sr import QualitativeEvaluation

    verdict = analysis.lung_sliding.verdict
    yield QualitativeEvaluation(codes.LUNG_SLIDING, codes.VERDICTS[verdict])
    if verdict is not Verdict.NOT_ASSESSABLE:
        yield QualitativeEvaluation(codes.LUNG_POINT_SUSPECTED, codes.YES if analysis.lung_point.suspected else codes.NO)
    for reason in analysis.quality.reasons:
        yield QualitativeEvaluation(codes.LIMIT, codes.REASONS[reason.code])


def _texts(analysis: Analysis) -> "Iterator[TextContentItem]":
    """Template 1501 is extensible; what a clinician reads first should be there in words too. A reason's name is its own code."""
    yield text(codes.ANSWER, headline(analysis))
    for doubt in doubts(analysis):
        yield text(codes.LOOK_TWICE, doubt)
    for reason in analysis.quality.reasons:
        if reason.detail:
            yield text(codes.REASONS[reason.code], reason.detail)
    yield text(codes.INTENDED_USE, INTENDED_USE)


def _interspace_group(
    source: SourceInstance, analysis: Analysis, pleura: PleuraFinding, index: int, span: tuple[float, float]
) -> "PlanarROIMeasurementsAndQualitativeEvaluations":
    columns = tuple(column for column in pleura.columns if span[0] <= column.x_px <= span[1])
    probabilities = [column.probability for column in columns if column.probability is not None]
    measured = [*_slides(columns), *number(codes.PROBABILITY, _median(probabilities, 4), derivation=codes.MEDIAN)]
    return _region_group(source, analysis, f"Interspace {index + 1}", codes.INTERSPACE, _stretch(pleura.line, *span), measured)


def _lung_point_group(source: SourceInstance, analysis: Analysis, point: Point) -> "PlanarROIMeasurementsAndQualitativeEvaluations":
    return _region_group(source, analysis, "Lung point", codes.LUNG_POINT, (point,), [])


def _region_group(
    source: SourceInstance, analysis: Analysis, name: str, finding: Code, points: tuple[Point, ...], measured: "list[Measurement]"
) -> "PlanarROIMeasurementsAndQualitativeEvaluations":
    from highdicom.sr import ImageRegion, PlanarROIMeasurementsAndQualitativeEvaluations, SourceImageForRegion

    frames = frames_of(source, analysis.clip.num_frames // 2)
    image = SourceImageForRegion(IMAGE_CLASS, source.sop_instance_uid, referenced_frame_numbers=frames)
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(source, analysis.model, name),
        referenced_region=ImageRegion("POLYLINE" if len(points) > 1 else "POINT", _coordinates(points, analysis), image),
        finding_type=finding,
        finding_sites=[site(source, codes.PLEURA)],
        algorithm_id=algorithm(analysis.model),
        measurements=measured,
    )


# Places


def _stretch(line: tuple[Point, ...], x0: float, x1: float) -> tuple[Point, ...]:
    """The pleural line from x0 to x1."""
    inner = [point for point in line if x0 < point[0] < x1]
    return ((x0, line_height(line, x0)), *inner, (x1, line_height(line, x1)))


def _coordinates(points: tuple[Point, ...], analysis: Analysis) -> NDArray[np.float64]:
    """Ours count from the middle of the top left pixel, DICOM's from that pixel's corner (PS3.3 C.18.6.1.1)."""
    xy = np.array([(round(float(x), 2), round(float(y), 2)) for x, y in points]) + 0.5
    return np.asarray(np.clip(xy, 0, (analysis.clip.width, analysis.clip.height)), np.float64)


# Numbers


def _slides(columns: tuple[Column, ...]) -> "Iterator[Measurement]":
    """Medians over columns, of lung past wall and of wall past wall (what is read where nothing slides)."""
    in_mm = [column.slide_mm for column in columns if column.slide_mm is not None]
    yield from number(codes.SLIDE, _median([column.slide_px for column in columns], 3), codes.PIXELS, codes.MEDIAN)
    yield from number(codes.SLIDE, _median(in_mm, 3), codes.MILLIMETRES, codes.MEDIAN)
    yield from number(codes.WALL_SLIDE, _median([column.wall_px for column in columns], 3), codes.PIXELS, codes.MEDIAN)


def _median(values: list[float], digits: int) -> float | None:
    """Of the values as the JSON gives them, so that whoever has only the JSON finds the same."""
    return median(round(float(value), digits) for value in values) if values else None
