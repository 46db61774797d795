"""COVID-BLUES as published (github.com/NinaWie/COVID-BLUES; Wiedemann et al. 2025): 362 clips of 63 patients, six BLUE points each.

lus_videos/patient_15_L2_2.mp4     patient 15, left lung, point 2, second clip
severity.csv                       video_file,Severity Score,A-lines,B-lines,comments
"""

import re
from pathlib import Path

from service.manifest import Label, LabelledClip, ManifestError, cells_by_name, read_rows
from training.adapters.table import AdapterError, clip_files

_NAME = re.compile(r"patient_(\d+)_([LR][1-3])(?:_\d+)?")
LICENCE = "CC BY-NC-ND 4.0 https://creativecommons.org/licenses/by-nc-nd/4.0/"
"""The stricter of the two it states: CC BY-NC-ND on its page, CC BY-ND in its licence file. No derivatives: ask before sharing a model."""
_SEVERITY = "The severity table"


def read_blues(folder: Path) -> list[LabelledClip]:
    """The clips below a copy of the repository. Nobody has looked at them for sliding: labels are "healthy" or "unknown".

    Raises: AdapterError when no clip is named as published; ManifestError when severity.csv is there and cannot be read.
    """
    lungs = _severity(folder / "severity.csv")
    named = [(file, found) for file in clip_files(folder) if (found := _NAME.fullmatch(file.stem))]
    if not named:
        raise AdapterError("No clip there is named as COVID-BLUES publishes them, such as patient_15_L2.mp4.")
    return [_clip(file, found[1], found[2], lungs.get(file.stem, {})) for file, found in named]


def _clip(file: Path, patient: str, point: str, lung: dict[str, str]) -> LabelledClip:
    return LabelledClip(
        file=file,
        patient=f"blues-{patient}",
        label=_label(lung),
        probe="convex",
        site="Maastricht UMC+",
        device="Philips Lumify",
        source="NinaWie/COVID-BLUES",
        licence=LICENCE,
        notes=f"BLUE point {point}",
        signs=_signs(lung),
    )


def _label(lung: dict[str, str]) -> Label:
    """Healthy where two experts saw severity 0, A-lines and no B-lines: an aerated lung under a whole pleura (Soldati 2020).

    All patients had symptoms of a lung infection, so that severity 0 alone is not enough.
    """
    aerated = lung.get("a-lines") == "yes" and lung.get("b-lines") == "no"
    return Label.HEALTHY if aerated and _is_zero(lung.get("severity score", "")) else Label.UNKNOWN


def _signs(lung: dict[str, str]) -> frozenset[str] | None:
    """The A-lines and B-lines that the experts saw; the table has no column for effusion and consolidation.

    Neither of them is "none" at severity 0 only: above it the lung is white or solid (patient_13_L3, patient_9_L2).
    """
    answers = {sign: lung.get(column, "") for sign, column in (("a_lines", "a-lines"), ("b_lines", "b-lines"))}
    seen = frozenset(sign for sign, answer in answers.items() if answer == "yes")
    is_known = set(answers.values()) <= {"yes", "no"} and (seen or _is_zero(lung.get("severity score", "")))
    return seen if is_known else None


def _is_zero(text: str) -> bool:
    try:
        return float(text) == 0.0
    except ValueError:
        return False


def _severity(path: Path) -> dict[str, dict[str, str]]:
    """{"patient_62_R1": {"severity score": "2.0", "a-lines": "yes", ...}}; empty without the table."""
    if not path.exists():
        return {}
    header, rows = read_rows(path, ("video_file", "severity score", "a-lines", "b-lines"), (), what=_SEVERITY)
    try:
        lines = [cells_by_name(header, cells, number) for number, cells in rows]
    except ManifestError as error:
        raise ManifestError(f"{_SEVERITY}: {error}") from None
    return {line["video_file"]: {name: cell.lower() for name, cell in line.items()} for line in lines}
