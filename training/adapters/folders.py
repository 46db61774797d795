"""Folders by class: what lies in `present/` slides, what lies in `absent/` does not.

present/P1/left.mp4      a folder a patient, or
absent/P2_0001.dcm       the patient in the file's name, with a pattern to find it
"""

import re
from collections.abc import Iterator
from pathlib import Path

from service.manifest import Label, LabelledClip, meant_label
from training.adapters.table import AdapterError, clip_files, patient_in, require_patients


def read_folders(folder: Path, pattern: re.Pattern[str] | None = None) -> list[LabelledClip]:
    """The patient is the folder within the class's, or what `pattern` finds in the file's path within the class's folder.

    Raises: AdapterError when no folder is named for a label, one is named for none, or a clip has no patient.
    """
    clips = [clip for label, inside in _classes(folder) for clip in _clips(label, inside, pattern)]
    need = (
        "--patient-from does not match their names." if pattern else "put each patient's into a folder of their own, or say --patient-from."
    )
    require_patients(clips, need)
    return clips


def _clips(label: Label, folder: Path, pattern: re.Pattern[str] | None) -> Iterator[LabelledClip]:
    for file in clip_files(folder):
        within = file.relative_to(folder)
        own = within.parts[0] if len(within.parts) > 1 else ""
        patient = own if pattern is None else patient_in(pattern, within.as_posix())
        yield LabelledClip(file, patient, label)


def _classes(folder: Path) -> list[tuple[Label, Path]]:
    if not folder.is_dir():
        raise AdapterError("The folder named there does not exist.")
    folders = sorted(inside for inside in folder.iterdir() if inside.is_dir() and not inside.name.startswith("."))
    return [(_label(inside.name), inside) for inside in folders]


def _label(name: str) -> Label:
    word = name.strip().lower()
    if word in list(Label):
        return Label(word)
    meant = meant_label(word)
    if meant is not None:
        raise AdapterError(f'A folder is called "{word}"; call it {meant} if that is meant.')
    # Not quoted: where folders are patients first, this is one.
    raise AdapterError(f"A folder is not named for a label. Folders here can be {', '.join(Label)}; patients' folders go inside them.")
