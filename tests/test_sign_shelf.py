"""Which models of signs are offered, who tells which sign, and that what is broken there keeps no clip from being read."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from service import sign_loading
from service.engine.base import GraphEngine, Task
from service.engine.healing import LOAD_AGAIN_AFTER_S, Care, HealingDevice
from service.errors import BadBundle, BadOption, EngineFailed
from service.findings import ALL_SIGNS, SignReason, SignReasonCode
from service.sign_bundle import SignBundle, read_sign_bundle
from service.sign_loading import check_golden_sign, load_healing_sign
from service.sign_reading import LoadedSign, untold
from service.sign_shelf import SignEntry, SignShelf, refuse_untold, stated_signs
from service.standing import Presence
from tests.fakes.engine import FragileEngine
from tests.fakes.service import wait_until
from tests.fakes.signs import FRAME, opened, write_bright

WHY = SignReason(SignReasonCode.TOO_SHORT, "")


class Loads:
    """Opens bundles, and remembers which."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def __call__(self, folder: Path) -> LoadedSign:
        bundle = read_sign_bundle(folder)
        self.loaded.append(str(bundle))
        return LoadedSign(bundle, opened(bundle))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_bright(tmp_path / "store", ("b_lines",), name="second")
    write_bright(tmp_path / "store", ("a_lines", "b_lines", "effusion"), name="frames", frames=FRAME)
    return tmp_path / "store"


def tellers(shelf: SignShelf, *signs: str) -> dict[str, tuple[str, ...]]:
    return {one.model.bundle.name: one.signs for one in shelf.asked(signs)}


def spoil(bundle: SignBundle | Path) -> None:
    folder = bundle if isinstance(bundle, Path) else bundle.directory
    (folder / "model.onnx").write_bytes(b"spoilt")


def test_a_sign_is_told_by_the_model_made_for_it(store: Path) -> None:
    shelf = SignShelf(store, Loads())

    assert tellers(shelf, "b_lines") == {"second": ("b_lines",)}
    assert tellers(shelf, "a_lines", "b_lines") == {"second": ("b_lines",), "frames": ("a_lines",)}
    assert tellers(shelf, *ALL_SIGNS) == {"second": ("b_lines",), "frames": ("a_lines", "effusion")}
    assert shelf.asked(()) == ()


def test_what_is_broken_is_not_offered_and_the_rest_is(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    spoil(store / "signs" / "second" / "1.0.0")
    shelf = SignShelf(store, Loads())

    assert tellers(shelf, *ALL_SIGNS) == {"frames": ("a_lines", "b_lines", "effusion")}
    assert "signs: second:1.0.0 cannot be read with: bad_bundle: The bundle second:1.0.0 is damaged" in caplog.text


def test_a_bundle_whose_graph_gives_other_figures_than_it_says_is_not_offered(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest = store / "signs" / "frames" / "1.0.0" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"map_px": 2', '"map_px": 5'))

    def load(folder: Path) -> LoadedSign:
        bundle = read_sign_bundle(folder)
        sign = LoadedSign(bundle, opened(bundle))
        check_golden_sign(sign)
        return sign

    assert tellers(SignShelf(store, load), *ALL_SIGNS) == {"second": ("b_lines",)}
    assert "A model of signs gives 15 figures of a run, and its manifest says 78." in caplog.text


def test_a_bundle_that_breaks_whoever_opens_it_is_refused_and_the_rest_is_offered(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    sound = Loads()

    def load(folder: Path) -> LoadedSign:
        if folder.parent.name == "frames":
            raise ZeroDivisionError("secret")
        return sound(folder)

    shelf = SignShelf(store, load)

    assert tellers(shelf, *ALL_SIGNS) == {"second": ("b_lines",)}
    assert [(one.model.name, one.model.presence, one.model.code) for one in shelf.standings()] == [
        ("frames", Presence.REFUSED, "bad_bundle"),
        ("second", Presence.LOADED, ""),
    ]
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text


def test_each_is_loaded_once_and_a_newer_one_only_when_it_is_looked_for(store: Path) -> None:
    load = Loads()
    shelf = SignShelf(store, load)
    shelf.asked(ALL_SIGNS)
    write_bright(store, ("b_lines",), name="second", version="1.1.0")
    shelf.asked(ALL_SIGNS)
    assert load.loaded == ["frames:1.0.0", "second:1.0.0"]

    shelf.look()

    assert load.loaded == ["frames:1.0.0", "second:1.0.0", "second:1.1.0"]
    assert [str(one.model.bundle) for one in shelf.asked(("b_lines",))] == ["second:1.1.0"]


def test_a_broken_one_is_tried_again_when_it_is_looked_for(store: Path, tmp_path: Path) -> None:
    shutil.copytree(store, tmp_path / "sound")
    spoil(store / "signs" / "second" / "1.0.0")
    shelf = SignShelf(store, Loads())
    assert tellers(shelf, "b_lines") == {"frames": ("b_lines",)}
    shutil.copytree(tmp_path / "sound", store, dirs_exist_ok=True)
    assert tellers(shelf, "b_lines") == {"frames": ("b_lines",)}

    shelf.look()

    assert tellers(shelf, "b_lines") == {"second": ("b_lines",)}


class Comes:
    """Opens bundles on a device that comes up with the try of that number."""

    def __init__(self, at_try: int, again_s: int | None = 0) -> None:
        self.tries: list[str] = []
        self._at_try = at_try
        self._again_s = again_s

    def __call__(self, folder: Path) -> LoadedSign:
        bundle = read_sign_bundle(folder)
        self.tries.append(str(bundle))
        if self.tries.count(str(bundle)) < self._at_try:
            raise EngineFailed("There is no such device.", retry_after_s=self._again_s)
        return LoadedSign(bundle, opened(bundle))


def test_a_device_that_comes_up_later_is_tried_again_by_itself(store: Path) -> None:
    spoil(store / "signs" / "frames" / "1.0.0")
    load = Comes(at_try=3)
    shelf = SignShelf(store, load)
    shelf.look()

    assert wait_until(lambda: tellers(shelf, "b_lines") == {"second": ("b_lines",)})
    assert load.tries == ["second:1.0.0"] * 3


def test_signs_of_a_model_that_is_tried_again_are_not_refused(store: Path) -> None:
    spoil(store / "signs" / "frames" / "1.0.0")
    shelf = SignShelf(store, Comes(at_try=9, again_s=60))
    shelf.look()

    assert shelf.entries() == (SignEntry("second", "1.0.0", ("b_lines",), is_loaded=False),)
    refuse_untold(("b_lines",), shelf.entries())
    with pytest.raises(BadOption, match=r"^No model of this service tells a_lines; there is one for b_lines\.$"):
        refuse_untold(("a_lines",), shelf.entries())


def test_what_is_broken_is_not_tried_again_by_itself(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    spoil(store / "signs" / "frames" / "1.0.0")
    shelf = SignShelf(store, Comes(at_try=2))
    shelf.look()

    assert wait_until(lambda: tellers(shelf, *ALL_SIGNS) == {"second": ("b_lines",)})
    assert caplog.text.count("frames:1.0.0 cannot be read with: bad_bundle") == 1


def test_a_failure_that_does_not_say_when_waits_for_somebody_to_look(store: Path) -> None:
    load = Comes(at_try=2, again_s=None)
    shelf = SignShelf(store, load)
    shelf.look()
    assert (shelf.offered(), shelf.offered()) == ((), ())

    shelf.look()

    assert load.tries == ["frames:1.0.0", "second:1.0.0"] * 2
    assert len(shelf.offered()) == 2


def test_a_model_that_was_taken_away_meanwhile_is_not_tried_again(store: Path) -> None:
    load = Comes(at_try=9, again_s=1)
    shelf = SignShelf(store, load)
    shelf.look()
    shutil.rmtree(store / "signs")
    shelf.look()

    assert not wait_until(lambda: len(load.tries) > 2, 1.5)


def test_a_service_says_when_a_device_that_is_not_there_is_worth_another_try(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_device(*arguments: object, **options: object) -> GraphEngine:
        raise EngineFailed("There is no such device.")

    monkeypatch.setattr(sign_loading, "open_engine", no_device)
    with pytest.raises(EngineFailed, match=r"^There is no such device\.$") as failed:
        load_healing_sign(store / "signs" / "second" / "1.0.0", "cuda", Care(1.0, 1, lambda: None))

    assert failed.value.retry_after_s == LOAD_AGAIN_AFTER_S


def test_how_each_stands_is_told_before_and_after_it_is_loaded(store: Path) -> None:
    spoil(store / "signs" / "second" / "1.0.0")
    shelf = SignShelf(store, Loads())
    before = shelf.standings()
    shelf.look()

    assert [(one.model.name, one.signs, one.model.presence, one.model.code) for one in before] == [
        ("frames", ("a_lines", "b_lines", "effusion"), Presence.NOT_ASKED, ""),
        ("second", ("b_lines",), Presence.NOT_ASKED, ""),
    ]
    frames, second = shelf.standings()
    assert (frames.model.presence, frames.model.device, frames.model.detail) == (Presence.LOADED, "cpu (ONNX Runtime)", "")
    assert (second.model.presence, second.model.device, second.model.code) == (Presence.REFUSED, "", "bad_bundle")


def test_a_newer_one_that_waits_to_be_looked_for_does_not_hide_the_one_that_is_asked(store: Path) -> None:
    shelf = SignShelf(store, Loads())
    shelf.look()
    write_bright(store, ("b_lines",), name="second", version="1.1.0")

    assert [one.model.version for one in shelf.standings()] == ["1.0.0", "1.0.0"]
    shelf.look()
    assert [one.model.version for one in shelf.standings()] == ["1.0.0", "1.1.0"]


def test_a_loaded_one_whose_device_is_ill_says_so(store: Path) -> None:
    engine = FragileEngine()
    device = HealingDevice(lambda: engine, lambda opened: None, Care(9.0, 1, lambda: None, pauses_s=(60.0,)))
    shelf = SignShelf(store, lambda folder: LoadedSign(read_sign_bundle(folder), device))
    shelf.look()
    engine.lose()
    with device.turn() as turn, pytest.raises(EngineFailed):
        turn.ask(Task.CLASSIFY, np.zeros((1, 1, 1, 1, 1), np.uint8)).result(5)

    model = shelf.standings()[0].model
    assert (model.presence, model.code) == (Presence.LOADED, "engine_failed")
    assert model.detail == "The model's device failed. Its engine is being started again: ask again in 15 s."


def test_where_signatures_are_asked_for_an_unsigned_model_is_not_offered(store: Path, tmp_path: Path) -> None:
    (tmp_path / "keys.pem").write_text("")

    assert SignShelf(store, Loads(), tmp_path / "keys.pem").offered() == ()


def test_a_store_without_signs_offers_none(tmp_path: Path) -> None:
    shelf = SignShelf(tmp_path, Loads())

    assert (shelf.offered(), shelf.entries(), shelf.asked(ALL_SIGNS), stated_signs(tmp_path)) == ((), (), (), ())


def test_the_store_says_what_it_holds_without_loading_it(store: Path) -> None:
    write_bright(store, ("consolidation",), name="unreadable", frames=FRAME)
    (store / "signs" / "unreadable" / "1.0.0" / "manifest.json").write_text("{")

    assert stated_signs(store) == (
        SignEntry("frames", "1.0.0", ("a_lines", "b_lines", "effusion"), is_loaded=False),
        SignEntry("second", "1.0.0", ("b_lines",), is_loaded=False),
    )


@pytest.mark.parametrize(
    ("signs", "words"),
    [
        ((), ()),
        (("b_lines",), ()),
        (("effusion", "consolidation"), ("No model that tells consolidation could be loaded.",)),
        (ALL_SIGNS, ()),
    ],
)
def test_the_answer_says_what_was_not_told(store: Path, signs: tuple[str, ...], words: tuple[str, ...]) -> None:
    shelf = SignShelf(store, Loads())
    found = [finding for asked in shelf.asked(signs) for finding in asked.unread(WHY)]

    assert untold(shelf.wanted(signs), found) == words


def test_who_asks_for_all_is_told_what_a_model_that_could_not_be_loaded_leaves_out(store: Path) -> None:
    spoil(store / "signs" / "frames" / "1.0.0")
    shelf = SignShelf(store, Loads())
    found = [finding for asked in shelf.asked(ALL_SIGNS) for finding in asked.unread(WHY)]

    assert shelf.wanted(ALL_SIGNS) == ("a_lines", "b_lines", "effusion")
    assert shelf.wanted(("b_lines",)) == ("b_lines",)
    assert untold(shelf.wanted(ALL_SIGNS), found) == ("No model that tells a_lines or effusion could be loaded.",)


def test_all_stay_all_where_no_model_states_any(tmp_path: Path) -> None:
    assert SignShelf(tmp_path, Loads()).wanted(ALL_SIGNS) == ALL_SIGNS


def test_the_answer_says_that_nothing_was_told() -> None:
    assert untold(ALL_SIGNS, ()) == ("Signs beside sliding were asked for, but no model for any could be loaded.",)


@pytest.mark.parametrize(
    ("signs", "words"),
    [
        (("consolidation",), "No model of this service tells consolidation; there is one for a_lines, b_lines, effusion."),
        (
            ("a_lines", "fluid_or_solid", "lung_sliding"),
            "No model of this service tells fluid_or_solid or lung_sliding; there is one for a_lines, b_lines, effusion.",
        ),
    ],
)
def test_who_can_still_choose_is_refused(store: Path, signs: tuple[str, ...], words: str) -> None:
    with pytest.raises(BadOption) as raised:
        refuse_untold(signs, SignShelf(store, Loads()).entries())
    assert str(raised.value) == words


def test_all_is_refused_only_where_there_is_none(store: Path) -> None:
    refuse_untold(ALL_SIGNS, stated_signs(store))
    with pytest.raises(BadOption, match=r"^No model of this service tells a sign; there is none for any sign\.$"):
        refuse_untold(ALL_SIGNS, ())


def test_a_model_that_left_the_store_is_told(store: Path) -> None:
    shelf = SignShelf(store, Loads())
    (asked,) = shelf.asked(("b_lines",))
    shutil.rmtree(store / "signs" / "second")
    shelf.look()

    assert tellers(shelf, "b_lines") == {"frames": ("b_lines",)}
    assert asked.model.bundle.name == "second"
    with pytest.raises(BadBundle):
        read_sign_bundle(asked.model.bundle.directory)
