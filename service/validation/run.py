"""Every clip of a manifest is read by the code that serves, several at a time; what was kept before is not read again."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from service import __version__
from service.errors import SeashoreError
from service.manifest import LabelledClip
from service.options import parse_options
from service.pipeline import Options
from service.reader import Reader, open_timed
from service.reading import Saliency
from service.shelf import ModelEntry
from service.validation.answers import Answer, Ledger

UNREADABLE_FILE = "unreadable_file"
INTERNAL_ERROR = "internal_error"
_TRIED_AGAIN = (UNREADABLE_FILE, INTERNAL_ERROR, "engine_failed", "bad_bundle")
"""What may be otherwise next time, and so is not kept: a share that was not mounted, a full GPU, a defect since mended."""


@dataclass(frozen=True, slots=True)
class Model:
    """One bundle and whoever reads with it."""

    reader: Reader
    entry: ModelEntry
    identity: str
    """Hash of the bundle's manifest, which lists the hash of all its files: the graph alone would not tell a new calibration."""

    def __str__(self) -> str:
        return str(self.entry)


def answer_all(clips: Sequence[LabelledClip], model: Model, ledger: Ledger, *, jobs: int, on_answer: Callable[[], None]) -> list[Answer]:
    """The answers in the order of the clips. Every new one is in the ledger before `on_answer` is called, from this thread.

    No clip ends the run: what cannot be read is an answer with the error's code.
    """
    kept = ledger.read()
    given: dict[str, Answer] = {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        asked = [pool.submit(_answer, clip, model, kept) for clip in clips]
        try:
            for done in as_completed(asked):
                answer = done.result()
                if answer.key not in kept and answer.key not in given and answer.error not in _TRIED_AGAIN:
                    ledger.add(answer)
                given[answer.key] = answer
                on_answer()
        except BaseException:  # Ctrl-C: the clips being read are finished, none is begun
            pool.shutdown(cancel_futures=True)
            raise
    return [done.result() for done in asked]


def options_of(clip: LabelledClip, saliency: Saliency) -> Options:
    """As the service reads a clip of which nothing is said but the region. Raises: BadOption."""
    return parse_options(saliency=saliency, region=clip.region or None)


def _answer(clip: LabelledClip, model: Model, kept: dict[str, Answer]) -> Answer:
    try:
        key = _key(clip, model)
        if key in kept:
            return replace(kept[key], row=clip.row)
        return _read(clip, model, key)
    except OSError as error:
        return Answer(f"row {clip.row}", clip.row, UNREADABLE_FILE, f"{error.strerror or 'The file cannot be read'}.")


def _read(clip: LabelledClip, model: Model, key: str) -> Answer:
    try:
        # No saliency: it takes no part in the answer and half of the time.
        options = options_of(clip, Saliency.NONE)
        opened, decode_ms = open_timed(model.reader, clip.file)
        analysis, _ = model.reader.read(opened, model.entry, options, decode_ms=decode_ms)
    except SeashoreError as error:
        return Answer(key, clip.row, getattr(error, "code", UNREADABLE_FILE), str(error))
    except OSError:
        raise
    except Exception as error:
        # A defect of ours. One clip must not cost a night's run, and its text may hold what must not be shown: the kind is kept.
        return Answer(key, clip.row, INTERNAL_ERROR, f"A defect of this software ({type(error).__name__}); please report it.")
    return Answer.of(analysis, key, clip.row)


def _key(clip: LabelledClip, model: Model) -> str:
    content = clip.sha256.lower() or _sha256(clip.file)
    return hashlib.sha256("|".join((content, clip.region, str(model), model.identity, __version__)).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
