"""`python -m training.phantom`: write a simulated clip and, if asked, what is true of it."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.phantom.presets import PRESETS
from training.phantom.simulate import Phantom, simulate
from training.phantom.spec import PhantomSpec, random_spec

_EXAMPLES = """
examples:
  python -m training.phantom sliding.mp4                          a convex clip with lung sliding
  python -m training.phantom --preset absent --seed 7 still.mp4   the same without, other speckle
  python -m training.phantom --preset linear_present --truth line.json linear.mp4
  python -m training.phantom --random --seed 12 any.mp4           drawn at random: probe, wall, ribs, signs, movement, scanner

The picture is made of scatterers seen through a point-spread function, so that speckle moves and decorrelates as in tissue.
It is no patient: use phantoms to test and to train, never to state how well anything works on people.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    asked = _parser().parse_args(arguments)
    spec = random_spec(np.random.default_rng(asked.seed)) if asked.random else PRESETS[asked.preset]
    if asked.seconds is not None:
        spec = replace(spec, duration_s=asked.seconds)
    phantom = simulate(spec, asked.seed)
    phantom.write(asked.clip, crf=asked.crf)
    if asked.truth is not None:
        asked.truth.write_text(json.dumps(described(phantom), indent=1))
    print(f"{asked.clip}: {_sentence(spec)}")


def described(phantom: Phantom) -> dict[str, object]:
    """The truth as plain JSON values; the pleural line is that of the middle frame."""
    truth, line = phantom.truth, phantom.truth.pleura_middle_px
    return {
        "sliding": truth.sliding,
        "signs": sorted(truth.signs),
        "b_line_frames": np.flatnonzero(truth.b_line_frames).tolist(),
        "mm_per_px": truth.mm_per_px,
        "pleura_px": None if line is None else line.round(2).tolist(),
        "interspaces": truth.interspaces,
        "lung_point_x_px": truth.lung_point_x_px,
        "slide_mm": truth.slide_mm.round(3).tolist(),
        "wall_mm": truth.wall_mm.round(3).tolist(),
    }


def _sentence(spec: PhantomSpec) -> str:
    return f"{spec.probe} probe, {spec.duration_s:g} s at {spec.fps:g} fps, lung sliding {spec.sliding.replace('_', ' ')}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m training.phantom", description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path, help="the file to write; .mp4, .avi, .mkv or .mov")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--preset", choices=sorted(PRESETS), default="present", help="what the clip is to show (default: present)")
    which.add_argument("--random", action="store_true", help="draw everything at random, from --seed")
    parser.add_argument("--seed", type=int, default=0, help="another seed: other tissue and other tremor, the same findings (default: 0)")
    parser.add_argument("--seconds", type=float, help="length of the clip (default: the preset's own)")
    parser.add_argument("--crf", type=int, default=23, help="H.264 quality, 0 lossless to 51 worst (default: 23)")
    parser.add_argument("--truth", type=Path, help="also write what is true of the clip, as JSON: pleura, interspaces, displacements")
    return parser


if __name__ == "__main__":
    main()
