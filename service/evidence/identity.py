"""Whose clip a report is about, as a person reads it. Never part of a file's name, its metadata or a log."""

from dataclasses import dataclass

from service.evidence.paper import is_printable

NOT_STATED = "not stated"
NOT_SHOWN = "(see the archive)"
"""In the place of what this page has no letters for: half a name would be another patient's."""


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """What the DICOM object says, in its own writing: names "Doe^Jane", dates "20261121". What is not known is empty."""

    patient_name: str = ""
    patient_id: str = ""
    birth_date: str = ""
    study_date: str = ""
    accession_number: str = ""

    def __repr__(self) -> str:
        return "Identity(...)"

    def cells(self) -> tuple[tuple[str, str], ...]:
        """(label, text) of everything, in the order a report shows them."""
        return (
            ("Patient", readable_name(self.patient_name)),
            ("Patient ID", _shown(self.patient_id)),
            ("Born", readable_date(self.birth_date)),
            ("Study date", readable_date(self.study_date)),
            ("Accession number", _shown(self.accession_number)),
        )


def readable_name(name: str) -> str:
    """ "Doe^Jane^M^Dr^=..." -> "Doe, Jane M Dr": of its up to three spellings (PS3.5 6.2.1) the first one in letters the page has."""
    spellings = [_spelt_out(group) for group in name.split("=") if group.strip("^ ")]
    return next((spelling for spelling in spellings if is_printable(spelling)), NOT_SHOWN if spellings else NOT_STATED)


def _spelt_out(group: str) -> str:
    family, *others = (part.strip() for part in group.split("^"))
    return ", ".join(part for part in (family, " ".join(filter(None, others))) if part)


def readable_date(date: str) -> str:
    """DICOM's 20261121 as 2026-11-21; any other way of writing it stays."""
    plain = date.strip()
    return f"{plain[:4]}-{plain[4:6]}-{plain[6:]}" if len(plain) == 8 and plain.isdecimal() else _shown(plain)


def _shown(text: str) -> str:
    plain = text.strip()
    return (plain if is_printable(plain) else NOT_SHOWN) or NOT_STATED
