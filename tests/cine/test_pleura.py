"""find_pleura(): the line, the interspaces, and how sure. pleura_in_region(): the same, drawn by hand."""

from functools import cache

import numpy as np
import pytest

from service.cine.overview import Overview, look_over
from service.cine.pleura import PLAIN_CONFIDENCE, PLAIN_VISIBLE_LOGIT, STEP_COST, Pleura, best_path, find_pleura, is_plain, pleura_in_region
from service.cine.quality import MIN_PLEURA_CONFIDENCE
from service.cine.sector import Sector, find_sector
from tests.fakes.clip import MemoryClip
from tests.fakes.inputs import speckle
from tests.fakes.phantoms import preset_phantom
from training.phantom import Phantom, random_spec, simulate

# --- the best path ---


def test_a_row_that_scores_best_everywhere_is_the_path() -> None:
    score = np.array([[0, 0, 0, 0], [3, 3, 3, 3], [0, 0, 0, 0]], np.float32)

    assert best_path(score).tolist() == [1, 1, 1, 1]


def test_the_path_steps_down_where_the_scores_do() -> None:
    score = np.array([[9, 9, 0, 0], [0, 0, 0, 0], [0, 0, 9, 9]], np.float32)

    assert best_path(score).tolist() == [0, 0, 2, 2]


def test_a_step_is_not_worth_less_than_it_costs() -> None:
    score = np.zeros((2, 3), np.float32)
    score[0] = 1.0

    score[1, 1] = 1.0 + 1.9 * STEP_COST  # one down and one up again cost 2
    assert best_path(score).tolist() == [0, 0, 0]

    score[1, 1] = 1.0 + 2.1 * STEP_COST
    assert best_path(score).tolist() == [0, 1, 0]


def test_the_path_steps_two_samples_a_beam_at_most() -> None:
    score = np.zeros((7, 4), np.float32)
    score[0, 0] = score[6, 3] = 99.0

    assert best_path(score).tolist() == [0, 2, 4, 6]


# --- the search ---


def found(phantom: Phantom) -> tuple[Sector, Pleura | None]:
    overview = look_over(MemoryClip(list(phantom.frames)))
    sector = find_sector(overview)
    assert sector is not None
    return sector, find_pleura(overview, sector)


def error_px(phantom: Phantom) -> float:
    """Median vertical distance of the found line from the true one, over the interspaces found; infinite when none was."""
    sector, pleura = found(phantom)
    truth = phantom.truth.pleura_middle_px
    if pleura is None or truth is None:
        return float("inf")
    chosen = np.concatenate([np.arange(*run) for run in pleura.interspaces])
    x, y = sector.to_frame(pleura.lateral[chosen], pleura.depth_px[chosen])
    return float(np.median(np.abs(y - np.interp(x, truth[:, 0], truth[:, 1]))))


@cache
def random_phantom(seed: int) -> Phantom:
    return simulate(random_spec(np.random.default_rng([2, seed]), duration_s=0.3), seed)


@pytest.mark.parametrize("name", ["present", "absent", "lung_point", "linear_present", "linear_absent"])
def test_the_pleura_of_a_preset_is_found_within_two_pixels(name: str) -> None:
    assert error_px(preset_phantom(name, 0.3)) < 2.0


def test_the_pleura_of_random_phantoms_is_found_within_three_pixels() -> None:
    errors = [error_px(random_phantom(seed)) for seed in range(12)]

    assert np.median(errors) < 3.0
    assert sum(error < 8.0 for error in errors) >= 10


def test_interspaces_lie_between_the_ribs_shadows() -> None:
    phantom = preset_phantom("present", 0.3)
    sector, pleura = found(phantom)
    assert pleura is not None

    shown = [sector.to_frame(pleura.lateral[[a, b - 1]], pleura.depth_px[[a, b - 1]])[0].tolist() for a, b in pleura.interspaces]

    # The truth has three; each one found lies within one of them, up to 16 px of penumbra.
    assert len(phantom.truth.interspaces) == 3
    assert 1 <= len(shown) <= 3
    for x0, x1 in shown:
        assert any(t0 - 16 <= x0 and x1 <= t1 + 16 for t0, t1 in phantom.truth.interspaces)


def test_beams_run_from_left_to_right_and_confidence_is_a_probability() -> None:
    _, pleura = found(preset_phantom("present", 0.3))
    assert pleura is not None

    assert (np.diff(pleura.lateral) > 0).all()
    assert len(pleura.lateral) == len(pleura.depth_px)
    assert MIN_PLEURA_CONFIDENCE < pleura.confidence <= 1.0


@pytest.mark.xfail(
    strict=True,
    reason="The net calls the ragged line of gas under the skin a pleura (confidence 0.8). What guards is that the line is called "
    "doubtful, and that no verdict is given on a doubtful line (the test below; tests/test_controls.py over the shipped bundle).",
)
def test_gas_under_the_skin_hides_the_pleura() -> None:
    _, pleura = found(preset_phantom("not_assessable", 0.3))

    assert pleura is None or pleura.confidence < MIN_PLEURA_CONFIDENCE


@pytest.mark.parametrize(
    ("name", "plain"),
    [("not_assessable", False), ("present", True), ("absent", True), ("linear_present", True), ("linear_absent", True)],
)
def test_the_line_of_gas_under_the_skin_is_not_plain_as_a_pleura_is(name: str, plain: bool) -> None:
    _, pleura = found(preset_phantom(name, 0.3))
    assert pleura is not None

    assert pleura.is_plain is plain


@pytest.mark.parametrize(
    ("logit_above", "confidence_above", "plain"), [(0, 0, True), (-0.1, 0.3, False), (2, -0.01, False)], ids=["both", "no lung", "unsure"]
)
def test_a_line_is_plain_where_lung_is_seen_below_it_and_the_search_is_sure(
    logit_above: float, confidence_above: float, plain: bool
) -> None:
    assert is_plain(PLAIN_VISIBLE_LOGIT + logit_above, PLAIN_CONFIDENCE + confidence_above) is plain


def test_two_searches_of_one_clip_agree() -> None:
    (_, first), (_, second) = found(preset_phantom("present", 0.3)), found(preset_phantom("present", 0.3))
    assert first is not None
    assert second is not None

    assert first.depth_px.tolist() == second.depth_px.tolist()
    assert first.interspaces == second.interspaces


# --- drawn by hand ---

SECTOR = Sector("linear", None, (0.0, 319.0), (0.0, 240.0), np.ones((241, 320), np.bool_))


def blank(height: int = 241, width: int = 320) -> Overview:
    return look_over(MemoryClip([speckle((height, width))]))


def in_box(name: str, above_px: float, below_px: float) -> tuple[Pleura | None, float, float]:
    """The pleura in a box around the true line of a phantom, and the median distance from it; and the line's y."""
    phantom = preset_phantom(name, 0.3)
    overview = look_over(MemoryClip(list(phantom.frames)))
    sector, truth = find_sector(overview), phantom.truth.pleura_middle_px
    assert sector is not None
    assert truth is not None
    middle = truth[len(truth) // 3 : 2 * len(truth) // 3]
    (x0, top), (x1, bottom) = middle.min(axis=0), middle.max(axis=0)
    box = ((x0, top - above_px), (x1, top - above_px), (x1, bottom + below_px), (x0, bottom + below_px))
    pleura = pleura_in_region(overview, sector, box)
    if pleura is None:
        return None, float("inf"), float(top)
    ((first, last),) = pleura.interspaces
    x, y = sector.to_frame(pleura.lateral[first:last], pleura.depth_px[first:last])
    return pleura, float(np.median(np.abs(y - np.interp(x, truth[:, 0], truth[:, 1])))), float(top)


@pytest.mark.parametrize("name", ["present", "linear_present", "absent"])
@pytest.mark.parametrize("above_px", [0, 20, 40], ids=["drawn along the line", "begun above it", "begun far above it"])
def test_in_a_region_the_line_is_found_wherever_its_upper_edge_was_drawn(name: str, above_px: float) -> None:
    pleura, error_px, _ = in_box(name, above_px, below_px=60)
    assert pleura is not None

    assert error_px < 4
    assert pleura.confidence == 1.0


def test_the_region_is_one_interspace_from_its_left_to_its_right() -> None:
    pleura = pleura_in_region(blank(), SECTOR, ((50, 80), (250, 80), (250, 200), (50, 200)))
    assert pleura is not None

    ((first, last),) = pleura.interspaces
    assert pleura.lateral[first] == pytest.approx(50, abs=2)  # beams lie 240 / 120 px apart
    assert pleura.lateral[last - 1] == pytest.approx(250, abs=2)


@pytest.mark.parametrize(
    "region",
    [((50, 80), (52, 80), (52, 200), (50, 200)), ((900, 80), (990, 80), (990, 200), (900, 200))],
    ids=["too narrow", "beside the picture"],
)
def test_a_region_that_covers_next_to_nothing_is_no_pleura(region: tuple[tuple[float, float], ...]) -> None:
    assert pleura_in_region(blank(), SECTOR, region) is None
