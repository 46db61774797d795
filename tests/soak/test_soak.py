"""What is thrown at the service is what it says it is, and a short run of it holds every bound."""

import os
from pathlib import Path
from random import Random

import pytest

from tests.bench.servers import ROOT
from tests.fakes import dicom, media
from tests.soak.asking import HUNG_UP, SILENT, Answer
from tests.soak.inputs import Corpus, Input, make_input
from tests.soak.manners import BODY, IMPROPER, Errand
from tests.soak.mutations import MUTATIONS, mutated
from tests.soak.report import bounds, sections
from tests.soak.seeds import Seed, every_seed
from tests.soak.sending import Sent
from tests.soak.soaking import Order, soak
from tests.soak.structure import parts_of
from tests.soak.watch import Look, growth

MP4 = media.mp4(media.texture(2, 64, 64))
OBJECT = dicom.native(media.texture(2, 64, 64))


def walked(clip: bytes) -> list[bytes]:
    return [clip[part.start : part.start + 8] for part in parts_of(clip)]


def test_the_boxes_of_an_mp4_are_found_with_those_in_them() -> None:
    names = [head[4:] for head in walked(MP4)]

    assert names[0] == b"ftyp"
    assert {b"moov", b"trak", b"mdia", b"stbl", b"stsz", b"mdat"} <= set(names)


def test_the_elements_of_a_dicom_object_are_found() -> None:
    tags = [head[:4] for head in walked(OBJECT)]

    assert b"\x28\x00\x10\x00" in tags
    assert tags[-1] == b"\xe0\x7f\x10\x00"


@pytest.mark.parametrize("kind", MUTATIONS)
def test_a_mutation_changes_the_clip_and_does_so_again_with_the_same_numbers(kind: str) -> None:
    made = [mutated(kind, OBJECT, Random(seed), [MP4]) for seed in range(20)]

    assert made == [mutated(kind, OBJECT, Random(seed), [MP4]) for seed in range(20)]
    assert sum(content != OBJECT for content in made) >= 18


def test_an_input_is_the_same_for_the_same_seed_and_number() -> None:
    corpus, sound = Corpus([Seed("mp4", MP4), Seed("dicom", OBJECT, is_dicom=True)]), Seed("mp4", MP4)

    assert [make_input(1, n, corpus, sound) for n in range(50)] == [make_input(1, n, corpus, sound) for n in range(50)]
    assert make_input(1, 7, corpus, sound) != make_input(2, 7, corpus, sound)


def test_a_clip_that_is_answered_as_none_before_is_mutated_again() -> None:
    corpus = Corpus([Seed("mp4", MP4)])
    sent = sent_of(200, "ok").input

    corpus.learn(sent, "422 unreadable_clip", "Frame 7 is damaged.")
    corpus.learn(sent, "422 unreadable_clip", "Frame 12 is damaged.")

    assert [seed.content for seed in corpus.new] == [b"x"]


def test_making_the_clips_makes_nothing_more_urgent_than_it_was() -> None:
    """What is started afterwards would be so too, and share no core."""
    every_seed()

    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def sent_of(status: int, code: str) -> Sent:
    made = Input(1, "truncated", "mp4", "POST /v1/predict", Errand("/v1/predict"), BODY, b"x", False)
    return Sent(made, Answer(status, code, "", 0.1))


@pytest.mark.parametrize(
    ("status", "code", "wrong"),
    [
        (200, "present", ""),
        (422, "no_video", ""),
        (429, "overloaded", ""),
        (504, "deadline_exceeded", ""),
        (500, "internal_error", "a 500"),
        (503, "engine_failed", "a 503"),
        (SILENT, "", "no answer"),
        (HUNG_UP, "", "hung up"),
    ],
)
def test_what_must_not_be_is_told_from_what_may(status: int, code: str, wrong: str) -> None:
    assert sent_of(status, code).wrong == wrong


def test_growth_is_the_slope_once_all_is_warm() -> None:
    looks = [Look(n, 100.0 if n < 4000 else 100 + (n - 4000) / 500, 0.0, 0.0, 3, 30) for n in range(0, 10_001, 100)]

    assert growth(looks, lambda look: look.service_mib, 0.4).slope == pytest.approx(2.0)


def test_every_manner_but_the_slow_ones_puts_bytes_on_the_wire_at_once() -> None:
    for name, manner in IMPROPER.items():
        pieces = list(manner.send(Errand("/v1/predict?a=b"), MP4, Random(1)))
        assert any(isinstance(piece, bytes) for piece in pieces), name
        assert sum(piece for piece in pieces if isinstance(piece, float)) < 3, name


@pytest.mark.slow
def test_a_short_run_holds_every_bound(tmp_path: Path) -> None:
    run = soak(Order(inputs=300, minutes=6, seed=3, keep=tmp_path / "kept"))

    assert len(run.sent) == 300
    assert [bound for bound in bounds(run) if not bound.holds] == []
    assert "growth of the service" in sections(run)[0].markdown()
    assert not (tmp_path / "kept").exists()
    assert (ROOT / "docs" / "soak.md").exists()
