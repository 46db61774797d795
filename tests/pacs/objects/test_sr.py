"""The structured report, read back as whoever receives it would: by highdicom, from a file."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from highdicom.sr import Comprehensive3DSR, MeasurementReport, srread
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dictionary
from pydicom.sr.coding import Code

from service.api.schemas import AnswerSchema, answer_of
from service.evidence.words import REASON_WORDS, doubts
from service.findings import Analysis, Reason, ReasonCode, Verdict
from service.pacs.objects import codes
from service.pacs.objects.heading import save
from service.pacs.objects.source import SourceInstance
from service.pacs.objects.sr import structured_report
from service.pacs.objects.uids import device_uid
from tests.fakes.analysis import NO_PLEURA, PROBE_MOVING, example_analysis
from tests.fakes.sources import bare_source, dciodvfy, errors_of, full_source

WRITTEN_AT = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
EXAMPLES: dict[str, dict[str, Any]] = {
    "present": {},
    "absent": {"verdict": Verdict.ABSENT},
    "cannot tell": {"verdict": Verdict.INDETERMINATE, "reasons": (PROBE_MOVING,)},
    "not assessable": {"verdict": Verdict.NOT_ASSESSABLE},
    "lung point": {"lung_point": True},
    "no scale": {"mm_per_px": None},
    "doubts": {"network": Verdict.ABSENT, "wall_control": 0.9},
}


def example(**options: Any) -> Analysis:
    """Odd numbers, as real ones are: most need more digits than the JSON gives."""
    analysis, _ = example_analysis(160, 120, num_windows=1, with_saliency=False, **options)
    sliding = analysis.lung_sliding
    if sliding.probability is None:
        return analysis
    third = sliding.probability + 1 / 3e4
    return replace(analysis, lung_sliding=replace(sliding, probability=third, interval=(third - 1 / 7, third + 1 / 70)))


def written(folder: Path, source: SourceInstance, analysis: Analysis) -> Path:
    path = folder / "sr.dcm"
    save(structured_report(source, analysis, WRITTEN_AT), path)
    return path


def report_of(folder: Path, analysis: Analysis, **elements: Any) -> Comprehensive3DSR:
    report = srread(written(folder, full_source(folder, **elements), analysis))
    assert isinstance(report, Comprehensive3DSR)
    return report


def content_of(report: Comprehensive3DSR) -> MeasurementReport:
    content = report.content
    assert isinstance(content, MeasurementReport)
    return content


def numbers_of(group: Any) -> dict[tuple[str, str], float]:
    """By code and unit."""
    return {(m.name.value, m.unit.value): m.value for m in group.get_measurements()}


def coded(group: Any) -> list[tuple[str, str]]:
    """Name and value. highdicom counts the algorithm's family (111000) among them."""
    return [(e.name.value, e.value.value) for e in group.get_qualitative_evaluations() if e.name.value != "111000"]


@dciodvfy
@pytest.mark.parametrize("options", EXAMPLES.values(), ids=EXAMPLES)
@pytest.mark.parametrize("source", [full_source, bare_source], ids=["full", "bare"])
def test_dciodvfy_finds_no_error(tmp_path: Path, source: Any, options: dict[str, Any]) -> None:
    assert errors_of(written(tmp_path, source(tmp_path), example(**options))) == []


@dciodvfy
def test_dciodvfy_finds_no_error_about_a_clip_of_the_retired_class(tmp_path: Path) -> None:
    source = full_source(tmp_path, SOPClassUID="1.2.840.10008.5.1.4.1.1.3")
    path = written(tmp_path, source, example())

    assert errors_of(path) == []
    evidence = dcmread(path).CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert evidence.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.3"


@pytest.mark.parametrize("options", EXAMPLES.values(), ids=EXAMPLES)
def test_its_numbers_are_those_of_the_json(tmp_path: Path, options: dict[str, Any]) -> None:
    analysis = example(**options)
    (clip,) = content_of(report_of(tmp_path, analysis)).get_image_measurement_groups()

    assert numbers_of(clip) == expected_of_the_clip(answer_of(analysis))


def expected_of_the_clip(answer: AnswerSchema) -> dict[tuple[str, str], float]:
    sliding, pleura = answer.lung_sliding, answer.pleura
    low, high = sliding.interval or (None, None)
    columns = pleura.columns if pleura else []
    expected = {
        ("probability", "1"): sliding.probability,
        ("probability-low", "1"): low,
        ("probability-high", "1"): high,
        ("wall-control", "1"): sliding.wall_control,
        ("picture-quality", "1"): answer.quality.score,
        ("pleura-found", "1"): pleura.confidence if pleura else None,
        ("slide", "{pixels}"): middle([c.slide_px for c in columns]),
        ("slide", "mm"): middle([c.slide_mm for c in columns if c.slide_mm is not None]),
        ("wall-slide", "{pixels}"): middle([c.wall_px for c in columns]),
    }
    return {name: value for name, value in expected.items() if value is not None}


def middle(values: list[float]) -> float | None:
    return round(median(values), 4) if values else None


@pytest.mark.parametrize("options", EXAMPLES.values(), ids=EXAMPLES)
def test_its_numbers_fit_a_decimal_string(tmp_path: Path, options: dict[str, Any]) -> None:
    items = [e.value for e in report_of(tmp_path, example(**options)).iterall() if e.keyword == "NumericValue"]

    assert items
    assert all(len(str(value)) <= 16 for value in items)


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (Verdict.PRESENT, "52101004"),
        (Verdict.ABSENT, "272519000"),
        (Verdict.INDETERMINATE, "373068000"),
        (Verdict.NOT_ASSESSABLE, "373068000"),
    ],
)
def test_the_verdict_is_coded_as_present_absent_or_undetermined(tmp_path: Path, verdict: Verdict, code: str) -> None:
    (clip,) = content_of(report_of(tmp_path, example(verdict=verdict))).get_image_measurement_groups()

    assert ("lung-sliding", code) in coded(clip)
    assert clip.finding_type.value == "lung-sliding"


def test_why_it_cannot_be_assessed_is_coded_and_said(tmp_path: Path) -> None:
    report = report_of(tmp_path, example(verdict=Verdict.NOT_ASSESSABLE))
    (clip,) = content_of(report).get_image_measurement_groups()

    assert coded(clip) == [("lung-sliding", "373068000"), ("limit", "no_pleura")]
    assert texts_of(report)["no_pleura"] == NO_PLEURA.detail
    assert texts_of(report)["answer"] == "Not assessable: no pleural line was found"


def test_what_speaks_against_the_verdict_is_said_each_for_itself(tmp_path: Path) -> None:
    analysis = example(**EXAMPLES["doubts"])
    (clip,) = content_of(report_of(tmp_path, analysis)).get_image_measurement_groups()
    said = [str(item.TextValue) for item in walk(clip[0]) if item.get("ValueType") == "TEXT" and item.name == codes.LOOK_TWICE]

    assert said == [*doubts(analysis)]
    assert len(said) == 2
    assert "look-twice" not in texts_of(report_of(tmp_path, example()))


def texts_of(report: Dataset) -> dict[str, str]:
    items = [item for item in walk(report) if item.get("ValueType") == "TEXT"]
    return {str(item.ConceptNameCodeSequence[0].CodeValue): str(item.TextValue) for item in items}


def walk(item: Dataset) -> list[Dataset]:
    return [item, *(below for child in item.get("ContentSequence", ()) for below in walk(child))]


def test_it_says_what_it_is_for_as_the_json_does(tmp_path: Path) -> None:
    analysis = example()

    assert texts_of(report_of(tmp_path, analysis))["intended-use"] == answer_of(analysis).intended_use


def test_words_that_the_character_set_may_lack_do_not_break_it(tmp_path: Path) -> None:
    reason = Reason(ReasonCode.TOO_DARK, "Zu dunkel für eine Antwort.")
    report = report_of(tmp_path, example(verdict=Verdict.NOT_ASSESSABLE, reasons=(reason,)), SpecificCharacterSet=None, PatientName="Doe")

    assert texts_of(report)["too_dark"] == "Zu dunkel f?r eine Antwort."


def test_each_interspace_is_a_region_on_the_pleural_line_of_the_middle_frame(tmp_path: Path) -> None:
    analysis = example()
    answer = answer_of(analysis)
    assert answer.pleura is not None
    groups = content_of(report_of(tmp_path, analysis)).get_planar_roi_measurement_groups()

    assert [group.tracking_identifier for group in groups] == ["Interspace 1", "Interspace 2"]
    for group, (x0, x1) in zip(groups, answer.pleura.interspaces, strict=True):
        region = group.roi
        points = region.value - 0.5  # DICOM counts from the corner of the top left pixel
        assert region.graphic_type.value == "POLYLINE"
        assert points[[0, -1], 0] == pytest.approx([x0, x1], abs=1e-4)
        line = np.array(answer.pleura.line)
        assert points[:, 1] == pytest.approx(np.interp(points[:, 0], line[:, 0], line[:, 1]), abs=0.02)
        reference = region.ContentSequence[0].ReferencedSOPSequence[0]
        assert reference.ReferencedSOPInstanceUID == "1.2.3.4"
        assert reference.ReferencedFrameNumber == 30  # the object has 30 frames; the middle of the clip's 60 would be 31


def test_an_interspace_has_the_medians_of_its_own_columns(tmp_path: Path) -> None:
    analysis = example(lung_point=True)
    answer = answer_of(analysis)
    assert answer.pleura is not None
    left, right = content_of(report_of(tmp_path, analysis)).get_planar_roi_measurement_groups(finding_type=codes.INTERSPACE)

    # The left interspace holds columns 0 to 4, which slide; the right one columns 5 to 9, which do not.
    for group, columns in ((left, answer.pleura.columns[:5]), (right, answer.pleura.columns[5:])):
        assert numbers_of(group) == {
            ("slide", "{pixels}"): median(c.slide_px for c in columns),
            ("slide", "mm"): median(c.slide_mm or 0 for c in columns),
            ("wall-slide", "{pixels}"): 0.7,
            ("probability", "1"): median(c.probability or 0 for c in columns),
        }
        assert {m.derivation.value for m in group.get_measurements()} == {"373099004"}


def test_a_suspected_lung_point_is_a_point_on_the_line(tmp_path: Path) -> None:
    analysis = example(lung_point=True)
    content = content_of(report_of(tmp_path, analysis))
    (clip,) = content.get_image_measurement_groups()
    (point,) = content.get_planar_roi_measurement_groups(finding_type=codes.LUNG_POINT)

    assert ("lung-point-susp", codes.YES.value) in coded(clip)
    assert point.roi.graphic_type.value == "POINT"
    assert point.roi.value[0, 0] == pytest.approx((answer_of(analysis).lung_point.x_px or 0) + 0.5, abs=1e-4)
    assert analysis.pleura is not None
    assert point.roi.value[0, 1] == pytest.approx(min(y for _, y in analysis.pleura.line[20:21]) + 0.5, abs=0.02)


def test_a_pleura_without_a_line_has_no_regions(tmp_path: Path) -> None:
    analysis = example(lung_point=True)
    assert analysis.pleura is not None
    content = content_of(report_of(tmp_path, replace(analysis, pleura=replace(analysis.pleura, line=()))))

    assert content.get_planar_roi_measurement_groups() == []
    assert len(content.get_image_measurement_groups()) == 1


def test_where_no_lung_point_is_suspected_none_is_marked(tmp_path: Path) -> None:
    content = content_of(report_of(tmp_path, example()))
    (clip,) = content.get_image_measurement_groups()

    assert ("lung-point-susp", codes.NO.value) in coded(clip)
    assert content.get_planar_roi_measurement_groups(finding_type=codes.LUNG_POINT) == []


@pytest.mark.parametrize(
    ("laterality", "site", "side"),
    [("L", codes.LEFT_PLEURA, codes.LEFT), ("R", codes.RIGHT_PLEURA, codes.RIGHT), (None, codes.PLEURA, None)],
)
def test_the_finding_site_has_the_side_that_the_source_states(
    tmp_path: Path, laterality: str | None, site: Code, side: Code | None
) -> None:
    content = content_of(report_of(tmp_path, example(), Laterality=laterality))

    groups = [*content.get_image_measurement_groups(), *content.get_planar_roi_measurement_groups()]
    for group in groups:
        (found,) = group.finding_sites
        assert found.value == site
        assert found.laterality == side


def test_it_names_the_model_and_the_device_that_changes_with_it(tmp_path: Path) -> None:
    analysis = example()
    report = report_of(tmp_path, analysis)
    acquired, processed = report.ContributingEquipmentSequence
    observer = content_of(report).get_observer_contexts()[0].observer_identifying_attributes

    assert (acquired.Manufacturer, acquired.PurposeOfReferenceCodeSequence[0].CodeValue) == ("Acme", "109101")
    assert processed.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert processed.DeviceUID == device_uid(analysis.model.sha256) == observer.uid
    assert processed.SoftwareVersions[1] == "resnet3d18-w16 0.1.0"
    parameters = [item.TextValue for item in walk(report) if item.get("ValueType") == "TEXT" and "=" in item.TextValue]
    assert "sha256=" + "0" * 64 in parameters


def test_it_is_complete_unverified_and_preliminary_and_cites_the_clip(tmp_path: Path) -> None:
    report = report_of(tmp_path, example())

    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    (instance,) = series.ReferencedSOPSequence
    assert (study.StudyInstanceUID, series.SeriesInstanceUID, instance.ReferencedSOPInstanceUID) == ("1.2.3", "1.2.3.1", "1.2.3.4")
    assert instance.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.3.1"


def test_it_is_of_the_same_patient_and_study_in_a_series_of_its_own(tmp_path: Path) -> None:
    report = dcmread(written(tmp_path, full_source(tmp_path), example()))

    assert (str(report.PatientName), report.PatientID, report.StudyInstanceUID) == ("Müller^Jörg", "P-1", "1.2.3")
    assert (report.AccessionNumber, report.StudyDescription, report.Modality) == ("A1", "Lung", "SR")
    assert report.SeriesInstanceUID not in ("1.2.3.1", "2.25.1")
    assert report.SeriesDescription == "Seashore lung sliding, measurements: series 2 image 7"
    assert report.file_meta.MediaStorageSOPInstanceUID == report.SOPInstanceUID


def test_its_times_are_in_the_time_zone_of_the_source(tmp_path: Path) -> None:
    report = report_of(tmp_path, example(), TimezoneOffsetFromUTC="-0500")

    assert (report.ContentDate, report.ContentTime, report.TimezoneOffsetFromUTC) == ("20260304", "073000.000000", "-0500")


def test_the_private_codes_say_whose_they_are(tmp_path: Path) -> None:
    (scheme,) = report_of(tmp_path, example()).CodingSchemeIdentificationSequence

    assert scheme.CodingSchemeDesignator == "99SEASHORE"
    assert scheme.CodingSchemeName == "Seashore lung ultrasound signs"
    assert (scheme.CodingSchemeVersion, scheme.CodingSchemeResponsibleOrganization) == ("1", "Seashore")


@pytest.mark.parametrize("options", EXAMPLES.values(), ids=EXAMPLES)
def test_no_code_says_pneumothorax(tmp_path: Path, options: dict[str, Any]) -> None:
    report = report_of(tmp_path, example(**options))
    meanings = [str(e.value).lower() for e in report.iterall() if e.keyword in ("CodeMeaning", "CodeValue", "LongCodeValue")]

    assert "lung sliding" in meanings
    assert [meaning for meaning in meanings if "pneumothorax" in meaning or meaning == "36118008"] == []


def every_code() -> list[Code]:
    return [*(code for code in vars(codes).values() if isinstance(code, Code)), *codes.REASONS.values(), *codes.SIGNS.values()]


def test_every_code_fits_its_element_and_every_reason_has_one() -> None:
    own = [code.value for code in every_code() if code.scheme_designator == codes.SCHEME]

    assert set(codes.REASONS) == set(ReasonCode) == set(REASON_WORDS)
    assert all(len(code.value) <= 16 and len(code.meaning) <= 64 for code in every_code())
    assert len(set(own)) == len(own)


@pytest.mark.parametrize("code", [c for c in every_code() if c.scheme_designator in ("SCT", "DCM")], ids=lambda c: c.meaning)
def test_a_standard_code_means_what_the_dictionary_says(code: Code) -> None:
    assert getattr(getattr(dictionary, code.scheme_designator), keyword(code.meaning)).value == code.value


def keyword(meaning: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in meaning.split())
