"""docs/hospital: what its dashboard and alerts ask for is what the service exports, every alert can ring, and all of it runs together."""

import json
import re
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from prometheus_client.registry import Collector

from service.api.problems import KINDS
from service.drift import FEWEST_CLIPS
from service.findings import Timings, Verdict
from service.pacs.desk.metrics import QueueMetrics
from service.pacs.desk.overview import STAGES, Overview, Queue, Watch
from service.pacs.outgoing.delivery import Stage
from service.pacs.site_file import load_site
from service.telemetry import Metrics, stages_ms
from tests.fakes import dcmtk, prometheus
from tests.fakes import orthanc as real_archive
from tests.fakes.hospital import Seashore, clip_file, store, wait_until
from tests.fakes.inputs_seen import fed_metrics
from tests.fakes.orthanc import Orthanc

ROOT = Path(__file__).resolve().parents[2]
HOSPITAL = ROOT / "docs" / "hospital"
DASHBOARD = HOSPITAL / "grafana" / "seashore.json"
OUTCOMES = {kind.code for kind in KINDS} | {"ok", "internal_error", "caller_gone", "job"}
VALUES = {
    ("seashore_requests_total", "outcome"): OUTCOMES,
    ("seashore_verdicts_total", "verdict"): {str(verdict) for verdict in Verdict},
    ("seashore_stage_seconds_bucket", "stage"): set(stages_ms(Timings(0, 0, 0, 0, 0))),
    ("seashore_instances", "stage"): {stage.replace(" ", "_") for stage in STAGES},
    ("seashore_deliveries", "stage"): {str(stage) for stage in Stage},
}
"""What may stand in a label that an expression names. A value that never comes makes an alert that never rings."""

needs_prometheus = pytest.mark.skipif(not prometheus.is_installed(), reason=prometheus.NOT_HERE)


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((HOSPITAL / "alerts.yml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> list[str]:
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in rules()] + shown


def selected(expression: str) -> list[tuple[str, str]]:
    """Metrics that an expression reads, each with what stands in its braces."""
    return re.findall(r"\b(up|(?:seashore|process)_\w+)\b(?:\{([^}]*)\})?", expression)


def exported(folder: Path) -> set[str]:
    """Names of all that a service with a PACS exports, as Prometheus stores them."""

    class OneQueue:
        def overview(self) -> Overview:
            return Overview((), (Queue("archive", 0, 0, 0, 0.0, ""),), ())

    metrics = Metrics(lambda: 0)
    metrics.registry.register(cast(Collector, QueueMetrics(cast(Watch, OneQueue()))))
    metrics.registry.register(cast(Collector, fed_metrics(folder, FEWEST_CLIPS)))
    metrics.count_request("ok")
    metrics.observe_stage("total", 1.0)
    families = list(metrics.registry.collect())
    named = {sample.name for family in families for sample in family.samples}
    return named | {f"{family.name}_total" for family in families if family.type == "counter"} | {"up"}


def test_the_dashboard_and_the_alerts_name_only_what_the_service_exports(tmp_path: Path) -> None:
    named = {name for expression in expressions() for name, _ in selected(expression)}

    assert named - exported(tmp_path) == set()
    assert {"seashore_ledger_up", "seashore_deliveries", "seashore_verdicts_total"} <= named


def test_the_values_of_labels_they_name_are_ones_that_come() -> None:
    unknown = set()
    for name, braces in (one for expression in expressions() for one in selected(expression)):
        for label, wanted in re.findall(r'(\w+)=~?"([^"]*)"', braces):
            unknown |= set(wanted.split("|")) - VALUES.get((name, label), {"seashore"})

    assert unknown == set()


def test_every_metric_of_ours_is_shown_somewhere(tmp_path: Path) -> None:
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for expression in expressions() for name, _ in selected(expression)}
    ours = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in exported(tmp_path) if name.startswith("seashore_")}

    assert {name for name in ours if name not in shown and f"{name}_total" not in shown} == set()


def test_every_alert_is_explained_on_the_page_of_operations() -> None:
    explained = re.findall(r"^\| `(Seashore\w+)` \|", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)

    assert explained == [rule["alert"] for rule in rules()]


def test_the_panels_ask_the_source_that_is_set_up_and_do_not_lie_over_each_other() -> None:
    (source,) = yaml.safe_load((HOSPITAL / "grafana" / "datasource.yml").read_text())["datasources"]
    cells = [(x, y) for panel in panels() for x, y in _cells(panel["gridPos"])]

    assert {target["datasource"]["uid"] for panel in panels() for target in panel["targets"]} == {source["uid"]}
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24  # Grafana's columns


def _cells(place: dict[str, int]) -> list[tuple[int, int]]:
    return [(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])]


@needs_prometheus
def test_prometheus_takes_configuration_and_rules() -> None:
    assert prometheus.promtool("check", "config", HOSPITAL / "prometheus.yml").returncode == 0


@needs_prometheus
def test_every_alert_rings_when_it_should_and_not_before(tmp_path: Path) -> None:
    tried = yaml.safe_load((HOSPITAL / "alerts_test.yml").read_text())["tests"]
    rang = {one["alertname"] for test in tried for one in test["alert_rule_test"] if one.get("exp_alerts")}
    run = prometheus.promtool("test", "rules", HOSPITAL / "alerts_test.yml")

    assert rang == {rule["alert"] for rule in rules()}
    assert run.returncode == 0, run.stdout + run.stderr


@needs_prometheus
@pytest.mark.parametrize(("right", "wrong"), [("== 0\n", "== 2\n"), ("> 900", "> 9000"), ('"not_read"', '"failed"')])
def test_an_alert_that_no_longer_rings_is_seen(right: str, wrong: str, tmp_path: Path) -> None:
    text = (HOSPITAL / "alerts.yml").read_text()
    (tmp_path / "alerts.yml").write_text(text.replace(right, wrong))
    shutil.copy(HOSPITAL / "alerts_test.yml", tmp_path)

    assert right in text
    assert prometheus.promtool("test", "rules", tmp_path / "alerts_test.yml").returncode == 1


@pytest.mark.parametrize("profile", ["cpu", "gpu", "hospital"])
def test_the_compose_file_is_valid_and_leaves_its_containers_nothing(profile: str) -> None:
    if shutil.which("docker-compose") is None:
        pytest.skip("docker-compose is not installed")
    command = ["docker-compose", "--file", str(ROOT / "docker-compose.yml"), "--profile", profile, "config"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    services = yaml.safe_load(run.stdout)["services"]
    chosen = {name: one for name, one in services.items() if profile in one["profiles"]}

    assert set(chosen) == ({"seashore", "orthanc", "prometheus", "grafana"} if profile == "hospital" else {profile})
    assert [name for name, one in chosen.items() if not one["read_only"] or one["cap_drop"] != ["ALL"]] == []
    assert [port for one in chosen.values() for port in one["ports"] if not str(port).startswith("127.0.0.1:")] == []


def test_the_hospitals_route_is_the_guides() -> None:
    """One route, tried by tests/pacs/test_pages.py as it stands in the guide."""
    assert (HOSPITAL / "route-to-seashore.lua").read_text() in (ROOT / "docs" / "pacs.md").read_text()


@pytest.fixture
def together(tmp_path: Path) -> Iterator[tuple[Orthanc, Seashore, prometheus.Prometheus]]:
    """The hospital's own files; names of machines, ports and folders are this machine's."""
    if not (real_archive.is_installed() and dcmtk.program("storescu") and prometheus.is_installed()):
        pytest.skip(f"{real_archive.NOT_HERE}, or {prometheus.NOT_HERE}")
    (tmp_path / "orthanc").mkdir()
    site = tomllib.loads((HOSPITAL / "pacs.toml").read_text())
    archive, seashore = Orthanc(tmp_path / "orthanc", user=("demo", "secret")), Seashore(tmp_path / "seashore", site)
    site["receive"] |= {"port": seashore.dicom_port, "min_free_bytes": 0}
    site["destination"][0]["dicom"] |= {"address": "127.0.0.1", "port": archive.dicom_port}
    archive.options = orthanc_options(archive, seashore, tmp_path / "db")
    archive.start()
    seashore.start()
    with prometheus.prometheus(prometheus_file(tmp_path, seashore)) as watching:
        yield archive, seashore, watching
    seashore.stop()
    archive.kill()


def orthanc_options(archive: Orthanc, seashore: Seashore, storage: Path) -> dict[str, Any]:
    options: dict[str, Any] = json.loads((HOSPITAL / "orthanc.json").read_text().replace("${ORTHANC_PASSWORD}", "secret"))
    options["DicomModalities"]["seashore"] |= {"Host": "127.0.0.1", "Port": seashore.dicom_port}
    here = {
        "DicomPort": archive.dicom_port,
        "HttpPort": archive.http_port,
        "StorageDirectory": str(storage),
        "IndexDirectory": str(storage),
    }
    return options | here | {"LuaScripts": [str(HOSPITAL / "route-to-seashore.lua")], "DicomModalitiesInDatabase": False}


def prometheus_file(folder: Path, seashore: Seashore) -> Path:
    text = (HOSPITAL / "prometheus.yml").read_text()
    shutil.copy(HOSPITAL / "alerts.yml", folder)
    (folder / "prometheus.yml").write_text(text.replace("seashore:8000", f"127.0.0.1:{seashore.http_port}").replace("15s", "1s"))
    return folder / "prometheus.yml"


@pytest.mark.slow
def test_a_clip_goes_round_and_every_panel_has_something_to_show(
    together: tuple[Orthanc, Seashore, prometheus.Prometheus], tmp_path: Path
) -> None:
    archive, seashore, watching = together
    for number in range(2):  # a rate is between two
        clip = clip_file(tmp_path, number)
        assert store([clip], archive.dicom_port, aec="ORTHANC").returncode == 0
        wait_until(lambda upto=4 * (number + 1): len(archive.instances()) == upto, 60)
        seashore.predict(clip)
        time.sleep(3)
    wait_until(lambda: watching.query('seashore_deliveries{stage="delivered"}')[0]["value"][1] == "2", 30)
    shown = {expression: watching.query(expression) for expression in expressions()[len(rules()) :]}
    (group,) = watching.ask("rules")["groups"]

    empty = [expression for expression, found in shown.items() if not found]
    assert [expression for expression in empty if "seashore_input_drift" not in expression] == []  # drift is told from fifty clips on
    assert {rule["name"]: (rule["health"], rule["state"]) for rule in group["rules"]} == {
        rule["alert"]: ("ok", "inactive") for rule in rules()
    }


def test_the_site_file_of_the_hospital_is_valid() -> None:
    assert load_site(HOSPITAL / "pacs.toml").destination[0].name == "archive"
