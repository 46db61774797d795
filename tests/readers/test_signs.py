"""Signs are read in the reader's process, by the engines of this one, as they are in one process."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.findings import ALL_SIGNS, Analysis, SignReasonCode, Verdict
from service.pipeline import Options
from service.reader import ClipReader, Reader
from service.readers.reader import PooledReader
from service.reading import Saliency
from service.settings import Settings
from service.sign_reading import AskedSign, LoadedSign
from tests.fakes.service import shipped_bundle
from tests.fakes.signs import FLOW, FRAME, FailingDevice, write_bright
from tests.readers.reading import processes


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    store = tmp_path_factory.mktemp("signs") / "store"
    shutil.copytree(shipped_bundle(), store / shipped_bundle().parent.name / shipped_bundle().name)
    write_bright(store, ("b_lines",), name="second")
    write_bright(store, ("a_lines", "effusion"), name="frames", frames=FRAME)
    write_bright(store, ("lung_sliding",), name="flow", frames=FLOW)
    return Settings(device="cpu", model_store=store, max_concurrent=1, max_background=1)


@pytest.fixture(scope="module")
def reader(settings: Settings) -> Iterator[PooledReader]:
    with processes(settings) as reader:
        reader.load(reader.find(None))
        yield reader


def read(reader: Reader, clip: Path, signs: tuple[str, ...]) -> Analysis:
    return reader.read(reader.open(clip), reader.find(None), Options(Saliency.NONE, signs=signs))[0]


def test_the_signs_are_those_of_one_process(reader: PooledReader, settings: Settings, clip: Path) -> None:
    there, here = read(reader, clip, ALL_SIGNS), read(ClipReader(settings), clip, ALL_SIGNS)

    assert [found.sign for found in there.signs] == ["a_lines", "b_lines", "effusion", "lung_sliding"]
    assert {found.model.device for found in there.signs} == {found.model.device for found in here.signs}
    for one, other in zip(there.signs, here.signs, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=1e-5)
        assert (one.verdict, one.measured, len(one.moments)) == (other.verdict, other.measured, len(other.moments))
        assert (one.representative is None) == (other.representative is None)
    assert there.timings.signs_ms > 0


def test_a_second_reader_is_given_flow_by_the_reader_process_and_its_contradiction_is_told(reader: PooledReader, clip: Path) -> None:
    analysis = read(reader, clip, ("lung_sliding",))

    (second,) = analysis.signs
    assert (analysis.lung_sliding.verdict, second.verdict) == (Verdict.PRESENT, Verdict.ABSENT)
    assert analysis.warnings[-1] == "A second reader (flow 1.0.0, a research model) reads the sliding otherwise; look at the clip."


def test_a_sign_without_a_model_is_a_warning_and_sliding_is_read(reader: PooledReader, clip: Path) -> None:
    analysis = read(reader, clip, ("b_lines", "consolidation"))

    assert [found.sign for found in analysis.signs] == ["b_lines"]
    assert "No model that tells consolidation could be loaded." in analysis.warnings
    assert analysis.lung_sliding.probability is not None


@pytest.mark.slow
def test_a_model_that_was_changed_in_the_store_is_not_asked_and_sliding_is_read(settings: Settings, clip: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(settings.model_store, store)
    with processes(settings.model_copy(update={"model_store": store})) as reader:
        reader.load(reader.find(None))
        manifest = store / "signs" / "second" / "1.0.0" / "manifest.json"
        fields = json.loads(manifest.read_text())
        fields["tells"][0]["present_above"] = 0.9
        manifest.write_text(json.dumps(fields))

        analysis = read(reader, clip, ("b_lines", "effusion"))

    assert [found.sign for found in analysis.signs] == ["effusion"]
    assert "No model that tells b_lines could be loaded." in analysis.warnings
    assert analysis.lung_sliding.probability is not None


@pytest.mark.parametrize(
    "is_ill_before",
    [pytest.param(False, id="breaks under the clip"), pytest.param(True, id="is ill already", marks=pytest.mark.slow)],
)
def test_a_model_of_signs_that_fails_is_told_and_sliding_is_read(
    settings: Settings, clip: Path, monkeypatch: pytest.MonkeyPatch, *, is_ill_before: bool
) -> None:
    with processes(settings) as reader:
        reader.load(reader.find(None))
        sound = reader._signs.asked(("effusion",))
        broken = [
            AskedSign(LoadedSign(one.model.bundle, FailingDevice(at_once=is_ill_before)), one.signs)
            for one in reader._signs.asked(("b_lines",))
        ]
        monkeypatch.setattr(reader._signs, "asked", lambda signs: (*broken, *sound))

        analysis = read(reader, clip, ("b_lines", "effusion"))

    b_lines, effusion = analysis.signs
    assert b_lines.reason is not None
    assert (b_lines.verdict, b_lines.reason.code) == (Verdict.NOT_ASSESSABLE, SignReasonCode.MODEL_FAILED)
    assert effusion.probability is not None
    assert analysis.lung_sliding.probability is not None
