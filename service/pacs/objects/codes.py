"""The codes of a result. What is coded is the sign, lung sliding or another, each for itself; never a diagnosis: absent
sliding is not by itself pneumothorax.

SNOMED CT, DICOM and LOINC have no code for lung sliding (looked for in PS3.16 2026 and LOINC), hence the private scheme 99SEASHORE. Its
codes are stable: a value is never used again for something else.
"""

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from service.evidence.words import REASON_WORDS
from service.findings import ReasonCode, SignReasonCode, Verdict
from service.pacs.objects.uids import CODING_SCHEME_UID

SCHEME = "99SEASHORE"
SCHEME_VERSION = "1"


def _own(value: str, meaning: str) -> Code:
    """value: at most 16 characters (SH), meaning: at most 64 (LO)."""
    return Code(value, SCHEME, meaning)


LUNG_SLIDING = _own("lung-sliding", "Lung sliding")
PROBABILITY = _own("probability", "Probability that lung sliding is present")
"""Not (122157, DCM, "Probability"): beside "Absent" a bare probability of 0.07 reads as 7 % sure of absence."""
PROBABILITY_LOW = _own("probability-low", "Probability of sliding: lower limit of the 95 % interval")
PROBABILITY_HIGH = _own("probability-high", "Probability of sliding: upper limit of the 95 % interval")
WALL_CONTROL = _own("wall-control", "Control: probability of sliding read from the chest wall")
QUALITY = _own("picture-quality", "Picture quality, 0 to 1")
PLEURA_CONFIDENCE = _own("pleura-found", "Confidence that the line is the pleural line, 0 to 1")
SLIDE = _own("slide", "Shift of lung past chest wall in 0.13 s, RMS")
WALL_SLIDE = _own("wall-slide", "Shift of chest wall past chest wall in 0.13 s, RMS")
INTERSPACE = _own("interspace", "Pleural line between two rib shadows")
LUNG_POINT = _own("lung-point", "Suspected lung point")
LUNG_POINT_SUSPECTED = _own("lung-point-susp", "Is a lung point suspected?")
LIMIT = _own("limit", "Reason that limits the answer")
ANSWER = _own("answer", "Answer in words")
LOOK_TWICE = _own("look-twice", "What speaks against the answer")
INTENDED_USE = _own("intended-use", "Intended use")

_SHORTER = {ReasonCode.FRAME_RATE_TOO_LOW: "frame_rate_low"}
REASONS = {code: _own(_SHORTER.get(code, code.value), words[:1].upper() + words[1:]) for code, words in REASON_WORDS.items()}

SIGNS = {
    "a_lines": _own("a-lines", "A-lines"),
    "b_lines": _own("b-lines", "B-lines"),
    "effusion": _own("effusion", "Effusion, as a sign on ultrasound"),
    "consolidation": _own("consolidation", "Consolidation, as a sign on ultrasound"),
    "fluid_or_solid": _own("fluid-or-solid", "Effusion or consolidation, either, as a sign on ultrasound"),
    "lung_sliding": _own("sliding-2nd", "Lung sliding as a second reader, a research model, reads it"),
}
"""SNOMED CT's effusion and consolidation are disorders: what a model sees in one clip is not yet one. A second reading of sliding has a
code of its own, lest an archive take it for the answer (`LUNG_SLIDING`)."""
SIGN_PROBABILITY = _own("sign-probability", "Probability that the sign is seen somewhere in the clip")
SIGN_FRAME = _own("sign-frame", "Frame that shows the sign best")
SIGN_TIME = _own("sign-time", "When the frame that shows the sign best is shown")
MEASURED = _own("measured", "On what clips the model was measured, and how well it did")
RESEARCH = _own("research", "Research finding")
OUTSIDE_DOMAIN = _own("outside_domain", "The model was not measured on clips like this one")
MODEL_FAILED = _own("model_failed", "The model could not be run")
SIGN_REASONS = {
    SignReasonCode.TOO_SHORT: REASONS[ReasonCode.TOO_SHORT],
    SignReasonCode.TOO_DARK: REASONS[ReasonCode.TOO_DARK],
    SignReasonCode.NOT_ULTRASOUND: REASONS[ReasonCode.NOT_ULTRASOUND],
    SignReasonCode.OUTSIDE_DOMAIN: OUTSIDE_DOMAIN,
    SignReasonCode.MODEL_FAILED: MODEL_FAILED,
}

PRESENT = Code("52101004", "SCT", "Present")
ABSENT = Code("272519000", "SCT", "Absent")
UNDETERMINED = Code("373068000", "SCT", "Undetermined")
VERDICTS = {
    Verdict.PRESENT: PRESENT,
    Verdict.ABSENT: ABSENT,
    Verdict.INDETERMINATE: UNDETERMINED,
    Verdict.NOT_ASSESSABLE: UNDETERMINED,
}
"""CID 240. Why it is undetermined is said beside it, by `LIMIT`."""
YES = Code("373066001", "SCT", "Yes")
NO = Code("373067005", "SCT", "No")

PLEURA = Code("3120008", "SCT", "Pleura")
LEFT_PLEURA = Code("53727004", "SCT", "Left Pleura")
RIGHT_PLEURA = Code("44788007", "SCT", "Right Pleura")
LUNG = Code("39607008", "SCT", "Lung")
SIGN_SITES = {"a_lines": LUNG, "b_lines": LUNG, "effusion": PLEURA, "consolidation": LUNG, "fluid_or_solid": LUNG, "lung_sliding": PLEURA}
LEFT = Code("7771000", "SCT", "Left")
RIGHT = Code("24028007", "SCT", "Right")
LEFT_OF, RIGHT_OF = {PLEURA: LEFT_PLEURA}, {PLEURA: RIGHT_PLEURA}
"""Places with a code of their own for either side; of others the side is said beside them."""

MEDIAN = Code("373099004", "SCT", "Median")
NO_UNITS = Code("1", "UCUM", "no units")
PIXELS = Code("{pixels}", "UCUM", "pixels")
MILLIMETRES = Code("mm", "UCUM", "mm")
SECONDS = Code("s", "UCUM", "seconds")

CHEST_ULTRASOUND = Code("24630-6", "LN", "US Chest")
MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
ACQUISITION_EQUIPMENT = Code("109101", "DCM", "Acquisition Equipment")
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")
PROCESSED_IMAGE = Code("121322", "DCM", "Source image for image processing operation")


def code_item(code: Code) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def scheme_item() -> Dataset:
    """The item of Coding Scheme Identification Sequence (0008,0110) that says whose 99SEASHORE is."""
    item = Dataset()
    item.CodingSchemeDesignator = SCHEME
    item.CodingSchemeUID = CODING_SCHEME_UID
    item.CodingSchemeName = "Seashore lung ultrasound signs"
    item.CodingSchemeVersion = SCHEME_VERSION
    item.CodingSchemeResponsibleOrganization = "Seashore"
    return item
