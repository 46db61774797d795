"""`make bench`: one table, all in one run on one machine. Nothing is compared across runs.

ARGS="--only answer,load": parts of it; "--quick": every part in a few minutes, figures not to be quoted; "--write": keep it in
docs/benchmark.md; "--clips FOLDER": today's clips one by one instead; "--pacs 20": the chain from C-STORE to an archive instead.
"""

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench import chain, listing, machine
from tests.bench.plan import Plan, say
from tests.bench.servers import ROOT
from tests.bench.table import Section, write_between

PAGE = ROOT / "docs" / "benchmark.md"
Part = Callable[[Plan], Section | Sequence[Section]]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.clips is not None or options.pacs is not None:
        return _clips(options)
    parts = PARTS if options.only is None else {name: PARTS[name] for name in options.only}
    heading = _heading(options)
    texts, failed = _measured(parts, Plan(options.quick, options.rounds or (1 if options.quick else 2), options.tune))
    made = "\n\n".join([heading, *texts])
    print(made)
    if failed:
        say(f"Failed, so nothing was written: {', '.join(failed)}.")
    elif options.write:
        write_between(PAGE, made)
        say(f"Written into {PAGE.relative_to(ROOT)}.")
    return int(bool(failed))


def _measured(parts: dict[str, Part], plan: Plan) -> tuple[list[str], list[str]]:
    """Of every part its Markdown, and the names of those that failed: the others' figures have taken minutes."""
    texts, failed = [], []
    for name, measure in parts.items():
        say(name)
        try:
            sections = measure(plan)
        except Exception:
            traceback.print_exc()
            failed.append(name)
        else:
            texts += [one.markdown() for one in ([sections] if isinstance(sections, Section) else sections)]
    return texts, failed


def _heading(options: argparse.Namespace) -> str:
    arguments = " ".join(sys.argv[1:])
    command = f'make bench ARGS="{arguments}"' if arguments else "make bench"
    hurried = "\n\nA quick run: it shows that everything works. Its figures are too few to be quoted." if options.quick else ""
    return f"Made by `{command}`, {machine.described()}{hurried}"


def _answer(plan: Plan) -> Section:
    from tests.bench import answer

    return answer.measure(plan)


def _load(plan: Plan) -> Section:
    from tests.bench import load

    return load.measure(plan)


def _engine(plan: Plan) -> Section:
    from tests.bench import engine

    return engine.measure(plan)


def _saliency(plan: Plan) -> Sequence[Section]:
    try:
        from tests.bench import saliency  # type: ignore[attr-defined]
    except ImportError:
        say("saliency: not there")
        return ()
    return saliency.measure(plan)  # type: ignore[no-any-return]


def _growth(plan: Plan) -> Sequence[Section]:
    from tests.bench import growth

    return growth.measure(plan)


def _cold(plan: Plan) -> Section:
    from tests.bench import cold

    return cold.measure(plan)


def _cage(plan: Plan) -> Section:
    from tests.bench import cage

    return cage.measure(plan)


def _signs(plan: Plan) -> Section:
    from tests.bench import signs

    return signs.measure(plan)


PARTS: dict[str, Part] = {
    "answer": _answer,
    "cage": _cage,
    "signs": _signs,
    "load": _load,
    "engine": _engine,
    "saliency": _saliency,
    "growth": _growth,
    "cold": _cold,
}
"""Each imports what it needs when it is asked for: clips can be listed without torch, or without the peers."""


def _clips(options: argparse.Namespace) -> int:
    clips = listing.found(options.clips or [ROOT / "model_store"])
    if not clips:
        print(f"No clip under {' '.join(map(str, options.clips))}.", file=sys.stderr)
        return 1
    if options.pacs is not None:
        return chain.time_chain(clips, options.pacs)
    return listing.list_answers(clips, query=options.query, repeat=options.repeat, limit_s=options.limit)


def _parts(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=_parts, metavar="PART,...", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="a smoke run of a few minutes")
    parser.add_argument("--rounds", type=int, help="how often each server is started and loaded (2)")
    parser.add_argument("--tune", action="store_true", help="try every setting of the peers first, 5 minutes more")
    parser.add_argument("--write", action="store_true", help="keep the table in docs/benchmark.md")
    parser.add_argument("--clips", nargs="*", type=Path, metavar="PATH", help="time one answer for every clip there (model_store's)")
    parser.add_argument("--query", default="", help="with --clips: options of the request, such as saliency=none")
    parser.add_argument("--repeat", type=int, default=1, help="with --clips: ask for each clip so many times")
    parser.add_argument("--limit", type=float, metavar="S", help="with --clips: fail when an answer takes longer, in seconds")
    parser.add_argument("--pacs", type=int, metavar="N", help="time N clips from C-STORE to their results in an archive")
    return parser


if __name__ == "__main__":
    sys.exit(main())
