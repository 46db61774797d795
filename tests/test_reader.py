"""The shelf of models: which bundle a request means, and that each is loaded once, however many ask."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from service.pipeline import Options
from service.reading import Saliency
from tests.fakes import pdf
from tests.fakes.service import shipped_bundle, shipped_reader


def test_a_report_shows_the_limits_of_the_model_that_answered_and_none_when_it_has_left_the_store(tmp_path: Path) -> None:
    reader, at = shipped_reader(), datetime(2026, 11, 21, tzinfo=UTC)
    clip = reader.open(shipped_bundle() / "golden.mp4")
    analysis, _ = reader.read(clip, reader.find(None), Options(saliency=Saliency.NONE))
    gone = replace(analysis, model=replace(analysis.model, version="0.0.1"))
    for name, answer in (("known", analysis), ("gone", gone)):
        reader.report(clip, answer, tmp_path / name, analysed_at=at)

    known, unknown = (set(pdf.text((tmp_path / name).read_bytes()).split("\n")) for name in ("known", "gone"))
    assert {"ABSENT", "PRESENT", "Analysed", "2026-11-21 00:00 UTC"} <= known
    assert {"ABSENT", "PRESENT"} & unknown == set()
