"""The real reader: what it lets in, and what a report shows of the model that answered."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.cine.clip import DEFAULT_LIMITS, DecodeLimits
from service.errors import BadBundle
from service.pipeline import Options
from service.reader import ClipReader
from service.reading import Saliency
from service.settings import Settings
from tests.fakes import pdf
from tests.fakes.service import shipped_bundle, shipped_reader
from tests.fakes.signs import write_bright


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


def test_models_of_signs_are_looked_for_anew_also_where_that_of_sliding_cannot_be(tmp_path: Path) -> None:
    write_bright(tmp_path / "store")
    reader = ClipReader(Settings(device="cpu", model_store=tmp_path / "store"))
    with pytest.raises(BadBundle, match=r"^The model store holds no model\.$"):
        reader.reload()

    assert [(entry.name, entry.is_loaded) for entry in reader.signs()] == [("bright", True)]


def test_a_job_may_be_as_long_as_it_says_at_1080p(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes of it were refused for their pixels, though fifteen are promised."""
    limits: list[DecodeLimits] = []
    monkeypatch.setattr("service.reader.open_clip", lambda path, asked: limits.append(asked))
    reader = ClipReader(Settings(max_seconds=125, max_job_seconds=600))

    reader.open(Path("clip"), unhurried=True)
    reader.open(Path("clip"))

    assert limits[0].max_pixels_in_all == 600 * 30 * 1920 * 1080
    assert limits[1].max_pixels_in_all == DEFAULT_LIMITS.max_pixels_in_all
