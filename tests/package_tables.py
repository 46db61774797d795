"""The file tables of the packages' READMEs, made from the modules' docstrings: `python tests/package_tables.py` rewrites them."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("service", "training")
BEGIN, END = "<!-- files: begin (python tests/package_tables.py) -->\n", "<!-- files: end -->\n"


def first_sentence(source: str) -> str:
    """What a module says of itself, up to its first full stop, on one line of a table."""
    text = " ".join((ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0].split())
    sentence = re.split(r"(?<=[^.][.!?])\s+(?=[A-Z`])", text)[0]
    return sentence.rstrip(".:").replace("|", "\\|")


def table(package: Path) -> str:
    """One row a module, folder by folder; a folder's own row is its __init__.py, when that says something."""
    rows = []
    for path in sorted(package.rglob("*.py"), key=lambda path: (len(path.relative_to(package).parts) > 1, path.as_posix())):
        name = path.relative_to(package).as_posix()
        sentence = first_sentence(path.read_text())
        if path.name != "__init__.py":
            rows.append(f"| `{name}` | {sentence} |")
        elif sentence and path.parent != package:
            rows.append(f"| **`{name.removesuffix('__init__.py')}`** | {sentence} |")
    return "\n".join(["| File | What it is |", "|---|---|", *rows]) + "\n"


def with_table(page: str, rows: str) -> str:
    """The page with the rows between its markers."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + rows + END + rest.split(END)[1]


def main() -> None:
    for package in PACKAGES:
        readme = ROOT / package / "README.md"
        readme.write_text(with_table(readme.read_text(), table(ROOT / package)))


if __name__ == "__main__":
    main()
