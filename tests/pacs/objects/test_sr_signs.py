"""Signs beside sliding in the structured report, read back from a file by highdicom: groups of their own, and nothing else changed."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from highdicom.sr import Comprehensive3DSR, MeasurementReport, srread
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from service.api.schemas import answer_of
from service.evidence.words import SIGN_IS_RESEARCH, sign_line
from service.findings import TOLD_SIGNS, Analysis, SignReasonCode, Verdict
from service.pacs.objects import codes
from service.pacs.objects.heading import save
from service.pacs.objects.sr import structured_report
from tests.fakes.analysis import example_analysis, six_signs
from tests.fakes.sources import bare_source, dciodvfy, errors_of, full_source

WRITTEN_AT = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
A_LINES, B_LINES, EFFUSION, CONSOLIDATION, FLUID_OR_SOLID, LUNG_SLIDING = codes.SIGNS.values()
RETIRED = "1.2.840.10008.5.1.4.1.1.3"


def example(**options: Any) -> Analysis:
    analysis, _ = example_analysis(160, 120, num_windows=1, with_saliency=False, **options)
    return replace(analysis, signs=six_signs(160, 120, seconds=2))


def written(folder: Path, analysis: Analysis, source: Any = full_source, **elements: Any) -> Path:
    path = folder / "sr.dcm"
    save(structured_report(source(folder, **elements), analysis, WRITTEN_AT), path)
    return path


def content_of(folder: Path, analysis: Analysis, **elements: Any) -> MeasurementReport:
    report = srread(written(folder, analysis, **elements))
    assert isinstance(report, Comprehensive3DSR)
    assert isinstance(report.content, MeasurementReport)
    return report.content


def group_of(content: MeasurementReport, sign: Code) -> Any:
    (group,) = content.get_image_measurement_groups(finding_type=sign)
    return group


def items(group: Any, value_type: str) -> list[Dataset]:
    return [item for item in group[0].ContentSequence if item.ValueType == value_type]


def said(group: Any) -> dict[str, str]:
    return {item.ConceptNameCodeSequence[0].CodeValue: item.TextValue for item in items(group, "TEXT")}


@dciodvfy
@pytest.mark.parametrize("elements", [{}, {"SOPClassUID": RETIRED}, {"Laterality": None}], ids=["new", "retired", "no side"])
@pytest.mark.parametrize("options", [{}, {"verdict": Verdict.NOT_ASSESSABLE}], ids=["sliding read", "sliding not assessable"])
def test_dciodvfy_finds_no_error(tmp_path: Path, options: dict[str, Any], elements: dict[str, Any]) -> None:
    assert errors_of(written(tmp_path, example(**options), **elements)) == []


@dciodvfy
def test_dciodvfy_finds_no_error_about_a_bare_source(tmp_path: Path) -> None:
    assert errors_of(written(tmp_path, example(), bare_source)) == []


def test_each_sign_is_a_group_below_what_was_there_without_them(tmp_path: Path) -> None:
    analysis = example(lung_point=True)
    (tmp_path / "plain").mkdir()
    plain, content = content_of(tmp_path / "plain", replace(analysis, signs=())), content_of(tmp_path, analysis)

    def tracked(report: MeasurementReport) -> list[str]:
        return [group.tracking_identifier for group in report.get_image_measurement_groups()]

    assert tracked(plain) == ["Clip"]
    assert tracked(content) == ["Clip", *(f"Sign {sign}" for sign in TOLD_SIGNS)]
    assert len(content.get_planar_roi_measurement_groups()) == len(plain.get_planar_roi_measurement_groups()) == 3
    (before,), after = plain.get_image_measurement_groups(), content.get_image_measurement_groups()[0]
    assert before[0].to_json() == after[0].to_json()


def test_the_verdict_is_coded_as_that_of_sliding_is_and_the_number_is_that_of_the_json(tmp_path: Path) -> None:
    analysis = example()
    content = content_of(tmp_path, analysis)
    undetermined = codes.UNDETERMINED.value

    for sign, verdict, told in zip(
        (A_LINES, B_LINES, EFFUSION, CONSOLIDATION, FLUID_OR_SOLID, LUNG_SLIDING),
        (codes.ABSENT.value, codes.PRESENT.value, undetermined, undetermined, codes.PRESENT.value, codes.ABSENT.value),
        answer_of(analysis).signs,
        strict=True,
    ):
        group = group_of(content, sign)
        coded = {e.name.value: e.value.value for e in group.get_qualitative_evaluations()}
        numbers = {m.name.value: m.value for m in group.get_measurements()}
        assert coded[sign.value] == verdict
        assert numbers.get("sign-probability") == told.probability
        assert numbers.get("sign-time") == (told.representative and told.representative.t_s)
        assert (coded.get("limit") == "outside_domain") is (told.reason is not None)


def test_each_is_by_its_own_model(tmp_path: Path) -> None:
    content = content_of(tmp_path, example())

    def model(sign: Code) -> tuple[str, str, str]:
        group = group_of(content, sign)
        (name,) = [item.TextValue for item in items(group, "TEXT") if item.ConceptNameCodeSequence[0].CodeValue == "111001"]
        (version,) = [item.TextValue for item in items(group, "TEXT") if item.ConceptNameCodeSequence[0].CodeValue == "111003"]
        return name, version, group.tracking_uid

    lines, effusion, consolidation = model(B_LINES), model(EFFUSION), model(CONSOLIDATION)
    assert lines[:2] == ("blines-small", "1.0.0")
    assert effusion[:2] == consolidation[:2] == ("signs-small", "1.0.0")
    assert len({lines[2], effusion[2], consolidation[2]}) == 3


def test_it_says_in_words_that_it_is_research_and_how_its_model_did(tmp_path: Path) -> None:
    analysis = example()
    content = content_of(tmp_path, analysis)

    for found in analysis.signs:
        words = said(group_of(content, codes.SIGNS[found.sign]))
        assert words["answer"] == sign_line(found)
        assert words["research"] == SIGN_IS_RESEARCH
        assert words["measured"] == found.measured


def test_the_frame_that_shows_it_best_is_referred_to_by_its_number(tmp_path: Path) -> None:
    signs = tuple(
        replace(found, representative=found.representative and replace(found.representative, index=index))
        for found, index in zip(six_signs(), (0, 11, 60, 0, 5, 0), strict=True)
    )
    content = content_of(tmp_path, replace(example(), signs=signs))

    def frame(sign: Code) -> int | None:
        cited = {item.ConceptNameCodeSequence[0].CodeValue: item for item in items(group_of(content, sign), "IMAGE")}
        best = cited.get("sign-frame")
        assert all(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.4" for item in cited.values())
        return best and best.ReferencedSOPSequence[0].ReferencedFrameNumber

    assert [frame(sign) for sign in codes.SIGNS.values()] == [None, 12, 30, None, 6, None]  # the object has 30 frames


def test_of_a_class_whose_frames_have_no_number_only_the_time_is_told(tmp_path: Path) -> None:
    group = group_of(content_of(tmp_path, example(), SOPClassUID=RETIRED), B_LINES)

    assert len(items(group, "IMAGE")) == 1
    assert {m.name.value: m.value for m in group.get_measurements()}["sign-time"] == 1.4


def test_the_place_is_the_lung_on_the_side_that_the_source_states(tmp_path: Path) -> None:
    content = content_of(tmp_path, example(), Laterality="L")
    (lung,), (pleura,) = group_of(content, B_LINES).finding_sites, group_of(content, EFFUSION).finding_sites

    assert (lung.value, lung.laterality) == (codes.LUNG, codes.LEFT)
    assert (pleura.value, pleura.laterality) == (codes.LEFT_PLEURA, codes.LEFT)


def test_a_second_reading_of_sliding_is_not_coded_as_sliding(tmp_path: Path) -> None:
    content = content_of(tmp_path, example())

    assert LUNG_SLIDING.value == "sliding-2nd" != codes.LUNG_SLIDING.value
    assert said(group_of(content, LUNG_SLIDING))["answer"].startswith("Lung sliding, second reader: ABSENT")
    assert said(group_of(content, FLUID_OR_SOLID))["answer"].startswith("Fluid or solid lung: PRESENT")


def test_every_sign_and_every_reason_has_a_code() -> None:
    assert tuple(codes.SIGNS) == tuple(codes.SIGN_SITES) == TOLD_SIGNS
    assert set(codes.SIGN_REASONS) == set(SignReasonCode)
