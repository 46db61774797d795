"""Is this instance a clip that the site wants read? By its tags alone; the pixels decide the rest when it is read."""

import warnings
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from service.cine.dicom_object import number, text
from service.pacs.objects.heading import MANUFACTURER
from service.pacs.rules import Rule

SINGLE_FRAME_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.6", "1.2.840.10008.5.1.4.1.1.6.1"})
"""Ultrasound Image Storage, retired and current: whatever its Number of Frames says."""
NOT_A_CLIP = "It is a single image, not a clip."
OUR_OWN = "It is a result of Seashore's own."
"""An archive that routes whatever has frames would otherwise send our annotated clips back, to be annotated again, for ever."""
UNREADABLE = "Its description cannot be read."


def screen(path: Path, rule: Rule) -> str:
    """Why this Part-10 file is not to be read, for the record (never a value of the object); "" when it is. Never raises for the object."""
    dataset = _description(path)
    if dataset is None or not (text(dataset, "SOPClassUID") or text(dataset, "Modality")):
        return UNREADABLE
    if text(dataset, "Manufacturer") == MANUFACTURER:
        return OUR_OWN
    if text(dataset, "SOPClassUID") in SINGLE_FRAME_CLASSES or (number(dataset, "NumberOfFrames") or 1) <= 1:
        return NOT_A_CLIP
    decision = rule.decide(dataset)
    return "" if decision.analyse else decision.because


def _description(path: Path) -> Dataset | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their texts quote values
        try:
            return dcmread(path, stop_before_pixels=True, force=True, defer_size=1 << 20)
        except Exception:  # pydicom raises whatever a broken object breaks
            return None
