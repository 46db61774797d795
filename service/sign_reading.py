"""What the models of signs are shown of a clip, as its frames go by, and what comes of it."""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.cine.attention import representative_frame
from service.cine.clip import ClipInfo
from service.cine.frame_runs import FrameRun, FrameRunner
from service.cine.sector import Sector
from service.engine.base import Task
from service.engine.turn import Answer, Device, Turn
from service.errors import EngineFailed
from service.findings import (
    ALL_SIGNS,
    SECOND_READER,
    TOLD_SIGNS,
    ModelRef,
    Reason,
    ReasonCode,
    SignFinding,
    SignFrame,
    SignMoment,
    SignReason,
    SignReasonCode,
    Verdict,
)
from service.reading import DeviceWait, Wanted
from service.sign_bundle import Floats, SignBundle, Told, run_logits

log = logging.getLogger(__name__)

RUNS_TOGETHER = 8
"""Asked about at once, at most."""
BYTES_TOGETHER = 2**24
"""Of the runs that are asked about at once, where they are more than one: a run of flow takes 20 MB."""
ASKS_AHEAD = 4
"""That may be on their way at once: more would only take memory."""

_ALSO_OF_SIGNS = {ReasonCode.NOT_ULTRASOUND: SignReasonCode.NOT_ULTRASOUND, ReasonCode.TOO_DARK: SignReasonCode.TOO_DARK}
"""What keeps a picture from being read for sliding and for any sign. A lung whose pleura is not found may be fluid, or solid."""


@dataclass(frozen=True, slots=True)
class LoadedSign:
    """A verified bundle and the device that runs its graph."""

    bundle: SignBundle
    engine: Device

    @property
    def ref(self) -> ModelRef:
        return ModelRef(self.bundle.name, self.bundle.version, self.bundle.sha256, self.engine.device)


@dataclass(frozen=True, slots=True)
class AskedSign:
    """A model, and which of the signs that it tells are wanted."""

    model: LoadedSign
    signs: tuple[str, ...]

    def unread(self, reason: SignReason) -> Iterator[SignFinding]:
        for told in self.tells:
            yield SignFinding(told.sign, self.model.ref, None, Verdict.NOT_ASSESSABLE, reason, (), None, told.measured)

    @property
    def tells(self) -> tuple[Told, ...]:
        return tuple(told for told in self.model.bundle.tells if told.sign in self.signs)


class SignReading:
    """One clip, shown to one model."""

    def __init__(self, asked: AskedSign, info: ClipInfo, sector: Sector, turn: Turn, wanted: Wanted) -> None:
        self._asked = asked
        self._info = info
        self._runner = FrameRunner(info, sector, asked.model.bundle.frames)
        self._together = max(1, min(RUNS_TOGETHER, BYTES_TOGETHER // asked.model.bundle.frames.run_bytes))
        self._device = DeviceWait(turn, wanted)
        self._held: list[FrameRun] = []
        self._on_their_way: deque[Future[Answer]] = deque()
        self._figures: list[Floats] = []
        self._spans_s: list[tuple[float, float]] = []
        self._shown: list[NDArray[np.int64]] = []

    @property
    def device_ms(self) -> float:
        return self._device.device_s[Task.CLASSIFY] * 1000

    def hear(self, frame: NDArray[np.uint8]) -> None:
        """The clip's next frame (H, W). Waits only when too much is on its way. Raises: EngineFailed."""
        for run in self._runner.see(frame):
            self._held.append(run)
            if len(self._held) == self._together:
                self._ask()

    def findings(self) -> Iterator[SignFinding]:
        """Once all frames have been heard: waits for the device. Raises: EngineFailed."""
        self._ask()
        while self._on_their_way:
            self._settle_oldest()
        figures = np.concatenate(self._figures) if self._figures else np.empty((0, self._asked.model.bundle.outputs.size), np.float32)
        logits, attention, maps = self._asked.model.bundle.outputs.unpack(figures)
        for told in self._asked.tells:
            yield self._finding(told, logits, attention, maps)

    def _ask(self) -> None:
        if not self._held:
            return
        while len(self._on_their_way) >= ASKS_AHEAD:
            self._settle_oldest()
        runs = np.stack([run.given for run in self._held])
        self._spans_s += [(run.start_s, run.end_s) for run in self._held]
        self._shown += [run.shown for run in self._held]
        self._held.clear()
        self._on_their_way.append(self._device.ask(Task.CLASSIFY, runs))

    def _settle_oldest(self) -> None:
        self._figures.append(self._device.get(Task.CLASSIFY, self._on_their_way.popleft()).logits)

    def _finding(self, told: Told, all_logits: Floats, attention: Floats | None, maps: Floats | None) -> SignFinding:
        logits = run_logits(all_logits, told.outputs)
        probability = told.pooled(logits)
        verdict = told.verdict(probability)
        moments = tuple(
            SignMoment(start_s, end_s, float(there), None if attention is None else attention[k])
            for k, ((start_s, end_s), there) in enumerate(zip(self._spans_s, told.probabilities(logits), strict=True))
        )
        best = None if verdict is Verdict.ABSENT else self._best_frame(told, all_logits, attention, maps)
        return SignFinding(told.sign, self._asked.model.ref, probability, verdict, None, moments, best, told.measured)

    def _best_frame(self, told: Told, logits: Floats, attention: Floats | None, maps: Floats | None) -> SignFrame:
        """Of the run that shows the sign best: its middle, or what the model attended to; its map is that of the output that tells it."""
        run, column = np.unravel_index(logits[:, told.outputs].argmax(), (len(logits), len(told.outputs)))
        shown = self._shown[run]
        frame = len(shown) // 2 if attention is None else int(representative_frame(attention[run]))
        index = int(shown[frame])
        x0, y0, x1, y1 = self._runner.cut.box
        seen = None if maps is None else self._runner.cut.onto_box(_scaled(maps[run, told.outputs[column]]))
        return SignFrame(index, float(self._info.times_s[index]), (x0 - 0.5, y0 - 0.5, x1 - 0.5, y1 - 0.5), seen)


class SignReadings:
    """One clip, shown to all the models that were asked for."""

    def __init__(self, asked: Sequence[tuple[AskedSign, Turn]], info: ClipInfo, sector: Sector | None, wanted: Wanted) -> None:
        self._asked = [one for one, _ in asked]
        self._read = [_begun(one, info, sector, turn, wanted) for one, turn in asked]

    @property
    def device_ms(self) -> float:
        return sum(reading.device_ms for reading in self._readings())

    @property
    def are_needed(self) -> bool:
        """Whether any model looks at the frames."""
        return any(self._readings())

    def refuse(self, reasons: Sequence[Reason]) -> None:
        """What was found wrong with the picture, where that keeps signs from being read as well."""
        for reason in reasons:
            if reason.code in _ALSO_OF_SIGNS:
                self._read = [SignReason(_ALSO_OF_SIGNS[reason.code], reason.detail) for _ in self._asked]
                return

    def hear(self, frame: NDArray[np.uint8]) -> None:
        """As `SignReading.hear`; a model that fails is not asked again."""
        for number, read in enumerate(self._read):
            if isinstance(read, SignReading):
                try:
                    read.hear(frame)
                except EngineFailed as error:
                    self._read[number] = _failed(self._asked[number], error)

    def findings(self) -> tuple[SignFinding, ...]:
        """In the order of TOLD_SIGNS. Once all frames have been heard: waits for the device."""
        found = [finding for asked, read in zip(self._asked, self._read, strict=True) for finding in _told(asked, read)]
        return tuple(sorted(found, key=lambda finding: TOLD_SIGNS.index(finding.sign)))

    def _readings(self) -> Iterator[SignReading]:
        return (read for read in self._read if isinstance(read, SignReading))


def _begun(asked: AskedSign, info: ClipInfo, sector: Sector | None, turn: Turn, wanted: Wanted) -> SignReading | SignReason:
    if sector is None:
        return SignReason(SignReasonCode.NOT_ULTRASOUND, "No ultrasound image was found in the picture.")
    return _why_not(asked.model.bundle, info, sector) or SignReading(asked, info, sector, turn, wanted)


def _told(asked: AskedSign, read: SignReading | SignReason) -> Sequence[SignFinding]:
    try:
        return tuple(asked.unread(read) if isinstance(read, SignReason) else read.findings())
    except EngineFailed as error:
        return tuple(asked.unread(_failed(asked, error)))


def _failed(asked: AskedSign, error: EngineFailed) -> SignReason:
    """Whatever befalls a model of signs, sliding is read."""
    log.error("signs: %s could not be run: %s %s", asked.model.bundle, error, error.log_detail)
    return SignReason(SignReasonCode.MODEL_FAILED, "Its model could not be run. Sliding was read all the same.")


def untold(signs: tuple[str, ...], found: Sequence[SignFinding]) -> tuple[str, ...]:
    """Warnings: which signs were wanted and had no model."""
    told = {one.sign for one in found}
    if signs == ALL_SIGNS:
        return () if told else ("Signs beside sliding were asked for, but no model for any could be loaded.",)
    missing = [name for name in signs if name not in told]
    return (f"No model that tells {' or '.join(missing)} could be loaded.",) if missing else ()


def contradicted(sliding: Verdict, found: Sequence[SignFinding]) -> tuple[str, ...]:
    """Warnings: who else reads sliding, and says the opposite of the answer. Nothing more comes of it."""
    others = [one for one in found if one.sign == SECOND_READER and {one.verdict, sliding} == {Verdict.PRESENT, Verdict.ABSENT}]
    return tuple(
        f"A second reader ({one.model.name} {one.model.version}, a research model) reads the sliding otherwise; look at the clip."
        for one in others
    )


def _why_not(bundle: SignBundle, info: ClipInfo, sector: Sector) -> SignReason | None:
    """Why this model is not shown this clip."""
    if round(info.duration_s * bundle.frames.fps) < bundle.frames.num_frames:
        need_s = bundle.frames.run_s
        return SignReason(SignReasonCode.TOO_SHORT, f"The clip lasts {info.duration_s:.2f} s; {need_s:.1f} s are needed for this sign.")
    if not bundle.domain.has_probe(sector.probe):
        measured = " and ".join(bundle.domain.probes)
        return _outside(f"of {measured} probes alone; this one is {sector.probe}")
    if info.num_frames > 1 and not bundle.domain.has_rate(info.distinct_fps):
        return _outside(f"of {bundle.domain.least_fps:g} frames a second and more; this one has {info.distinct_fps:.1f}")
    return None


def _outside(of: str) -> SignReason:
    return SignReason(SignReasonCode.OUTSIDE_DOMAIN, f"Its model was measured on clips {of}.")


def _scaled(seen: Floats) -> Floats:
    """A map to 0..1, what speaks against the sign left out."""
    positive = np.maximum(seen, 0)
    return np.asarray(positive / max(float(positive.max()), np.finfo(np.float32).tiny), np.float32)
