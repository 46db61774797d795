"""A run goes on where it was stopped, and keeps apart what is not the same."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.bundle import resolve
from service.manifest import Label, LabelledClip
from tests.training.trials.rows import row
from training.trials import run as running
from training.trials.answers import Judge
from training.trials.run import Design, OtherTrials, Part, Piece, Trials, _Ledger, _made, rows_of, run

STORE = Path(__file__).resolve().parents[3] / "model_store"
NOTHING = Design(windows=1, phantoms=0, rates=0, points=0)


def clip(number: int, patient: str) -> LabelledClip:
    return LabelledClip(Path(f"{number}.mp4"), patient, Label.UNKNOWN)


def trials(design: Design = NOTHING, clips: tuple[LabelledClip, ...] = (), sha256: str = "a") -> Trials:
    return Trials(Path("nowhere"), sha256, design, clips)


def counted(_: str, pieces: Iterator[str], __: int) -> Iterable[str]:
    return pieces


def test_every_clip_is_a_piece_twice_and_every_phantom_once() -> None:
    made = trials(Design(windows=2, phantoms=3, rates=1, points=2), (clip(0, "A"), clip(1, "B"))).pieces()

    of_clips = ["clip-0", "clip-1", "phantom_rates-0", "two_clips-0", "two_clips-1"]
    assert [str(piece) for piece in made] == [*of_clips, *(f"phantoms-{k}" for k in range(3)), "phantom_point-0", "phantom_point-1"]


def test_sixty_pairs_of_phantoms_bring_ten_at_every_rate_and_thirty_lung_points() -> None:
    assert Design.of(60) == Design(windows=2, phantoms=60, rates=10, points=30)


def test_the_ledger_gives_back_what_was_written_and_passes_over_a_line_that_was_cut_off(tmp_path: Path) -> None:
    ledger = _Ledger(tmp_path / "rows.jsonl", {"bundle": "a"})
    ledger.read()
    ledger.add("clip-0", [row(0.9, slides=True)])
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('{"piece": "clip-1", "ro')
    ledger.add("clip-2", [])

    assert ledger.read() == {"clip-0": [row(0.9, slides=True)], "clip-2": []}


def test_what_is_done_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def made(_: Trials, piece: Piece) -> list[object]:
        done.append(str(piece))
        return [row(0.9, number=piece.index)]

    monkeypatch.setattr(running, "rows_of", made)
    first = run(trials(Design(1, 2, 0, 0)), tmp_path, 1, counted)
    more = run(trials(Design(1, 3, 0, 0)), tmp_path, 1, counted)

    assert done == ["phantoms-0", "phantoms-1", "phantoms-2"]
    assert more[:2] == first
    assert len(more) == 3


def test_rows_of_another_bundle_are_not_taken_for_these(tmp_path: Path) -> None:
    run(trials(), tmp_path, 1, counted)

    with pytest.raises(OtherTrials) as raised:
        run(trials(sha256="b"), tmp_path, 1, counted)
    assert str(raised.value) == "The folder holds trials of another bundle, other clips or another seed; name an empty folder."


def test_rows_of_another_region_of_a_clip_are_not_taken_for_these() -> None:
    """A clip without a region keeps the stamp it had: its file's hash, or its name."""
    one = clip(0, "A")
    stamps = [trials(clips=(each,)).stamp()["clips"] for each in (one, replace(one, sha256="ab"), replace(one, region="1,2 3,4 5,1"))]

    assert stamps == [["0.mp4"], ["ab"], ["0.mp4 1,2 3,4 5,1"]]


def test_the_other_clip_is_of_another_patient_and_from_half_the_list_further_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patients A A A B B A: from clip 0 the search begins at 3, from clip 3 at 0, from clip 2 at 5 and goes round to 3."""
    clips = tuple(clip(n, patient) for n, patient in enumerate("AAABBA"))
    monkeypatch.setattr(running, "_subject", lambda _, index: index)
    monkeypatch.setattr(running, "_judge", lambda _: Judge.__new__(Judge))
    monkeypatch.setattr(running, "rows_of_two", lambda own, other, *_: [(own, other)])

    found: list[object] = [rows_of(trials(clips=clips), Piece(Part.TWO_CLIPS, index))[0] for index in (0, 3, 2)]

    assert found == [(0, 3), (3, 0), (2, 3)]


def test_two_processes_do_every_piece() -> None:
    pieces = trials(Design(1, 5, 0, 0)).pieces()

    assert {piece: str(made) for piece, made in _made(str, pieces, 2)} == {piece: str(piece) for piece in pieces}  # type: ignore[arg-type]


def test_a_file_that_is_no_clip_gives_no_row(tmp_path: Path) -> None:
    (tmp_path / "0.mp4").write_bytes(b"no clip")
    broken = Trials(resolve(STORE, None), "a", NOTHING, (LabelledClip(tmp_path / "0.mp4", "A", Label.UNKNOWN),))

    assert rows_of(broken, Piece(Part.CLIP, 0)) == []
    assert rows_of(broken, Piece(Part.TWO_CLIPS, 0)) == []
