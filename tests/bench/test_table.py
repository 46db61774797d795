"""Rows, Markdown, and the page whose prose stays."""

import re
from pathlib import Path

import pytest

from tests.bench.__main__ import PAGE, PARTS, main
from tests.bench.table import BEGIN, END, Row, Section, figure, write_between


def section() -> Section:
    return Section("Speed", ("clips/s", "p99"), (Row("Seashore", ("3.10", "9 ms")),), ("A note.",))


def test_a_section_is_a_markdown_table_with_its_notes() -> None:
    text = "### Speed\n\n|  | clips/s | p99 |\n|---|---:|---:|\n| Seashore | 3.10 | 9 ms |\n\nA note."

    assert section().markdown() == text


def test_a_row_has_a_figure_for_each_column() -> None:
    with pytest.raises(ValueError, match="'Seashore' has 1 figures; the section has 2 columns."):
        Section("Speed", ("clips/s", "p99"), (Row("Seashore", ("3.10",)),))


def test_what_is_not_known_is_a_dash() -> None:
    assert (figure(float("nan"), "s"), figure(1.5, "s"), figure(1234.5, digits=0)) == ("-", "1.50 s", "1234")


def test_only_what_stands_between_the_markers_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "benchmark.md"
    page.write_text(f"# Benchmark\n\nProse.\n\n{BEGIN}\nold\n{END}\n\nMore prose.\n")

    write_between(page, "new\n")
    write_between(page, "newer\n")

    assert page.read_text() == f"# Benchmark\n\nProse.\n\n{BEGIN}\n\nnewer\n\n{END}\n\nMore prose.\n"


@pytest.mark.parametrize("text", ["no markers", f"{BEGIN}\nonly one", f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}"])
def test_a_page_without_its_two_markers_is_left_as_it_was(tmp_path: Path, text: str) -> None:
    page = tmp_path / "benchmark.md"
    page.write_text(text)

    with pytest.raises(ValueError, match=re.escape("benchmark.md must hold the lines")):
        write_between(page, "new")
    assert page.read_text() == text


def test_the_page_has_its_markers() -> None:
    text = PAGE.read_text()

    assert (text.count(BEGIN), text.count(END)) == (1, 1)


def test_a_part_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "answer,speed"])
    assert f"there is no part speed; there are {', '.join(PARTS)}" in capsys.readouterr().err


def test_no_clip_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--clips", str(tmp_path)]) == 1
    assert "No clip under" in capsys.readouterr().err
