"""What holds of the repository as a whole: what may be in it, and that its pages say what is there."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from service import __version__
from service.settings import Settings
from tests import package_tables

ROOT = Path(__file__).resolve().parents[2]
MAX_FILE_BYTES = 20 * 1024 * 1024

ROOT_FILES = {
    *(".dockerignore", ".gitignore", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "LICENSE", "Makefile"),
    *("NOTICE", "README.md", "docker-compose.yml", "pyproject.toml"),
}
ROOT_FOLDERS = {".ci", "docs", "model_store", "openapi", "requirements", "service", "tests", "training"}

CLIP_SUFFIXES = {".avi", ".dcm", ".dicom", ".gif", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"}
MADE_BY_CODE = ("model_store/", "docs/", "openapi/examples/", "service/web/demo/")
"""Where a clip may lie: golden clips, pictures, examples and demonstrations, all drawn by the simulator."""


def tracked_files() -> list[Path]:
    """Files git knows or would take, as they stand now."""
    listing = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def tracked_text() -> dict[str, str]:
    texts = {}
    for path in tracked_files():
        data = path.read_bytes()
        if b"\0" not in data[:8192]:
            texts[path.relative_to(ROOT).as_posix()] = data.decode("utf-8", errors="replace")
    return texts


def pages() -> dict[str, str]:
    return {name: text for name, text in tracked_text().items() if name.endswith(".md")}


def test_no_file_is_over_20_mb() -> None:
    assert [path.name for path in tracked_files() if path.stat().st_size > MAX_FILE_BYTES] == []


def test_the_top_level_holds_only_what_the_readme_lists() -> None:
    tops = {path.relative_to(ROOT).parts for path in tracked_files()}

    assert {parts[0] for parts in tops if len(parts) == 1} - ROOT_FILES == set()
    assert {parts[0] for parts in tops if len(parts) > 1} - ROOT_FOLDERS == set()


def test_no_clip_lies_in_the_repository_but_those_made_by_code() -> None:
    """Recorded clips are patients' data, also when their licence allows copying: they stay outside."""
    clips = [path.relative_to(ROOT).as_posix() for path in tracked_files() if path.suffix.lower() in CLIP_SUFFIXES]

    assert [clip for clip in clips if not clip.startswith(MADE_BY_CODE)] == []


def test_no_page_or_source_points_out_of_the_repository() -> None:
    outside = re.compile(r"(?<![\w./])(?:\.\./)+shared\b|(?<![\w.])/(?:home|root|Users|work)/\w")
    mine = Path(__file__).relative_to(ROOT).as_posix()

    assert [name for name, text in tracked_text().items() if name != mine and outside.search(text)] == []


def test_the_changelog_begins_with_this_version_and_has_both_headings() -> None:
    newest = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1]

    assert newest.split()[0] == __version__
    assert re.findall(r"^### (.+)$", newest, re.MULTILINE)[:2] == ["API", "Model"]


def test_every_make_command_on_a_page_is_a_verb_of_the_makefile() -> None:
    verbs = set(re.findall(r"^([a-z]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {(page, verb) for page, text in pages().items() for verb in re.findall(r"(?:`|^\s*\$? ?)make ([a-z]+)", text, re.MULTILINE)}

    assert verbs >= {"run", "test", "check", "bench", "openapi", "train", "image", "lint"}
    assert {(page, verb) for page, verb in named if verb not in verbs} == set()


def test_every_link_to_a_file_on_a_page_leads_to_one() -> None:
    broken = []
    for page, text in pages().items():
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if not re.match(r"[a-z]+:", target) and not (ROOT / page).parent.joinpath(target).exists():
                broken.append(f"{page}: {target}")

    assert broken == []


def test_every_path_in_the_architecture_page_is_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`((?:service|training|tests|docs|openapi|requirements)/[\w./]+)`", text))

    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("package", package_tables.PACKAGES)
def test_the_file_table_of_a_package_says_what_its_modules_say(package: str) -> None:
    page = (ROOT / package / "README.md").read_text()

    assert package_tables.with_table(page, package_tables.table(ROOT / package)) == page, "run: python tests/package_tables.py"


def test_every_module_says_what_it_is() -> None:
    modules = [path for package in package_tables.PACKAGES for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py"]

    assert [path.relative_to(ROOT).as_posix() for path in modules if len(package_tables.first_sentence(path.read_text())) < 15] == []


def test_every_setting_is_in_the_readme_with_its_default() -> None:
    rows = re.findall(r"^\| `(SEASHORE_\w+)` \| ([^|]*) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    settings = {f"SEASHORE_{name.upper()}": field for name, field in Settings.model_fields.items()}

    assert [name for name, _ in rows] == list(settings)
    assert [name for name, default in rows if field_default(settings[name]) not in (default.strip("`"), None)] == []


def field_default(field: FieldInfo) -> str | None:
    """As the README writes it; None for a default that is computed or absent."""
    return None if field.default_factory or field.default is None else str(field.default)


def normalised(name: str) -> str:
    """As PEP 503 compares them: ImageHash is imagehash, ml_dtypes is ml-dtypes."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: str) -> dict[str, str]:
    """Name -> version of every line of a lock; a line that is not an exact pin fails."""
    lines = [line for line in (ROOT / "requirements" / lock).read_text().splitlines() if line and not line.startswith("#")]
    return {normalised(name): version for name, version in (line.split("==") for line in lines)}


def declared(*extras: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]
    return {normalised(re.split(r"[\[<>=]", line)[0]) for line in wanted}


def test_the_locks_hold_all_that_is_declared_and_agree() -> None:
    run, gpu, everything = pins("run.txt"), pins("run-gpu.txt"), pins("all.txt")

    assert declared("cpu") <= run.keys()
    assert declared("gpu") <= gpu.keys()
    assert declared("cpu", "report", "parquet", "train", "test", "ray") <= everything.keys()
    assert run.items() <= everything.items()
    assert {name for name in run if gpu.get(name) != run[name]} == {"onnxruntime"}
    assert gpu["onnxruntime-gpu"] == run["onnxruntime"]
    assert int(run["opencv-python-headless"].split(".")[0]) >= 5  # every figure was measured with 5


def test_the_serving_locks_hold_no_torch_no_gpl_codec_and_none_that_ends_the_process() -> None:
    unwanted = {"torch", "lightning", "onnx", "onnxscript", "pylibjpeg-libjpeg", "python-gdcm"}

    assert unwanted & (pins("run.txt").keys() | pins("run-gpu.txt").keys()) == set()


def test_what_the_package_carries_beside_its_modules_is_declared() -> None:
    """A wheel without the page or the pleura net installs and then fails at the first clip."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    for package, declared_patterns in patterns.items():
        files = {path.relative_to(ROOT / package) for path in tracked_files() if path.is_relative_to(ROOT / package)}
        data = {path for path in files if path.suffix not in (".py", ".md")}

        assert {path.as_posix() for path in data if not any(path.match(pattern) for pattern in declared_patterns)} == set()


def test_the_model_store_is_found_in_a_clone_and_in_the_image() -> None:
    """Settings look beside the package; the image keeps the clone's layout under its work folder and installs it in place."""
    image = (ROOT / "Dockerfile").read_text()
    build, runtime = image.split("FROM ${BASE} AS runtime")

    assert Settings.model_fields["model_store"].get_default(call_default_factory=True) == ROOT / "model_store"
    assert build.count("COPY service/ service/\nRUN /opt/seashore/bin/pip install --no-cache-dir --no-deps --editable .") == 2
    assert "\nWORKDIR /app\n" in build
    assert "\nWORKDIR /app\n" in runtime
    assert "\nCOPY model_store/ model_store/\n" in runtime
    assert "!model_store" in (ROOT / ".dockerignore").read_text().split()
