"""Polygons drawn in CVAT ("CVAT for video 1.1" and "CVAT for images 1.1"): a region of a clip, and what is known of sliding there.

<track label="present"><polygon frame="12" outside="0" points="10.0,80.5;200.0,81.0;200.0,140.0"/></track>
<image name="clip7/frame_000012.png"><polygon label="absent" points="..."/></image>
"""

import math
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.parsers import expat

import cv2
import numpy as np

from service.manifest import Label, LabelledClip
from training.adapters.table import AdapterError, clip_files

MAX_CORNERS = 200
"""As many as `seashore predict --region` takes."""
MAX_BYTES = 64 * 2**20
_FRAME = re.compile(r"[-_ ]*(?:frame|img|image)?[-_ ]*\d+$", re.IGNORECASE)

Corners = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Polygon:
    """One polygon on one frame. `clip`: what the file says it belongs to, as far as it says so."""

    clip: str
    label: str
    frame: int
    corners: Corners


def read_cvat(
    xml: Path, clips: Path, *, meanings: Mapping[str, Label] | None = None, known: Sequence[LabelledClip] = ()
) -> list[LabelledClip]:
    """A row for each polygon of each clip in the folder `clips`; who the clip is of, and the rest, from the row it has in `known`.

    A polygon that moves, or is drawn again on other frames, is taken where it is nearest to the middle of its frames, as the
    service draws its answers on the clip's middle frame. `meanings` says what the project's own label names mean.
    Raises: AdapterError.
    """
    means = {name.strip().lower(): label for name, label in (meanings or {}).items()}
    polygons = read_polygons(xml)
    _check_labels(polygons, means)
    files = _files_by_name(clips)
    rows = {clip.file.resolve(): clip for clip in known}
    found = [
        _row(_find(name, files), polygon, means, rows) for name, drawn in _by_clip(polygons).items() for polygon in _at_the_middle(drawn)
    ]
    return list({(row.file, row.region): row for row in found}.values())


def region_of(corners: Corners) -> str:
    """As `seashore predict --region` takes it: 'x,y x,y x,y', pixels of the frame, at most 200 corners, spread evenly.

    Raises: AdapterError, when it encloses less than one pixel.
    """
    step = math.ceil(len(corners) / MAX_CORNERS)
    points = np.array(corners[::step], np.float32).clip(min=0)
    if cv2.contourArea(points) < 1:
        raise AdapterError("A polygon in the CVAT file encloses no area: its corners lie on one line, or outside the picture.")
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points.tolist())


# The file


def parse_plain(xml: Path) -> ElementTree.Element:
    """The root of an XML file that declares nothing: no document type, so no entities to expand or fetch.

    Raises: AdapterError.
    """
    try:
        if xml.stat().st_size > MAX_BYTES:
            raise AdapterError(f"The CVAT file has more than {MAX_BYTES // 2**20} MB; export one task at a time.")
        content = xml.read_bytes()
    except OSError as error:
        raise AdapterError(f"The CVAT file cannot be read: {error.strerror or 'unknown reason'}.") from None
    try:
        _refuse_declarations(content)
        return ElementTree.fromstring(content)
    except (expat.ExpatError, ElementTree.ParseError):
        raise AdapterError("The CVAT file is not XML, or is cut off. Export the task as CVAT 1.1, and unpack the archive.") from None


def _refuse_declarations(content: bytes) -> None:
    """Before anything is declared: expat sees the document type in any encoding, which a search for "<!DOCTYPE" would not."""

    def refuse(*_: object) -> None:
        raise AdapterError("The CVAT file declares a document type, which CVAT never writes; it is not read.")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(content, True)


def read_polygons(xml: Path) -> list[Polygon]:
    """Every visible polygon of a task, in the file's order. Raises: AdapterError."""
    root = parse_plain(xml)
    if root.tag != "annotations":
        raise AdapterError("The file is not a CVAT one: its outermost element is not <annotations>.")
    if root.find("meta/project") is not None:
        raise AdapterError("The CVAT file is of a whole project; export its tasks one by one, so that it is plain which clip is meant.")
    source = _source(root)
    found = [*_of_tracks(root, source), *_of_images(root, source)]
    if not found:
        raise AdapterError("The CVAT file has no polygons; boxes, lines and masks are not read.")
    return found


def _source(root: ElementTree.Element) -> str:
    """The clip a task was made from; CVAT has written it at two places over the years."""
    return next((name for path in ("meta/task/source", "meta/source") if (name := (root.findtext(path) or "").strip())), "")


def _of_tracks(root: ElementTree.Element, source: str) -> Iterator[Polygon]:
    for track in root.iter("track"):
        for drawn in track.iter("polygon"):
            if drawn.get("outside", "0") != "1":
                yield Polygon(source, track.get("label", ""), _number(drawn.get("frame", "")), _corners(drawn.get("points", "")))


def _of_images(root: ElementTree.Element, source: str) -> Iterator[Polygon]:
    for image in root.iter("image"):
        name = PurePosixPath(image.get("name", "").replace("\\", "/"))
        # A task of frames: a folder a clip, or the clip's name before the frame's number.
        of_frames = name.parent.name or _FRAME.sub("", name.stem)
        digits = re.search(r"(\d+)$", name.stem)
        for drawn in image.iter("polygon"):
            frame = int(digits[1]) if digits else _number(image.get("id", ""))
            yield Polygon(source or of_frames, drawn.get("label", ""), frame, _corners(drawn.get("points", "")))


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise AdapterError("The CVAT file is damaged: a polygon is on a frame that has no number.") from None


def _corners(text: str) -> Corners:
    """'10.0,80.5;200.0,81.0;...'"""
    try:
        corners = tuple((float(x), float(y)) for x, y in (corner.split(",") for corner in text.split(";")))
    except ValueError:
        corners = ()
    if len(corners) < 3 or not np.isfinite(corners).all():
        raise AdapterError("The CVAT file is damaged: a polygon has fewer than three corners, or one that is not two numbers.")
    return corners


# What is meant


def _meaning(name: str, meanings: Mapping[str, Label]) -> Label | None:
    word = name.strip().lower()
    return meanings.get(word) or (Label(word) if word in list(Label) else None)


def _check_labels(polygons: Sequence[Polygon], meanings: Mapping[str, Label]) -> None:
    others = sum(_meaning(polygon.label, meanings) is None for polygon in polygons)
    if others:
        raise AdapterError(
            f"{others} of {len(polygons)} polygons have a label that is not {', '.join(list(Label)[:-1])} or {list(Label)[-1]}; "
            "say what it means, for instance with --means pleura=unknown."
        )


def _by_clip(polygons: Sequence[Polygon]) -> dict[str, list[Polygon]]:
    clips: dict[str, list[Polygon]] = defaultdict(list)
    for polygon in polygons:
        clips[polygon.clip].append(polygon)
    return clips


def _at_the_middle(polygons: Sequence[Polygon]) -> Iterator[Polygon]:
    """For each label the polygons of one frame: of those with most of them, the one nearest to the middle of all frames drawn on."""
    drawn = sorted({polygon.frame for polygon in polygons})
    middle = (drawn[0] + drawn[-1]) / 2
    for label in dict.fromkeys(polygon.label for polygon in polygons):
        times = Counter(polygon.frame for polygon in polygons if polygon.label == label)
        frame = min(times, key=lambda frame: (-times[frame], abs(frame - middle)))
        yield from (polygon for polygon in polygons if (polygon.label, polygon.frame) == (label, frame))


def _files_by_name(folder: Path) -> dict[str, list[Path]]:
    """By the whole name and by the stem, in lower case."""
    names: dict[str, list[Path]] = defaultdict(list)
    for file in clip_files(folder):
        for name in {file.name.lower(), file.stem.lower()}:
            names[name].append(file)
    return names


def _find(name: str, files: Mapping[str, Sequence[Path]]) -> Path:
    wanted = PurePosixPath(name.replace("\\", "/")).name.lower()
    found = files.get(wanted) or files.get(PurePosixPath(wanted).stem) or []
    if len(found) != 1:
        how_many = "more than one clip" if found else "no clip"
        raise AdapterError(f"In the folder of clips there is {how_many} of the name that a polygon belongs to; exactly one is needed.")
    return found[0]


def _row(file: Path, polygon: Polygon, meanings: Mapping[str, Label], rows: Mapping[Path, LabelledClip]) -> LabelledClip:
    label = _meaning(polygon.label, meanings)
    assert label is not None  # _check_labels
    row = rows.get(file.resolve(), LabelledClip(file, "", label))
    columns = {name: getattr(row, name) for name in ("patient", "probe", "site", "device", "source", "licence", "split", "notes", "other")}
    return LabelledClip(file=file, label=label, region=region_of(polygon.corners), **columns)
