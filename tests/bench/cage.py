"""What the cage costs: the same clip read by a caged reader process and by one that is not, in turn."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from service.loading import load_model
from service.model import LoadedModel
from service.pipeline import Options
from service.readers import process
from service.readers.reader import PooledReader, reader_processes
from service.reading import Saliency
from service.settings import Settings
from tests.bench import bare, clips
from tests.bench.plan import Plan, say
from tests.bench.table import Row, Section, figure
from tests.bench.timing import median, percentile, timed_s

UNCAGED = "tests.bench.uncaged"
SETTINGS = Settings(max_concurrent=1, max_background=1, cage="require")


def measure(plan: Plan) -> Section:
    model = load_model(bare.shipped_bundle().directory, SETTINGS.device)
    asked = {"phantom, 640x480 H.264, 5 s": clips.phantom_clip()}
    if (real := clips.real_clip()) is not None:
        asked["a real clip"] = real
    with _reader(model, process.CHILD) as caged, _reader(model, UNCAGED) as free:
        rows = [_row(caged, free, what, clip, kind, plan) for what, clip in asked.items() for kind in (Saliency.NONE, Saliency.VANILLA)]
    how = "Read in turn by two processes that differ in the cage alone, one clip at a time, without HTTP."
    return Section(
        "The cage", ("caged, p50", "not caged, p50", "costs", "caged, p90", "not caged, p90", "answers of each"), tuple(rows), (how,)
    )


@contextmanager
def _reader(model: LoadedModel, child: str) -> Iterator[PooledReader]:
    """Both with the same model, each with a process of its own that is there already."""
    usual, process.CHILD = process.CHILD, child
    try:
        with reader_processes(SETTINGS, lambda folder: model) as reader:
            reader.load(reader.find(None))
            process.CHILD = usual
            yield reader
    finally:
        process.CHILD = usual


def _row(caged: PooledReader, free: PooledReader, what: str, clip: Path, kind: Saliency, plan: Plan) -> Row:
    say(f"cage: {what}, saliency={kind}")
    took: dict[bool, list[float]] = {True: [], False: []}
    for number in range(int(plan.of(60, 4))):
        for is_caged in (number % 2 == 0, number % 2 == 1):  # whoever is second finds warmer caches
            took[is_caged] += timed_s(partial(_read, caged if is_caged else free, clip, kind), times=1, warm_up=int(number == 0))
    p50s = [figure(median(took[is_caged]) * 1000, "ms", 1) for is_caged in (True, False)]
    p90s = [figure(percentile(took[is_caged], 0.9) * 1000, "ms", 1) for is_caged in (True, False)]
    ratios = [one / other for one, other in zip(took[True], took[False], strict=True)]  # of neighbours: other work on the machine drifts
    costs = figure((median(ratios) - 1) * 100, "%", 1)
    return Row(f"{what}, saliency={kind}", (*p50s, costs, *p90s, str(len(took[True]))))


def _read(reader: PooledReader, clip: Path, kind: Saliency) -> None:
    reader.read(reader.open(clip), reader.find(None), Options(kind))
