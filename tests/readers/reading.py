"""Clips read by real processes of their own."""

from contextlib import AbstractContextManager
from pathlib import Path

from service.pipeline import Options
from service.readers.reader import PooledReader, reader_processes
from service.reading import Saliency
from service.settings import Settings
from tests.fakes.service import shipped_reader

QUICK = Options(Saliency.NONE)


def processes(settings: Settings) -> AbstractContextManager[PooledReader]:
    """With the model of the one process, for it takes seconds to load."""
    here = shipped_reader()
    return reader_processes(settings, lambda folder: here._shelf.get(here.find(None)))


def read(reader: PooledReader, path: Path) -> float | None:
    """The probability that sliding is present."""
    analysis, _ = reader.read(reader.open(path), reader.find(None), QUICK)
    return analysis.lung_sliding.probability
