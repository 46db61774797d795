"""The copy without identity: the same frames, and nothing that the list of what decoding needs does not hold."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from service.cine.clip import DEFAULT_LIMITS
from service.cine.decode import open_clip
from service.errors import SeashoreError
from service.pacs.incoming.stripped import strip_identity
from tests.fakes import dicom
from tests.fakes.media import Frames, texture

SYNTAXES = {name: make for name, make in dicom.every_syntax().items()}
NAMED = {"InstitutionName": "St. Elsewhere", "OperatorsName": "Roe^Richard", "ImageComments": "bed 4, Mrs Doe", "AccessionNumber": "A77"}


@pytest.mark.parametrize("name", SYNTAXES)
def test_the_frames_are_the_same_in_every_syntax(name: str, tmp_path: Path) -> None:
    make: Callable[[Frames], bytes] = SYNTAXES[name]
    path, kept = tmp_path / "clip", make(texture(8))
    path.write_bytes(kept)
    before = np.stack([*open_clip(kept, DEFAULT_LIMITS).frames()])
    strip_identity(path, "1.2.3.4")

    assert np.array_equal(np.stack([*open_clip(path, DEFAULT_LIMITS).frames()]), before)
    assert dicom.PATIENT.encode() not in path.read_bytes()


def test_nothing_that_names_anybody_is_left(tmp_path: Path) -> None:
    path = tmp_path / "clip"
    made = dicom.dataset(texture(4), **NAMED)
    made.private_block(0x0009, "ACME", create=True).add_new(0x01, "LO", "hidden Jane Doe")
    path.write_bytes(dicom.file_of(made) + b"\xfc\xff\xfc\xffOB\x00\x00\x08\x00\x00\x00signed")
    strip_identity(path, "1.2.3.4")
    left = dcmread(path)
    content = path.read_bytes()

    assert [word for word in (*NAMED.values(), "hidden", "signed", dicom.PATIENT, "1.2.3.4\0") if word.encode() in content] == []
    assert (left.PatientIdentityRemoved, left.Modality, left.FrameTime) == ("YES", "US", 40)
    assert left.SOPInstanceUID.startswith("2.25.")
    assert "StudyInstanceUID" not in left


def test_the_same_instance_becomes_the_same_copy(tmp_path: Path) -> None:
    copies = []
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(dicom.native())
        strip_identity(tmp_path / name, "1.2.3.4")
        copies.append((tmp_path / name).read_bytes())

    assert copies[0] == copies[1]


@pytest.mark.parametrize("broken", [dicom.without_pixel_data, dicom.deflated])
def test_what_cannot_be_told_apart_is_refused_and_left_as_it_is(broken: Callable[[], bytes], tmp_path: Path) -> None:
    path, content = tmp_path / "clip", broken()
    path.write_bytes(content)
    with pytest.raises(SeashoreError):
        strip_identity(path, "1.2.3.4")

    assert path.read_bytes() == content
