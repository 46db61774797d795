"""Servers in processes of their own, and what the peers do with a clip."""

import sys
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from service.engine.base import Task
from tests.bench import processes
from tests.bench.peers.clip_work import Order
from tests.bench.peers.servers import BEST, candidates
from tests.bench.servers import Server, ServerFailed, running

SERVE = "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind='127.0.0.1')"


def test_a_server_is_ended_with_its_children_and_theirs(tmp_path: Path) -> None:
    script = tmp_path / "serve.py"
    script.write_text(SERVE)
    nested = f"sh -c '{sys.executable} {script} {{port}}; true'; true"
    with running(Server("nested", ("sh", "-c", nested), ready_path="/")) as server:
        family = processes.family(server.pid)
        assert len(family) == 3
        assert server.resident_mib() > 10
        server.reset_peak()
        assert server.peak_mib() >= server.resident_mib() - 1

    assert processes.alive(family) == []


def test_a_server_that_ends_at_once_says_what_it_said() -> None:
    with (
        pytest.raises(ServerFailed, match="no model here"),
        running(Server("broken", (sys.executable, "-c", "raise SystemExit('no model here')"))),
    ):
        pass


def test_every_peer_has_two_or_three_settings_that_differ() -> None:
    tried = candidates(2)

    assert list(tried) == list(BEST) == ["LitServe", "Ray Serve", "BentoML", "FastAPI"]
    assert all(max(BEST[name]) < len(servers) for name, servers in tried.items())
    for servers in tried.values():
        assert 2 <= len({server.setting for server in servers}) == len(servers) <= 3


def test_the_batch_goes_back_to_who_asked() -> None:
    order = Order()
    first: Future[object] = order.ask(Task.CLASSIFY, np.zeros((2, 1, 1, 1, 1), np.uint8))  # type: ignore[assignment]
    second: Future[object] = order.ask(Task.CLASSIFY, np.zeros((1, 1, 1, 1, 1), np.uint8))  # type: ignore[assignment]

    order.fill(np.array([0.1, 0.2, 0.3], np.float32))

    assert order.num_patches == 3
    assert first.result().logits.tolist() == pytest.approx([0.1, 0.2])  # type: ignore[attr-defined]
    assert second.result().logits.tolist() == pytest.approx([0.3])  # type: ignore[attr-defined]


def test_the_peers_are_told_to_report_to_nobody(tmp_path: Path) -> None:
    said = tmp_path / "environment"
    write = f"import os, pathlib; pathlib.Path({str(said)!r}).write_text(repr(dict(os.environ)))\n" + SERVE
    with running(Server("listening", (sys.executable, "-c", write, "{port}"), ready_path="/")):
        pass

    environment = said.read_text()
    assert "'BENTOML_DO_NOT_TRACK': 'True'" in environment
    assert "'RAY_USAGE_STATS_ENABLED': '0'" in environment
