"""Writing a report: `report.html` to read, print and send, `report.md` with `pictures/` for a repository."""

import re
from pathlib import Path

from service.report.blocks import Block, Document, Figure, Heading, Paragraph, Table
from service.report.markdown import PICTURES, markdown_of
from service.report.page import page_of

__all__ = ["Block", "Document", "Figure", "Heading", "Paragraph", "Table", "write_report"]

PAGE, MARKDOWN = "report.html", "report.md"
_PICTURE = re.compile(r"\d{3}-[a-z0-9-]+\.(svg|png)")


def write_report(document: Document, folder: Path) -> Path:
    """Write the report into the folder, over an earlier one. Gives the page, which holds its pictures itself.

    Other files of the folder stay as they are.
    """
    pictures = folder / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.iterdir():
        if _PICTURE.fullmatch(old.name):
            old.unlink()
    for name, figure in document.pictures():
        (pictures / name).write_bytes(figure.content)
    (folder / MARKDOWN).write_text(markdown_of(document), encoding="utf-8")
    page = folder / PAGE
    page.write_text(page_of(document), encoding="utf-8")
    return page
