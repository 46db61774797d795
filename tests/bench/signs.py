"""What the signs beside sliding cost: the same clip read with them and without, in turn."""

from functools import partial
from pathlib import Path

from service.errors import SeashoreError
from service.findings import ALL_SIGNS
from service.loading import load_model
from service.pipeline import Options
from service.readers.reader import PooledReader, reader_processes
from service.reading import Saliency
from service.settings import Settings
from tests.bench import bare, clips
from tests.bench.plan import Plan, say
from tests.bench.table import Row, Section, figure
from tests.bench.timing import median, timed_s

SETTINGS = Settings(max_concurrent=1, max_background=1)


def measure(plan: Plan) -> Section:
    model = load_model(bare.shipped_bundle().directory, SETTINGS.device)
    asked = {"phantom, 640x480 H.264, 5 s": clips.phantom_clip()}
    if (real := clips.real_clip()) is not None:
        asked["a real clip"] = real
    with reader_processes(SETTINGS, lambda folder: model) as reader:
        reader.load(reader.find(None))
        signs = sorted({sign for entry in reader.signs() for sign in entry.signs})
        if not signs:
            raise SeashoreError("The model store holds no model of signs: there is nothing to time.")
        rows = [_row(reader, what, clip, kind, plan) for what, clip in asked.items() for kind in (Saliency.NONE, Saliency.VANILLA)]
    how = f"Signs: {', '.join(signs)}. Read in turn by one reader process, one clip at a time, without HTTP."
    return Section("The signs beside sliding", ("with, p50", "without, p50", "cost", "answers of each"), tuple(rows), (how,))


def _row(reader: PooledReader, what: str, clip: Path, kind: Saliency, plan: Plan) -> Row:
    say(f"signs: {what}, saliency={kind}")
    took: dict[bool, list[float]] = {True: [], False: []}
    for number in range(int(plan.of(40, 4))):
        for has_signs in (number % 2 == 0, number % 2 == 1):  # whoever is second finds warmer caches
            took[has_signs] += timed_s(partial(_read, reader, clip, kind, has_signs=has_signs), times=1, warm_up=int(number == 0))
    p50s = [figure(median(took[has_signs]) * 1000, "ms", 1) for has_signs in (True, False)]
    ratios = [one / other for one, other in zip(took[True], took[False], strict=True)]  # of neighbours: other work on the machine drifts
    cost = figure((median(ratios) - 1) * 100, "%", 1)
    return Row(f"{what}, saliency={kind}", (*p50s, cost, str(len(took[True]))))


def _read(reader: PooledReader, clip: Path, kind: Saliency, *, has_signs: bool) -> None:
    reader.read(reader.open(clip), reader.find(None), Options(kind, signs=ALL_SIGNS if has_signs else ()))
