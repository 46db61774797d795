"""What the papers for a hospital point at is there: a security officer who looks a sentence up finds what it rests on."""

import re
from pathlib import Path

import pytest

from service.evidence.words import INTENDED_USE
from service.settings import Settings
from tests import paper_tables

ROOT = Path(__file__).resolve().parents[2]
PAPERS = ("threat-model", "data-protection", "risks", "intended-use", "validate-on-site")
PAGES = ("ARCHITECTURE.md", "docs/operations.md", *(f"docs/{paper}.md" for paper in PAPERS))
FOLDERS = "service|training|tests|docs|openapi|requirements|model_store"


def missing(text: str) -> list[str]:
    """Paths, tests and settings that a page names and that are not there."""
    paths = set(re.findall(rf"`((?:{FOLDERS})/[\w./-]+)(?:::\w+)?`", text))
    tests = set(re.findall(r"`(tests/[\w./]+\.py)::(\w+)`", text))
    settings = set(re.findall(r"\bSEASHORE_([A-Z_]+[A-Z])\b", text))
    return [
        *(path for path in sorted(paths) if not (ROOT / path).exists()),
        *(f"{path}::{test}" for path, test in sorted(tests) if not is_test(ROOT / path, test)),
        *(f"SEASHORE_{name}" for name in sorted(settings) if name.lower() not in Settings.model_fields),
    ]


def is_test(path: Path, name: str) -> bool:
    return path.exists() and re.search(rf"^(?:async )?def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE) is not None


@pytest.mark.parametrize("page", PAGES)
def test_every_path_test_and_setting_that_a_page_names_is_there(page: str) -> None:
    assert missing((ROOT / page).read_text(encoding="utf-8")) == []


def test_what_is_not_there_is_seen() -> None:
    tests = "`tests/contract/test_papers.py::test_of_nothing`, `tests/none.py::test_it`"
    text = f"`service/none.py`, {tests}, `SEASHORE_NONE=1` and SEASHORE_PORT"

    assert missing(text) == [
        *("service/none.py", "tests/none.py"),
        *("tests/contract/test_papers.py::test_of_nothing", "tests/none.py::test_it"),
        "SEASHORE_NONE",
    ]


def test_each_paper_names_what_it_rests_on() -> None:
    """A pattern that no longer matches anything would find nothing missing."""
    for paper in ("threat-model", "data-protection", "risks"):
        assert len(re.findall(r"`tests/[\w./]+\.py::\w+`", (ROOT / f"docs/{paper}.md").read_text(encoding="utf-8"))) >= 10


@pytest.mark.parametrize("paper", PAPERS)
def test_the_readme_and_the_page_of_operations_lead_to_every_paper(paper: str) -> None:
    assert f"](docs/{paper}.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"]({paper}.md)" in (ROOT / "docs/operations.md").read_text(encoding="utf-8")


def test_the_intended_use_on_paper_is_the_one_in_every_answer() -> None:
    assert f"> {INTENDED_USE}\n" in (ROOT / "docs/intended-use.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", paper_tables.TABLES)
def test_the_tables_are_what_code_and_model_card_say(page: str) -> None:
    assert paper_tables.with_table(page) == (ROOT / "docs" / page).read_text(encoding="utf-8"), "run `python -m tests.paper_tables`"
