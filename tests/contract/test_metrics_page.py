"""The page on metrics names every metric that there is, with its labels, and no other."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from service.access.keys import add_key
from service.access.principal import Scope
from service.standing import BatchCount, DeviceStanding, ProcessesStanding, ReaderStanding
from tests.fakes.service import WordReader, is_ready, serving_everything, wait_until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations-metrics.md"


class BusyReader(WordReader):
    """Stands as one with processes and a device does."""

    def standing(self) -> ReaderStanding:
        work = DeviceStanding(1.5, 0.25, (BatchCount("classify", 8, 16, 3, 0.6), BatchCount("classify", 16, 16, 1, 0.4)))
        models = tuple(replace(model, work=work) if model.device else model for model in super().standing().models)
        return ReaderStanding(models, ProcessesStanding(3, 2, 2, 1, 4))


def written() -> dict[str, set[str]]:
    rows = re.findall(r"^\| `(seashore_\w+)` \|([^|]*)\|", PAGE.read_text(), re.MULTILINE)
    return {name: {label.strip() for label in labels.split(",") if label.strip()} for name, labels in rows}


def exposed(text: str) -> dict[str, set[str] | None]:
    """Labels of each; None where there is no figure to tell them from."""
    kinds = dict(re.findall(r"^# TYPE (seashore_\w+?) (\w+)$", text, re.MULTILINE))
    found: dict[str, set[str] | None] = {name: None for name in kinds if not name.endswith("_created")}
    for name in found:
        suffix = "_count" if kinds[name] == "histogram" else ""
        for labels in re.findall(rf"^{name}{suffix}(?:\{{(.*)\}})? \S+$", text, re.MULTILINE):
            found[name] = set(re.findall(r'(\w+)="', labels)) - {"le"}
    return found


def everything(folder: Path) -> str:
    _, token = add_key(folder / "data" / "keys.json", "test", tuple(Scope), "test", 30, datetime.now(UTC))
    with serving_everything(BusyReader(), folder) as client:
        client.headers["authorization"] = f"Bearer {token}"
        assert is_ready(client)
        for word in (b"present", b"not assessable", b"engine_failed"):
            client.post("/v1/predict", content=word)
        assert wait_until(lambda: "seashore_disk_bytes" in client.get("/metrics").text, 60)
        return client.get("/metrics").text


def test_the_page_and_the_service_tell_the_same_metrics(tmp_path: Path) -> None:
    page, text = written(), everything(tmp_path)
    found = exposed(text)

    assert set(found) == set(page)
    assert {name: labels for name, labels in found.items() if labels is not None and labels != page[name]} == {}
    told = [name for name, labels in found.items() if labels is not None]
    assert len(told) >= len(page) - 5  # of deliveries, instances and a bundle that says what it was made from there are none here
    assert 29 * 86400 < float(re.findall(r"^seashore_key_expiry_seconds (\S+)$", text, re.MULTILINE)[0]) <= 30 * 86400
    assert 'seashore_batch_fill_ratio_bucket{le="0.5",model="resnet3d18-w16",task="classify",version="0.1.0"} 3.0' in text
    assert 'seashore_batch_fill_ratio_count{model="resnet3d18-w16",task="classify",version="0.1.0"} 4.0' in text
    assert 'seashore_batch_fill_ratio_sum{model="resnet3d18-w16",task="classify",version="0.1.0"} 2.5' in text
    assert "seashore_reader_processes_lost_total 4.0" in text
    assert 'seashore_quality_reasons_total{reason="no_pleura"} 1.0' in text
    assert 'seashore_stage_seconds_count{stage="queue"} 3.0' in text
    assert 'seashore_http_requests_total{outcome="engine_failed",scope="predict"} 1.0' in text
