"""Saliency as multiples of the forward pass: ours through the batcher, torch's autograd and Captum on the same net and cores.

`python -m tests.bench.saliency` prints this part alone.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.engine.base import Task
from service.engine.batcher import Batcher
from service.engine.turn import Turn
from service.evidence import saliency
from service.machine import available_cores
from service.reading import SMOOTHGRAD_NOISE_GREY_LEVELS, SMOOTHGRAD_SAMPLES, SMOOTHGRAD_SEED, DeviceWait, Saliency
from tests.bench import bare
from tests.bench.answer import asked_of_device
from tests.bench.plan import Plan, say
from tests.bench.table import Row, Section, figure
from tests.bench.timing import median

NUM_PATCHES = 16
REPEATS = 4
"""Of what takes one pass, so that it is timed for long enough."""
BATCHES = (4, 8, 16)
FORWARD, VANILLA, FULL, EARLY = "our forward pass", "our vanilla saliency", "our SmoothGrad, all samples", "our SmoothGrad, until settled"
AUTOGRAD, CAPTUM, CAPTUM_SMOOTHGRAD = "torch autograd", "Captum, Saliency", "Captum, NoiseTunnel(Saliency)"

Patches = NDArray[np.uint8]
Explain = Callable[[Any], Any]


@dataclass(slots=True)
class Contender:
    """One way to explain `NUM_PATCHES` patches. `run` does all of them."""

    name: str
    run: Callable[[], object]
    how: str
    repeats: int = REPEATS
    seconds: list[float] = field(default_factory=list)
    """For all patches once, one of each round."""

    def time_once(self) -> None:
        start_s = time.perf_counter()
        for _ in range(self.repeats):
            self.run()
        self.seconds.append((time.perf_counter() - start_s) / self.repeats)


def measure(plan: Plan) -> tuple[Section, ...]:
    """All in turn, so that what the machine does beside falls on all of them."""
    patches, missing = lung_patches(NUM_PATCHES), list[Row]()
    with closing(Batcher(bare.shipped_engine())) as batcher, batcher.turn() as turn:
        contenders = [*_ours(turn, patches), *_theirs(plan, patches, missing)]
        for contender in contenders:
            contender.run()
        for number in range(int(plan.of(5, 1))):
            say(f"saliency, round {number + 1}")
            for contender in contenders:
                time.sleep(0.3)  # until the threads of the one before have stopped spinning for more work
                contender.time_once()
        best = _best_of_kind(contenders)
        note = _note(turn, patches, best)
    rows = [_row(contender, best) for contender in best.values()]
    return (Section("Saliency", ("a patch", "forward passes", "vanilla passes", "how"), (*rows, *missing), (note,)),)


def lung_patches(number: int) -> Patches:
    """Those the service explains of the bundle's golden clip: on noise SmoothGrad would settle otherwise."""
    asked = asked_of_device(bare.shipped_bundle().golden_clip, Saliency.VANILLA).asked
    explained: Patches = np.concatenate([patches for task, patches, _ in asked if task is Task.EXPLAIN]).astype(np.uint8)
    return explained[np.arange(number) % len(explained)]


def _ours(turn: Turn, patches: Patches) -> Iterator[Contender]:
    device = DeviceWait(turn, lambda: None)
    how = f"{bare.shipped_engine().device}, {bare.shipped_engine().streams} streams, through the batcher"
    yield Contender(FORWARD, lambda: device.get(Task.CLASSIFY, device.ask(Task.CLASSIFY, patches)), how)
    yield Contender(VANILLA, lambda: saliency.vanilla(device, patches), "logit and exact gradient")
    yield Contender(FULL, partial(smoothed, turn, patches, settled=None), f"{SMOOTHGRAD_SAMPLES} samples", repeats=1)
    yield Contender(EARLY, partial(smoothed, turn, patches), f"at most {SMOOTHGRAD_SAMPLES} samples", repeats=1)


def smoothed(turn: Turn, patches: Patches, *, settled: float | None = saliency.SETTLED_CORRELATION) -> NDArray[np.float32]:
    return saliency.smoothgrad(
        DeviceWait(turn, lambda: None),
        patches,
        samples=SMOOTHGRAD_SAMPLES,
        noise_grey_levels=SMOOTHGRAD_NOISE_GREY_LEVELS,
        seed=SMOOTHGRAD_SEED,
        settled=settled,
    )


def _theirs(plan: Plan, patches: Patches, missing: list[Row]) -> Iterator[Contender]:
    net = _net()
    sizes = BATCHES[2:3] if plan.quick else BATCHES
    for size in sizes:
        yield Contender(AUTOGRAD, _in_batches(partial(_autograd, net), patches, size), f"batches of {size}, batch norms folded")
    try:
        from captum.attr import NoiseTunnel, Saliency
    except ImportError:
        missing += [Row(name, ("-", "-", "-", "not run: Captum is not installed")) for name in (CAPTUM, CAPTUM_SMOOTHGRAD)]
        return
    plain = Saliency(net)
    for size in sizes:
        yield Contender(CAPTUM, _in_batches(partial(plain.attribute, abs=False), patches, size), f"batches of {size}")
    tunnel = partial(
        NoiseTunnel(plain).attribute,
        nt_type="smoothgrad",
        nt_samples=SMOOTHGRAD_SAMPLES,
        nt_samples_batch_size=1,
        stdevs=SMOOTHGRAD_NOISE_GREY_LEVELS,
        abs=False,
    )
    size = sizes[0]  # of no matter to it, and a pass of it takes seconds
    yield Contender(CAPTUM_SMOOTHGRAD, _in_batches(tunnel, patches, size), f"{SMOOTHGRAD_SAMPLES} samples, batches of {size}", repeats=1)


def _net() -> Any:
    import torch

    from training.models.fold import fold_batch_norm
    from training.restore import restore

    torch.set_num_threads(available_cores())
    return fold_batch_norm(restore(bare.shipped_bundle())).eval().requires_grad_(False)


def _autograd(net: Any, pixels: Any) -> Any:
    import torch

    pixels.requires_grad_()
    return torch.autograd.grad(net(pixels).sum(), pixels)[0]


def _in_batches(explain: Explain, patches: Patches, size: int) -> Callable[[], object]:
    import torch

    def run() -> None:
        for start in range(0, len(patches), size):
            explain(torch.from_numpy(patches[start : start + size]).float().requires_grad_())

    return run


def _best_of_kind(contenders: list[Contender]) -> dict[str, Contender]:
    """Of those of one name the fastest."""
    best: dict[str, Contender] = {}
    for one in contenders:
        if one.name not in best or median(one.seconds) < median(best[one.name].seconds):
            best[one.name] = one
    return best


def _row(one: Contender, best: dict[str, Contender]) -> Row:
    milliseconds = figure(1000 * median(one.seconds) / NUM_PATCHES, "ms")
    return Row(one.name, (milliseconds, _passes(one, best[FORWARD]), _passes(one, best[VANILLA]), one.how))


def _passes(one: Contender, unit: Contender) -> str:
    """The median over the rounds of how often `unit` would have gone into `one`."""
    return figure(median([mine / its for mine, its in zip(one.seconds, unit.seconds, strict=True)]))


def _note(turn: Turn, patches: Patches, best: dict[str, Contender]) -> str:
    """How far the map that was settled for is from that of all samples, and by how much autograd is slower."""
    full, early = (saliency.pool(smoothed(turn, patches, settled=settled))[0] for settled in (None, saliency.SETTLED_CORRELATION))
    alike = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(full, early, strict=True)]
    slower = _passes(best[AUTOGRAD], best[VANILLA])
    return (
        f"torch autograd takes {slower} times as long as our vanilla saliency. Maps that were settled for correlate {median(alike):.3f} "
        f"(median; {min(alike):.3f} at least) with those of all {SMOOTHGRAD_SAMPLES} samples. Patches: {NUM_PATCHES} of the golden clip."
    )


def main() -> None:
    for section in measure(Plan()):
        print(section.markdown())


if __name__ == "__main__":
    main()
