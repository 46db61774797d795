"""One clip, one client: the whole answer over HTTP, and its floor, decoding alone and the model alone."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from service.cine.decode import DEFAULT_LIMITS, open_clip
from service.engine.base import Task
from service.model import LoadedModel
from service.pipeline import begin
from service.reading import Saliency
from tests.bench import bare, clips
from tests.bench.peers.clip_work import NEVER_WAIT, OPTIONS, NamedDevice, Order
from tests.bench.plan import Plan, say
from tests.bench.servers import Running, ServerFailed, running, seashore
from tests.bench.table import Row, Section, figure, millis
from tests.bench.timing import median, percentile, timed_s

KINDS = (Saliency.NONE, Saliency.VANILLA)


def measure(plan: Plan) -> Section:
    """Server and floor in turn, so that both see the same machine."""
    asked = {"phantom, 640x480 H.264, 5 s": clips.phantom_clip()}
    if (real := clips.real_clip()) is not None:
        asked["a real clip, " + _described(real)] = real
    with running(seashore()) as server:
        rows = [_row(server, what, clip, kind, plan) for what, clip in asked.items() for kind in KINDS]
    missing = () if real else ("No real clip was found beside the checkout.",)
    columns = ("p50", "p99", "answers", "decode alone", "model alone", "whole / floor", "patches")
    return Section("The whole answer", columns, tuple(rows), missing)


def decode_alone(clip: Path) -> None:
    """PyAV with the threads it takes by itself: every frame, its luma copied out, as the service does."""
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            plane = frame.planes[0]
            np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width].copy()


def asked_of_device(clip: Path, kind: Saliency) -> Order:
    """What the service asks of its engine for this clip."""
    order, engine = Order(), bare.shipped_engine()
    model = LoadedModel(bare.shipped_bundle(), NamedDevice(engine.device))
    begin(open_clip(clip, DEFAULT_LIMITS), model, replace(OPTIONS, saliency=kind), order, windows_ahead=NEVER_WAIT)
    return order


def model_alone(order: Order) -> None:
    """The bare loop over as many patches, all there at once."""
    for task in Task:
        parts = [patches for of, patches, _ in order.asked if of is task]
        for patches in parts:
            bare.run(bare.shipped_engine(), task, patches)


def _row(server: Running, what: str, clip: Path, kind: Saliency, plan: Plan) -> Row:
    say(f"answer: {what}, saliency={kind}")
    path, order = f"/v1/predict?saliency={kind}", asked_of_device(clip, kind)
    server.ask(clip, max_requests=3, path=path)
    answers: list[float] = []
    decode: list[float] = []
    model: list[float] = []
    for _ in range(int(plan.of(4, 1))):
        outcome = server.ask(clip, max_requests=int(plan.of(15, 4)), path=path)
        if set(outcome.statuses) != {"200"}:
            raise ServerFailed(f"One client alone was answered {outcome.statuses}.")
        answers += outcome.answer_s
        decode += timed_s(lambda: decode_alone(clip), times=3)
        model += timed_s(lambda: model_alone(order), times=3)
    floor_s = median(decode) + median(model)
    p50 = percentile(answers, 0.5)
    figures = (millis(p50), millis(percentile(answers, 0.99)), str(len(answers)), millis(median(decode)), millis(median(model)))
    return Row(f"{what}, saliency={kind}", (*figures, figure(p50 / floor_s, digits=2), str(sum(len(part) for _, part, _ in order.asked))))


def _described(clip: Path) -> str:
    with av.open(str(clip)) as container:
        film = container.streams.video[0]
        seconds = (container.duration or 0) / av.time_base
        return f"{film.width}x{film.height} {film.codec_context.name}, {seconds:.1f} s"
