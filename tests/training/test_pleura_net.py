"""The net that finds the pleura: annotations, augmentation, fit and export; and the report on what it finds."""

import csv
import json
import re
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner

from service.cine.overview import look_over
from service.cine.pleura import DEPTH_SAMPLES, NUM_INPUTS, Pleura
from service.cine.sector import Sector, find_sector
from service.manifest import read_manifest
from tests.fakes.phantoms import small_phantom
from training.array_clip import ArrayClip
from training.cli import app
from training.phantom.simulate import Phantom
from training.pleura_augment import augment
from training.pleura_disease import _filled, without_line
from training.pleura_net import (
    Annotation,
    AnnotationError,
    PleuraNet,
    annotated_samples,
    export,
    fit,
    phantom_samples,
    read_annotations,
)
from training.pleura_report import BEGIN, END, Found, Row, error_px, grouped, judge, main, summary, table
from training.pleura_view import Sample, View

EXPERIMENTS = Path(__file__).parents[2] / "training" / "experiments"
BEAMS = 100


def drawn_sample(depth: float = 40.0, weight: float = 1.0) -> Sample:
    """A bright pleura that dips to the right on a dark ground, seen from beam 10 to beam 89."""
    line = (depth + 6 * np.linspace(-1, 1, BEAMS)).astype(np.float32)
    below = np.arange(DEPTH_SAMPLES, dtype=np.float32)[:, None] - line[None, :]
    drawn = (200 * np.exp(-0.5 * (below / 1.2) ** 2)).astype(np.float32)
    seen = np.zeros(BEAMS, np.bool_)
    seen[10:90] = True
    return Sample(drawn + 10, drawn, drawn + 10, drawn, np.ones_like(drawn), line, seen, weight)


def annotation_of(phantom: Phantom) -> dict[str, object]:
    line = phantom.truth.pleura_middle_px
    assert line is not None
    return {
        "frame": len(phantom.frames) // 2,
        "line": line.round(1).tolist(),
        "interspaces": [list(run) for run in phantom.truth.interspaces],
        "visible": True,
        "sure": 0.9,
    }


def written(folder: Path, annotations: object) -> Path:
    path = folder / "annotations.json"
    path.write_text(json.dumps(annotations))
    return path


# --- augmentation ---


def test_the_line_stays_on_the_picture_whatever_is_done_to_both() -> None:
    """The annotated frame's ridge has its peak on the line in three of four pictures; in the others it was drawn away."""
    near = 0
    for seed in range(40):
        pixels, line, seen, _ = augment(drawn_sample(), np.random.default_rng(seed))
        assert pixels.shape == (NUM_INPUTS, DEPTH_SAMPLES, len(line))
        assert pixels.dtype == line.dtype == np.float32
        near += bool(seen.any() and np.median(np.abs(pixels[6].argmax(axis=0) - line)[seen]) <= 1.5)

    assert near >= 26


def test_a_line_that_leaves_the_picture_is_not_seen() -> None:
    """At sample 114 of 120, every larger zoom pushes it out below."""
    for seed in range(30):
        _, line, seen, lung = augment(drawn_sample(depth=114), np.random.default_rng(seed))
        outside = (line <= 1) | (line >= DEPTH_SAMPLES - 2)
        assert not seen[outside].any()
        assert (lung[outside] == 0).all()


def test_lung_is_seen_where_the_line_is_by_half_over_fluid_and_nowhere_else() -> None:
    values: set[float] = set()
    for seed in range(40):
        _, _, seen, lung = augment(drawn_sample(), np.random.default_rng(seed))
        assert ((lung > 0) == seen).all()
        values |= set(lung.tolist())

    assert values == {0.0, 0.5, 1.0}


def drawn_view(level: float = 220.0) -> View:
    sample = drawn_sample()
    pictures = np.full((4, DEPTH_SAMPLES, BEAMS), level, np.float32)
    return View(pictures, sample.inside, sample.line, sample.is_visible, sample.is_visible.astype(np.float32))


@pytest.mark.parametrize("seed", range(10))
def test_an_effusion_lies_below_the_line_and_the_wall_stays(seed: int) -> None:
    view = drawn_view()
    filled = _filled(view, np.random.default_rng(seed), edge=None)

    assert (filled.pictures[:, view.below <= 0] == 220).all()
    assert not np.allclose(filled.pictures[0][(view.below > 2) & (view.below < 6)], 220, atol=1)
    assert filled.lung[50] == 0.5
    assert filled.lung[0] == 0.0


def test_without_its_line_the_wall_merely_ends() -> None:
    """The drawn line is 210 bright on a ground of 10; at most 0.6 of its brightness is left."""
    sample = drawn_sample()
    pictures = np.stack([sample.mean, sample.ridge, sample.middle, sample.middle_ridge])
    view = View(pictures, sample.inside, sample.line, sample.is_visible, sample.is_visible.astype(np.float32))
    on_line = np.abs(view.below) < 1
    left = [without_line(view, np.random.default_rng(seed)).pictures[0][on_line].max() for seed in range(20)]

    assert sample.mean[on_line].max() > 200
    assert max(left) < 160
    assert min(left) < 30


# --- fit and export ---


def test_a_fit_tells_the_loss_of_each_step_and_can_be_done_again() -> None:
    losses: list[float] = []
    first = fit([drawn_sample()], [], steps=3, seed=4, batch=2, on_step=losses.append)
    again = fit([drawn_sample()], [], steps=3, seed=4, batch=2)

    assert len(losses) == 3
    assert all(np.isfinite(losses))
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert not first.training


def test_a_fit_learns_where_the_line_is() -> None:
    """Even over 120 depths the cross-entropy is log(120) = 4.8, and log(2) / 2 = 0.35 for whether it is seen."""
    losses: list[float] = []
    fit([drawn_sample(30), drawn_sample(60)], [], steps=30, seed=0, batch=2, on_step=losses.append)

    assert losses[0] > 4.5
    assert min(losses[-5:]) < 3.6


@cache
def untrained() -> PleuraNet:
    torch.manual_seed(1)
    net = PleuraNet()
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):  # as if fitted: folding them must not be a no-op
            torch.nn.init.uniform_(layer.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
            torch.nn.init.uniform_(layer.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    return net.eval()


@pytest.mark.parametrize("beams", [16, 104, 168])
def test_the_exported_net_is_torchs_net_in_the_library_that_serves_it(tmp_path: Path, beams: int) -> None:
    export(untrained(), tmp_path / "weights" / "pleura.onnx")
    pixels = np.random.default_rng(0).normal(0, 1, (1, NUM_INPUTS, DEPTH_SAMPLES, beams)).astype(np.float32)
    served = cv2.dnn.readNetFromONNX(str(tmp_path / "weights" / "pleura.onnx"))
    served.setInput(pixels)
    with torch.no_grad():
        expected = untrained()(torch.from_numpy(pixels)).numpy()

    assert expected.shape == (1, 2, DEPTH_SAMPLES, beams)
    assert np.abs(served.forward() - expected).max() < 1e-4


def test_the_exported_net_holds_no_path_of_the_machine_that_made_it(tmp_path: Path) -> None:
    export(untrained(), tmp_path / "pleura.onnx")

    assert b".py" not in (tmp_path / "pleura.onnx").read_bytes()


# --- annotations ---


def test_the_shipped_annotations_are_of_the_clips_trained_on_and_all_show_pleura() -> None:
    annotations = read_annotations(EXPERIMENTS / "pleura_annotations.json")
    rows = csv.DictReader((EXPERIMENTS / "clips.csv").read_text().splitlines())

    assert sorted(annotations) == sorted(row["file"] for row in rows if row["split"] == "train")
    assert len(annotations) == 44
    assert all(annotation.is_visible and annotation.interspaces for annotation in annotations.values())


def test_the_shipped_list_is_a_manifest_whose_clips_to_train_on_are_cc_by(tmp_path: Path) -> None:
    """Read without the checksums, which empty files in the clips' place would not have."""
    head, *lines = (EXPERIMENTS / "clips.csv").read_text().splitlines()
    (tmp_path / "clips.csv").write_text("\n".join([head.replace("sha256", "checksum"), *lines]))
    for line in lines:
        (tmp_path / line.partition(",")[0]).touch()
    manifest = read_manifest(tmp_path / "clips.csv")
    trained_on = [clip for clip in manifest if clip.split == "train"]

    assert len(trained_on) == 44
    assert len(manifest) == 90
    assert all(clip.licence.startswith("CC BY") and "NC" not in clip.licence for clip in trained_on)
    assert {clip.split for clip in manifest} == {"train", "test"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", clip.other["checksum"]) for clip in manifest)
    assert all(clip.other["path"].startswith("data/pocus_videos/") for clip in manifest)


GOOD = {"frame": 0, "line": [[0, 10], [20, 12]], "interspaces": [[0, 20]], "visible": True, "sure": 0.5}


@pytest.mark.parametrize(
    ("annotations", "sentence"),
    [
        ([], "The annotations must be a JSON object with an entry for each clip."),
        ({}, "The annotations must be a JSON object with an entry for each clip."),
        ({"a": GOOD, "b": {"line": []}}, "Annotation 2 must have frame, line, interspaces, visible and sure."),
        ({"a": GOOD | {"line": [[0, 10]]}}, "The line of annotation 1 must be two points (x, y) or more, from left to right."),
        ({"a": GOOD | {"line": [[20, 10], [0, 12]]}}, "The line of annotation 1 must be two points (x, y) or more, from left to right."),
    ],
)
def test_annotations_that_cannot_be_used_are_told_by_their_number(tmp_path: Path, annotations: object, sentence: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        read_annotations(written(tmp_path, annotations))
    assert str(caught.value) == sentence


def test_annotations_that_cannot_be_read_at_all(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="The annotations cannot be read: No such file or directory."):
        read_annotations(tmp_path / "missing.json")
    (tmp_path / "text.json").write_text("no json")
    with pytest.raises(AnnotationError, match="The annotations are not JSON."):
        read_annotations(tmp_path / "text.json")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one clip, seen.mp4, and its annotation twice: as it is, and as of a clip that shows no pleura."""
    folder = tmp_path_factory.mktemp("clips")
    phantom = small_phantom("present", 1.0)
    phantom.write(folder / "seen.mp4")
    phantom.write(folder / "unseen.mp4")
    annotation = annotation_of(phantom)
    written(folder, {"seen.mp4": annotation, "unseen.mp4": annotation | {"visible": False}})
    return folder


def test_a_sample_is_the_clip_in_beams_with_the_line_on_its_ridge(clips: Path) -> None:
    """And clips in which nothing is visible are not learned from."""
    samples = list(annotated_samples(read_annotations(clips / "annotations.json"), clips))
    (sample,) = samples
    ridge_at_line = sample.ridge[np.rint(sample.line).astype(int), np.arange(len(sample.line))]

    assert sample.weight == 0.9
    assert 0.2 < sample.is_visible.mean() < 1
    assert np.median(ridge_at_line[sample.is_visible]) > 5 * np.median(sample.ridge)


def test_the_first_two_phantoms_show_no_pleura() -> None:
    gas, air, shown = list(phantom_samples(3, seed=2))

    assert not gas.is_visible.any()
    assert not air.is_visible.any()
    assert shown.is_visible.any()


# --- the command ---


def test_a_net_is_fitted_and_written_from_the_command_line(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "pleura.onnx"
    asked = ["pleura", str(clips / "annotations.json"), "--clips", str(clips), "--out", str(out), "--steps", "2", "--phantoms", "1"]
    answer = CliRunner().invoke(app, asked)

    assert answer.exit_code == 0, answer.output
    assert f"Fitted to 1 clips and 1 phantoms. Written: {out}" in answer.output
    assert not cv2.dnn.readNetFromONNX(str(out)).empty()


def test_clips_that_are_not_there_are_told_before_anything_is_fitted(clips: Path, tmp_path: Path) -> None:
    asked = ["pleura", str(clips / "annotations.json"), "--clips", str(tmp_path), "--out", str(tmp_path / "pleura.onnx")]
    answer = CliRunner().invoke(app, asked)

    assert answer.exit_code == 1
    assert answer.output.strip() == "2 of the 2 annotated clips are not in the folder of clips."


# --- the report ---

LINEAR = Sector("linear", None, (0.0, 99.0), (0.0, 239.0), np.ones((240, 100), np.bool_))
"""Beams are columns, depth is y; 240 px deep, so that 1 px of the frame is 2 px of the published scale."""


def flat(depth_px: float) -> Pleura:
    return Pleura(np.arange(100.0), np.full(100, depth_px), ((0, 100),), 0.9)


def flat_annotation(y: float, interspaces: tuple[tuple[float, float], ...] = ((0.0, 99.0),)) -> Annotation:
    return Annotation(0, np.array([[0.0, y], [99.0, y]]), interspaces, True, 1.0)


def test_the_error_is_in_pixels_of_the_published_scale() -> None:
    extent = LINEAR.depth_extent_px

    assert error_px(flat_annotation(50), LINEAR, flat(50)) == 0
    assert error_px(flat_annotation(50), LINEAR, flat(55)) == pytest.approx(5 * 480 / extent)
    assert 480 / extent == pytest.approx(2, rel=0.01)


def test_only_annotated_interspaces_count() -> None:
    depth: NDArray[np.float64] = np.where(np.arange(100.0) < 50, 50.0, 90.0)
    found = Pleura(np.arange(100.0), depth, ((0, 100),), 0.9)

    assert error_px(flat_annotation(50, ((0.0, 40.0),)), LINEAR, found) == 0
    assert error_px(flat_annotation(50, ((60.0, 99.0),)), LINEAR, found) == pytest.approx(80, rel=0.01)
    assert error_px(flat_annotation(50, ()), LINEAR, found) is None


@pytest.mark.parametrize(
    ("visible", "error", "confidence", "found"),
    [
        (True, 11.9, 0.9, Found.RIGHT),
        (True, 12.0, 0.9, Found.WRONG),
        (True, None, None, Found.MISSED),
        (False, None, None, Found.NONE),
        (False, 3.0, 0.4, Found.WRONG),
    ],
)
def test_right_is_below_12_px_and_nothing_where_there_is_nothing(
    visible: bool, error: float | None, confidence: float | None, found: Found
) -> None:
    assert Row("a", 1.0, visible, error, confidence).found is found


def test_the_pleura_of_a_phantom_is_found_right() -> None:
    phantom = small_phantom("present", 1.0)
    overview = look_over(ArrayClip(phantom.frames, phantom.spec.fps))
    line = phantom.truth.pleura_middle_px
    assert line is not None
    row = judge("phantom", Annotation(0, line, phantom.truth.interspaces, True, 1.0), overview, find_sector(overview))

    assert row.found is Found.RIGHT
    assert row.error_px is not None
    assert row.error_px < 6


ROWS = [
    Row("a.mp4", 0.9, True, 2.0, 0.95, is_plain=True),
    Row("b.mp4", 0.8, True, 40.0, 0.55),
    Row("c.mp4", 0.3, False, None, None),
    Row("d.mp4", 0.4, True, None, None),
]


def test_the_table_has_a_row_for_every_clip() -> None:
    assert list(table(ROWS, frozenset({"a.mp4"})))[2:] == [
        "| `a.mp4` | yes | 0.90 | yes | 2 | 0.95 | yes | right |",
        "| `b.mp4` | no | 0.80 | yes | 40 | 0.55 | no | wrong |",
        "| `c.mp4` | no | 0.30 | no |  |  |  | none |",
        "| `d.mp4` | no | 0.40 | yes |  |  |  | missed |",
    ]


def test_the_summary_counts_clips_that_show_a_pleura_and_those_that_do_not_apart() -> None:
    assert list(summary({"all": ROWS, "nothing": []}))[2:] == [
        "| all | 3 | 1 (33%) | 1 | 1 | 21.0 | 0.95 / 0.55 | 1 of 1 |",
        "| nothing | 0 | 0 | 0 | 0 |  | - / - | 0 of 0 |",
    ]


def test_clips_are_grouped_by_how_sure_the_reader_was_and_by_what_was_trained_on() -> None:
    groups = grouped(ROWS, frozenset({"a.mp4"}), [])

    assert [len(rows) for rows in groups.values()] == [4, 2, 1, 1, 0, 1]
    assert list(grouped(ROWS, frozenset(), ROWS))[-1] == "random phantoms, never trained on"


def test_the_report_is_asked_for_by_a_command(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(clips / "annotations.json"), "--clips", str(clips), "--phantoms", "1"])
    said = capsys.readouterr().out

    assert re.search(r"^\| `seen.mp4` \| no \| 0.90 \| yes \| \d+ \| 0\.\d\d \| yes \| right \|$", said, re.MULTILINE)
    assert "| all | 1 | 1 (100%) |" in said
    assert "| random phantoms, never trained on | 0 | 0 |" in said  # the first shows no pleura


def test_the_report_is_written_into_its_page(clips: Path, tmp_path: Path) -> None:
    page = tmp_path / "pleura.md"
    page.write_text(f"before\n{BEGIN}old\n{END}after\n")
    main([str(clips / "annotations.json"), "--clips", str(clips), "--page", str(page)])
    text = page.read_text()

    assert text.startswith(f"before\n{BEGIN}| clips |")
    assert text.endswith(f"|\n{END}after\n")
    assert "old" not in text


def test_a_report_without_its_clips_is_a_sentence(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(clips / "annotations.json"), "--clips", str(tmp_path)])
    assert "2 of the 2 annotated clips are not in the folder of clips." in capsys.readouterr().err
