"""What comes in, as Prometheus sees it: bins and sums, drift once there are clips enough, and no series for what nobody knows."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from service.api.input_metrics import InputMetrics
from service.cine.reference import STATISTICS
from service.drift import FEWEST_CLIPS, stability_index
from tests.contract.test_metrics_page import exposed, written
from tests.fakes.inputs_seen import answered_by, bundle_in, fed_metrics
from tests.fakes.media import mp4
from tests.fakes.phantoms import small_phantom
from tests.fakes.service import serving, shipped_bundle, shipped_reader, wait_until

OF_SLIDE = 'model="slide",statistic="lung_grey",version="1.0.0"'


def text_of(metrics: InputMetrics) -> str:
    registry = CollectorRegistry()
    registry.register(metrics)
    return generate_latest(registry).decode()


def series(text: str) -> list[str]:
    return re.findall(r"^(seashore_\w+\{.*\} \S+)$", text, re.MULTILINE)


def test_a_clip_is_counted_in_the_bins_of_its_model(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path)
    metrics = InputMetrics(tmp_path)
    for grey in (85.5, 90.0, 200.0):
        metrics.observe(answered_by(bundle, lung_grey=grey))
    lines = series(text_of(metrics))

    assert [line for line in lines if "lung_grey" in line] == [
        'seashore_input_statistic_bucket{le="85.5",model="slide",statistic="lung_grey",version="1.0.0"} 1.0',
        'seashore_input_statistic_bucket{le="105.0",model="slide",statistic="lung_grey",version="1.0.0"} 2.0',
        'seashore_input_statistic_bucket{le="+Inf",model="slide",statistic="lung_grey",version="1.0.0"} 3.0',
        f"seashore_input_statistic_count{{{OF_SLIDE}}} 3.0",
        f"seashore_input_statistic_sum{{{OF_SLIDE}}} 375.5",
    ]
    assert not any("drift" in line for line in lines)


def test_drift_is_told_from_fifty_clips_on(tmp_path: Path) -> None:
    text = text_of(fed_metrics(tmp_path, FEWEST_CLIPS))
    (found,) = re.findall(rf"^seashore_input_drift\{{{OF_SLIDE}\}} (\S+)$", text, re.MULTILINE)

    assert float(found) == pytest.approx(stability_index([9, 27, 8], [0, FEWEST_CLIPS, 0]))


def test_the_labels_are_those_of_the_page_and_their_values_the_fields(tmp_path: Path) -> None:
    text = text_of(fed_metrics(tmp_path, FEWEST_CLIPS))
    found = exposed(text)

    assert {name: written()[name] for name in found} == found
    assert set(found) == {"seashore_input_statistic", "seashore_input_drift"}
    assert set(re.findall(r'statistic="(\w+)"', text)) <= set(STATISTICS)


def test_two_versions_are_counted_apart(tmp_path: Path) -> None:
    metrics = InputMetrics(tmp_path)
    for version in ("1.0.0", "1.0.1"):
        metrics.observe(answered_by(bundle_in(tmp_path, version)))
    counts = [line for line in series(text_of(metrics)) if line.startswith("seashore_input_statistic_count") and "quality" in line]

    assert len(counts) == 2
    assert all(line.endswith(" 1.0") for line in counts)


def test_the_same_model_on_another_device_is_the_same_model(tmp_path: Path) -> None:
    analysis = answered_by(bundle_in(tmp_path))
    metrics = InputMetrics(tmp_path)
    metrics.observe(analysis)
    metrics.observe(replace(analysis, model=replace(analysis.model, device="cuda:0 (ONNX Runtime)")))

    assert f"seashore_input_statistic_count{{{OF_SLIDE}}} 2.0" in text_of(metrics)


def test_nothing_is_counted_for_a_bundle_of_before(tmp_path: Path) -> None:
    metrics = InputMetrics(tmp_path)
    metrics.observe(answered_by(bundle_in(tmp_path, input_statistics=lambda bundle: None)))

    assert series(text_of(metrics)) == []


def test_nothing_is_counted_for_an_answer_that_was_not_measured(tmp_path: Path) -> None:
    metrics = InputMetrics(tmp_path)
    metrics.observe(replace(answered_by(bundle_in(tmp_path)), inputs=None))

    assert [line for line in series(text_of(metrics)) if not line.endswith(" 0.0")] == []


def test_a_name_that_is_none_of_the_store_makes_no_series(tmp_path: Path) -> None:
    """A process that had a hostile clip in its hands may say any name."""
    metrics = InputMetrics(tmp_path / "store")
    analysis = answered_by(bundle_in(tmp_path / "store"))
    (tmp_path / "elsewhere").mkdir()
    shutil.copytree(tmp_path / "store" / "slide" / "1.0.0", tmp_path / "elsewhere" / "1.0.0")
    for name, sha256 in (("Doe^Jane", analysis.model.sha256), ("../elsewhere", analysis.model.sha256), ("slide", "0" * 64)):
        metrics.observe(replace(analysis, model=replace(analysis.model, name=name, sha256=sha256)))

    assert series(text_of(metrics)) == []
    metrics.observe(analysis)
    assert f"seashore_input_statistic_count{{{OF_SLIDE}}} 1.0" in text_of(metrics)


def test_a_store_that_was_away_for_a_moment_is_looked_into_again(tmp_path: Path) -> None:
    analysis = answered_by(bundle_in(tmp_path / "away"))
    metrics = InputMetrics(tmp_path / "store")
    metrics.observe(analysis)
    (tmp_path / "away").rename(tmp_path / "store")
    metrics.observe(analysis)

    assert f"seashore_input_statistic_count{{{OF_SLIDE}}} 1.0" in text_of(metrics)


def test_a_clip_that_is_sent_to_the_service_and_one_of_a_job_are_both_counted(tmp_path: Path) -> None:
    clip, bundle = mp4(small_phantom("present", 2.2).frames), shipped_bundle()
    with serving(shipped_reader(), data_dir=tmp_path) as client:
        assert wait_until(lambda: client.get("/readyz").status_code == 200, 60)
        answer = client.post("/v1/predict?saliency=none", content=clip)
        job = client.post("/v1/jobs?saliency=none", content=clip)
        assert (answer.status_code, job.status_code) == (200, 202)
        of_quality = f'seashore_input_statistic_count{{model="{bundle.parent.name}",statistic="quality",version="{bundle.name}"}} 2.0'
        assert wait_until(lambda: of_quality in client.get("/metrics").text, 60)

        assert "lung_grey" not in answer.text
