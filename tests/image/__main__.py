"""How large the image is, with and without what .ci/trim takes out: `python -m tests.image [cpu|gpu ...]`, as root."""

import sys
import tempfile
from pathlib import Path

from tests.image.build import NOT_HERE, Store, is_possible, mebibytes, new_store

PARTS = {"all of it": ".", "Debian and its Python": "usr", "packages": "opt", "code and model": "app"}


def main(targets: list[str]) -> None:
    if not is_possible():
        raise SystemExit(NOT_HERE)
    print("| Image | " + " | ".join(f"{part}, MiB" for part in PARTS) + " |\n|" + "---|" * (len(PARTS) + 1))
    for target in targets or ["cpu"]:
        for trim in ("yes", "no"):
            with tempfile.TemporaryDirectory() as folder, new_store(Path(folder) / "store") as store:
                sizes = measured(store, target, trim)
            print(f"| `{target}`{'' if trim == 'yes' else ', nothing taken out'} | " + " | ".join(sizes) + " |", flush=True)


def measured(store: Store, target: str, trim: str) -> list[str]:
    with store.mounted(store.build(target, store.add_base(), TRIM=trim)) as root:
        return [f"{mebibytes(root / part):.0f}" for part in PARTS.values()]


if __name__ == "__main__":
    main(sys.argv[1:])
