"""A bundle is all there and unharmed, or it is refused with the reason."""

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.bundle import FILES, Bundle, read_bundle, resolve, write_bundle
from service.bundle_files import find_bundles, version_order
from service.cine.pooling import Calibration
from service.cine.reference import Bins, InputReference
from service.cine.spec import InputSpec
from service.errors import BadBundle, UnknownModel

SPEC = InputSpec(
    fps=30.0,
    window_frames=60,
    window_stride_frames=30,
    picture_depth_px=480,
    patch_px=30,
    column_stride_px=15,
    row_offset_px=-4,
    bands=("lung", "wall"),
    wall_gap_px=4,
    stabilised=True,
    dtype="uint8",
)
CALIBRATION = Calibration(**{field.name: 0.5 for field in dataclasses.fields(Calibration)})
SHA256_OF_MODEL = "9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4"  # printf model | sha256sum


def write(store: Path, name: str = "slide", version: str = "1.0.0", **changed: Any) -> Bundle:
    """A bundle whose files hold a word each."""
    store.parent.mkdir(exist_ok=True)
    sources = {}
    for file, word in (("model.onnx", b"model"), ("saliency.onnx", b"saliency"), ("golden.mp4", b"clip")):
        sources[file] = store.parent / file
        sources[file].write_bytes(word)
    arguments: dict[str, Any] = {
        "model_onnx": sources["model.onnx"],
        "saliency_onnx": sources["saliency.onnx"],
        "golden_clip": sources["golden.mp4"],
        "golden_answer": lambda bundle: {"model": str(bundle), "probability": 0.9},
        "model_card": "# Slide\n",
        "input_spec": SPEC,
        "calibration": CALIBRATION,
        "training": {"net": "resnet3d-18", "seed": 0},
    }
    return write_bundle(store, name=name, version=version, **(arguments | changed))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "model_store"


@pytest.fixture
def directory(store: Path) -> Path:
    write(store)
    return store / "slide" / "1.0.0"


def edit(directory: Path, **changed: Any) -> None:
    """Change fields of the manifest; None takes one away."""
    path = directory / "manifest.json"
    fields = json.loads(path.read_text()) | changed
    path.write_text(json.dumps({key: value for key, value in fields.items() if value is not None}))


def refusal(directory: Path) -> str:
    with pytest.raises(BadBundle) as raised:
        read_bundle(directory)
    return str(raised.value)


def test_what_was_written_is_what_is_read(store: Path) -> None:
    written = write(store)
    read = read_bundle(store / "slide" / "1.0.0")

    assert read == written
    assert (str(read), read.input_spec, read.calibration) == ("slide:1.0.0", SPEC, CALIBRATION)
    assert read.training == {"net": "resnet3d-18", "seed": 0}
    assert read.model_onnx.read_bytes() == b"model"
    assert read.saliency_onnx.read_bytes() == b"saliency"
    assert read.golden_clip.read_bytes() == b"clip"
    assert read.golden_answer() == {"model": "slide:1.0.0", "probability": 0.9}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", read.created)


REFERENCE = InputReference({"lung_grey": Bins((85.4, 105.3), (9, 27, 8)), "frame_rate_fps": Bins((25.0,), (40, 4))})


def test_a_bundle_may_say_what_the_clips_were_like_that_it_was_made_from(store: Path) -> None:
    asked: list[str] = []

    def measured(bundle: Bundle) -> InputReference:
        asked.append(f"{bundle} {bundle.model_onnx.read_text()}")
        return REFERENCE

    write(store, input_statistics=measured)

    assert read_bundle(store / "slide" / "1.0.0").input_statistics == REFERENCE
    assert asked == ["slide:1.0.0 model"]


def test_a_bundle_of_before_says_nothing_of_them(directory: Path) -> None:
    assert read_bundle(directory).input_statistics is None
    assert "input_statistics" not in json.loads((directory / "manifest.json").read_text())


def test_a_bundle_is_known_by_the_sha256_of_its_model(directory: Path) -> None:
    assert read_bundle(directory).sha256 == SHA256_OF_MODEL


def test_a_bundle_is_six_files_and_nothing_else_is_left_in_the_store(directory: Path, store: Path) -> None:
    assert sorted(path.name for path in directory.iterdir()) == sorted([*FILES, "manifest.json"])
    assert [path.name for path in store.iterdir()] == ["slide"]


def test_the_golden_answer_is_asked_of_the_very_files_of_the_bundle(store: Path) -> None:
    seen: list[tuple[bytes, bytes, InputSpec]] = []

    def answer(bundle: Bundle) -> dict[str, Any]:
        seen.append((bundle.model_onnx.read_bytes(), bundle.golden_clip.read_bytes(), bundle.input_spec))
        return {}

    write(store, golden_answer=answer)

    assert seen == [(b"model", b"clip", SPEC)]


def test_when_the_golden_clip_cannot_be_answered_nothing_is_written(store: Path) -> None:
    def no_answer(bundle: Bundle) -> dict[str, Any]:
        raise RuntimeError("no pleura")

    with pytest.raises(RuntimeError, match="no pleura"):
        write(store, golden_answer=no_answer)

    assert list(store.iterdir()) == []


def test_a_bundle_is_never_overwritten(store: Path) -> None:
    write(store)
    with pytest.raises(BadBundle) as raised:
        write(store, model_card="# Another\n")

    assert str(raised.value) == "There is a bundle slide:1.0.0 already; a bundle is never overwritten."
    assert (store / "slide" / "1.0.0" / "MODEL_CARD.md").read_text() == "# Slide\n"


@pytest.mark.parametrize("name", ["", "Slide", "../slide", "a/b", ".hidden", "-x", "x" * 65])
def test_a_name_that_could_not_be_a_folder_is_refused(name: str, store: Path) -> None:
    with pytest.raises(BadBundle) as raised:
        write(store, name=name)

    assert str(raised.value) == f"A bundle's name is lower-case letters, digits and hyphens; {name!r} is not."


@pytest.mark.parametrize("version", ["", "latest", "../1", "1/2", "v1"])
def test_a_version_begins_with_a_digit(version: str, store: Path) -> None:
    with pytest.raises(BadBundle) as raised:
        write(store, version=version)

    assert (
        str(raised.value)
        == f"A bundle's version begins with a digit and holds letters, digits, dots, hyphens and plus signs; {version!r} is not one."
    )


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named(file: str, directory: Path) -> None:
    (directory / file).unlink()

    assert refusal(directory) == f"The bundle slide:1.0.0 has no {file}."


@pytest.mark.parametrize("file", FILES)
def test_a_file_with_one_byte_more_is_named(file: str, directory: Path) -> None:
    with (directory / file).open("ab") as opened:
        opened.write(b"\n")

    assert refusal(directory) == f"The bundle slide:1.0.0 is damaged: its {file} is not the one its manifest lists."


@pytest.mark.parametrize("file", FILES)
def test_a_file_with_one_bit_flipped_is_named(file: str, directory: Path) -> None:
    content = bytearray((directory / file).read_bytes())
    content[len(content) // 2] ^= 1
    (directory / file).write_bytes(content)

    assert refusal(directory) == f"The bundle slide:1.0.0 is damaged: its {file} is not the one its manifest lists."


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_cut_short_is_named(file: str, directory: Path) -> None:
    (directory / file).write_bytes((directory / file).read_bytes()[:-1])

    assert refusal(directory) == f"The bundle slide:1.0.0 is damaged: its {file} is not the one its manifest lists."


def test_a_file_that_the_manifest_does_not_list_is_named(directory: Path) -> None:
    (directory / "model.onnx.data").write_bytes(b"weights")
    (directory / ".nfs0001").touch()

    assert refusal(directory) == "The bundle slide:1.0.0 holds 'model.onnx.data', which its manifest does not list."


def without_manifest(directory: Path) -> None:
    (directory / "manifest.json").unlink()


def no_json(directory: Path) -> None:
    (directory / "manifest.json").write_bytes(b"\xff{")


def a_list(directory: Path) -> None:
    (directory / "manifest.json").write_text("[]")


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (without_manifest, "The manifest of slide:1.0.0 cannot be read."),
        (no_json, "The manifest of slide:1.0.0 is not JSON."),
        (a_list, "The manifest of slide:1.0.0 is not a JSON object."),
        (lambda d: edit(d, format=2), "The manifest of slide:1.0.0 is of format 2; this version reads format 1."),
        (lambda d: edit(d, format=None), "The manifest of slide:1.0.0 is of format None; this version reads format 1."),
        (lambda d: edit(d, created=5), "The manifest of slide:1.0.0 has no created, or one of the wrong kind."),
        (lambda d: edit(d, training=None), "The manifest of slide:1.0.0 has no training, or one of the wrong kind."),
        (lambda d: edit(d, input_spec=None), "The manifest of slide:1.0.0 has no input_spec, or one of the wrong kind."),
        (lambda d: edit(d, input_spec={"fps": 30}), "The bundle's input_spec is not one this version can read."),
        (lambda d: edit(d, calibration={}), "The bundle's calibration is not one this version can read."),
        (lambda d: edit(d, input_statistics=[]), "The manifest of slide:1.0.0 has no input_statistics, or one of the wrong kind."),
        (lambda d: edit(d, input_statistics={"grey": {}}), "The bundle's input_statistics are not ones this version can read."),
        (lambda d: edit(d, sha256={"model.onnx": "0"}), f"The manifest of slide:1.0.0 gives no sha256 for {', '.join(FILES[1:])}."),
        (lambda d: edit(d, name="glide"), "The bundle slide:1.0.0 calls itself glide:1.0.0 in its manifest."),
        (lambda d: edit(d, version="1.0.1"), "The bundle slide:1.0.0 calls itself slide:1.0.1 in its manifest."),
    ],
)
def test_what_is_wrong_with_a_manifest_is_said(harm: Callable[[Path], None], sentence: str, directory: Path) -> None:
    harm(directory)

    assert refusal(directory) == sentence


def test_a_golden_answer_that_is_no_answer_is_said(directory: Path) -> None:
    bundle = read_bundle(directory)
    (directory / "golden.json").write_text("7")

    with pytest.raises(BadBundle, match="^The golden answer of slide:1.0.0 is not a JSON object.$"):
        bundle.golden_answer()


def test_versions_are_ordered_as_versions_not_as_words() -> None:
    versions = ["1.0-rc1", "1.0", "1.0.1", "1.9", "1.10", "2"]

    assert sorted(reversed(versions), key=version_order) == versions


@pytest.fixture
def three(store: Path) -> Path:
    for entry in ("slide:1.9.0", "slide:1.10.0", "pulse:0.1.0"):
        name, version = entry.split(":")
        write(store, name, version)
    return store


def test_bundles_are_found_by_name_the_newest_version_first(three: Path) -> None:
    (three / "notes").mkdir()
    (three / "slide" / "draft").mkdir()

    assert find_bundles(three) == [("pulse", "0.1.0"), ("slide", "1.10.0"), ("slide", "1.9.0")]


def test_a_store_that_is_not_there_holds_nothing(store: Path) -> None:
    assert find_bundles(store) == []


@pytest.mark.parametrize(
    ("model", "default", "found"),
    [
        ("slide", None, "slide/1.10.0"),
        ("slide:1.9.0", None, "slide/1.9.0"),
        ("pulse", "slide", "pulse/0.1.0"),
        (None, "slide", "slide/1.10.0"),
        (None, "slide:1.9.0", "slide/1.9.0"),
    ],
)
def test_a_name_means_its_newest_version(model: str | None, default: str | None, found: str, three: Path) -> None:
    assert resolve(three, model, default=default) == three / found


def test_the_only_model_need_not_be_named(store: Path) -> None:
    write(store, version="1.0.0")
    write(store, version="1.1.0")

    assert resolve(store, None) == store / "slide" / "1.1.0"


@pytest.mark.parametrize("model", ["glide", "slide:2", "slide:", "", "../slide", "slide/1.9.0"])
def test_a_model_that_is_not_there_lists_those_that_are(model: str, three: Path) -> None:
    with pytest.raises(UnknownModel) as raised:
        resolve(three, model)

    assert str(raised.value) == "There is no such model; there are pulse:0.1.0, slide:1.10.0, slide:1.9.0."


def test_of_several_models_one_must_be_the_default(three: Path) -> None:
    with pytest.raises(BadBundle) as raised:
        resolve(three, None)

    expected = "The model store holds more than one model and none is the default; there are pulse:0.1.0, slide:1.10.0, slide:1.9.0."
    assert str(raised.value) == expected


def test_a_default_that_is_not_there_is_the_operators_to_mend(store: Path) -> None:
    write(store)
    with pytest.raises(BadBundle, match="^The default model is none of those in the store; there is slide:1.0.0.$"):
        resolve(store, None, default="glide")


def test_an_empty_store_is_the_operators_to_mend(store: Path) -> None:
    with pytest.raises(BadBundle, match="^The model store holds no model.$"):
        resolve(store, None)
