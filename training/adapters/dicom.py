"""A directory of DICOM objects, without a word of whose they are: patients and sites become pseudonyms."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from service.cine.dicom_object import check_modality, guarded, number, text
from service.errors import SeashoreError
from service.manifest import Label, LabelledClip, ManifestError, cells_by_name, read_label, read_rows
from service.manifest_writing import file_from
from service.pseudonyms import PATIENT_ELEMENTS, key_beside, patient_identity, patient_pseudonym, pseudonym
from training.adapters.table import AdapterError, all_files, patient_in

_ELEMENTS = [
    *("SOPClassUID", "SOPInstanceUID", "Modality", "NumberOfFrames"),
    *(*PATIENT_ELEMENTS, "PatientName"),  # to make the pseudonym, and to keep them out of file names
    *("InstitutionName", "Manufacturer", "ManufacturerModelName", "TransducerType", "TransducerData"),
]
_LABELS = "The table of labels"
_UID = "sop_instance_uid"
_KINDS = (("LINEAR", "linear"), ("CURVED LINEAR", "convex"), ("SECTOR", "phased"), ("VECTOR", "phased"))
"""Of Transducer Type (0018,6031), PS3.3 C.8.5.6.1.17, by its beginning."""
_MODELS = {"L": "linear", "C": "convex", "S": "phased", "P": "phased"}
"""First letter of a probe's model: L12-4, C5-1, S5-1, P4-2."""


@dataclass(frozen=True, slots=True, repr=False)
class _Object:
    """What is taken from one object. Never shown."""

    file: Path
    uid: str
    patient: str
    words: frozenset[str]
    """Of the patient's name and ID: what must not stand in a file name."""
    institution: str
    device: str
    probe: str


def read_dicom(
    folder: Path, manifest: Path, *, labels: Path | None = None, pattern: re.Pattern[str] | None = None
) -> tuple[list[LabelledClip], int]:
    """The ultrasound clips below `folder`, for a table at `manifest`, and how many other files were passed over (stills, reports).

    `labels`: a CSV with the columns sop_instance_uid and label; every clip is "unknown" without. `pattern` finds the patient in
    the file's path where the objects carry no Patient ID; it is hashed as well.
    Raises: AdapterError when a clip has no patient, or its file name tells who it is of; ManifestError for the table of labels;
    BadKey.
    """
    files = all_files(folder)
    objects = [found for file in files if (found := _read(file, folder, pattern)) is not None]
    _check_patients(objects, pattern)
    _check_names(objects, manifest.parent)
    known = {} if labels is None else _read_labels(labels, {found.uid for found in objects})
    key = key_beside(manifest)
    return [_clip(found, key, known) for found in objects], len(files) - len(objects)


def _clip(found: _Object, key: bytes, labels: Mapping[str, Label]) -> LabelledClip:
    return LabelledClip(
        file=found.file,
        patient=patient_pseudonym(key, found.patient),
        label=labels.get(found.uid, Label.UNKNOWN),
        probe=found.probe,
        site=f"S-{pseudonym(key, 'site', found.institution)}" if found.institution else "",
        device=found.device,
    )


# One object


def _read(file: Path, folder: Path, pattern: re.Pattern[str] | None) -> _Object | None:
    """None for what is not an ultrasound clip."""
    try:
        with guarded():
            made = dcmread(file, stop_before_pixels=True, specific_tags=_ELEMENTS)
        check_modality(made)
    except SeashoreError:
        return None
    if (number(made, "NumberOfFrames") or 1) < 2:
        return None
    return _Object(
        file=file,
        uid=text(made, "SOPInstanceUID"),
        patient=patient_identity(made) if pattern is None else patient_in(pattern, file.relative_to(folder).as_posix()),
        words=_words([text(made, "PatientID"), text(made, "PatientName")]),
        institution=_folded(text(made, "InstitutionName")),
        device=_device(made),
        probe=_probe(made),
    )


def _device(made: Dataset) -> str:
    maker, model = text(made, "Manufacturer"), text(made, "ManufacturerModelName")
    return model if maker.casefold() in model.casefold() else f"{maker} {model}".strip()


def _probe(made: Dataset) -> str:
    kind = text(made, "TransducerType").upper().replace("_", " ")
    for beginning, probe in _KINDS:
        if kind.startswith(beginning):
            return probe
    model = re.search(r"\b([LCSP])\d", text(made, "TransducerData").upper())
    return _MODELS[model[1]] if model else ""


def _folded(words: str) -> str:
    return " ".join(words.casefold().split())


def _words(texts: Iterable[str]) -> frozenset[str]:
    """Of three letters or more: shorter ones are in every path."""
    return frozenset(word for text in texts for word in re.split(r"[\W_]+", text.casefold()) if len(word) >= 3)


# What must hold of all


def _check_patients(objects: Sequence[_Object], pattern: re.Pattern[str] | None) -> None:
    nameless = sum(not found.patient for found in objects)
    if nameless:
        how = "carry no Patient ID; say with --patient-from how to tell whose they are by their paths" if pattern is None else ""
        raise AdapterError(f"{nameless} of {len(objects)} clips {how or 'have no patient: --patient-from does not match their paths'}.")


def _check_names(objects: Sequence[_Object], beside: Path) -> None:
    """The manifest must repeat where the files are; where that tells whose they are, it would not be a pseudonym."""
    telling = sum(_tells(file_from(found.file, beside), found.words) for found in objects)
    if telling:
        raise AdapterError(
            f"{telling} of {len(objects)} clips have their patient's name or ID in their file's or folder's name, which the manifest "
            "would repeat. Rename them first; nothing was written."
        )


def _tells(name: str, words: frozenset[str]) -> bool:
    """A word of its own, or a longer one anywhere ("DOEJANE01"); a short one within others ("ann" in "annotated") tells nothing."""
    return not words.isdisjoint(_words([name])) or any(len(word) >= 5 and word in name.casefold() for word in words)


def _read_labels(path: Path, there: set[str]) -> dict[str, Label]:
    """{SOP Instance UID: label}. A label for an object that is not there is most likely a wrong folder or a typing error."""
    header, rows = read_rows(path, (_UID, "label"), (), what=_LABELS)
    labels: dict[str, Label] = {}
    for row, cells in rows:
        try:
            line = cells_by_name(header, cells, row)
            label = read_label(line["label"], row)
        except ManifestError as error:
            raise ManifestError(f"{_LABELS}: {error}") from None
        if line[_UID] not in there:
            raise ManifestError(f"{_LABELS}: Row {row}: no clip in the folder has this SOP Instance UID.")
        if labels.setdefault(line[_UID], label) is not label:
            raise ManifestError(f"{_LABELS}: Row {row}: this SOP Instance UID has another label in a row above.")
    return labels
