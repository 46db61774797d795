"""A reader whose clips are read in other processes says and draws what the one in this process does."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from service.evidence.rendition import Marks
from service.pipeline import Options
from service.reader import Reader
from service.reading import Saliency
from tests.fakes.service import shipped_reader

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def check_reads_as_here(reader: Reader, clip: Path, saliency: Saliency) -> None:
    here, entry = shipped_reader(), reader.find(None)

    found, arrays = reader.read(reader.open(clip), entry, Options(saliency), keeps_arrays=True)
    expected, expected_arrays = here.read(here.open(clip), entry, Options(saliency), keeps_arrays=True)

    assert found.lung_sliding.probability == pytest.approx(expected.lung_sliding.probability, abs=1e-6)
    assert found.model == expected.model
    assert found.inputs == expected.inputs
    assert found.timings.decode_ms > 0
    assert found.timings.model_ms + found.timings.saliency_ms > 0
    assert len(found.windows) == len(expected.windows) > 0
    assert arrays is not None
    assert expected_arrays is not None
    np.testing.assert_array_equal(arrays.patches, expected_arrays.patches)
    assert arrays.by_name().keys() == expected_arrays.by_name().keys()
    for name, array in expected_arrays.by_name().items():
        np.testing.assert_allclose(arrays.by_name()[name], array, atol=1e-5)


def check_draws_as_here(reader: Reader, clip: Path, folder: Path, saliency: Saliency) -> None:
    here = shipped_reader()
    analysis, arrays = reader.read(reader.open(clip), reader.find(None), Options(saliency))
    reader.annotate(reader.open(clip), analysis, folder / "annotated.mp4")
    reader.report(reader.open(clip), analysis, folder / "report.pdf", analysed_at=AT)
    here.report(here.open(clip), analysis, folder / "here.pdf", analysed_at=AT)

    marks = Marks(analysis, show_outside_region=False)
    drawn = reader.render(reader.open(clip), folder / "there.jpegs", marks=marks)

    assert drawn == here.render(here.open(clip), folder / "here.jpegs", marks=marks)
    assert (folder / "there.jpegs").read_bytes() == (folder / "here.jpegs").read_bytes()
    assert arrays is None
    assert (folder / "annotated.mp4").read_bytes()[4:8] == b"ftyp"
    assert (folder / "report.pdf").read_bytes() == (folder / "here.pdf").read_bytes()
