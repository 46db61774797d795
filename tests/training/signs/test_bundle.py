"""From a fitted network to a bundle that the service reads: the graph says what torch says, and the card what was measured."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from service.cine.frame_runs import frame_runs
from service.cine.overview import look_over
from service.cine.sector import find_sector
from service.pipeline import Options, analyse
from service.reading import Saliency
from service.sign_bundle import Domain, Outputs, run_logits
from service.sign_loading import load_sign
from service.sign_reading import AskedSign
from tests.fakes.inputs import constant_engine, loaded_model
from tests.fakes.phantoms import small_phantom
from training.array_clip import ArrayClip
from training.signs.answers import OF_RUNS, NoDomain, SignAnswers
from training.signs.bundle import Made, NothingToTell, NotServable, card_of, write_bundle_of
from training.signs.fit import FittedSign
from training.signs.limits import told_of
from training.signs.networks import build_network, logits_of
from training.signs.packed import Packed, outputs_of, packed
from training.signs.preset import Distil, read_preset
from training.signs.tellings import as_served, tellings

MADE = Made("small", "1.0.0", "public clips", Domain(("convex",), 8.0), ["seashore train signs X"], ())


def fitted(name: str) -> FittedSign:
    preset = read_preset(name, quick=True)
    torch.manual_seed(0)
    return FittedSign(build_network(preset, mean=60.0, scale=50.0).eval(), preset, 0)


def judged(signs: tuple[str, ...], *, by_chance: tuple[str, ...] = ()) -> SignAnswers:
    """24 patients of a clip each, half of them with every sign; all but those of `by_chance` are told apart."""
    rng = np.random.default_rng(0)
    label = np.repeat([[0], [1]], 12, axis=0).repeat(len(signs), axis=1)
    logit = np.where(label == 1, 3.0, -3.0) + rng.normal(size=label.shape)
    for sign in by_chance:
        logit[:, signs.index(sign)] = np.tile([1.0, -1.0], 12)
    patient = np.arange(24)
    names, of_clips = patient.astype(str), {"probe": np.full(24, "convex"), "distinct_fps": np.full(24, 25.0)}
    return SignAnswers(signs, label, 1 / (1 + np.exp(-logit)), names, names, np.zeros(24), patient, **of_clips)


def test_a_network_of_seconds_packs_its_attention() -> None:
    one = fitted("blines-small")
    runs = torch.randint(0, 256, (2, *one.preset.frames.run_shape), dtype=torch.uint8)

    with torch.inference_mode():
        row, (logits, attention) = Packed(one.model)(runs), one.model(runs[:, 0])

    assert outputs_of(one.model, one.preset) == Outputs(1, attention=15)
    torch.testing.assert_close(row, torch.cat([logits, attention], dim=1))


def test_the_maps_of_a_network_of_frames_have_its_logits_as_their_means() -> None:
    one = fitted("signs-small")
    runs = torch.randint(0, 256, (2, *one.preset.frames.run_shape), dtype=torch.uint8)

    with torch.inference_mode():
        row, logits = Packed(one.model)(runs), one.model(runs[:, 0])
    outputs = outputs_of(one.model, one.preset)
    told, attention, maps = outputs.unpack(row.numpy())

    assert (outputs.logits, outputs.map_px, attention) == (4, 2, None)
    assert maps is not None
    np.testing.assert_allclose(told, logits.numpy(), atol=1e-5)
    np.testing.assert_allclose(maps.mean(axis=(2, 3)), logits.numpy(), atol=1e-5)


def test_where_absence_was_learnt_logits_and_maps_are_turned_round() -> None:
    one = fitted("signs-small")
    runs = torch.randint(0, 256, (2, *one.preset.frames.run_shape), dtype=torch.uint8)

    with torch.inference_mode():
        torch.testing.assert_close(Packed(one.model, is_of_absence=True)(runs), -Packed(one.model)(runs))


def test_one_of_several_is_told_by_its_own_log_odds() -> None:
    one = fitted("four-signs-small")
    runs = torch.randint(0, 256, (3, *one.preset.frames.run_shape), dtype=torch.uint8)

    with torch.inference_mode():
        chance = torch.softmax(one.model(runs[:, 0]), dim=1)
        row = packed(one.model, one.preset)(runs)

    torch.testing.assert_close(torch.sigmoid(row[:, :4]), chance)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["signs-small", "blines-small"])
def test_the_bundle_answers_in_the_service_as_when_it_was_made(name: str, tmp_path: Path) -> None:
    one = fitted(name)

    bundle = write_bundle_of(tmp_path, one, judged(one.preset.signs), judged(one.preset.signs), MADE)

    assert bundle.signs == tuple(tellings(one.preset.signs))
    assert bundle.frames == one.preset.frames
    assert load_sign(bundle.directory, "cpu").bundle == bundle


@pytest.mark.slow
def test_a_sign_that_may_be_told_by_a_coin_is_in_the_card_and_not_in_the_bundle(tmp_path: Path) -> None:
    one = fitted("signs-small")

    said = judged(one.preset.signs, by_chance=("a_lines", "effusion"))

    bundle = write_bundle_of(tmp_path, one, said, said, MADE)

    card = (bundle.directory / "MODEL_CARD.md").read_text()
    assert bundle.signs == ("b_lines", "consolidation", "fluid_or_solid")
    assert [told.outputs for told in bundle.tells] == [(1,), (3,), (2, 3)]
    offered = [line.split("|")[-2].strip() != "no" for line in card.splitlines() if line.startswith("| ")][1:]
    assert offered == [False, True, False, True, True]
    assert "fluid_or_solid has, of each run, the greatest logit of effusion and consolidation." in card


@pytest.mark.slow
def test_clips_that_the_service_would_not_answer_say_nothing_of_what_a_bundle_is_worth(tmp_path: Path) -> None:
    one = fitted("blines-small")
    inside = judged(one.preset.signs)
    wrong = replace(
        inside, probability=1 - inside.probability, patient=np.char.add("L", inside.patient), clip=np.char.add("L", inside.clip)
    )
    probes, rates = np.repeat(["convex", "linear"], 24), np.full(48, 25.0)
    both = {name: np.concatenate([getattr(inside, name), getattr(wrong, name)]) for name in OF_RUNS[:6]}
    told = SignAnswers(one.preset.signs, **both, probe=probes, distinct_fps=rates)

    bundle = write_bundle_of(tmp_path, one, told, told, MADE)

    assert bundle.tells[0].measured.startswith("24 public clips of 24 patients")


def test_answers_of_unknown_probes_are_refused() -> None:
    one = fitted("blines-small")
    unknown = replace(judged(one.preset.signs), probe=None)

    with pytest.raises(NoDomain, match="Run `seashore train signs` again"):
        write_bundle_of(Path("never-written"), one, unknown, unknown, MADE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rcm2d-small", "cmwra"])
def test_a_model_of_sliding_is_served_as_a_second_reader_by_what_torch_says_turned_round(name: str, tmp_path: Path) -> None:
    one = fitted(name)
    bundle = write_bundle_of(tmp_path, one, judged(("absent",)), judged(("absent",)), MADE)
    clip = ArrayClip(small_phantom("present", 2.0).frames, 30.0)
    sector = find_sector(look_over(clip))
    assert sector is not None
    runs = torch.from_numpy(np.stack([run.given for run in frame_runs(clip, sector, one.preset.frames)]))
    with torch.inference_mode():
        absent = logits_of(one.model(runs if one.preset.frames.is_flow else runs[:, 0])).numpy()

    asked = AskedSign(load_sign(bundle.directory, "cpu"), bundle.signs)
    (found,) = analyse(clip, loaded_model(constant_engine(2.0)), Options(Saliency.NONE), signs=[asked])[0].signs

    (told,) = bundle.tells
    assert (found.sign, bundle.outputs, told.outputs) == ("lung_sliding", Outputs(1), (0,))
    assert found.probability == pytest.approx(told.pooled(run_logits(-absent, (0,))), abs=1e-4)
    assert len(found.moments) == len(runs)
    assert "It is not the answer on sliding" in (bundle.directory / "MODEL_CARD.md").read_text()


def test_who_tells_sliding_and_not_its_absence_is_told_apart_by_patients_in_whom_it_is_absent(tmp_path: Path) -> None:
    """What was judged right of absence is right of sliding."""
    served = as_served(judged(("absent",)))
    told, worth = told_of(served, served, "lung_sliding", "clips")

    assert (worth.auroc, worth.num_there, worth.fewest_patients) == (1.0, 12, 12)
    assert 0 < told.absent_below <= told.present_above < 1


def test_flow_by_raft_is_refused(tmp_path: Path) -> None:
    one = fitted("cmwra")
    preset = replace(one.preset, raft="raft.pth", frames=replace(one.preset.frames, side_px=128))

    with pytest.raises(NotServable, match=r"^This network was fitted to flow by RAFT, and the service makes flow by DIS alone\."):
        write_bundle_of(tmp_path, replace(one, preset=preset), judged(("absent",)), judged(("absent",)), MADE)
    assert not (tmp_path / "signs").exists()


def test_where_no_sign_is_told_there_is_no_bundle(tmp_path: Path) -> None:
    one = fitted("blines-small")
    said = judged(("b_lines",), by_chance=("b_lines",))

    with pytest.raises(NothingToTell, match=r"^No sign is surely told better than by a coin"):
        write_bundle_of(tmp_path, one, said, said, MADE)
    assert not (tmp_path / "signs").exists()


def test_the_card_says_whom_a_network_was_taught_by() -> None:
    plain = fitted("signs-small")
    distil = Distil(teachers=3, share=0.7, network=replace(plain.preset.network, width=16))
    alone, taught = (replace(plain, preset=replace(plain.preset, distil=each)) for each in (Distil(), distil))

    words = "It is distilled: 70% of its loss is to the mean answer of 3 networks of 701,044 parameters, each\nfitted to the same clips"
    assert words in card_of(taught, {}, MADE)
    assert "distilled" not in card_of(alone, {}, MADE)
