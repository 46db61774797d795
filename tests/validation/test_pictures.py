"""A picture in a report shows echoes and nothing around them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from service.findings import Verdict
from service.manifest import Label, LabelledClip
from service.validation.cases import Case
from service.validation.pictures import EchoesOnly, picture_of
from service.validation.run import Model
from tests.fakes.cases import PatchlessReader, case
from tests.fakes.service import MODEL, PATIENT
from training.array_clip import ArrayClip

SECTOR = ((10.0, 10.0), (30.0, 10.0), (30.0, 20.0), (10.0, 20.0))


def of_file(path: Path) -> Case:
    return Case(LabelledClip(path, PATIENT, Label.ABSENT, row=2), case(Label.ABSENT).answer)


def test_what_stands_around_the_echoes_is_black() -> None:
    echoes = EchoesOnly(ArrayClip(np.full((2, 40, 60), 200, np.uint8), 30.0), SECTOR)
    grey, colour = next(echoes.frames()), next(echoes.rgb_frames())

    inside = np.zeros((40, 60), np.bool_)
    inside[10:21, 10:31] = True
    assert (grey[inside] == 200).all()
    assert (grey[~inside] == 0).all()
    assert (colour == grey[..., None]).all()


def test_a_clip_is_drawn_with_what_was_found_in_it(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_text("present")
    png = picture_of(of_file(tmp_path / "clip.mp4"), Model(PatchlessReader(), MODEL, "one"))
    assert png is not None

    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape[1] > 600
    assert int(picture.max()) > 200


@pytest.mark.parametrize("word", ["unsupported_format", "engine_failed"])
def test_a_clip_that_can_no_longer_be_read_has_no_picture(tmp_path: Path, word: str) -> None:
    (tmp_path / "clip.mp4").write_text(word)

    assert picture_of(of_file(tmp_path / "clip.mp4"), Model(PatchlessReader(), MODEL, "one")) is None
    assert picture_of(case(Label.ABSENT, Verdict.PRESENT), Model(PatchlessReader(), MODEL, "one")) is None  # there is no such file
