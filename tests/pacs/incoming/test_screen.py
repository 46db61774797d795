"""Which instances are not read, and what is recorded of them."""

from pathlib import Path

import pytest

from service.pacs.incoming.screen import NOT_A_CLIP, OUR_OWN, UNREADABLE, screen
from service.pacs.rules import EVERY_ULTRASOUND_OBJECT, parse_rule
from tests.fakes import dicom


@pytest.mark.parametrize(
    ("content", "because"),
    [
        (dicom.native(), ""),
        (dicom.single_frame(), NOT_A_CLIP),
        (dicom.native(SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1"), NOT_A_CLIP),
        (dicom.native(Manufacturer="Seashore"), OUR_OWN),
        (dicom.of_modality("MR"), 'The rule refuses it: Modality is "US" does not hold.'),
        (b"no DICOM object", UNREADABLE),
    ],
)
def test_an_instance_is_read_or_the_reason_is_recorded(content: bytes, because: str, tmp_path: Path) -> None:
    (tmp_path / "clip").write_bytes(content)

    assert screen(tmp_path / "clip", parse_rule(EVERY_ULTRASOUND_OBJECT)) == because


def test_the_reason_quotes_no_value_of_the_object(tmp_path: Path) -> None:
    (tmp_path / "clip").write_bytes(dicom.native())

    assert dicom.PATIENT not in screen(tmp_path / "clip", parse_rule('PatientName is "nobody"'))
