"""The net that finds the pleura: annotated clips and phantoms in, `service/cine/weights/pleura.onnx` out.

The line is annotated on the middle frame of each clip; the net sees what serving shows it (`service.cine.pleura.to_beams`
and `net_input`), drawn anew each time (`training.pleura_augment`).
"""

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from service.cine.clip import DEFAULT_LIMITS
from service.cine.decode import open_clip
from service.cine.overview import Overview, look_over
from service.cine.pleura import DEPTH_SAMPLES, NUM_INPUTS, to_beams
from service.cine.sector import Sector, find_sector
from training.array_clip import ArrayClip
from training.phantom.simulate import simulate
from training.phantom.spec import Obstruction, PhantomSpec, random_spec
from training.pleura_augment import augment
from training.pleura_view import Sample

WIDTH = 16
DILATIONS = ((1, 1), (2, 2), (4, 4), (8, 4), (16, 8), (8, 16), (2, 2))
"""Down and across: sees 170 px up and down at the published scale, enough for an A-line and the wall above the line."""
PYRAMID_WIDTHS = (12, 24, 32, 40)
PHANTOM_WEIGHT = 0.7
PHANTOM_SHARE = 0.3
TARGET_SPREAD_SAMPLES = 1.3
CROP_BEAMS = 96


class AnnotationError(ValueError):
    """The annotations cannot be read, or clips that they speak of are not there."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a reader saw in one clip, in pixels of its frames."""

    frame: int
    """The frame that was annotated."""
    line: NDArray[np.float64]
    """Points of the pleural line from left to right, (K, 2), K >= 2. A guess where it is not visible."""
    interspaces: tuple[tuple[float, float], ...]
    """(x0, x1) of each stretch of pleura that is to be seen."""
    is_visible: bool
    """False where the reader saw no pleural line at all."""
    sure: float
    """How sure the reader was, 0..1."""


def _layer(channels: int, width: int, *, stride: int = 1, dilation: tuple[int, int] = (1, 1)) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3, stride=stride, padding=dilation, dilation=dilation), nn.BatchNorm2d(width), nn.ReLU()]


class DilatedNet(nn.Sequential):
    """Looks at the picture at full resolution, ever further around each sample."""

    def __init__(self) -> None:
        widths = [NUM_INPUTS] + [WIDTH] * len(DILATIONS)
        layers = [part for width, dilation in zip(widths, DILATIONS, strict=False) for part in _layer(width, WIDTH, dilation=dilation)]
        super().__init__(*layers, nn.Conv2d(WIDTH, 2, 1))


class PyramidNet(nn.Module):
    """Looks at the whole depth at an eighth of the resolution, and carries what it saw back up to each sample."""

    def __init__(self) -> None:
        super().__init__()
        finest, fine, coarse, coarsest = PYRAMID_WIDTHS
        self.down = nn.ModuleList(
            [
                nn.Sequential(*_layer(NUM_INPUTS, finest), *_layer(finest, finest)),
                nn.Sequential(*_layer(finest, fine, stride=2), *_layer(fine, fine)),
                nn.Sequential(*_layer(fine, coarse, stride=2), *_layer(coarse, coarse)),
            ]
        )
        bottom = [_layer(coarse, coarsest, stride=2), *(_layer(coarsest, coarsest, dilation=(by, by)) for by in (2, 4))]
        self.bottom = nn.Sequential(*(part for layer in bottom for part in layer), nn.Dropout2d(0.1))
        steps = [(coarsest, coarse), (coarse, fine), (fine, finest)]
        self.up = nn.ModuleList([nn.ConvTranspose2d(below, here, 2, 2) for below, here in steps])
        self.merge = nn.ModuleList([nn.Sequential(*_layer(2 * here, here)) for _, here in steps])
        self.out = nn.Conv2d(finest, 2, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        seen: list[Tensor] = []
        for down in self.down:
            pixels = down(pixels)
            seen.append(pixels)
        pixels = self.bottom(pixels)
        for up, merge, beside in zip(self.up, self.merge, reversed(seen), strict=True):
            pixels = merge(torch.cat([up(pixels), beside], dim=1))
        logits: Tensor = self.out(pixels)
        return logits


class PleuraNet(nn.Module):
    """(N, 7, D, A), A a multiple of 8 -> (N, 2, D, A): a logit for each depth of a beam, and one for "lung is seen below".

    The mean of two nets that err differently: on unseen clips each alone called three or four wrong lines plain, both
    together one, with more right ones beside it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList([PyramidNet(), DilatedNet()])

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = torch.stack([member(pixels) for member in self.members]).mean(dim=0)
        return logits


def read_annotations(path: Path) -> dict[str, Annotation]:
    """File name -> annotation, in the file's order. Raises: AnnotationError."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AnnotationError(f"The annotations cannot be read: {error.strerror or 'unknown reason'}.") from None
    except ValueError:  # not JSON, or not UTF-8
        raise AnnotationError("The annotations are not JSON.") from None
    if not isinstance(table, dict) or not table:
        raise AnnotationError("The annotations must be a JSON object with an entry for each clip.")
    return {name: _annotation(fields, number) for number, (name, fields) in enumerate(table.items(), start=1)}


def _annotation(fields: Any, number: int) -> Annotation:
    try:
        line = np.array(fields["line"], np.float64)
        interspaces = tuple((float(x0), float(x1)) for x0, x1 in fields["interspaces"])
        annotation = Annotation(int(fields["frame"]), line, interspaces, bool(fields["visible"]), float(fields["sure"]))
    except (KeyError, TypeError, ValueError):
        raise AnnotationError(f"Annotation {number} must have frame, line, interspaces, visible and sure.") from None
    if line.ndim != 2 or line.shape[0] < 2 or line.shape[1] != 2 or (np.diff(line[:, 0]) <= 0).any():
        raise AnnotationError(f"The line of annotation {number} must be two points (x, y) or more, from left to right.")
    return annotation


def require_clips(annotations: Mapping[str, Annotation], clips: Path) -> None:
    """Raises: AnnotationError when annotated clips are not in the folder `clips`."""
    missing = sum(not (clips / name).is_file() for name in annotations)
    if missing:
        raise AnnotationError(f"{missing} of the {len(annotations)} annotated clips are not in the folder of clips.")


def annotated_samples(annotations: Mapping[str, Annotation], clips: Path) -> Iterator[Sample]:
    """A sample of every clip in the folder `clips` in which pleura is to be seen and the sector is found."""
    for name, annotation in annotations.items():
        if not annotation.is_visible:
            continue
        overview = look_over(open_clip(clips / name, DEFAULT_LIMITS))
        sector = find_sector(overview)
        if sector is not None:
            yield _sample(overview, sector, annotation.line, annotation.interspaces, annotation.sure, True)


def phantom_samples(count: int, seed: int) -> Iterator[Sample]:
    """Random phantoms, a sixth of them without any pleura; three eighths have strong fasciae over a dim line."""
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        phantom = simulate(_random_spec(index, rng), seed=index)
        overview = look_over(ArrayClip(phantom.frames, phantom.spec.fps), 4)
        sector = find_sector(overview)
        if sector is None:
            continue
        line = phantom.truth.pleura_middle_px
        if line is None:
            height, width = phantom.frames.shape[1:]
            line = np.array([[0, height / 3], [width, height / 3]], np.float64)
            yield _sample(overview, sector, line, [], PHANTOM_WEIGHT, False)
        else:
            yield _sample(overview, sector, line, phantom.truth.interspaces, PHANTOM_WEIGHT, True)


def _random_spec(index: int, rng: np.random.Generator) -> PhantomSpec:
    obstruction = Obstruction.EMPHYSEMA if index % 8 == 0 else Obstruction.NO_CONTACT if index % 24 == 1 else Obstruction.NONE
    fixed: dict[str, object] = {"probe": "linear"} if index % 8 in (3, 6) else {}
    if index % 8 in (2, 3, 4):
        fixed |= {"num_fasciae": int(rng.integers(4, 9)), "fascia_db": rng.uniform(-14, -4), "pleura_db": rng.uniform(-18, -8)}
    return random_spec(rng, duration_s=0.2, obstruction=obstruction, **fixed)


def _sample(
    overview: Overview, sector: Sector, line_px: NDArray[np.float64], interspaces: Iterable[Iterable[float]], sure: float, visible: bool
) -> Sample:
    beams = to_beams(overview, sector)
    x = np.linspace(line_px[0, 0], line_px[-1, 0], 400)
    y = np.interp(x, line_px[:, 0], line_px[:, 1])
    lateral, depth = sector.to_beam(x, y)
    order = np.argsort(lateral)
    spacing = beams.depth_px[1] - beams.depth_px[0]
    x_of_beam = np.interp(beams.lateral, lateral[order], x[order], left=-1e9, right=1e9)
    seen = np.zeros(len(beams.lateral), np.bool_)
    for x0, x1 in interspaces:
        seen |= (x_of_beam >= x0) & (x_of_beam <= x1)
    line = np.interp(beams.lateral, lateral[order], depth[order]) / spacing - 0.5
    pictures = beams.mean, beams.ridge, beams.middle, beams.middle_ridge, beams.inside
    return Sample(*pictures, line.astype(np.float32), seen & visible, sure)


def fit(
    samples: list[Sample],
    phantoms: list[Sample],
    *,
    steps: int,
    seed: int,
    batch: int = 8,
    on_step: Callable[[float], None] | None = None,
) -> PleuraNet:
    """Train the members beside each other, each by its own loss, on the same pictures.

    The loss is the cross-entropy of the depth on beams where pleura is seen, and of whether lung is seen below it on all.

    `on_step` is told the loss of each step. The same samples, seed and number of threads give the same net.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = PleuraNet()
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    chance = np.array([sample.weight for sample in samples])
    net.train()
    for _ in range(steps):
        drawn = [
            phantoms[rng.integers(len(phantoms))]
            if phantoms and rng.random() < PHANTOM_SHARE
            else samples[rng.choice(len(samples), p=chance / chance.sum())]
            for _ in range(batch)
        ]
        shown = _drawn(drawn, rng)
        pixels = shown.pixels.to(memory_format=torch.channels_last)
        loss = torch.stack([_loss(member(pixels), shown) for member in net.members]).mean()
        (len(net.members) * loss).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        if on_step is not None:
            on_step(loss.item())
    net.eval()
    return net


@dataclass(frozen=True, slots=True)
class _Batch:
    pixels: Tensor
    """(N, NUM_INPUTS, D, CROP_BEAMS)"""
    line: Tensor
    """(N, CROP_BEAMS), as all below."""
    seen: Tensor
    lung: Tensor
    real: Tensor
    """0 where the crop is wider than the clip."""
    weight: Tensor
    """(N, 1)"""


def _drawn(samples: list[Sample], rng: np.random.Generator) -> _Batch:
    """The samples augmented and cropped, none wider than CROP_BEAMS."""
    pixels = np.zeros((len(samples), NUM_INPUTS, DEPTH_SAMPLES, CROP_BEAMS), np.float32)
    line, seen, lung, real = (np.zeros((len(samples), CROP_BEAMS), np.float32) for _ in range(4))
    for n, sample in enumerate(samples):
        full, *of_beams = augment(sample, rng)
        first = int(rng.integers(0, max(1, full.shape[2] - CROP_BEAMS + 1)))
        part = np.s_[first : first + CROP_BEAMS]
        width = full[:, :, part].shape[2]
        pixels[n, :, :, :width], real[n, :width] = full[:, :, part], 1
        line[n, :width], seen[n, :width], lung[n, :width] = (values[part] for values in of_beams)
    weight = torch.tensor([[sample.weight] for sample in samples])
    return _Batch(
        torch.from_numpy(pixels), torch.from_numpy(line), torch.from_numpy(seen), torch.from_numpy(lung), torch.from_numpy(real), weight
    )


def _loss(logits: Tensor, batch: _Batch) -> Tensor:
    log_probability = torch.log_softmax(logits[:, 0], dim=1)
    visible = (log_probability.exp() * logits[:, 1]).sum(dim=1)
    offset = torch.arange(DEPTH_SAMPLES)[None, :, None] - batch.line[:, None]
    target = torch.exp(-0.5 * (offset / TARGET_SPREAD_SAMPLES) ** 2)
    target = target / target.sum(dim=1, keepdim=True).clamp(min=1e-6)
    weight = batch.seen * batch.weight
    where = -((target * log_probability).sum(dim=1) * weight).sum() / weight.sum().clamp(min=1)
    missed = functional.binary_cross_entropy_with_logits(visible, batch.lung, reduction="none")
    return where + 0.5 * (missed * batch.real).sum() / batch.real.sum()


def export(net: PleuraNet, path: Path) -> None:
    """Write the net as ONNX; any number of beams that is a multiple of 8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(1, NUM_INPUTS, DEPTH_SAMPLES, CROP_BEAMS)
    with warnings.catch_warnings():
        # Deprecated, but its graph of a variable width is one that cv2.dnn is known to read (a test holds that).
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            net, (example,), str(path), dynamo=False, opset_version=17, input_names=["beams"], dynamic_axes={"beams": {3: "A"}}
        )
