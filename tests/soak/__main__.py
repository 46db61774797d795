"""`make soak`: hostile clips and requests at the real service, then four times what it can; on loopback, bounded in number and time.

A table of each. The exit says whether every bound held.

ARGS="--hostile" or "--overload": one of the two alone; "--inputs 300": a short run of the first; "--minutes 2": no longer than that, each;
"--seed 7": other inputs; "--write": keep the tables in docs/soak.md; "--keep FOLDER": what was answered wrongly, with how to send it
again; "--log FILE": the service's log.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench import machine
from tests.bench.plan import say
from tests.bench.servers import ROOT
from tests.bench.table import Section, write_between
from tests.soak import overload_report, report
from tests.soak.overload import OverloadOrder, overload
from tests.soak.report import Bound
from tests.soak.soaking import Order, soak

PAGE = ROOT / "docs" / "soak.md"
HOSTILE_MINUTES, OVERLOAD_MINUTES = 30.0, 15.0

Made = tuple[Sequence[Section], Sequence[Bound]]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    parts: dict[str, Callable[[argparse.Namespace], Made]] = {"hostile": _hostile, "overload": _overload}
    chosen = [name for name in parts if getattr(options, name)] or list(parts)
    broken = [what for name in chosen for what in _run(name, parts[name], options)]
    if broken:
        say(f"Did not hold: {', '.join(broken)}.")
    return int(bool(broken))


def _run(name: str, part: Callable[[argparse.Namespace], Made], options: argparse.Namespace) -> list[str]:
    """Which bounds did not hold."""
    described = machine.described()
    sections, bounds = part(options)
    command = " ".join(["make soak", f'ARGS="{" ".join(sys.argv[1:])}"']) if sys.argv[1:] else "make soak"
    made = "\n\n".join([f"Made by `{command}`, {described}", *(section.markdown() for section in sections)])
    print(made, flush=True)
    if options.write:
        write_between(PAGE, made, *markers(name))
    return [bound.what for bound in bounds if not bound.holds]


def markers(name: str) -> tuple[str, str]:
    """Of a part, in docs/soak.md."""
    begin, end = (f"<!-- {name}, made by `make soak ARGS=--write`: {which} -->" for which in ("begin", "end"))
    return begin, end


def _hostile(options: argparse.Namespace) -> Made:
    minutes = HOSTILE_MINUTES if options.minutes is None else options.minutes
    run = soak(Order(options.inputs, minutes, options.seed, options.clients, options.keep, options.log))
    return report.sections(run), report.bounds(run)


def _overload(options: argparse.Namespace) -> Made:
    minutes = OVERLOAD_MINUTES if options.minutes is None else options.minutes
    run = overload(OverloadOrder(minutes, options.seed, options.times, options.log))
    return overload_report.sections(run), overload_report.bounds(run)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hostile", action="store_true", help="hostile clips and requests alone")
    parser.add_argument("--overload", action="store_true", help="more than the service can, alone")
    parser.add_argument("--inputs", type=int, default=20_000, help="hostile: how many (20000)")
    parser.add_argument("--clients", type=int, default=6, help="hostile: connections at the same time (6)")
    parser.add_argument("--times", type=float, default=4.0, help="overload: good clips offered, in capacities (4)")
    minutes = f"hostile: begin no more of them after so long ({HOSTILE_MINUTES:g}); overload: for so long ({OVERLOAD_MINUTES:g})"
    parser.add_argument("--minutes", type=float, help=minutes)
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (1)")
    parser.add_argument("--write", action="store_true", help="keep the tables in docs/soak.md")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="hostile: where inputs that were answered wrongly are kept")
    parser.add_argument("--log", type=Path, metavar="FILE", help="where the service's log is kept; of two parts, the second's")
    return parser


if __name__ == "__main__":
    sys.exit(main())
