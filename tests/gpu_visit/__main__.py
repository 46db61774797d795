"""`python -m tests.gpu_visit pack FOLDER`, `python -m tests.gpu_visit measure`: the package says when each."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.table import Section

PARTS = ("checks", "speed", "load")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.verb == "pack":
        return _pack(options.folder)
    return _measure(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu_visit", description="Checks and times the service on a GPU.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    pack = verbs.add_parser("pack", help="download what a machine without a network lacks, in parts that can be carried")
    pack.add_argument("folder", type=Path)
    measure = verbs.add_parser("measure", help="check and time everything here")
    measure.add_argument("--dry-run", action="store_true", help="on the CPU, with few and small batches")
    measure.add_argument("--only", type=lambda text: text.split(","), default=list(PARTS), help=f"of {','.join(PARTS)}")
    measure.add_argument("--write", type=Path, help="file for the table (Markdown)")
    return parser


def _pack(folder: Path) -> int:
    from tests.gpu_visit.carry import pack

    folder.mkdir(parents=True, exist_ok=True)
    for part in pack(folder):
        print(f"{part}  {part.stat().st_size / 2**20:.1f} MiB")
    return 0


def _measure(options: argparse.Namespace) -> int:
    from tests.gpu_visit.visit import Visit, find_nvidia_libraries

    if not options.dry_run:
        find_nvidia_libraries()
    visit, begun_s = Visit(options.dry_run), time.monotonic()
    sections = [section for name in options.only for section in _part(name)(visit)]
    text = _page(visit.dry, sections, time.monotonic() - begun_s)
    print(text)
    if options.write:
        options.write.write_text(text + "\n")
    return _status(sections)


def _part(name: str) -> "Callable[..., list[Section]]":
    from tests.gpu_visit import checks, load, speed

    return {"checks": lambda visit: [checks.measure(visit)], "speed": speed.measure, "load": load.measure}[name]


def _page(dry: bool, sections: list[Section], took_s: float) -> str:
    from tests.bench import machine
    from tests.gpu_visit import gpu

    head = f"Made by `python -m tests.gpu_visit measure` in {took_s:.0f} s, {machine.described()}\n\nGPU: {gpu.described()}."
    if dry:
        head += "\n\n**A dry run on a CPU: it shows that the script works. None of these figures says anything of a GPU.**"
    return "\n\n".join([head, *(section.markdown() for section in sections)])


def _status(sections: list[Section]) -> int:
    """1 where a check failed; what could only not be timed is said in the table."""
    from tests.gpu_visit.visit import has_failed

    rows = [row for section in sections if section.title == "Checks" for row in section.rows if has_failed(row)]
    for row in rows:
        print(f"Failed: {row.what}: {row.figures[0]}", file=sys.stderr)
    return int(bool(rows))


if __name__ == "__main__":
    sys.exit(main())
