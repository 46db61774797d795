"""The shelf of models: which bundle a request means, and that each is loaded once, however many ask."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from service.errors import BadBundle, UnknownModel
from service.shelf import OPERATORS_HINT, ModelShelf


def shelf_of(store: Path, *bundles: str, default: str | None = None) -> ModelShelf[str]:
    for bundle in bundles:
        folder = store.joinpath(*bundle.split(":"))
        folder.mkdir(parents=True)
        (folder / "manifest.json").touch()
    return ModelShelf(store, default, lambda folder: f"loaded {folder.parent.name}:{folder.name}")


def test_the_newest_version_is_meant_when_none_is_named(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, "a:0.9.0", "a:0.10.0", "a:0.10.0-rc1", "b:1.0")

    assert [str(entry) for entry in shelf.entries()] == ["a:0.10.0", "a:0.10.0-rc1", "a:0.9.0", "b:1.0"]
    assert str(shelf.find("a")) == "a:0.10.0"
    assert str(shelf.find("a:0.9.0")) == "a:0.9.0"


def test_the_only_model_is_the_default(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, "a:1", "a:2")

    assert [(str(entry), entry.is_default) for entry in shelf.entries()] == [("a:2", True), ("a:1", False)]
    assert str(shelf.find(None)) == "a:2"


def test_a_default_can_name_a_version(tmp_path: Path) -> None:
    assert str(shelf_of(tmp_path, "a:1", "a:2", "b:1", default="a:1").find(None)) == "a:1"


@pytest.mark.parametrize("model", ["c", "a:3", "a:", "", "../a:1", "a/1", "a:1/..", "a:1:2"])
def test_a_model_that_is_not_there_is_told_with_those_that_are(tmp_path: Path, model: str) -> None:
    with pytest.raises(UnknownModel) as refusal:
        shelf_of(tmp_path, "a:1", "b:2").find(model)

    assert str(refusal.value) == "There is no such model; there are a:1, b:2."


def test_several_models_and_no_default_is_the_operators_to_mend(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, "a:1", "b:2")

    with pytest.raises(BadBundle) as failure:
        shelf.find(None)

    assert str(failure.value) == "The model store holds more than one model and none is the default; there are a:1, b:2."
    assert failure.value.log_detail == OPERATORS_HINT
    assert [entry.is_default for entry in shelf.entries()] == [False, False]


def test_an_empty_store_says_which_setting_names_it(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path / "nowhere")

    with pytest.raises(BadBundle) as failure:
        shelf.find(None)

    assert (str(failure.value), failure.value.log_detail) == ("The model store holds no model.", OPERATORS_HINT)
    assert shelf.entries() == ()


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "notes" / "old").mkdir(parents=True)

    assert [str(entry) for entry in shelf_of(tmp_path, "a:1").entries()] == ["a:1"]


def test_a_bundle_is_loaded_once_however_many_ask_at_the_same_time(tmp_path: Path) -> None:
    loads: list[str] = []
    may_load = threading.Event()

    def load(folder: Path) -> str:
        may_load.wait(5)
        loads.append(folder.name)
        return folder.name

    shelf_of(tmp_path, "a:1")
    shelf = ModelShelf(tmp_path, None, load)
    with ThreadPoolExecutor(4) as threads:
        readings = [threads.submit(shelf.get, shelf.find(None)) for _ in range(4)]
        may_load.set()

    assert [reading.result() for reading in readings] == ["1"] * 4
    assert loads == ["1"]
    assert shelf.find(None).is_loaded


def test_a_bundle_that_failed_is_not_tried_again(tmp_path: Path) -> None:
    loads: list[str] = []

    def fail(folder: Path) -> str:
        loads.append(folder.name)
        raise BadBundle("The graph's digest is not the manifest's.", log_detail="model.onnx")

    shelf_of(tmp_path, "a:1")
    shelf = ModelShelf(tmp_path, None, fail)
    for _ in range(2):
        with pytest.raises(BadBundle, match="The graph's digest is not the manifest's.") as failure:
            shelf.get(shelf.find(None))
        assert failure.value.log_detail == "model.onnx"

    assert loads == ["1"]


def test_what_was_opened_in_vain_is_let_go_of(tmp_path: Path) -> None:
    """An engine holds gigabytes, and the next try opens another."""

    class Engine:
        pass

    engines: list[weakref.ref[Engine]] = []

    def fail(folder: Path) -> str:
        engine = Engine()
        engines.append(weakref.ref(engine))
        try:
            raise MemoryError(engine)
        except MemoryError as bug:
            raise BadBundle("The device has no memory left.", retry_after_s=30) from bug

    shelf_of(tmp_path, "a:1")
    shelf = ModelShelf(tmp_path, None, fail)
    with suppress(BadBundle):
        shelf.get(shelf.find(None))
    gc.collect()

    assert [engine() for engine in engines] == [None]


def loaded_by(store: Path, broken: set[str]) -> ModelShelf[str]:
    """Bundles whose version is in `broken` cannot be loaded."""

    def load(folder: Path) -> str:
        if folder.name in broken:
            raise BadBundle("The bundle answers its golden clip wrongly.")
        return f"model {folder.name}"

    return ModelShelf(store, None, load)


def lay_in(store: Path, version: str) -> None:
    (store / "a" / version).mkdir(parents=True)
    (store / "a" / version / "manifest.json").touch()


def test_a_newer_version_that_is_laid_in_waits_for_a_reload(tmp_path: Path) -> None:
    lay_in(tmp_path, "1")
    shelf = loaded_by(tmp_path, set())
    assert shelf.get(shelf.find(None)) == "model 1"
    lay_in(tmp_path, "2")

    assert [str(shelf.find(model)) for model in (None, "a", "a:2")] == ["a:1", "a:1", "a:2"]
    assert [(str(entry), entry.is_default) for entry in shelf.entries()] == [("a:2", False), ("a:1", True)]
    assert str(shelf.reload()) == "a:2"
    assert [str(shelf.find(model)) for model in (None, "a")] == ["a:2", "a:2"]
    assert shelf.get(shelf.find(None)) == "model 2"
    assert [(str(entry), entry.is_default, entry.is_loaded) for entry in shelf.entries()] == [("a:2", True, True), ("a:1", False, False)]


def test_a_bundle_that_is_broken_never_takes_the_place_of_one_that_works(tmp_path: Path) -> None:
    lay_in(tmp_path, "1")
    shelf = loaded_by(tmp_path, {"2"})
    shelf.get(shelf.find(None))
    lay_in(tmp_path, "2")

    with pytest.raises(BadBundle, match=r"^The bundle answers its golden clip wrongly.$"):
        shelf.reload()

    assert str(shelf.find(None)) == "a:1"
    assert shelf.get(shelf.find("a")) == "model 1"


def test_a_bundle_that_was_mended_is_tried_again_at_the_next_reload(tmp_path: Path) -> None:
    lay_in(tmp_path, "1")
    broken = {"1"}
    shelf = loaded_by(tmp_path, broken)
    with pytest.raises(BadBundle):
        shelf.get(shelf.find(None))
    broken.clear()

    assert str(shelf.reload()) == "a:1"
    assert shelf.get(shelf.find(None)) == "model 1"


def test_a_reload_with_nothing_new_loads_nothing(tmp_path: Path) -> None:
    lay_in(tmp_path, "1")
    shelf = loaded_by(tmp_path, set())
    before = shelf.get(shelf.find(None))

    assert str(shelf.reload()) == "a:1"
    assert shelf.get(shelf.find(None)) is before
