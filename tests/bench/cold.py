"""Cold start, and how much there is to carry to a machine."""

import shutil
from pathlib import Path

from tests.bench import bare
from tests.bench.plan import Plan, say
from tests.bench.servers import ROOT, running, seashore
from tests.bench.table import Row, Section, figure
from tests.bench.timing import median


def measure(plan: Plan) -> Section:
    starts = []
    for number in range(int(plan.of(3, 1))):
        say(f"cold: start {number + 1}")
        with running(seashore()) as server:
            starts.append(server.ready_after_s)
    rows = [
        Row("process start until /readyz says 200", (figure(median(starts), "s"), f"median of {len(starts)}")),
        Row("memory when ready, before a clip", (figure(_idle_mib(), "MiB", 0), "resident")),
        _size(".venv-run, everything that serving needs", ROOT / ".venv-run", "Python itself not counted"),
        _size("service/, the code", ROOT / "service", "fonts, weights of the pleura net and the page among it"),
        _size("the bundle", bare.shipped_bundle().directory, "both graphs, golden clip, card"),
        *_images(),
    ]
    return Section("Cold start and sizes", ("", "how"), tuple(rows))


def _idle_mib() -> float:
    with running(seashore()) as server:
        return server.resident_mib()


def _size(what: str, folder: Path, how: str) -> Row:
    if not folder.exists():
        return Row(what, ("-", "not here"))
    return Row(what, (figure(_bytes(folder) / 2**20, "MiB", 1), how))


def _bytes(folder: Path) -> int:
    files = (path for path in folder.rglob("*") if "__pycache__" not in path.parts and path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files)


def _images() -> list[Row]:
    """Never guessed: an image's size is that of an image that is here."""
    engine = shutil.which("docker") or shutil.which("buildah")
    if engine is None:
        return [Row("images", ("-", "not built here: neither Docker nor buildah is installed"))]
    return [_image(engine, target) for target in ("cpu", "gpu")]


def _image(engine: str, target: str) -> Row:
    import subprocess

    name = f"seashore:{target}"
    said = subprocess.run([engine, "images", "--format", "{{.Size}}", name], capture_output=True, text=True)
    size = said.stdout.strip().splitlines()
    return Row(f"image {name}", (size[0], Path(engine).name) if size else ("-", f"not built here: `make image TARGET={target}` makes it"))
