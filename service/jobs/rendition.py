"""The frames of a job's clip, kept beside it: drawn when they are first asked for, removed with the job."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import UnknownJob
from service.evidence.rendition import Rendition
from service.jobs.folder import JobFolder, write_whole
from service.pipeline import Progress
from service.reader import Reader

FRAMES = "frames.jpegs"
FRAMES_INDEX = "frames.json"
"""Written last: where it is, the frames are too."""


def is_rendered(folder: JobFolder) -> bool:
    return folder.file(FRAMES_INDEX).exists()


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
