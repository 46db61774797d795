"""Rules: what they hold of, what they say when they do not, and what is said of a rule that cannot be read."""

from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.pacs.rules import BadRule, Decision, parse_rule
from tests.fakes import dicom


def lung(**elements: Any) -> Dataset:
    made = Dataset()
    made.Modality, made.Manufacturer, made.StudyDescription, made.NumberOfFrames = "US", "Acme Ultrasound", "FAST [Lung] both sides", 60
    made.ImageType = ["ORIGINAL", "PRIMARY", "CINE"]
    region = Dataset()
    region.CodeValue, region.CodeMeaning = "39607008", "Lung"
    made.AnatomicRegionSequence = [Dataset(), region]
    made.PatientName = dicom.PATIENT
    made.add_new(0x00191001, "UN", b"private ")
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize(
    "rule",
    [
        'Modality is "US"',
        "Modality is 'us '",
        'modality is "US"'.replace("modality", "(0008,0060)"),
        'StudyDescription contains "LUNG"',
        'StudyDescription matches "*[lung]*"',
        'StudyDescription matches "F?ST*"',
        "StudyDescription exists",
        'ImageType is "cine"',
        'AnatomicRegionSequence.CodeMeaning is "lung"',
        'AnatomicRegionSequence . CodeValue is "39607008"',
        "NumberOfFrames >= 60 and NumberOfFrames <= 60 and NumberOfFrames = 60 and NumberOfFrames == 60",
        "NumberOfFrames > 59.5 and NumberOfFrames < 61 and NumberOfFrames != 30",
        "NumberOfFrames is 60",
        'NumberOfFrames is "60"',
        '(0019,1001) is "private"',
        'Modality is not "CT"',
        "not BodyPartExamined exists",
        'BodyPartExamined is not "LEG"',
        'Modality is "CT" or Modality is "US" and NumberOfFrames > 1',
        'NOT (Modality is "CT" OR Manufacturer contains "phantom")',
        'not not Modality is "US"',
    ],
)
def test_it_holds(rule: str) -> None:
    assert parse_rule(rule).decide(lung()) == Decision(True, "The rule holds.")


@pytest.mark.parametrize(
    ("rule", "because"),
    [
        ('Modality is "CT"', 'Modality is "CT" does not hold'),
        ('Modality is "US" and  BodyPartExamined   contains "chest"', 'BodyPartExamined contains "chest" does not hold'),
        (
            'Modality is "CT" or (StudyDescription matches "lung" or NumberOfFrames < 60)',
            '(Modality is "CT" or (StudyDescription matches "lung" or NumberOfFrames < 60)) does not hold',
        ),
        ('not Manufacturer contains "acme"', 'Manufacturer contains "acme" holds, and the rule says not'),
        (
            'not (Modality is "US" and NumberOfFrames exists)',
            '(Modality is "US" and NumberOfFrames exists) holds, and the rule says not',
        ),
        ("BodyPartExamined exists", "BodyPartExamined exists does not hold"),
        ("StudyDescription != 3", "StudyDescription != 3 does not hold"),
        ('Modality.CodeValue is "x"', 'Modality.CodeValue is "x" does not hold'),
        ("AnatomicRegionSequence.CodeValue.CodeMeaning exists", "AnatomicRegionSequence.CodeValue.CodeMeaning exists does not hold"),
    ],
)
def test_what_does_not_hold_is_named_and_no_value_with_it(rule: str, because: str) -> None:
    assert parse_rule(rule).decide(lung()) == Decision(False, f"The rule refuses it: {because}.")


def test_and_binds_closer_than_or_and_not_closest() -> None:
    rule = parse_rule('not Modality is "US" and Modality is "US" or NumberOfFrames > 1')

    assert str(rule._test) == '((not Modality is "US" and Modality is "US") or NumberOfFrames > 1)'


def test_a_patients_value_is_never_in_a_decision() -> None:
    assert dicom.PATIENT not in parse_rule('PatientName is "Roe"').decide(lung()).because


@pytest.mark.parametrize("rule", ["NumberOfFrames >= 30", "Rows >= 1", 'StudyDescription is "x"', "FrameTime > 0", "ImageType exists"])
def test_broken_and_empty_values_are_no_values(tmp_path: Path, rule: str) -> None:
    made = dicom.native(ImageType="", StudyDescription="y")
    frames = made.index(b"\x28\x00\x08\x00IS")
    made = made[: frames + 8] + b"?" * made[frames + 6] + made[frames + 8 + made[frames + 6] :]
    rows, time = made.index(b"\x28\x00\x10\x00US\x02\x00"), made.index(b"\x18\x00\x63\x10DS")
    made = made[: rows + 4] + b"FD" + made[rows + 6 :]
    (tmp_path / "broken.dcm").write_bytes(made[: time + 8] + b"!" * made[time + 6] + made[time + 8 + made[time + 6] :])

    assert not parse_rule(rule).decide(dcmread(tmp_path / "broken.dcm", stop_before_pixels=True)).analyse


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ('Modalty is "US"', "there is no DICOM element 'Modalty'; did you mean Modality?"),
        ('Qqqqqq is "US"', "there is no DICOM element 'Qqqqqq'; write its keyword or (gggg,eeee)"),
        ("Modality is US", "after 'Modality is' comes a text in quotes; 'US' was found"),
        ("Modality contains 3", "after 'Modality contains' comes a text in quotes; '3' was found"),
        ("NumberOfFrames > many", "after 'NumberOfFrames >' comes a number; 'many' was found"),
        ('Modality "US"', "after Modality comes is, contains, matches, exists, or a comparison such as >=; '\"US\"' was found"),
        ('Modality is "US" or "CT"', 'a test begins with a DICOM element, as in Modality is "US"; \'"CT"\' was found'),
        ('Modality is "US" and', 'a test begins with a DICOM element, as in Modality is "US"; the rule ends there'),
        ("", 'a test begins with a DICOM element, as in Modality is "US"; the rule ends there'),
        ('(Modality is "US"', "a '(' is not closed; the rule ends there"),
        ('Modality is "US")', "')' is not expected here. Tests are joined by 'and' and 'or'"),
        ('Modality is "US" Manufacturer exists', "'Manufacturer' is not expected here. Tests are joined by 'and' and 'or'"),
        ('Modality is "US', "a text begins with \" and never ends: '\"US'"),
        ('Modality is "US" & x', "'&' cannot be read here. A rule looks like this: Modality is \"US\""),
        ("(" * 51 + "Modality exists" + ")" * 51, "it is nested more than 50 deep"),
    ],
)
def test_a_rule_that_cannot_be_read_says_where_and_what_to_write(rule: str, sentence: str) -> None:
    with pytest.raises(BadRule) as error:
        parse_rule(rule)

    assert str(error.value) == sentence
