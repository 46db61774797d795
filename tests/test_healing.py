"""The service heals: its device hangs or is lost under real clips; over HTTP it is said, waited for, and over. With the shipped model."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from service.bundle import read_bundle
from service.engine.healing import Care, HealingDevice
from service.engine.openvino import OpenVinoEngine
from service.loading import check_golden
from service.model import LoadedModel
from service.readers.reader import EXIT_ENGINE_LOST, reader_processes
from service.settings import Settings
from tests.fakes import media
from tests.fakes.engine import BreakableEngine
from tests.fakes.phantoms import small_phantom
from tests.fakes.service import is_ready, serving, wait_until

AGAIN = r"\. Its engine is being started again: ask again in 15 s\."
HANGS = r"The model's device has not answered for \d+ s" + AGAIN
LOST = "The model's device failed" + AGAIN


@dataclass
class Ward:
    """The real engine, which can be broken, of whichever model is loaded; all that were opened."""

    engines: list[BreakableEngine] = field(default_factory=list)

    def load(self, folder: Path) -> LoadedModel:
        bundle = read_bundle(folder)

        def opened() -> BreakableEngine:
            engine = OpenVinoEngine(bundle.model_onnx, bundle.saliency_onnx)
            engine.warm_up(bundle.input_spec.patch_shape)
            self.engines.append(BreakableEngine(engine))
            return self.engines[-1]

        # A second try has to wait, so that what is said meanwhile can be heard.
        care = Care(1.0, 3, self.engines.clear, pauses_s=(1.0,))
        return LoadedModel(bundle, HealingDevice(opened, lambda device: check_golden(LoadedModel(bundle, device)), care))


@pytest.fixture(scope="module")
def clip() -> bytes:
    return media.mp4(small_phantom("present", 2.2).frames)


@pytest.fixture
def ward() -> Iterator[Ward]:
    ward = Ward()
    yield ward
    for engine in ward.engines:
        engine.mend()


@pytest.fixture
def client(ward: Ward, tmp_path: Path) -> Iterator[httpx.Client]:
    settings = {"device": "cpu", "data_dir": tmp_path / "data", "max_concurrent": 2, "max_background": 1}
    with reader_processes(Settings.model_validate(settings), ward.load) as reader, serving(reader, **settings) as client:
        assert is_ready(client)
        yield client


def probability(answer: httpx.Response) -> float:
    assert answer.status_code == 200, answer.text
    return float(answer.json()["lung_sliding"]["probability"])


@pytest.mark.slow
@pytest.mark.parametrize(("breaks", "sentence"), [("hang", HANGS), ("lose", LOST)])
def test_a_device_that_breaks_under_a_clip_is_told_healed_and_answers_as_before(
    breaks: str, sentence: str, ward: Ward, client: httpx.Client, clip: bytes
) -> None:
    before = probability(client.post("/v1/predict", content=clip))
    getattr(ward.engines[0], breaks)()
    refused = client.post("/v1/predict", content=clip)
    ready, early = client.get("/readyz"), client.post("/v1/predict", content=clip)

    for told in (refused, ready, early):
        assert (told.status_code, told.json()["code"]) == (503, "engine_failed")
        assert re.fullmatch(sentence, told.json()["detail"])
        assert told.headers["retry-after"] == "15"
    assert is_ready(client)
    assert probability(client.post("/v1/predict", content=clip)) == before
    assert len(ward.engines) == 2
    assert ward.engines[0].num_failed > 0 or breaks == "hang"


@pytest.mark.slow
@pytest.mark.parametrize("breaks", [pytest.param("hang", marks=pytest.mark.slow), "lose"])
def test_a_job_under_way_is_read_again_after_healing(breaks: str, ward: Ward, client: httpx.Client, clip: bytes) -> None:
    before = probability(client.post("/v1/predict", content=clip))
    getattr(ward.engines[0], breaks)()
    job = client.post("/v1/jobs", content=clip).json()["id"]
    assert wait_until(lambda: client.get("/readyz").status_code == 503, 30)
    assert client.get(f"/v1/jobs/{job}").json()["state"] in ("queued", "running")
    assert wait_until(lambda: client.get(f"/v1/jobs/{job}").json()["state"] == "done", 60)

    assert probability(client.get(f"/v1/jobs/{job}/result")) == before


ENDS = """
import sys
from pathlib import Path
from service.engine.base import Task
from service.engine.healing import Care, HealingDevice
from service.readers.reader import end_process
from tests.engine.test_healing import patches
from tests.fakes.engine import FragileEngine
import threading, time

engines = []
def opened():
    engines.append(FragileEngine(lies_by=len(engines)))
    return engines[-1]

def check(device):
    with device.turn() as turn:
        assert turn.ask(Task.CLASSIFY, patches(7)).result(5).logits.tolist() == [7]

device = HealingDevice(opened, check, Care(0.1, 2, end_process, pauses_s=(0.0,)))
engines[0].hang()
with device.turn() as turn:
    turn.ask(Task.CLASSIFY, patches(1))
    threading.Thread(target=time.sleep, args=(600,)).start()  # something that would keep a process from ending as it should
    time.sleep(20)
"""


def test_a_process_whose_device_cannot_be_used_again_ends_itself_with_a_status_of_its_own() -> None:
    ended = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True, timeout=60)

    assert ended.returncode == EXIT_ENGINE_LOST == 70, ended.stderr
    assert "The process ends itself, for only another one can use the device again. Status 70." in ended.stderr
