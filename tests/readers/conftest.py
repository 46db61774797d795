"""What the tests of the reading processes share: a sound clip, and processes that do what a clip says."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.readers import process as process_module
from service.readers.reader import PooledReader
from service.settings import Settings
from tests.fakes import media
from tests.fakes.phantoms import small_phantom
from tests.readers.reading import processes


@pytest.fixture
def fragile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[PooledReader]:
    """A reader, set as the module's SETTINGS say, whose processes do what the clip's first bytes say (`tests/readers/fragile.py`)."""
    settings: Settings = request.module.SETTINGS
    monkeypatch.setattr(process_module, "CHILD", "tests.readers.fragile")
    with processes(settings) as reader:
        reader.load(reader.find(None))
        yield reader


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip"
    path.write_bytes(media.mp4(small_phantom("present", 2.2).frames))
    return path
