"""The import arrows of ARCHITECTURE.md, read from the source; and that importing the service does nothing but import."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

LAYERS: tuple[tuple[str, ...], ...] = (
    ("service.cli",),
    ("service.feedback_cli", "service.keys_cli", "service.pacs_cli", "service.ray_app", "service.validate_cli"),
    ("service.api", "service.web"),
    ("service.access",),
    ("service.feedback",),
    ("service.pacs",),
    ("service.jobs",),
    ("service.remote.reader_desk",),
    ("service.readers",),
    ("service.remote", "service.validation"),
    ("service.reader",),
    ("service.file_clip", "service.record"),
    ("service.sign_shelf",),
    ("service.shelf",),
    ("service.options",),
    ("service.loading", "service.sign_loading", "service.signature"),
    ("service.pipeline",),
    ("service.answer",),
    ("service.tracked",),
    ("service.sign_reading",),
    ("service.reading",),
    ("service.model",),
    ("service.evidence",),
    ("service.engine",),
    ("service.report",),
    ("service.manifest_writing",),
    ("service.drift", "service.manifest", "service.metrics"),
    ("service.manifest_signs",),
    ("service.manifest_rows", "service.pseudonyms"),
    ("service.bundle", "service.sign_bundle"),
    ("service.bundle_files",),
    ("service.cine",),
    ("service.logs",),
    ("service.settings", "service.telemetry", "service.disk", "service.sandbox", "service.tracing", "service.versions"),
    ("service.allocator", "service.errors", "service.findings", "service.machine", "service.standing"),
)
"""Top to bottom. A module imports from its own entry and from the rows below its own, never from above or beside."""

NEVER_LOADED = {"training", "torch", "torchvision", "lightning", "pytorch_lightning", "onnx", "onnxscript"}
NEVER_IN_SERVICE = NEVER_LOADED | {"gdcm"}
"""gdcm ends the whole process on a damaged JPEG. pydicom loads it where it is installed, as for the tests, and is not let use it."""
CINE_MAY_IMPORT = {"numpy", "av", "cv2", "pydicom", "service"}
ONLY_THERE = {
    "fastapi": ("service.api", "service.cli"),
    "starlette": ("service.api", "service.cli"),
    "uvicorn": ("service.api", "service.cli"),
    "typer": ("service.cli", "service.feedback_cli", "service.keys_cli", "service.pacs_cli", "service.validate_cli"),
    "ray": ("service.ray_app",),
    "dbos": ("service.jobs",),
    "sqlalchemy": ("service.jobs",),
    "cattrs": ("service.record",),
    "pynetdicom": ("service.pacs",),
    "highdicom": ("service.pacs",),
    "dicomweb_client": ("service.pacs",),
    "requests": ("service.access", "service.pacs"),
    "jwt": ("service.access",),
    "opentelemetry": ("service.tracing",),
    "itsdangerous": ("service.access",),
    "limits": ("service.api",),
    "urllib3": ("service.pacs",),
    "reportlab": ("service.evidence",),
    "matplotlib": ("service.report",),
    "jinja2": ("service.report",),
    "onnxruntime": ("service.engine",),
    "openvino": ("service.engine",),
}
"""Libraries with one home each, so that HTTP, the command line and the runtimes stay replaceable."""

TRAINING_MAY_IMPORT = (
    "service.bundle",
    "service.bundle_files",
    "service.cine",
    "service.errors",
    "service.findings",
    "service.manifest",
    "service.manifest_writing",
    "service.metrics",
    "service.pseudonyms",
    "service.report",
    "service.sign_bundle",
)
_JUDGES = (
    "assemble",
    "calibrate",
    "cli",
    "controls",
    "evaluate",
    "export",
    "inputs",
    "sensitivity",
    "sensitivity_cli",
    "signs.bundle",
    "signs.export",
    "trials.answers",
)
EVALUATION = tuple(f"training.{module}" for module in _JUDGES)
EVALUATION_MAY_IMPORT = (
    "service.engine",
    "service.loading",
    "service.model",
    "service.pipeline",
    "service.reading",
    "service.sign_loading",
)
"""What runs the exported graph, or the whole service, to judge it."""
ALSO = {
    "training.study.failures": ("service.evidence",),
    "training.finetune_cli": ("service.cli", "service.loading", "service.reader", "service.settings"),
    "training.regions": ("service.options",),
    "training.signs_cli": ("service.machine",),
}
"""Pictures are drawn as serving draws them, a region is read as `seashore predict --region` reads it, and a fine-tuned bundle is
reported on by `seashore validate` itself."""


@dataclass(frozen=True)
class Arrow:
    """`importer`, a module of ours, imports `imported`."""

    importer: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer} line {self.line} imports {self.imported}"


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def arrows(source: str, importer: str, is_package: bool = False) -> Iterator[Arrow]:
    """Every import of a module, also inside functions, under TYPE_CHECKING, relative, or by `import_module("...")`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Arrow(importer, alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = importer.split(".")[: len(importer.split(".")) - node.level + is_package] if node.level else []
            imported = ".".join([*base, node.module] if node.module else base)
            # `from service import cine` names a module, `from service.cine import decode` may: keep the longer name.
            for alias in node.names:
                yield Arrow(importer, f"{imported}.{alias.name}", node.lineno)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                yield Arrow(importer, str(node.args[0].value), node.lineno)


def row_of(module: str) -> tuple[int, str] | None:
    return next(((i, entry) for i, row in enumerate(LAYERS) for entry in row if within(module, entry)), None)


def is_our_library(name: str) -> bool:
    return name.split(".")[0] in ("service", "training")


def wrong(arrow: Arrow) -> str | None:
    """Why this arrow must not be, or None."""
    importer, imported = arrow.importer, arrow.imported
    library = imported.split(".")[0]
    if within(importer, "training"):
        return _wrong_in_training(importer, imported)
    if library in NEVER_IN_SERVICE:
        return f"the service runs without {library}"
    if library in ONLY_THERE and not any(within(importer, home) for home in ONLY_THERE[library]):
        return f"{library} belongs to {' and '.join(ONLY_THERE[library])}"
    if within(importer, "service.cine") and library not in CINE_MAY_IMPORT | sys.stdlib_module_names:
        return f"service.cine is shared with training and does without {library}"
    if library != "service":
        return None
    return _wrong_in_service(importer, imported)


def _wrong_in_training(importer: str, imported: str) -> str | None:
    if not within(imported, "service"):
        return None
    judges = importer in EVALUATION
    allowed = TRAINING_MAY_IMPORT + (EVALUATION_MAY_IMPORT if judges else ()) + ALSO.get(importer, ())
    ours = any(within(imported, entry) for entry in allowed)
    return None if ours or imported == "service.__version__" else f"{importer} may import {', '.join(allowed)} of the service"


def _wrong_in_service(importer: str, imported: str) -> str | None:
    if imported == "service.__version__" or importer == "service":
        return None
    here, there = row_of(importer), row_of(imported)
    if here is None or there is None:
        return f"{importer if here is None else imported} has no place in LAYERS: give it one"
    if here[1] == "service.cine" and there[1] in ("service.settings", "service.telemetry", "service.sandbox"):
        return f"service.cine is shared with training and does without {there[1]}"
    if here[1] == there[1] or here[0] < there[0]:
        return None
    return f"{there[1]} is not below {here[1]}"


def violations(sources: dict[str, str], packages: frozenset[str] = frozenset()) -> list[str]:
    """Sources by module name -> one sentence for each forbidden import."""
    found = [a for name, source in sources.items() for a in arrows(source, name, name in packages)]
    return [f"{arrow}: {why}" for arrow in found if (why := wrong(arrow))]


def our_files() -> list[Path]:
    return sorted(path for package in ("service", "training") for path in (ROOT / package).rglob("*.py"))


def test_every_import_follows_the_arrows() -> None:
    sources = {module_name(path, ROOT): path.read_text() for path in our_files()}
    packages = frozenset(module_name(path, ROOT) for path in our_files() if path.name == "__init__.py")

    assert violations(sources, packages) == []


def test_every_module_of_the_service_has_a_place_in_the_layers() -> None:
    modules = [module_name(path, ROOT) for path in our_files() if path.is_relative_to(ROOT / "service")]

    assert [m for m in modules if m != "service" and row_of(m) is None] == []


@pytest.mark.parametrize(
    ("importer", "source", "why"),
    [
        ("service.api.app", "import torch", "the service runs without torch"),
        ("service.cli", "def train():\n    from training import fit", "the service runs without training"),
        ("service.cli", "importlib.import_module('training.cli')", "the service runs without training"),
        ("service.bundle", "from onnx import load", "the service runs without onnx"),
        ("service.cine.decode", "import httpx", "service.cine is shared with training and does without httpx"),
        (
            "service.cine.decode",
            "from service.settings import Settings",
            "service.cine is shared with training and does without service.settings",
        ),
        ("service.cine.decode", "from service.errors import ClipTooLong", None),
        ("service.cine.decode", "from service.pipeline import Rows", "service.pipeline is not below service.cine"),
        ("service.cine.decode", "from ..pipeline import Rows", "service.pipeline is not below service.cine"),
        ("service.cine.decode", "from service import pipeline", "service.pipeline is not below service.cine"),
        (
            "service.cine.decode",
            "if TYPE_CHECKING:\n    from service.engine.base import Engine",
            "service.engine is not below service.cine",
        ),
        ("service.engine.onnx", "from service.evidence.saliency import pool", "service.evidence is not below service.engine"),
        ("service.reader", "from service.options import quoted", None),
        ("service.loading", "from service.pipeline import analyse", None),
        ("service.pipeline", "from service.loading import load_model", "service.loading is not below service.pipeline"),
        ("service.answer", "from service.pipeline import Options", "service.pipeline is not below service.answer"),
        ("service.reading", "from service.answer import answer", "service.answer is not below service.reading"),
        ("service.cine.dicom_pixels", "import gdcm", "the service runs without gdcm"),
        ("service.options", "from service.reader import Reader", "service.reader is not below service.options"),
        ("service.remote.device", "import ray", "ray belongs to service.ray_app"),
        ("service.pipeline", "import openvino", "openvino belongs to service.engine"),
        ("service.pipeline", "from fastapi import HTTPException", "fastapi belongs to service.api and service.cli"),
        ("service.extra", "from service.cine import clip", "service.extra has no place in LAYERS: give it one"),
        ("service.api.app", "from service import __version__", None),
        ("training.dataset", "from service.cine.prepare import cut", None),
        ("training.dataset", "from service.engine.onnx import OnnxEngine", "training.dataset may import service.bundle, "),
        ("training.dataset", "from service.loading import load_model", "training.dataset may import service.bundle, "),
        ("training.export", "from service.engine.onnx import OnnxEngine", None),
        ("training.assemble", "from service.loading import golden_answer", None),
        ("training.assemble", "from service.reader import ClipReader", "training.assemble may import service.bundle, "),
        ("training.fit", "from service.settings import Settings", "training.fit may import service.bundle, "),
    ],
)
def test_the_walker_sees_a_forbidden_import_and_lets_an_allowed_one_be(importer: str, source: str, why: str | None) -> None:
    found = violations({importer: source})

    assert [why in sentence for sentence in found] == ([] if why is None else [True]), found


def import_all(root: Path, package: str, libraries: set[str]) -> tuple[list[str], set[str]]:
    """Import every module of a package in a fresh Python: what they did besides, and all modules there are afterwards."""
    command = [sys.executable, "-IB", str(Path(__file__).with_name("import_probe.py")), str(root), package, *sorted(libraries)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    return answer["found"], set(answer["modules"])


def libraries_of_the_service() -> set[str]:
    files = [path for path in our_files() if path.is_relative_to(ROOT / "service")]
    names = {arrow.imported.split(".")[0] for path in files for arrow in arrows(path.read_text(), module_name(path, ROOT))}
    return names - sys.stdlib_module_names - {"service", ""}


def test_importing_the_service_opens_no_file_reads_no_environment_starts_no_thread_and_loads_no_torch() -> None:
    found, modules = import_all(ROOT, "service", libraries_of_the_service())

    assert found == []
    assert NEVER_LOADED & modules == set()
    assert "service.api" in modules


def test_the_probe_sees_a_module_that_opens_reads_or_starts_something(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "__init__.py").write_text("")
    (tmp_path / "bad" / "opens.py").write_text("from pathlib import Path\nTEXT = Path('/etc/hostname').read_bytes()")
    (tmp_path / "bad" / "reads.py").write_text("import os\nHOME = os.environ.get('HOME')")
    (tmp_path / "bad" / "starts.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(5,), daemon=True).start()"
    )

    found, _ = import_all(tmp_path, "bad", set())

    assert found == ["bad/opens.py opens a file", "bad/reads.py reads the environment", "bad/starts.py starts a thread"]
