"""Who goes next, told by hand: patches are letters, a batch is the word they make."""

import numpy as np
import pytest

from service.engine.base import Task
from service.engine.line import Ask, Line, Place
from service.engine.turn import Lane

BUCKETS = dict.fromkeys(Task, (4, 2, 1))


class Clips:
    """A line of clips called by letters."""

    def __init__(self, streams: int = 1) -> None:
        self.line = Line(BUCKETS, streams)
        self.places: dict[str, Place] = {}
        self._names: dict[Place, str] = {}

    def ask(self, name: str, num_patches: int, lane: Lane = Lane.INTERACTIVE, task: Task = Task.CLASSIFY) -> Ask:
        place = self.places.setdefault(name, Place(lane))
        self._names[place] = name
        ask = Ask(place, task, np.zeros((num_patches, 1, 1, 1, 1), np.uint8))
        self.line.join(ask)
        return ask

    def next_batch(self) -> str:
        return "".join(self._names[portion.ask.place] * len(portion) for portion in self.line.next_batch())

    def batches(self) -> list[str]:
        return list(iter(self.next_batch, ""))


def test_a_clip_alone_is_parted_into_the_largest_buckets_it_fills() -> None:
    clips = Clips()
    clips.ask("a", 7)

    assert clips.batches() == ["aaaa", "aa", "a"]


def test_few_patches_are_shared_out_to_the_streams() -> None:
    """Four patches and two streams: two each, not four and none."""
    clips = Clips(streams=2)
    clips.ask("a", 4)

    assert clips.batches() == ["aa", "a", "a"]


def test_two_clips_take_turns() -> None:
    clips = Clips()
    clips.ask("a", 12)
    clips.ask("b", 8)

    assert clips.batches() == ["aaaa", "bbbb", "aaaa", "bbbb", "aaaa"]


def test_a_small_clip_does_not_wait_for_a_large_one() -> None:
    clips = Clips()
    clips.ask("a", 1000)
    clips.next_batch()
    clips.ask("b", 4)

    assert clips.next_batch() == "bbbb"


def test_who_comes_later_is_not_served_until_it_has_caught_up() -> None:
    """`a` has had 40 patches when `b` comes: from there on both get the same."""
    clips = Clips()
    clips.ask("a", 100)
    for _ in range(10):
        clips.next_batch()
    clips.ask("b", 100)

    following = "".join(clips.next_batch() for _ in range(10))

    assert abs(following.count("a") - following.count("b")) <= 4


def test_what_room_is_left_goes_to_the_next_clip() -> None:
    clips = Clips()
    clips.ask("a", 1)
    clips.ask("b", 6)

    assert clips.batches() == ["abbb", "bb", "b"]


def test_a_batch_is_for_one_graph() -> None:
    clips = Clips()
    clips.ask("a", 2)
    clips.ask("b", 2, task=Task.EXPLAIN)
    clips.ask("c", 2)

    assert clips.batches() == ["aacc", "bb"]


def test_an_explained_patch_counts_for_more() -> None:
    """2.3 forward passes: who is only classified gets two or three batches for each."""
    clips = Clips()
    clips.ask("a", 16, task=Task.EXPLAIN)
    clips.ask("b", 32)

    assert "".join(batch[0] for batch in clips.batches()[:6]) == "abbbab"


def test_jobs_get_what_the_interactive_lane_leaves_and_every_tenth_batch() -> None:
    clips = Clips()
    clips.ask("job", 400, Lane.BACKGROUND)
    clips.ask("a", 400)

    taken = [clips.next_batch()[0] for _ in range(30)]

    assert [n for n, name in enumerate(taken) if name == "j"] == [9, 19, 29]


def test_a_job_alone_has_the_device_to_itself() -> None:
    clips = Clips()
    clips.ask("j", 8, Lane.BACKGROUND)

    assert clips.batches() == ["jjjj", "jjjj"]


def test_who_leaves_is_out_before_the_next_batch() -> None:
    clips = Clips()
    clips.ask("a", 100)
    clips.ask("b", 4)
    clips.next_batch()

    (dropped,) = clips.line.leave(clips.places["a"])

    assert dropped.num_waiting == 96
    assert clips.batches() == ["bbbb"]
    assert len(clips.line) == 0


def test_the_work_that_waits_is_counted_in_forward_passes() -> None:
    clips = Clips()
    clips.ask("a", 10)
    clips.ask("b", 10, task=Task.EXPLAIN)

    assert clips.line.waiting_passes == pytest.approx(10 + 23)
    clips.next_batch()
    assert clips.line.waiting_passes == pytest.approx(6 + 23)


def test_nobody_waits_no_batch() -> None:
    assert Clips().line.next_batch() == []
