"""Every UID that Seashore gives out, each made from what it names: a crash and a retry make the same object, never a second one.

The form is 2.25.<UUID as a decimal number> (PS3.5 B.2), the UUIDs by name (RFC 9562, version 5), so no root has to be registered.
"""

from uuid import UUID, uuid5

from service.findings import Analysis, SignFinding
from service.pacs.site import ResultKind

_NAMES = UUID("5ea50012-5c1e-4e0a-9d0b-7b3f0a6c41d2")
"""Ours alone. Another one here would make every result in every archive a stranger to its next version."""


def _uid(*words: str) -> str:
    return f"2.25.{uuid5(_NAMES, '/'.join(words)).int}"


IMPLEMENTATION_CLASS_UID = _uid("implementation")
CODING_SCHEME_UID = _uid("coding scheme")


def read_by(analysis: Analysis) -> str:
    """All that had a say in an answer: the sha256 of sliding's model, and those of the signs told beside it, each with its version, for the
    same graph may come with other limits. A sign whose model could not be run is another answer than what it says once it runs."""
    return "/".join([analysis.model.sha256, *map(_told_by, analysis.signs)])


def _told_by(found: SignFinding) -> str:
    return f"{found.sign}={'failed' if found.is_failed else f'{found.model.version}:{found.model.sha256}'}"


def result_uid(source_sop_instance_uid: str, models: str, kind: ResultKind) -> str:
    """SOP Instance UID of one result: the same for the same clip, models (`read_by`) and kind; another model's result is another object."""
    return _uid("instance", kind.value, models, source_sop_instance_uid)


def series_uid(source_sop_instance_uid: str, models: str, kind: ResultKind) -> str:
    """Series Instance UID of one result. Each has a series of its own."""
    return _uid("series", kind.value, models, source_sop_instance_uid)


def tracking_uid(source_sop_instance_uid: str, model_sha256: str, name: str) -> str:
    """Tracking Unique Identifier (112040, DCM) of one thing that was measured in a clip."""
    return _uid("tracking", name, model_sha256, source_sop_instance_uid)


def device_uid(model_sha256: str) -> str:
    """Device UID (0018,1002): changes whenever the model is trained again, as IHE AI Results asks."""
    return _uid("device", model_sha256)


def missing_uid(level: str, sop_instance_uid: str) -> str:
    """In place of the Study or Series Instance UID that a source lacks. `level`: "study" or "series"."""
    return _uid("missing", level, sop_instance_uid)


def stripped_uid(sop_instance_uid: str) -> str:
    """Of the copy without identity of an instance."""
    return _uid("stripped", sop_instance_uid)
