"""The net that finds the pleura: annotated clips and phantoms in, `service/cine/weights/pleura.onnx` out.

The line is annotated on the middle frame of each clip; the net sees what serving shows it (`service.cine.pleura.to_beams`
and `net_input`). Effusions are drawn into the training pictures, because none of the clips that may be trained on has one.
"""

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from service.cine.clip import DEFAULT_LIMITS
from service.cine.decode import open_clip
from service.cine.overview import Overview, look_over
from service.cine.pleura import DEPTH_SAMPLES, NUM_INPUTS, net_input, to_beams
from service.cine.sector import Sector, find_sector
from training.array_clip import ArrayClip
from training.phantom.simulate import simulate
from training.phantom.spec import Obstruction, random_spec

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

WIDTH = 16
DILATIONS = ((1, 1), (2, 2), (4, 4), (8, 4), (16, 8), (8, 16), (2, 2))
"""Down and across: sees 170 px up and down at the published scale, enough for an A-line and the wall above the line."""
TARGET_SPREAD_SAMPLES = 1.3
CROP_BEAMS = 160


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


@dataclass(frozen=True, slots=True)
class Sample:
    """One clip in beam coordinates with its annotated line."""

    mean: Floats
    """(D, A)"""
    ridge: Floats
    inside: Floats
    line: Floats
    """Depth sample of the pleura, (A,)."""
    is_visible: Bools
    """Pleura is to be seen at this beam, (A,)."""
    weight: float
    """How sure the annotator was, 0..1."""


class PleuraNet(nn.Module):
    """(N, 5, D, A) -> (N, 2, D, A): a logit for each depth of a beam, and one for "visible"."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = NUM_INPUTS
        for dilation in DILATIONS:
            layers += [nn.Conv2d(channels, WIDTH, 3, padding=dilation, dilation=dilation), nn.BatchNorm2d(WIDTH), nn.ReLU()]
            channels = WIDTH
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, 2, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.layers(pixels)
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
    """Random phantoms, an eighth of them without any pleura (gas under the skin)."""
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        obstruction = Obstruction.EMPHYSEMA if index % 8 == 0 else Obstruction.NONE
        phantom = simulate(random_spec(rng, duration_s=0.3, obstruction=obstruction), seed=index)
        overview = look_over(ArrayClip(phantom.frames, phantom.spec.fps), 6)
        sector = find_sector(overview)
        if sector is None:
            continue
        line = phantom.truth.pleura_middle_px
        if line is None:
            height, width = phantom.frames.shape[1:]
            yield _sample(overview, sector, np.array([[0, height / 3], [width, height / 3]], float), [], 0.7, False)
        else:
            yield _sample(overview, sector, line, phantom.truth.interspaces, 0.7, True)


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
    return Sample(beams.mean, beams.ridge, beams.inside, line.astype(np.float32), seen & visible, sure)


def augment(sample: Sample, rng: np.random.Generator) -> tuple[Floats, Floats, Bools]:
    """Another probe, depth, patient and display of the same anatomy: (net input, line, is_visible)."""
    num_beams = sample.mean.shape[1]
    zoom = np.exp(rng.uniform(-0.35, 0.35))  # depth setting
    top = rng.uniform(-0.04, 0.12) * DEPTH_SAMPLES if rng.random() < 0.6 else 0.0  # cropped above
    beams_out = int(np.clip(num_beams * np.exp(rng.uniform(-0.2, 0.2)), 24, 400))
    left, right = rng.uniform(0, 0.15) * num_beams, num_beams - 1 - rng.uniform(0, 0.15) * num_beams
    if rng.random() < 0.5:  # the probe's marker points either way
        left, right = right, left
    at = np.linspace(left, right, beams_out, dtype=np.float32)
    across = np.linspace(-1, 1, beams_out, dtype=np.float32)
    tilt = rng.normal(0, 0.02) * across * beams_out + rng.normal(0, 2) * across**2  # probe not square to the ribs
    y = np.arange(DEPTH_SAMPLES, dtype=np.float32)[:, None] / zoom + top + tilt[None, :]
    x = np.broadcast_to(at[None, :], y.shape).astype(np.float32)
    mean, ridge, inside = (_warp(image, x, y.astype(np.float32)) for image in (sample.mean, sample.ridge, sample.inside))
    line = (np.interp(at, np.arange(num_beams), sample.line) - tilt - top) * zoom
    seen = np.interp(at, np.arange(num_beams), sample.is_visible.astype(np.float32)) > 0.5
    if rng.random() < 0.15:
        mean, ridge = _with_effusion(mean, ridge, line.astype(np.float32), rng)
    mapped = 255 * np.clip(mean / 255 * np.exp(rng.uniform(-0.4, 0.4)), 0, 1) ** np.exp(rng.uniform(-0.5, 0.5))  # gain, display map
    mapped *= 1 + 0.2 * rng.normal() * np.linspace(-1, 1, DEPTH_SAMPLES, dtype=np.float32)[:, None]  # depth gain
    mapped += rng.normal(0, rng.uniform(0, 5), mean.shape) * (inside > 0)
    ridge = ridge * np.exp(rng.uniform(-0.3, 0.3))
    pixels = net_input(np.maximum(mapped, 0).astype(np.float32), ridge.astype(np.float32), inside)
    return pixels, line.astype(np.float32), seen & (line > 1) & (line < DEPTH_SAMPLES - 2)


def _warp(image: Floats, x: Floats, y: Floats) -> Floats:
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderValue=0), dtype=np.float32)


def _with_effusion(mean: Floats, ridge: Floats, line: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Fluid, or lung as solid as liver, instead of lung below the line: the line becomes the wall's lower edge."""
    below = np.arange(DEPTH_SAMPLES, dtype=np.float32)[:, None] - line[None, :]
    depth = rng.uniform(8, 50)
    inside = np.clip(below / 1.5, 0, 1) * np.clip((depth - below) / 3, 0, 1)
    level = rng.choice([rng.uniform(0, 8), rng.uniform(20, 60)])
    solid = cv2.GaussianBlur(rng.normal(0, 1, mean.shape).astype(np.float32), (0, 0), 1.5) * level * 0.8 + level
    return np.asarray(mean * (1 - inside) + solid * inside, np.float32), np.asarray(ridge * (1 - 0.95 * inside), np.float32)


def fit(
    samples: list[Sample],
    phantoms: list[Sample],
    *,
    steps: int,
    seed: int,
    batch: int = 8,
    on_step: Callable[[float], None] | None = None,
) -> PleuraNet:
    """Train. The loss is the cross-entropy of the depth on beams where pleura is seen, and of whether it is seen on all.

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
            if phantoms and rng.random() < 0.3
            else samples[rng.choice(len(samples), p=chance / chance.sum())]
            for _ in range(batch)
        ]
        loss = _loss(net, drawn, rng)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        if on_step is not None:
            on_step(loss.item())
    net.eval()
    return net


def _loss(net: PleuraNet, drawn: list[Sample], rng: np.random.Generator) -> Tensor:
    pixels = np.zeros((len(drawn), NUM_INPUTS, DEPTH_SAMPLES, CROP_BEAMS), np.float32)
    line, seen, real = (np.zeros((len(drawn), CROP_BEAMS), np.float32) for _ in range(3))
    for n, sample in enumerate(drawn):
        full, full_line, full_seen = augment(sample, rng)
        first = int(rng.integers(0, max(1, full.shape[2] - CROP_BEAMS + 1)))
        part = np.s_[first : first + CROP_BEAMS]
        width = len(full_line[part])
        pixels[n, :, :, :width], line[n, :width], seen[n, :width] = full[:, :, part], full_line[part], full_seen[part]
        real[n, :width] = 1
    out = net(torch.from_numpy(pixels).to(memory_format=torch.channels_last))
    log_probability = torch.log_softmax(out[:, 0], dim=1)
    visible = (log_probability.exp() * out[:, 1]).sum(dim=1)
    offset = torch.arange(DEPTH_SAMPLES)[None, :, None] - torch.from_numpy(line)[:, None]
    target = torch.exp(-0.5 * (offset / TARGET_SPREAD_SAMPLES) ** 2)
    target = target / target.sum(dim=1, keepdim=True).clamp(min=1e-6)
    weight = torch.from_numpy(seen) * torch.tensor([sample.weight for sample in drawn])[:, None]
    where = -((target * log_probability).sum(dim=1) * weight).sum() / weight.sum().clamp(min=1)
    truth, mask = torch.from_numpy(seen), torch.from_numpy(real)
    whether = (functional.binary_cross_entropy_with_logits(visible, truth, reduction="none") * mask).sum() / mask.sum()
    return where + 0.5 * whether


def export(net: PleuraNet, path: Path) -> None:
    """Write the net as ONNX; any number of beams."""
    path.parent.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(1, NUM_INPUTS, DEPTH_SAMPLES, CROP_BEAMS)
    with warnings.catch_warnings():
        # Deprecated, but its graph of a variable width is one that cv2.dnn is known to read (a test holds that).
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            net, (example,), str(path), dynamo=False, opset_version=17, input_names=["beams"], dynamic_axes={"beams": {3: "A"}}
        )
