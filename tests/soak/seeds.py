"""Sound clips that everything hostile is made from: one of each container, codec and transfer syntax, read in milliseconds."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.fakes import dicom, media
from tests.fakes.phantoms import small_phantom

FRAMES = (12, 96, 80)
"""Number, width, height: too short for the model, so what is answered is what the decoder makes of it."""
LUNG_S = 2.2
STUDY = {"StudyInstanceUID": "1.2.826.0.1.1", "SeriesInstanceUID": "1.2.826.0.1.1.1", "PatientID": "soak"}


@dataclass(frozen=True, slots=True)
class Seed:
    name: str
    content: bytes
    is_dicom: bool = False


def every_seed() -> tuple[Seed, ...]:
    return (*_films(), *_objects(), *lungs())


def lungs() -> tuple[Seed, ...]:
    """Clips that are read to their end: through geometry, model, saliency and whatever is drawn."""
    frames = small_phantom("present", LUNG_S).frames
    return (
        Seed("lung mp4", media.mp4(frames, options={"crf": "18", "preset": "ultrafast"})),
        Seed("lung webm", media.encode(frames, **media.EVERY_KIND["webm vp8"])),
        Seed("lung dicom", dicom.jpeg_baseline(frames, frame_time_ms=33.3, **STUDY), is_dicom=True),
    )


def _films() -> list[Seed]:
    """In a thread of their own. Run by root, SVT-AV1 makes whichever thread it encodes in a real-time one (SCHED_FIFO, 99), for good, and
    all that is started from it: the service to be soaked would leave its own event loop no core."""
    with ThreadPoolExecutor(1) as thread:
        return list(thread.map(_film, media.EVERY_KIND | _av1(), (media.EVERY_KIND | _av1()).values()))


def _film(name: str, kind: dict[str, Any]) -> Seed:
    return Seed(name, media.encode(media.texture(*FRAMES), **kind))


def _av1() -> dict[str, dict[str, object]]:
    os.environ.setdefault("SVT_LOG", "0")  # it would tell what it is made of, on standard error
    return {"webm av1": {"container": "webm", "codec": "libsvtav1", "pix_fmt": "yuv420p", "options": {"preset": "12"}}}


def _objects() -> list[Seed]:
    grey, colour = media.texture(*FRAMES), dicom.colour(4)
    writers: dict[str, Callable[[], bytes]] = {
        **{f"dicom {name}": lambda write=write: write(grey) for name, write in dicom.every_syntax().items()},
        "dicom JPEG baseline": lambda: dicom.jpeg_baseline(grey),
        "dicom native colour": lambda: dicom.native(colour),
        "dicom JPEG colour": lambda: dicom.jpeg_baseline(colour, PhotometricInterpretation="YBR_FULL_422"),
        **{f"dicom {name}": lambda name=name: dicom.film(name, grey) for name in dicom.FILM_SYNTAXES},
    }
    return [Seed(name, write(), is_dicom=True) for name, write in writers.items()]
