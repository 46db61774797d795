"""Who comes in an overload is who is said to come, what is held against its bounds is what was seen, and a short run holds them all."""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from service.cine.decode import DEFAULT_LIMITS, open_clip
from service.findings import Verdict
from tests.fakes import dicom, media
from tests.soak.answers import difference, findings
from tests.soak.asking import Answer
from tests.soak.crowd import BESIDES, GARBAGE, GOOD, arrivals
from tests.soak.inputs import Corpus
from tests.soak.overload import Handed, JobEnd, Overloaded, OverloadOrder, Probe, overload
from tests.soak.overload_report import bounds, recovered_after_s, sections
from tests.soak.seeds import Seed
from tests.soak.visiting import RETURNING, Crowd, Visit, of_its_own
from tests.soak.watch import Look

CLIP = media.texture(12, 96, 80)
SAID = {"id": "a", "timings_ms": {"total": 5.0}, "lung_sliding": {"verdict": "present", "probability": 0.9}, "windows": [{"start_s": 0.0}]}
LOOK = Look(0, 100.0, 50.0, 50.0, 4, 30)
ALL_WELL = Overloaded(
    times=4.0,
    capacity_per_s=5.0,
    capacity_after_per_s=5.0,
    load_s=10.0,
    num_arrivals=44,
    latest_start_s=0.01,
    num_not_returned=1,
    visits=(*[Visit(GOOD, 0.1, 200, "200 present", 1.0)] * 40, *[Visit(GOOD, 0.1, 429, "429 overloaded", 0.0, told_s=3.0)] * 4),
    jobs=(JobEnd(Handed("/v1/jobs/a", "lung mp4", 0.0), "done", "", 2.0),),
    rest=tuple(Probe(float(n), 0.2, 200, "") for n in range(5)),
    afterwards=tuple(Probe(float(n), 0.2 if n >= 4 else 3.0, 200, "") for n in range(15)),
    before=LOOK,
    looks=tuple(replace(LOOK, num_inputs=n) for n in range(10)),
    after=LOOK,
    max_processes=4,
    processes_lost=0,
    processes_left=0,
    files_left=(),
    bugs_logged=0,
    ended_as_told=True,
    cage_memory_mib=4096,
)


def broken(run: Overloaded) -> list[str]:
    return [bound.what for bound in bounds(run) if not bound.holds]


def test_so_many_good_clips_come_a_second_and_the_rest_on_top_of_them() -> None:
    came = list(arrivals(1, 40.0, 100.0))
    kinds = Counter(arrival.kind for arrival in came)

    assert kinds[GOOD] == pytest.approx(4000, rel=0.06)
    assert kinds[GARBAGE] == pytest.approx(4000 * BESIDES[GARBAGE], rel=0.15)
    assert came == list(arrivals(1, 40.0, 100.0))
    assert came != list(arrivals(2, 40.0, 100.0))
    assert [arrival.at_s for arrival in came] == sorted(arrival.at_s for arrival in came)


def test_arrivals_wait_for_nobody() -> None:
    """Of a Poisson process the pauses differ as much as they last: their standard deviation is their mean."""
    times = [arrival.at_s for arrival in arrivals(1, 40.0, 100.0)]
    pauses = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    mean = sum(pauses) / len(pauses)

    assert math.sqrt(sum((pause - mean) ** 2 for pause in pauses) / len(pauses)) == pytest.approx(mean, rel=0.1)


@pytest.mark.parametrize(
    ("said", "where"),
    [
        (SAID, ""),
        (SAID | {"id": "b", "timings_ms": {}}, ""),
        (SAID | {"lung_sliding": {"verdict": "present", "probability": 0.9000001}}, ""),
        (SAID | {"lung_sliding": {"verdict": "present", "probability": 0.9001}}, ".lung_sliding.probability"),
        (SAID | {"lung_sliding": {"verdict": "absent", "probability": 0.9}}, ".lung_sliding.verdict"),
        (SAID | {"lung_sliding": {"verdict": "present", "probability": None}}, ".lung_sliding.probability"),
        (SAID | {"windows": []}, ".windows"),
        (SAID | {"more": 1}, "all of it"),
    ],
)
def test_two_answers_differ_where_a_clinician_would_see_it(said: dict[str, object], where: str) -> None:
    assert difference(findings(json.dumps(said).encode()), findings(json.dumps(SAID).encode())) == where


@pytest.mark.parametrize(
    "clip",
    [
        Seed("mp4", media.mp4(CLIP)),
        Seed("webm", media.encode(CLIP, **media.EVERY_KIND["webm vp8"])),
        Seed("dicom", dicom.native(CLIP), True),
    ],
    ids=lambda clip: clip.name,
)
def test_a_clip_of_its_own_is_another_file_and_the_same_clip(clip: Seed, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("as it was", "marked")]
    for path, content in zip(paths, (clip.content, of_its_own(clip, 7)), strict=True):
        path.write_bytes(content)
    before, after = (list(open_clip(path, DEFAULT_LIMITS).frames()) for path in paths)

    assert of_its_own(clip, 7) != of_its_own(clip, 8)
    assert len(after) == 12
    assert all((one == other).all() for one, other in zip(before, after, strict=True))


def test_a_good_clip_must_be_answered_right_or_told_when_to_come_back() -> None:
    crowd = Crowd(0, 1, [], {"clip": findings(json.dumps(SAID).encode())}, Corpus([]))
    other = SAID | {"lung_sliding": {"verdict": Verdict.ABSENT, "probability": 0.1}}
    answers = {
        Answer(200, "present", "", 0.1, content=json.dumps(SAID).encode()): "",
        Answer(200, "absent", "", 0.1, content=json.dumps(other).encode()): "answered otherwise: .lung_sliding.verdict",
        Answer(429, "overloaded", "", 0.1, retry_after_s=3.0): "",
        Answer(429, "overloaded", "", 0.1): "a 429 without Retry-After",
        Answer(504, "deadline_exceeded", "", 0.1): "",
        Answer(500, "internal_error", "", 0.1): "500 internal_error",
        Answer(0, "", "", 0.1): "hung up",
        Answer(-1, "", "", 0.1): "no answer",
        Answer(422, "unreadable_clip", "", 0.1): "422 unreadable_clip",
    }

    assert {answer: crowd.wrong(Seed("clip", b""), answer) for answer in answers} == answers


def test_a_run_in_which_all_was_well_holds_every_bound() -> None:
    assert broken(ALL_WELL) == []
    assert [section.title for section in sections(ALL_WELL)][0] == "What must hold"


def test_what_was_not_well_is_told() -> None:
    job = JobEnd(Handed("/v1/jobs/b", "lung mp4", 0.0), "", "lost", math.nan)
    wrong = Visit(GOOD, 0.2, 200, "200 absent", 1.0, "answered otherwise: .lung_sliding.verdict")

    assert broken(replace(ALL_WELL, num_arrivals=45)) == ["visits of which nothing is known"]
    assert broken(replace(ALL_WELL, num_arrivals=45, visits=(*ALL_WELL.visits, wrong))) == ["answers that must not be"]
    assert broken(replace(ALL_WELL, jobs=(job,))) == ["jobs that were accepted and not answered right"]
    assert broken(replace(ALL_WELL, num_arrivals=10, visits=ALL_WELL.visits[-10:])) == ["good clips answered, of the capacity"]
    assert broken(replace(ALL_WELL, afterwards=ALL_WELL.afterwards[:4])) == ["normal again after"]
    rising = tuple(replace(LOOK, num_inputs=100 * n, service_mib=100.0 + n) for n in range(10))
    assert broken(replace(ALL_WELL, load_s=900.0, capacity_per_s=0.01, looks=rising)) == []
    assert broken(replace(ALL_WELL, load_s=300.0, capacity_per_s=0.01, looks=rising)) == ["growth of the service"]


def test_it_is_itself_again_with_the_first_of_three_quick_answers() -> None:
    assert recovered_after_s(ALL_WELL) == 4.0
    one_lucky = tuple(replace(probe, seconds=0.2) if probe.at_s == 1 else probe for probe in ALL_WELL.afterwards)
    assert recovered_after_s(replace(ALL_WELL, afterwards=one_lucky)) == 4.0
    refused = tuple(replace(probe, status=429) if probe.at_s == 5 else probe for probe in ALL_WELL.afterwards)
    assert recovered_after_s(replace(ALL_WELL, afterwards=refused)) == 6.0
    assert recovered_after_s(replace(ALL_WELL, afterwards=ALL_WELL.afterwards[:5])) == math.inf


def test_it_is_told_how_many_of_those_who_came_back_got_in() -> None:
    back = (Visit(RETURNING, 3.0, 200, "200 present", 1.0), *[Visit(RETURNING, 3.0, 429, "429 overloaded", 0.0, told_s=4.0)] * 3)
    told = sections(replace(ALL_WELL, visits=(*ALL_WELL.visits, *back)))[1].markdown()

    assert "4 did, and 1 of them (25%) were read; 1 were told a time after the load's end" in told


@pytest.mark.slow
def test_a_short_overload_holds_every_bound_but_of_a_quiet_machine() -> None:
    """How soon an answer takes no longer than at rest depends on who else is on the machine; `make soak` holds that bound."""
    run = overload(OverloadOrder(minutes=1.0, seed=3))

    assert [bound for bound in bounds(run) if not bound.holds and bound.what != "normal again after"] == []
    assert any(visit.status == 429 for visit in run.visits)
    assert all(job.state for job in run.jobs)
