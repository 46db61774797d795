"""The report says what was found, what was not, and names nobody."""

from datetime import date

from service.findings import ReasonCode, Verdict
from service.manifest import Label
from service.report.document import Figure, Heading
from service.report.markdown import markdown_of
from service.validation.cases import Case
from service.validation.chapters import report_of
from service.validation.comparison import compare
from service.validation.comparison_wording import comparison_sentences
from service.validation.figures import figures_of
from service.validation.findings import Findings, ModelFindings, Shown
from tests.fakes.cases import PATIENT, case, ward


def found(cases: list[Case], second: list[Case] | None = None) -> Findings:
    first = ModelFindings("ours:1.0.0", tuple(cases), figures_of(cases))
    if second is None:
        return Findings(date(2026, 1, 2), first)
    other = ModelFindings("ours:0.9.0", tuple(second), figures_of(second))
    return Findings(date(2026, 1, 2), first, other, compare(list(zip(cases, second, strict=True))))


def text(findings: Findings) -> str:
    return markdown_of(report_of(findings)).replace("\\", "")


def captions(findings: Findings) -> list[str]:
    return [block.caption for block in report_of(findings).blocks if isinstance(block, Figure)]


def test_a_ward_is_reported_with_every_diagram() -> None:
    assert captions(found(ward(20, wrong=1))) == [
        "Answers by label",
        "ROC curve of the probability",
        "Reliability of the probability, in tenths",
        "Risk and coverage",
    ]


def test_one_class_has_sentences_where_diagrams_would_be() -> None:
    report = text(found([case(Label.PRESENT, Verdict.PRESENT, 0.9)]))
    missing = "every clip with a probability is labelled present; both are needed"

    assert f"No ROC curve: {missing}." in report
    assert f"No reliability diagram: {missing}." in report
    assert f"No risk-coverage curve: {missing}." in report
    assert (
        "| still lungs called absent, of all still lungs | — | 0 clips, 0 patients | not computed: no clip is labelled absent |" in report
    )


def test_opposite_answers_are_told_one_by_one() -> None:
    report = text(found(ward(20, wrong=2)))

    assert "2 of 40 clips with a label were given the opposite answer: rows 2 and 4." in report
    assert "| 2 | present | answered absent (probability of sliding 0.05, 95 %: 0.05 to 0.05) |" in report


def test_no_opposite_answer_is_not_a_promise() -> None:
    # Wilson of 0 of 20 patients ends at 3.84 / 23.84.
    assert "None of 40 clips with a label was given the opposite answer; up to 16% can still be expected." in text(found(ward(20)))


def test_without_labels_nothing_is_said_of_right_and_wrong() -> None:
    report = text(found([case(Label.UNKNOWN, Verdict.PRESENT, 0.9)]))

    assert "No clip has a label to judge by, so nothing is said of right and wrong." in report


def test_few_patients_are_said_to_be_few() -> None:
    assert "Wilson; few patients" in text(found(ward(3)))
    assert "few patients |" not in text(found(ward(20)))


def test_why_there_was_no_verdict() -> None:
    cases = [
        case(Label.UNKNOWN, Verdict.NOT_ASSESSABLE, None, row=2, reasons=(ReasonCode.NO_PLEURA,)),
        case(Label.UNKNOWN, Verdict.INDETERMINATE, 0.5, row=3, reasons=(ReasonCode.PROBE_MOVING,)),
        case(Label.UNKNOWN, Verdict.INDETERMINATE, 0.5, row=4),
        case(Label.UNKNOWN, None, row=5),
    ]
    report = text(found(cases))

    assert "| no pleural line was found | 1 |" in report
    assert "| the probe moved | 1 |" in report
    assert "| neither clearly sliding nor clearly still | 1 |" in report
    assert "| unreadable_clip | row 5 |" in report


def test_healthy_lungs_are_said_to_be_a_weak_label() -> None:
    assert "they count for coverage and not for accuracy" in text(found([case(Label.HEALTHY, Verdict.PRESENT, 0.9)]))


def test_a_worst_clip_without_a_picture_is_told_all_the_same() -> None:
    bad = case(Label.ABSENT, Verdict.PRESENT, 0.9, row=4)
    findings = Findings(date(2026, 1, 2), found([bad]).first, worst=(Shown(bad, "ours:1.0.0", None),))

    assert (
        "Row 4: labelled absent, answered present (probability of sliding 0.90, 95 %: 0.90 to 0.90), which is the opposite. "
        "(No picture: no echoes were found in it, or it can no longer be read.)" in text(findings)
    )


def test_two_models_are_compared() -> None:
    first, second = found(ward(20), ward(20, wrong=5)), found(ward(20), ward(20))
    sentences = comparison_sentences(first)

    assert sentences[0].startswith("AUROC on 40 clips to which both gave a probability: 1.000 and 0.750, difference 0.250 (95 % +0.")
    assert sentences[1].startswith(
        "Of 40 clips with a label, 5 were answered rightly by ours:1.0.0 alone and 0 by ours:0.9.0 alone: p = 0.062 (exact McNemar"
    )
    assert "difference 0.000 (too few patients, or too alike, for an interval)." in comparison_sentences(second)[0]
    assert "The two answered every clip alike." in text(second)
    assert "| 2 | present | answered present" in text(first)
    assert Heading("ours:1.0.0 against ours:0.9.0") in report_of(first).blocks


def test_few_patients_decide_nothing_between_two_models() -> None:
    assert comparison_sentences(found(ward(3), ward(3)))[-1] == "Few patients are behind this comparison: it decides nothing."


def test_two_models_without_labels_are_compared_in_where_they_differ() -> None:
    findings = found([case(Label.UNKNOWN, Verdict.PRESENT, 0.9)], [case(Label.UNKNOWN, Verdict.ABSENT, 0.1)])

    assert comparison_sentences(findings)[:2] == [
        "The AUROCs are not compared: no clip labelled present or absent got a probability.",
        "No clip has a label to judge by, so the two are only compared in where they differ.",
    ]


def test_no_patient_and_no_file_is_named() -> None:
    findings = found([case(Label.PRESENT, Verdict.ABSENT, 0.1), case(Label.ABSENT, None, row=3)])

    for said in (text(findings), str(findings.to_json())):
        assert PATIENT not in said
        assert "Doe" not in said


def test_the_figures_for_machines_have_null_for_what_is_not_known() -> None:
    figures = found([case(Label.PRESENT, Verdict.PRESENT, 0.9)]).to_json()["model"]["figures"]

    assert figures["accuracy"]["auroc"]["value"] is None
    assert figures["accuracy"]["present_of_all"]["value"] == 1.0
