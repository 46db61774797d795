"""What holds of the repository as a whole: what may be in it, and that its pages say what is there."""

import re
import subprocess
import tomllib
from email.message import Message
from importlib.metadata import PackageMetadata
from pathlib import Path
from typing import cast

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from pydantic.fields import FieldInfo

from service import __version__
from service.settings import Settings
from tests import licences, package_tables
from tests.locks import HASHED, hashes, normalised, pins

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


SECRETS = {
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}",
    "key of Seashore": r"seashore_[0-9a-f]{8}_[\w-]{43}",
    "key of a cloud": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{35}\b",
    "token": r"\b(?:gh[pousr]_\w{36}|glpat-[\w-]{20}|xox[abprs]-[\w-]{10,}|hf_\w{30,})|\beyJ[\w-]{20,}\.eyJ[\w-]{20,}\.",
}
"""As the scanners (gitleaks, detect-secrets) know them; what they tell by entropy alone is here a digest or a UID."""


@pytest.mark.parametrize("kind", SECRETS)
def test_no_secret_lies_in_the_repository(kind: str) -> None:
    assert [name for name, text in tracked_text().items() if re.search(SECRETS[kind], text)] == []


def test_no_dicom_object_lies_in_the_repository() -> None:
    """Not even one made by code: what names a patient cannot be told from what only seems to."""
    assert [path.name for path in tracked_files() if path.read_bytes()[128:132] == b"DICM"] == []


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


def declared(*extras: str) -> dict[str, SpecifierSet]:
    """Name -> the versions that pyproject.toml allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]
    return allowed(wanted)


def grouped(group: str) -> dict[str, SpecifierSet]:
    return allowed(tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"][group])


def allowed(lines: list[str]) -> dict[str, SpecifierSet]:
    return {normalised(wanted.name): wanted.specifier for wanted in map(Requirement, lines)}


def outside(lock: str, wanted: dict[str, SpecifierSet]) -> set[str]:
    """What the lock has not, or in a version that is not allowed."""
    locked = pins(lock)
    return {name for name, versions in wanted.items() if name not in locked or locked[name] not in versions}


def test_the_locks_hold_all_that_is_declared_and_agree() -> None:
    run, gpu, everything = pins("run"), pins("run-gpu"), pins("all")

    assert outside("run", declared("cpu")) == set()
    assert outside("run-gpu", declared("gpu")) == set()
    assert outside("all", declared("cpu", "report", "parquet", "train", "test", "ray", "otel")) == set()
    assert outside("build", grouped("build")) == set()
    assert outside("supply", grouped("supply")) == set()
    assert run.items() <= everything.items()
    assert {name for name in run if gpu.get(name) != run[name]} == {"onnxruntime"}
    assert gpu["onnxruntime-gpu"] == run["onnxruntime"]
    assert int(run["opencv-python-headless"].split(".")[0]) >= 5  # every figure was measured with 5


def test_the_serving_locks_hold_no_torch_no_gpl_codec_and_none_that_ends_the_process() -> None:
    unwanted = {"torch", "lightning", "onnx", "onnxscript", "pylibjpeg-libjpeg", "python-gdcm"}

    assert unwanted & (pins("run").keys() | pins("run-gpu").keys()) == set()


@pytest.mark.parametrize("lock", HASHED)
def test_every_package_of_a_lock_that_is_installed_by_hash_has_one(lock: str) -> None:
    assert [name for name, found in hashes(lock).items() if not found] == []
    assert len(hashes(lock)) == len(pins(lock)) > 0


def test_a_pin_without_a_hash_or_outside_its_range_is_seen(tmp_path: Path) -> None:
    (tmp_path / "run.txt").write_text(f"# a comment\nav==18.1.0 \\\n    --hash=sha256:{'0' * 64}\nPyYAML==6.0.3\n")

    assert hashes("run", tmp_path) == {"av": ["0" * 64], "pyyaml": []}
    assert outside("run", allowed(["dbos>=99", "no-such-package"])) == {"dbos", "no-such-package"}


def test_the_page_of_licences_is_what_the_packages_say() -> None:
    assert licences.PAGE.read_text() == licences.page(), "run: python -m tests.licences"


def test_no_package_that_serves_is_under_the_gpl() -> None:
    rows = re.findall(r"^\| ([\w-]+).*\| ([^|]+) \|$", licences.PAGE.read_text(), re.MULTILINE)
    copyleft = {name: said for name, said in rows if "GPL" in said or said.startswith("MPL")}

    assert copyleft == {"psycopg": "LGPL-3.0-only", "psycopg-binary": "LGPL-3.0-only", "certifi": "MPL-2.0"}  # NOTICE names them


def test_a_package_that_says_nothing_of_its_licence_or_is_another_than_the_locks_is_refused() -> None:
    about = Message()
    about["Name"], about["Version"] = "some-package", "1.0"

    with pytest.raises(AssertionError, match="some-package says nothing of its licence"):
        licences.licence(cast(PackageMetadata, about), "1.0")
    with pytest.raises(AssertionError, match=r"some-package 1.0 is installed, the lock has 2.0"):
        licences.licence(cast(PackageMetadata, about), "2.0")


@pytest.mark.parametrize("lock", HASHED)
def test_such_a_lock_lets_nobody_install_without_its_hashes_nor_build_from_source(lock: str) -> None:
    """pip reads both from the lock itself. A source archive would be built with whatever it asks for that day."""
    lines = (ROOT / "requirements" / f"{lock}.txt").read_text().splitlines()

    assert {"--require-hashes", "--only-binary :all:"} <= set(lines)


@pytest.mark.parametrize("file", ["Dockerfile", "Makefile"])
def test_what_serves_is_installed_from_locks_alone(file: str) -> None:
    """The GPU image and `make run` would otherwise resolve on the day; an isolated build would fetch its backend unseen."""
    commands = re.findall(r"^.*bin/pip .* install .*$|^\t.*\$\(PIP_INSTALL\) .*$", (ROOT / file).read_text(), re.MULTILINE)
    serving = [line for line in commands if "$(DEV)" not in line and "$(BENCH)" not in line]

    assert len(serving) >= 3
    assert [line for line in serving if "--no-deps" not in line] == []
    assert [line for line in serving if "--editable" in line and "--no-build-isolation" not in line] == []


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
    _, runtime, build, _, _, served, *_ = image.split("\nFROM ")

    assert Settings.model_fields["model_store"].get_default(call_default_factory=True) == ROOT / "model_store"
    assert "--editable ." in build
    assert "\nWORKDIR /app\n" in runtime
    assert "\nCOPY model_store/ model_store/\nCOPY service/ service/\n" in served
    assert "!model_store" in (ROOT / ".dockerignore").read_text().split()
