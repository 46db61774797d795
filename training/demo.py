"""`python -m training.demo`: the four clips that the page offers to whoever has none at hand, phantoms all.

Each is answered by the shipped model (pleura-resnet3d-18, 1.1.2) as its name says: present, absent, with a suspected lung point, not
assessable. The seed was tried for that, and a test asks again. They show what the answers look like and nothing else: how well
anything is answered on people is in the model card.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from training.phantom import PhantomSpec, simulate
from training.phantom.presets import PRESETS
from training.phantom.spec import Obstruction

FOLDER = Path(__file__).resolve().parents[1] / "service" / "web" / "demo"
SECONDS = 5.0
"""A breath and a half."""
SEED = 0
CRF = 26
"""H.264 quality: 220 to 260 kB a clip, and grain that still looks like speckle."""

DEMOS: dict[str, PhantomSpec] = {
    "present": PRESETS["present"],
    "absent": PRESETS["absent"],
    "lung_point": PRESETS["lung_point"],
    # Gas under the skin, the preset of that name, is answered "cannot tell": its ragged line may be a pleura. A probe in the air may not.
    "not_assessable": replace(PRESETS["not_assessable"], obstruction=Obstruction.NO_CONTACT),
}
"""By the name of the file. All are 640x480 at 30 fps."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m training.demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the clips (default: service/web/demo)")
    folder = parser.parse_args(arguments).out
    folder.mkdir(parents=True, exist_ok=True)
    for name, spec in DEMOS.items():
        path = folder / f"{name}.mp4"
        simulate(replace(spec, duration_s=SECONDS), SEED).write(path, crf=CRF)
        print(f"{path.name}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
