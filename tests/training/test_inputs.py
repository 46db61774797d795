"""What a bundle says of the clips it was made from is what the service measures of them."""

from pathlib import Path

import pytest

from service.bundle import Bundle, read_bundle
from service.cine.clip import DEFAULT_LIMITS
from service.cine.decode import open_clip
from service.cine.reference import FEWEST_CLIPS, STATISTICS
from service.manifest import Label, LabelledClip
from service.options import parse_region
from service.pipeline import Options, analyse
from service.reading import Saliency
from tests.fakes.inputs import constant_engine, loaded_model
from tests.fakes.media import mp4
from tests.fakes.phantoms import small_phantom
from tests.fakes.service import shipped_bundle
from training.inputs import inputs_of, reference_of

REGION = "40,40 280,40 280,150 40,150"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(shipped_bundle())


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    path.write_bytes(mp4(small_phantom("present", 2.2).frames))
    return path


def clip(file: Path, region: str = "") -> LabelledClip:
    return LabelledClip(file, "P", Label.UNKNOWN, region=region)


@pytest.mark.parametrize("region", ["", REGION])
def test_a_clip_is_measured_as_the_service_measures_it(region: str, file: Path) -> None:
    model = loaded_model(constant_engine(0.0))
    asked = Options(saliency=Saliency.NONE, region=parse_region(region) if region else None)
    served, _ = analyse(open_clip(file, DEFAULT_LIMITS), model, asked)

    assert served.inputs is not None
    assert served.inputs.lung_grey is not None
    assert inputs_of(clip(file, region), model) == served.inputs


def test_twenty_clips_make_a_reference_of_every_statistic(bundle: Bundle, file: Path) -> None:
    reference = reference_of(bundle, [clip(file)] * FEWEST_CLIPS)

    assert reference is not None
    assert set(reference.bins) == set(STATISTICS)
    assert {sum(bins.counts) for bins in reference.bins.values()} == {FEWEST_CLIPS}
    assert reference.bins["frame_rate_fps"].edges == (30.0,)


def test_a_clip_that_cannot_be_read_is_passed_over(bundle: Bundle, file: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no clip")

    assert reference_of(bundle, [clip(tmp_path / "broken.mp4"), clip(file)]) is None


def test_the_shipped_bundle_says_it_of_all_44_clips_it_learned_from(bundle: Bundle) -> None:
    assert bundle.input_statistics is not None
    assert set(bundle.input_statistics.bins) == set(STATISTICS)
    assert {sum(bins.counts) for bins in bundle.input_statistics.bins.values()} == {bundle.training["clips"]} == {44}
