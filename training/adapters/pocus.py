"""The POCUS set as published (github.com/jannisborn/covid19_ultrasound; Born et al. 2021): some 200 clips from public sources.

data/pocus_videos/convex/Reg_Avi_Image008.mp4     class and source in the name, probe in the folder's
data/dataset_metadata.csv                         Filename, Label, License, LinkToLicense, Source ID, Patient ID / Name, ...,
                                                  Effusion, Consolidations, B-lines, A-lines, ..., Healthy (0 or 1), ...
"""

import re
from pathlib import Path

from service.manifest import Label, LabelledClip, read_rows
from training.adapters.table import AdapterError, clip_files

_CLASS = re.compile(r"(cov|pneu|reg|vir)[-_]", re.IGNORECASE)
_SET = re.compile(r"northumbria_\d+(?:_set\d+)?", re.IGNORECASE)
"""One scanning session. The published table gives each of its clips a patient of its own; yet set5_vid1 and set5_vid2 (patients 196
and 197) show the same pictures, and set2_vid3 and set2_vid4 too. One patient a session is the safe reading."""
_SOURCE = re.compile(r"(?:or_pneu_)?([a-z]+\d*)")
"""In what follows the class: "avi", "atlas", "liftl", "pat2"."""
_TABLE = "The set's table"
_NEEDED = ("filename", "license", "linktolicense", "patient id / name")
_SIGN_COLUMNS = {
    **dict.fromkeys(("a-lines", "a-line"), "a_lines"),
    **dict.fromkeys(("b-lines", "b-line"), "b_lines"),
    **dict.fromkeys(("effusion", "pleural effusion"), "effusion"),
    **dict.fromkeys(("consolidations", "consolidation"), "consolidation"),
}


def read_pocus(folder: Path) -> list[LabelledClip]:
    """The clips below a copy of the repository, or a folder of its clips.

    Nobody labelled sliding: "healthy" for the class "regular", else "unknown". Where the table does not say whose a clip is,
    all of one source count as one patient, so that patients are rather joined than parted.
    Raises: AdapterError when no clip is named as published; ManifestError when the table is there and cannot be read.
    """
    about = _about(folder)
    published = folder / "data" / "pocus_videos"  # what else lies there was set aside by its authors, or is still pictures
    files = [file for file in clip_files(published if published.is_dir() else folder) if _CLASS.match(file.name)]
    if not files:
        raise AdapterError("No clip there is named as the POCUS set publishes them, such as Reg_Avi_Image008.mp4.")
    return [_clip(file, about.get(file.stem.lower(), {})) for file in files]


def _clip(file: Path, about: dict[str, str]) -> LabelledClip:
    return LabelledClip(
        file=file,
        patient=_patient(file.stem, about),
        label=Label.HEALTHY if file.name.lower().startswith("reg") else Label.UNKNOWN,
        probe=_probe(file, about),
        site=f"pocus source {about['source id']}" if about.get("source id") else "",
        source="jannisborn/covid19_ultrasound",
        licence=_licence(about),
        signs=_signs(about),
    )


def _patient(stem: str, about: dict[str, str]) -> str:
    session = _SET.search(stem)
    if session:
        return session[0].lower()
    known = about.get("patient id / name", "")
    if known:
        return f"P{known}"
    source = _SOURCE.match(_CLASS.sub("", stem, count=1).lower())
    return source[1] if source else stem.lower()


def _signs(about: dict[str, str]) -> frozenset[str] | None:
    """Those with a 1; none of them only where the lung is called healthy.

    The columns were filled in from what physicians had written, and are all 0 where nobody had: Pneu_Avi_Video_001 shows
    "hepatization of the lung" beside four zeros.
    """
    seen = frozenset(sign for column, sign in _SIGN_COLUMNS.items() if about.get(column) == "1")
    return seen if seen or about.get("healthy") == "1" else None


def _probe(file: Path, about: dict[str, str]) -> str:
    folders = {part.lower() for part in file.parts[:-1]}
    return next((probe for probe in ("convex", "linear") if probe in folders), about.get("probe", "").lower())


def _licence(about: dict[str, str]) -> str:
    words = [about.get(name, "") for name in ("license", "linktolicense")]
    return " ".join(word for word in words if word and word.lower() not in ("none", "n.a."))


def _about(folder: Path) -> dict[str, dict[str, str]]:
    """The table's line for each clip, by its name in lower case; empty without the table."""
    path = next((path for path in (folder / "data" / "dataset_metadata.csv", folder / "dataset_metadata.csv") if path.exists()), None)
    if path is None:
        return {}
    header, rows = read_rows(path, _NEEDED, (), what=_TABLE)
    # Published lines end in more or fewer empty cells than the header; what is read here stands at their beginning.
    lines = [dict(zip(header, (cell.strip() for cell in cells), strict=False)) for _, cells in rows]
    return {Path(line["filename"]).name.lower(): line for line in lines if line.get("filename")}
