"""A reader whose answers can be told from the clip, and a service that reads with it and takes jobs."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes.service import WordReader, is_ready, serving


@pytest.fixture
def reader() -> WordReader:
    return WordReader()


@pytest.fixture
def client(reader: WordReader, tmp_path: Path) -> Iterator[httpx.Client]:
    with serving(reader, data_dir=tmp_path / "data") as client:
        assert is_ready(client)
        yield client
        reader.release()
