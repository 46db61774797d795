"""Files of a job: whole under their own name, or not there."""

import threading
from pathlib import Path

import pytest

from service.jobs.folder import JobFolder, make_folder, write_whole


def test_a_clip_that_has_arrived_is_moved_and_not_copied(tmp_path: Path) -> None:
    arrived = tmp_path / "arrived"
    arrived.write_bytes(b"clip")
    inode = arrived.stat().st_ino
    folder = JobFolder(tmp_path / "jobs" / "1")

    folder.keep_clip(arrived)

    assert folder.clip.read_bytes() == b"clip"
    assert folder.clip.stat().st_ino == inode
    assert not arrived.exists()


def test_folders_that_are_made_are_closed_to_others(tmp_path: Path) -> None:
    make_folder(tmp_path / "data" / "jobs")

    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "data", tmp_path / "data" / "jobs")] == [0o700, 0o700]


def test_what_fails_while_it_is_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "result"
    path.write_bytes(b"first")

    def half(part: Path) -> None:
        part.write_bytes(b"sec")
        raise InterruptedError

    with pytest.raises(InterruptedError):
        write_whole(path, half)

    assert path.read_bytes() == b"first"
    assert [*tmp_path.iterdir()] == [path]


def test_two_that_write_the_same_file_at_once_do_not_mix(tmp_path: Path) -> None:
    path, both_have_begun = tmp_path / "result", threading.Barrier(2)

    def write(part: Path, content: bytes) -> None:
        part.write_bytes(content)
        both_have_begun.wait(5)

    contents = (b"a" * 10, b"b" * 20)
    writers = [threading.Thread(target=write_whole, args=(path, lambda part, c=content: write(part, c))) for content in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert path.read_bytes() in contents
    assert [*tmp_path.iterdir()] == [path]


def test_json_comes_back_and_none_is_no_error(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    folder.write_json("facts.json", {"site": "Köln", "frames": 66})

    assert folder.read_json("facts.json") == {"site": "Köln", "frames": 66}
    assert folder.read_json("other.json") is None


def test_emptied_it_keeps_what_it_is_told_to_keep(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "1")
    folder.make()
    for name in ("clip", "received.json", "sr.dcm"):
        folder.write(name, b"")

    folder.empty(keep=("received.json",))

    assert [path.name for path in folder.path.iterdir()] == ["received.json"]
