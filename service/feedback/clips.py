"""The clips that opinions are of: found by their content, laid into a folder under their hash, DICOM without its header."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydicom import dcmread

from service.cine.dicom_object import guarded
from service.cine.sniff import HEAD_BYTES, Dicom, Film, sniff
from service.jobs.feedback import Said, kept_clip, sha256_of
from service.jobs.folder import CLIP, make_folder, write_whole
from service.pacs.incoming.stripped import strip_identity
from service.pseudonyms import PATIENT_ELEMENTS, patient_identity

_SUFFIXES = {"matroska": ".mkv", "mpegts": ".ts"}


@dataclass(frozen=True, slots=True, repr=False)
class Laid:
    """A clip in the folder."""

    file: Path
    sha256: str
    """Of this file: a copy without header has another than the clip it was made of."""
    identity: str
    """Whose it is, as its header says; "" where none does. Never shown."""
    is_dicom: bool


class ClipFolder:
    """Clips named by the hash of what was uploaded; each stays once it is there, whatever becomes of its job."""

    def __init__(self, folder: Path, data_dir: Path, others: Path | None, *, with_headers: bool) -> None:
        self._folder = folder
        self._data_dir = data_dir
        self._others = others
        self._with_headers = with_headers

    def lay(self, said: Said) -> Laid | None:
        """None when the clip is nowhere. Raises: UnreadableClip, UnsupportedFormat, of DICOM that cannot be told from its header."""
        for path in self._places(said):
            with suppress(FileNotFoundError):  # its job's time may be over at any moment
                if sha256_of(path) == said.clip_sha256:
                    return self._copy(path, said.clip_sha256)
        return next(map(_stripped, self._folder.glob(f"{said.clip_sha256}.dcm")), None)

    def _places(self, said: Said) -> Iterator[Path]:
        yield self._data_dir / "jobs" / said.job / CLIP
        yield kept_clip(self._data_dir, said.job)
        yield from self._folder.glob(f"{said.clip_sha256}*")
        if said.clip_sha256 in self._by_sha256:
            yield self._by_sha256[said.clip_sha256]

    @cached_property
    def _by_sha256(self) -> dict[str, Path]:
        """What the site keeps itself; every file of it is read, once, and only when a clip is not found without."""
        files = [] if self._others is None else [path for path in self._others.rglob("*") if path.is_file()]
        return {sha256_of(path): path for path in files}

    def _copy(self, source: Path, clip_sha256: str) -> Laid:
        what = _sniffed(source)
        target = self._folder / f"{clip_sha256}{_suffix(what)}"
        identity = _identity(source) if isinstance(what, Dicom) else ""
        is_stripped = isinstance(what, Dicom) and not self._with_headers
        make_folder(self._folder)
        if source != target or is_stripped:
            write_whole(target, lambda part: _write(source, part, clip_sha256 if is_stripped else None))
        return Laid(target, sha256_of(target), identity, isinstance(what, Dicom))


def _write(source: Path, part: Path, stripped_as: str | None) -> None:
    """`stripped_as`: what the copy's UID is made of, in the place of the UID that an archive knows the clip by."""
    shutil.copyfile(source, part)
    if stripped_as is not None:
        strip_identity(part, stripped_as)


def _stripped(file: Path) -> Laid:
    """Laid here before, and its original is gone."""
    return Laid(file, sha256_of(file), "", is_dicom=True)


def _sniffed(path: Path) -> object:
    with path.open("rb") as file:
        return sniff(file.read(HEAD_BYTES))


def _suffix(what: object) -> str:
    if isinstance(what, Dicom):
        return ".dcm"
    return _SUFFIXES.get(what.container, f".{what.container}") if isinstance(what, Film) else ""


def _identity(path: Path) -> str:
    """Raises: UnreadableClip."""
    with guarded():
        return patient_identity(dcmread(path, stop_before_pixels=True, specific_tags=[*PATIENT_ELEMENTS], force=True))
