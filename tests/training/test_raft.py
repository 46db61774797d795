"""RAFT in the place of DIS: from a checkpoint of one's own, through torchvision where it is installed."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from service.cine.flow import flow_steps
from training.raft import RaftError, raft_flow


def test_a_checkpoint_that_is_not_there_or_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("no weights")

    with pytest.raises(RaftError, match=r"^The RAFT checkpoint cannot be read: there is no such file, or it may not be read\.$"):
        raft_flow(tmp_path / "none.pt")
    with pytest.raises(RaftError, match=r"^The RAFT checkpoint is not a file of weights that torch has written\.$"):
        raft_flow(tmp_path / "text.pt")
    torch.save(torch.zeros(2), tmp_path / "array.pt")
    with pytest.raises(RaftError, match=r"^The RAFT checkpoint holds no weights by name\.$"):
        raft_flow(tmp_path / "array.pt")


def test_without_torchvision_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({}, tmp_path / "raft.pt")
    monkeypatch.setitem(sys.modules, "torchvision.models.optical_flow", None)

    with pytest.raises(RaftError, match=r'^RAFT needs torchvision, which is not installed here: pip install "seashore\[raft\]"\.$'):
        raft_flow(tmp_path / "raft.pt")


@pytest.fixture
def small_raft(tmp_path: Path) -> Path:
    """RAFT as it was drawn: its flow means nothing, its way is the real one."""
    try:
        nets = import_module("torchvision.models.optical_flow")
    except (ImportError, RuntimeError):
        pytest.skip("no torchvision of torch's own build")
    torch.manual_seed(0)
    torch.save(nets.raft_small().state_dict(), tmp_path / "raft.pt")
    return tmp_path / "raft.pt"


def test_torchvisions_raft_gives_a_flow_of_every_pixel(small_raft: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 128, 136), dtype=np.uint8)

    flow = flow_steps(frames, raft_flow(small_raft), 1)

    assert flow.shape == (2, 2, 128, 136)
    assert np.isfinite(flow).all()
    assert np.abs(flow).max() > 0


def test_a_checkpoint_of_something_else_is_refused(small_raft: Path, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pt")

    with pytest.raises(RaftError, match=r"^The checkpoint is not one of torchvision's raft_large or raft_small\.$"):
        raft_flow(tmp_path / "other.pt")
