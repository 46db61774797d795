"""The tables of docs/dicom-conformance.md, made from the code: `python -m tests.conformance_tables` rewrites them."""

from collections.abc import Iterable
from pathlib import Path

from pydicom.sr.coding import Code
from pydicom.uid import UID

from service import __version__
from service.pacs.incoming import syntaxes
from service.pacs.objects import codes
from service.pacs.objects.heading import SOP_CLASSES, TRANSFER_SYNTAXES
from service.pacs.objects.uids import CODING_SCHEME_UID, IMPLEMENTATION_CLASS_UID
from service.pacs.outgoing.statuses import judge
from service.pacs.site import ResultKind

PAGE = Path(__file__).resolve().parents[1] / "docs" / "dicom-conformance.md"
RESULTS = {ResultKind.SR: "structured report, TID 1500", ResultKind.SC: "annotated clip", ResultKind.PDF: "one-page report"}
STATUSES = (0x0000, 0xB000, 0xB006, 0xB007, 0x0111, 0x0110, 0x0106, 0x0112, 0x0117, 0x0119, 0x0122, 0x0124, 0xA700, 0xA900, 0xC000, 0xC100)
"""What archives answer to C-STORE: those with a meaning of their own."""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _identification() -> str:
    rows = [
        ("Implementation Class UID", f"`{IMPLEMENTATION_CLASS_UID}`"),
        ("Implementation Version Name", f"`{f'SEASHORE_{__version__}'[:16]}`"),
        ("Coding scheme", f"`{codes.SCHEME}` version {codes.SCHEME_VERSION}, `{CODING_SCHEME_UID}`"),
    ]
    return _table(("What", "Value"), rows)


def _stored() -> str:
    return _table(("SOP class", "UID"), ((_name(uid), f"`{uid}`") for uid in syntaxes.STORED))


def _syntaxes() -> str:
    return _table(("Transfer syntax", "UID"), ((_name(uid), f"`{uid}`") for uid in syntaxes.TRANSFER_SYNTAXES))


def _sent() -> str:
    rows = []
    for kind in ResultKind:
        syntax = TRANSFER_SYNTAXES[kind]
        also = "" if syntax.is_encapsulated else ", Implicit VR Little Endian"
        rows.append((f"`{kind.value}`", RESULTS[kind], SOP_CLASSES[kind].name, f"`{SOP_CLASSES[kind]}`", f"{syntax.name}{also}"))
    return _table(("`results`", "What", "SOP class", "UID", "Transfer syntax"), rows)


def _statuses() -> str:
    rows = []
    for status in STATUSES:
        verdict = judge(status)
        done = "delivered" if verdict.is_accepted else "tried eight times, then a dead letter" if verdict.is_permanent else "tried again"
        rows.append((f"{status:04X}", verdict.words or "success", done))
    return _table(("Status", "Taken to mean", "What follows"), rows)


def _codes() -> str:
    own = [value for value in vars(codes).values() if isinstance(value, Code) and value.scheme_designator == codes.SCHEME]
    return _table(
        ("Code", "Meaning"), ((f"`{code.value}`", code.meaning) for code in [*own, *codes.REASONS.values(), *codes.SIGNS.values()])
    )


def _name(uid: UID) -> str:
    return uid.name if "etired" in uid.name or not uid.is_retired else f"{uid.name} (retired)"


TABLES = {
    "identification": _identification,
    "stored": _stored,
    "syntaxes": _syntaxes,
    "sent": _sent,
    "statuses": _statuses,
    "codes": _codes,
}


def with_tables(page: str) -> str:
    """The page with each table between its own markers."""
    for name, make in TABLES.items():
        begin, end = f"<!-- {name}: begin (python -m tests.conformance_tables) -->\n", f"<!-- {name}: end -->\n"
        before, rest = page.split(begin)
        page = before + begin + make() + end + rest.split(end)[1]
    return page


def main() -> None:
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
