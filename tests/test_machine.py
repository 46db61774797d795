"""How many cores there are for this process."""

from pathlib import Path

import pytest

from service.machine import available_cores


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(
    ("limit", "cores"),
    [("max 100000\n", 8), ("200000 100000\n", 2), ("250000 100000\n", 2), ("50000 100000\n", 1), ("1600000 100000\n", 8)],
)
def test_the_containers_share_of_cores_counts(limit: str, cores: int, tmp_path: Path) -> None:
    write(tmp_path / "cpu.max", limit)

    assert available_cores(tmp_path) == cores


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("quota_us", "cores"), [(-1, 8), (300000, 3)])
def test_so_does_the_older_way_of_stating_it(quota_us: int, cores: int, tmp_path: Path) -> None:
    write(tmp_path / "cpu" / "cpu.cfs_quota_us", f"{quota_us}\n")
    write(tmp_path / "cpu" / "cpu.cfs_period_us", "100000\n")

    assert available_cores(tmp_path) == cores


@pytest.mark.usefixtures("eight_cores")
def test_without_a_cgroup_the_cores_it_may_run_on_count(tmp_path: Path) -> None:
    assert available_cores(tmp_path / "none") == 8
