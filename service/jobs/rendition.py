"""The frames of a job's clip, kept beside it: drawn when they are first asked for, removed with the job."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.disk import needing_room
from service.errors import UnknownJob
from service.evidence.rendition import Rendition
from service.jobs.folder import JobFolder, write_whole
from service.pipeline import Progress
from service.reader import Reader

FRAMES = "frames.jpegs"
FRAMES_INDEX = "frames.json"
"""Written last and removed first: where it is, the frames are too. Its time is when they were last looked at."""
IN_USE_S = 600.0


def is_rendered(folder: JobFolder) -> bool:
    """Whether all of them are there: an index whose frames are gone, or that is damaged, counts for nothing."""
    fields = folder.read_json(FRAMES_INDEX)
    try:
        return fields is not None and Rendition.from_json(fields).offsets[-1] == folder.file(FRAMES).stat().st_size
    except (ValueError, FileNotFoundError):
        return False


@needing_room()
def keep_rendition(reader: Reader, folder: JobFolder, on_progress: Progress) -> None:
    """Draw the frames of a job's clip and keep them, with their index, in its folder.

    Whoever does so at the same time writes the same bytes to files of their own, and the last one counts. A job that is deleted
    meanwhile leaves nothing. Raises: RequestError, EngineFailed, UnknownJob; whatever `on_progress` raises.
    """

    def tell(share: float, stage: str) -> None:
        require_clip(folder)
        on_progress(share, stage)

    made: list[Rendition] = []
    with while_there(folder):
        clip = reader.open(folder.clip, unhurried=True)
        write_whole(folder.file(FRAMES), lambda part: made.append(reader.render(clip, part, tell)))
        folder.write_json(FRAMES_INDEX, made[0].to_json())


def note_use(folder: JobFolder) -> None:
    """Somebody looks at them now."""
    with suppress(FileNotFoundError):
        os.utime(folder.file(FRAMES_INDEX))


def forget_others(folder: JobFolder, max_bytes: int) -> None:
    """Remove the frames of clips that nobody has looked at for longest, until those of all jobs take `max_bytes` or less.

    They are drawn again when they are asked for. Those of `folder`, and those looked at within `IN_USE_S`, stay whatever they take.
    """
    kept = sorted(_kept_beside(folder))
    excess = sum(num_bytes for _, num_bytes, _ in kept) + folder.file(FRAMES).stat().st_size - max_bytes
    for used_s, num_bytes, other in kept:
        if excess <= 0:
            return
        if abs(time.time() - used_s) < IN_USE_S:  # neither long ago nor in a future that the clock was set back from
            continue
        other.with_name(FRAMES_INDEX).unlink(missing_ok=True)
        other.unlink(missing_ok=True)
        excess -= num_bytes


def _kept_beside(folder: JobFolder) -> Iterator[tuple[float, int, Path]]:
    """When they were looked at, their size and their file, of the other jobs' frames."""
    for frames in folder.path.parent.glob(f"*/{FRAMES}"):
        with suppress(FileNotFoundError):  # removed meanwhile, or not all there yet
            if frames.parent != folder.path:
                yield frames.with_name(FRAMES_INDEX).stat().st_mtime, frames.stat().st_size, frames


@contextmanager
def while_there(folder: JobFolder) -> Iterator[None]:
    """A folder that is removed breaks whatever is being done in it, in many ways: UnknownJob is raised in their place."""
    try:
        yield
    except Exception:
        require_clip(folder)
        raise


def require_clip(folder: JobFolder) -> None:
    """Raises: UnknownJob when the clip is not there any more."""
    if not folder.clip.exists():
        raise UnknownJob("The clip of this job is not here any more: it was deleted, or its time is over.")
