"""The clips that the page offers: small, of phantoms, and answered as their names say."""

from pathlib import Path

import httpx
import pytest

from service.api.app import WEB
from service.findings import Analysis, Verdict
from service.pipeline import Options
from service.reading import Saliency
from tests.fakes.service import WordReader, serving, shipped_reader
from training import demo

SECONDS = 5
FOLDER = WEB / "demo"
VERDICTS = {
    "present": Verdict.PRESENT,
    "absent": Verdict.ABSENT,
    "lung_point": Verdict.INDETERMINATE,
    "not_assessable": Verdict.NOT_ASSESSABLE,
}


def answer(path: Path) -> Analysis:
    reader = shipped_reader()
    analysis, _ = reader.read(reader.open(path), reader.find(None), Options(Saliency.NONE))
    return analysis


@pytest.mark.parametrize("name", VERDICTS)
def test_a_demo_is_answered_as_its_name_says(name: str) -> None:
    said = answer(FOLDER / f"{name}.mp4")

    assert said.lung_sliding.verdict is VERDICTS[name]
    assert said.lung_point.suspected is (name == "lung_point")
    assert said.quality.assessable is (name != "not_assessable")
    assert (said.clip.width, said.clip.height, said.clip.num_frames, said.clip.fps) == (640, 480, SECONDS * 30, 30.0)


def test_the_demos_are_those_of_the_command_and_small() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.mp4" for name in VERDICTS} == {f"{name}.mp4" for name in demo.DEMOS}
    assert [path.name for path in FOLDER.iterdir() if path.stat().st_size >= 350_000] == []


def test_the_page_can_fetch_them() -> None:
    with serving(WordReader()) as client:
        response: httpx.Response = client.get("/web/demo/present.mp4")

    assert (response.status_code, response.headers["content-type"]) == (200, "video/mp4")
    assert response.content == (FOLDER / "present.mp4").read_bytes()


@pytest.mark.slow
def test_the_command_makes_clips_that_are_answered_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo.main(["--out", str(tmp_path)])

    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == [f"{name}.mp4" for name in VERDICTS]
    for name in VERDICTS:
        made, kept = answer(tmp_path / f"{name}.mp4").lung_sliding, answer(FOLDER / f"{name}.mp4").lung_sliding
        assert made.verdict is kept.verdict
        assert made.probability == pytest.approx(kept.probability, abs=0.05)
