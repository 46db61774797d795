"""The phantom is where, and moves as, its truth says."""

import json
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes.phantoms import preset_phantom, small_phantom
from training.phantom import BLine, Obstruction, Phantom, PhantomSpec, Rib, random_spec, simulate
from training.phantom.__main__ import main
from training.phantom.geometry import lay_out
from training.phantom.presets import PRESETS
from training.phantom.spec import fitting_scale

CLEAR = dict(mirror_db=-60.0, num_a_lines=0, noise_db=-75.0, noise_rise_db_per_cm=0.0, persistence=0.0, edge_loss_db=0.0, out_of_plane=0.0)
"""Nothing but what moves: no echo of the wall below the pleura, no noise, no memory of the frame before."""

PROBES = ("convex", "linear")


def clear_spec(probe: str, **changes: object) -> PhantomSpec:
    base = PRESETS["present" if probe == "convex" else "linear_present"]
    still = dict(ribs=(), b_lines=(), lung_pulse_mm=0.0, haze_decorrelation_mm=1e6, duration_s=2.0, pleura_db=-5.0)
    return replace(base, **(CLEAR | still | changes))  # type: ignore[arg-type]


def strip(phantom: Phantom, frame: int, from_mm: float, to_mm: float) -> NDArray[np.float32]:
    """The picture along the pleura, 0.1 mm a column, between two depths below it (negative: above)."""
    geometry, line = lay_out(phantom.spec), phantom.truth.pleura_px
    assert line is not None
    u_line, z_line = geometry.to_mm(line[frame, :, 0], line[frame, :, 1])
    u = np.arange(-0.7 * geometry.half_mm, 0.7 * geometry.half_mm, 0.1)
    z = np.interp(u, u_line, z_line) + np.linspace(from_mm, to_mm, 60)[:, None]
    at = geometry.to_px(np.broadcast_to(u, z.shape), z).astype(np.float32)
    return np.asarray(cv2.remap(phantom.frames[frame], at[..., 0], at[..., 1], cv2.INTER_LINEAR), np.float32)


def texture(strip: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is left of a strip without its shading."""
    return np.asarray(strip - cv2.GaussianBlur(strip, (0, 0), 20), np.float32)


def far_apart(phantom: Phantom) -> tuple[int, int]:
    """The two frames between which the lung slid furthest."""
    return int(phantom.truth.slide_mm.argmin()), int(phantom.truth.slide_mm.argmax())


def moved_mm(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """Lateral displacement between two strips, by phase correlation."""
    window = cv2.createHanningWindow(before.shape[::-1], cv2.CV_32F)
    (columns, _), _ = cv2.phaseCorrelate(before - before.mean(), after - after.mean(), window)
    return 0.1 * columns


# --- where things are ---


@pytest.mark.parametrize("name", ["present", "absent", "lung_point", "linear_present", "linear_absent"])
def test_the_pleura_is_a_bright_ridge_where_the_truth_says(name: str) -> None:
    phantom = preset_phantom(name)
    truth = phantom.truth
    assert truth.pleura_px is not None
    assert truth.visible is not None

    frame = len(phantom.frames) // 2
    errors = [brightest_offset(phantom.frames[frame], x, y) for x, y in truth.pleura_px[frame][truth.visible[frame]]]

    assert np.median(np.abs(errors)) <= 1.0
    assert np.percentile(np.abs(errors), 90) <= 2.0


def brightest_offset(frame: NDArray[np.uint8], x: float, y: float) -> float:
    """How far below (x, y) the brightest row within 8 px is, over three columns."""
    column, row = round(x), round(y)
    band = frame[row - 8 : row + 9, max(column - 1, 0) : column + 2].astype(float).mean(axis=1)
    return row - 8 + int(band.argmax()) - y


@pytest.mark.parametrize("probe", PROBES)
def test_millimetres_and_pixels_are_inverse(probe: str) -> None:
    geometry = lay_out(clear_spec(probe))
    u, z = np.meshgrid([-15.0, 0.0, 15.0], [0.0, 20.0, 40.0])

    px = geometry.to_px(u, z)
    back_u, back_z = geometry.to_mm(px[..., 0], px[..., 1])

    assert np.allclose(back_u, u)
    assert np.allclose(back_z, z)


def test_ten_millimetres_of_depth_are_a_hundred_pixels_at_a_tenth_of_a_millimetre_each() -> None:
    geometry = lay_out(clear_spec("linear", mm_per_px=0.1, top_px=6.0))

    assert geometry.to_px(np.array(0.0), np.array(10.0)).tolist() == [319.5, 106.0]


def test_a_fan_is_two_arcs_about_its_apex() -> None:
    fan = preset_phantom("present").truth.fan
    assert fan is not None

    radii = np.hypot(*(preset_phantom("present").truth.sector - fan.apex).T)

    assert np.allclose(radii[:33], fan.r0)
    assert np.allclose(radii[33:], fan.r1)
    assert fan.r1 - fan.r0 == pytest.approx(120.0 / 0.30)


@pytest.mark.parametrize("probe", PROBES)
def test_there_are_no_echoes_outside_the_sector(probe: str) -> None:
    phantom = small_phantom("present" if probe == "convex" else "linear_present")
    inside = cv2.fillPoly(np.zeros(phantom.frames.shape[1:], np.uint8), [np.round(phantom.truth.sector).astype(np.int32)], 1)

    outside = cv2.dilate(inside, np.ones((5, 5), np.uint8)) == 0

    assert phantom.frames[:, outside].max() == 0


def test_overlays_stay_outside_the_sector() -> None:
    spec = replace(small_phantom("present").spec, duration_s=0.1)

    plain, written = simulate(spec, 0).frames, simulate(replace(spec, overlays=True), 0).frames

    inside = cv2.fillPoly(np.zeros(plain.shape[1:], np.uint8), [np.round(simulate(spec).truth.sector).astype(np.int32)], 1) > 0
    assert np.array_equal(plain[:, inside], written[:, inside])
    assert written[:, ~inside].max() > 150


def test_interspaces_lie_between_the_ribs() -> None:
    ribs = (Rib(-10.0, 4.0, 10.0), Rib(10.0, 4.0, 10.0))
    truth = simulate(
        clear_spec("linear", ribs=ribs, aperture_mm=40.0, drift_mm=0.0, wall_lateral_mm=0.0, tremor_mm=0.0, rib_edge_mm=0.5)
    ).truth

    # 0.1 mm a pixel, the middle at 319.5: the ribs cover -14..-6 and 6..14 mm.
    assert np.allclose(truth.interspaces, [(119.5, 179.5), (259.5, 379.5), (459.5, 519.5)], atol=6)
    assert np.allclose(truth.rib_shadows, [(179.5, 259.5), (379.5, 459.5)], atol=6)


@pytest.mark.parametrize("probe", PROBES)
def test_a_rib_throws_a_shadow(probe: str) -> None:
    depth_mm = {"convex": 14.0, "linear": 10.0}[probe]
    phantom = simulate(clear_spec(probe, ribs=(Rib(0.0, 6.0, depth_mm),), duration_s=0.1))

    below = strip(phantom, 1, 2.0, 8.0)
    middle = below.shape[1] // 2

    assert below[:, middle - 20 : middle + 20].mean() < 0.15 * below[:, :60].mean()


def test_a_lines_lie_at_twice_the_depth_of_the_pleura() -> None:
    with_lines = simulate(clear_spec("linear", num_a_lines=1, a_line_db=-5.0, haze_db=-50.0, duration_s=0.1))
    depth_mm = with_lines.spec.pleura_depth_mm

    rows = strip(with_lines, 1, depth_mm - 3, depth_mm + 3).mean(axis=1)

    assert abs(np.linspace(-3, 3, 60)[rows.argmax()]) < 0.5


# --- how things move ---


@pytest.mark.parametrize("probe", PROBES)
def test_the_lung_moves_as_stated(probe: str) -> None:
    phantom = simulate(clear_spec(probe))
    below = (2 * phantom.spec.pleura_thickness_mm, 0.6 * phantom.spec.pleura_depth_mm)
    pairs = [(frame, frame + 3) for frame in range(3, 54, 3)]

    measured = [moved_mm(strip(phantom, a, *below), strip(phantom, b, *below)) for a, b in pairs]
    stated = [phantom.truth.lung_mm[b, 0] - phantom.truth.lung_mm[a, 0] for a, b in pairs]

    assert np.ptp(stated) > 1.0
    assert np.abs(np.subtract(measured, stated)).max() < 0.3


@pytest.mark.parametrize("slide_mm", [0.0, 9.0])
@pytest.mark.parametrize("probe", PROBES)
def test_the_wall_stays_when_neither_probe_nor_breath_moves_it(probe: str, slide_mm: float) -> None:
    phantom = simulate(
        clear_spec(probe, slide_mm=slide_mm, drift_mm=0.0, tremor_mm=0.0, wall_lateral_mm=0.0, wall_axial_mm=0.0, duration_s=1.0)
    )

    first, last = (strip(phantom, frame, -8.0, -2.0) for frame in (0, 29))

    assert np.abs(phantom.truth.wall_mm).max() == 0
    assert np.corrcoef(first.ravel(), last.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("probe", PROBES)
def test_without_sliding_the_lung_moves_with_the_wall(probe: str) -> None:
    phantom = simulate(clear_spec(probe, slide_mm=0.0, drift_mm=2.0))
    below = (2 * phantom.spec.pleura_thickness_mm, 0.6 * phantom.spec.pleura_depth_mm)
    pairs = [(frame, frame + 6) for frame in range(0, 54, 6)]

    measured = [moved_mm(strip(phantom, a, *below), strip(phantom, b, *below)) for a, b in pairs]
    wall = [phantom.truth.wall_mm[b, 0] - phantom.truth.wall_mm[a, 0] for a, b in pairs]

    assert np.abs(wall).max() > 0.5
    assert np.abs(np.subtract(measured, wall)).max() < 0.3
    assert phantom.truth.slide_rms_mm == 0
    assert phantom.truth.sliding_mask is not None
    assert not phantom.truth.sliding_mask.any()


def test_the_pleura_goes_down_with_the_wall() -> None:
    truth = simulate(clear_spec("linear", wall_axial_mm=1.0, drift_mm=0.0, tremor_mm=0.0, wall_lateral_mm=0.0)).truth
    assert truth.pleura_px is not None

    deeper_px = truth.pleura_px[:, 48, 1] - truth.pleura_px[0, 48, 1]

    assert np.allclose(deeper_px, (truth.wall_px - truth.wall_px[0])[:, 1])
    assert np.ptp(deeper_px) == pytest.approx(10.0, abs=0.5)


def test_beside_the_lung_point_one_side_slides_and_the_other_stands_still() -> None:
    still_wall = dict(drift_mm=0.0, tremor_mm=0.0, wall_lateral_mm=0.0, wall_axial_mm=0.0)
    phantom = simulate(clear_spec("linear", lung_point_mm=0.0, sliding_side="right", duration_s=1.0, **still_wall))

    first, last = (texture(strip(phantom, frame, 1.0, 8.0)) for frame in far_apart(phantom))
    middle = first.shape[1] // 2
    left, right = (
        np.corrcoef(first[:, part].ravel(), last[:, part].ravel())[0, 1] for part in (np.s_[: middle - 10], np.s_[middle + 10 :])
    )

    assert phantom.spec.sliding == "lung_point"
    assert phantom.truth.lung_point_x_px == pytest.approx(319.5, abs=0.5)
    assert left > 0.97
    assert right < 0.5


def test_a_b_line_goes_with_the_lung() -> None:
    phantom = simulate(clear_spec("linear", b_lines=(BLine(0.0, 0.6, -5.0),), haze_db=-45.0, duration_s=1.0))

    before, after = far_apart(phantom)
    brightest = [int(cv2.blur(strip(phantom, frame, 4.0, 12.0), (15, 1)).mean(axis=0).argmax()) for frame in (before, after)]
    stated = phantom.truth.lung_mm[after, 0] - phantom.truth.lung_mm[before, 0]

    assert 0.1 * (brightest[1] - brightest[0]) == pytest.approx(stated, abs=0.8)
    assert abs(stated) > 2.0


def test_speckle_decorrelates_when_the_plane_wanders() -> None:
    still = dict(slide_mm=0.0, drift_mm=0.0, tremor_mm=0.0, wall_lateral_mm=0.0, wall_axial_mm=0.0)

    def least_kept(out_of_plane: float, from_mm: float, to_mm: float) -> float:
        phantom = simulate(clear_spec("convex", **still | {"out_of_plane": out_of_plane}))
        first, *later = (texture(strip(phantom, frame, from_mm, to_mm)).ravel() for frame in range(0, 60, 10))
        return min(float(np.corrcoef(first, other)[0, 1]) for other in later)

    assert least_kept(0.0, 2.0, 12.0) > 0.95
    assert least_kept(0.6, 2.0, 12.0) < 0.8
    assert least_kept(0.6, -10.0, -2.0) < 0.95


# --- what it is called, and how it is made ---


def test_twins_differ_in_nothing_but_sliding() -> None:
    sliding, still = (random_spec(np.random.default_rng(3), **fixed) for fixed in ({}, {"slide_mm": 0.0}))

    assert still == replace(sliding, slide_mm=0.0)
    assert (sliding.sliding, still.sliding) == ("present", "absent")


def test_the_same_seed_gives_the_same_pixels() -> None:
    spec = replace(small_phantom("present").spec, duration_s=0.2)

    assert np.array_equal(simulate(spec, 4).frames, simulate(spec, 4).frames)
    assert not np.array_equal(simulate(spec, 4).frames, simulate(spec, 5).frames)


@pytest.mark.parametrize("obstruction", [Obstruction.EMPHYSEMA, Obstruction.NO_CONTACT])
def test_where_no_pleura_can_be_seen_the_truth_has_none(obstruction: Obstruction) -> None:
    phantom = simulate(replace(small_phantom("present").spec, obstruction=obstruction, duration_s=0.1))

    assert phantom.truth.sliding == "not_assessable"
    assert phantom.truth.pleura_px is None
    assert phantom.truth.interspaces == ()
    assert phantom.frames.max() > 60


@pytest.mark.parametrize("seed", range(12))
def test_a_random_phantom_is_well_formed(seed: int) -> None:
    spec = replace(random_spec(np.random.default_rng(seed)), duration_s=0.1)

    phantom = simulate(spec, seed)

    assert phantom.frames.shape == (3, 480, 640)
    assert phantom.frames.dtype == np.uint8
    assert phantom.truth.pleura_px is not None
    assert phantom.truth.pleura_px[..., 1].min() > spec.top_px
    assert 20 < np.percentile(phantom.frames, 99) <= 255


def test_a_random_clip_of_sliding_shows_sliding() -> None:
    for seed in range(20):
        spec = random_spec(np.random.default_rng(seed), duration_s=3.0, fps=10.0, slide_mm=10.0, lung_pulse_mm=0.0)
        truth = simulate(replace(spec, num_beams=16, num_depths=100, width_px=32, height_px=24), seed).truth

        assert np.ptp(truth.slide_mm) > 4.0


def test_every_preset_is_what_its_name_says() -> None:
    expected = {
        "present": "present",
        "absent": "absent",
        "lung_point": "lung_point",
        "not_assessable": "not_assessable",
        "linear_present": "present",
        "linear_absent": "absent",
    }

    assert {name: spec.sliding for name, spec in PRESETS.items()} == expected


def test_the_whole_sector_fits_the_frame() -> None:
    spec = replace(PhantomSpec(), mm_per_px=fitting_scale(PhantomSpec()))

    x0, y0, x1, y1 = lay_out(spec).box

    assert x0 >= 0
    assert y0 >= 0
    assert x1 <= 640
    assert y1 <= 480


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"probe": "phased"}, 'A phantom\'s probe is "linear" or "convex", not "phased".'),
        ({"sliding_side": "up"}, 'The sliding side of a lung point is "left" or "right", not "up".'),
        ({"duration_s": 0.0}, "A phantom needs at least one frame; 0 s at 30 fps has none."),
        (
            {"pleura_depth_mm": 130.0},
            "The pleura must lie between the skin (1.8 mm) and the end of the picture (120 mm), not at 130 mm.",
        ),
    ],
)
def test_an_impossible_phantom_is_refused(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  (the whole message is read below)
        PhantomSpec(**wrong)  # type: ignore[arg-type]

    assert str(refused.value) == sentence


# --- as a file ---


@pytest.mark.parametrize(("suffix", "codec", "crf"), [(".mp4", "libx264", 23), (".avi", "mjpeg", None), (".mkv", "mpeg4", None)])
def test_a_written_clip_decodes_to_nearly_the_same_frames(tmp_path: Path, suffix: str, codec: str, crf: int | None) -> None:
    phantom = small_phantom("present")

    phantom.write(tmp_path / f"clip{suffix}", codec=codec, crf=crf)
    with av.open(str(tmp_path / f"clip{suffix}")) as container:
        decoded = np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])

    assert decoded.shape == phantom.frames.shape
    assert np.abs(decoded.astype(int) - phantom.frames).mean() < 6


def test_the_command_writes_a_clip_and_its_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip, truth = tmp_path / "clip.mp4", tmp_path / "truth.json"

    main(["--preset", "lung_point", "--seconds", "0.2", "--truth", str(truth), str(clip)])

    told = json.loads(truth.read_text())
    assert clip.stat().st_size > 1000
    assert told["sliding"] == "lung_point"
    assert len(told["slide_mm"]) == 6
    assert capsys.readouterr().out == f"{clip}: convex probe, 0.2 s at 30 fps, lung sliding lung point\n"


def test_the_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])

    told = capsys.readouterr().out
    assert "--preset" in told
    assert "examples:" in told
