"""A report is shown as it was given, and asks nothing of anybody else."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from service.report.document import Document, Figure, Heading, Paragraph, Table, write_report
from service.report.markdown import escaped

PNG = b"\x89PNG not really"
HOSTILE = '<script>alert("x")</script> & *stars* | pipe'
DOCUMENT = Document(
    f"Title {HOSTILE}",
    [
        Heading("First"),
        Paragraph("One line\nanother"),
        Table(("a", HOSTILE), [("1", "2")], "A caption"),
        Figure(PNG, "png", "Worst clip: row 3", "a clip"),
        Figure(b"<svg/>", "svg", "", "a curve"),
    ],
)


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def page_of(folder: Path) -> str:
    return write_report(DOCUMENT, folder).read_text(encoding="utf-8")


def test_the_page_holds_its_pictures_and_asks_no_other_host(tmp_path: Path) -> None:
    tags = Tags(page_of(tmp_path)).seen
    sources = [attributes[name] for _, attributes in tags for name in ("src", "href") if name in attributes]

    assert [source.split(",")[0] for source in sources if source] == ["data:image/png;base64", "data:image/svg+xml;base64"]
    assert "script" not in {tag for tag, _ in tags}
    assert "http" not in re.sub(r"http-equiv", "", (tmp_path / "report.html").read_text())


def test_markup_in_a_text_is_text_in_the_page(tmp_path: Path) -> None:
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; *stars*" in page_of(tmp_path)


def test_the_markdown_links_to_pictures_beside_it(tmp_path: Path) -> None:
    write_report(DOCUMENT, tmp_path)
    text = (tmp_path / "report.md").read_text()

    assert "![a clip](pictures/001-worst-clip-row-3.png)\n\n*Worst clip: row 3*" in text
    assert (tmp_path / "pictures/001-worst-clip-row-3.png").read_bytes() == PNG
    assert (tmp_path / "pictures/002-picture.svg").read_bytes() == b"<svg/>"


def test_the_markdown_of_text_shows_the_text() -> None:
    assert escaped(HOSTILE) == r'\<script\>alert("x")\</script\> \& \*stars\* \| pipe'
    assert escaped("1. a\n- b") == "1\\. a\n\\- b"
    assert escaped("a - b, -0.3") == "a - b, -0.3"


def test_a_table_in_markdown(tmp_path: Path) -> None:
    write_report(Document("T", [Table(("a", "b"), [("1", "2\n3")])]), tmp_path)

    assert (tmp_path / "report.md").read_text() == "# T\n\n| a | b |\n| --- | --- |\n| 1 | 2 3 |\n"


def test_a_second_report_leaves_no_picture_of_the_first_and_no_other_file_is_touched(tmp_path: Path) -> None:
    write_report(DOCUMENT, tmp_path)
    (tmp_path / "pictures/mine.png").write_bytes(b"mine")
    write_report(Document("T", []), tmp_path)

    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["mine.png"]


def test_a_row_has_as_many_cells_as_the_header() -> None:
    with pytest.raises(ValueError, match="^A row of the table has 1 cells and the header 2; they must be as many.$"):
        Table(("a", "b"), [("1",)])


def test_a_heading_is_never_the_title() -> None:
    with pytest.raises(ValueError, match="^The heading is of level 1; it can be 2 or 3, as the title is level 1.$"):
        Heading("a", 1)


def test_a_figure_shows_its_size_and_not_its_content() -> None:
    assert repr(Figure(PNG, "png", "c", "a")) == "Figure(png, 15 bytes)"
