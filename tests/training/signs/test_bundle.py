"""From a fitted network to a bundle that the service reads: the graph says what torch says, and the card what was measured."""

from pathlib import Path

import numpy as np
import pytest
import torch

from service.sign_bundle import Domain, Outputs
from service.sign_loading import load_sign
from training.signs.answers import SignAnswers
from training.signs.bundle import Made, NothingToTell, write_bundle_of
from training.signs.fit import FittedSign
from training.signs.networks import build_network
from training.signs.packed import Packed, outputs_of, packed
from training.signs.preset import read_preset

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
    return SignAnswers(signs, label, 1 / (1 + np.exp(-logit)), patient.astype(str), patient.astype(str), np.zeros(24), patient)


def test_a_network_of_seconds_packs_its_attention() -> None:
    one = fitted("blines-small")
    runs = torch.randint(0, 256, (2, 1, *one.preset.frames.run_shape), dtype=torch.uint8)

    with torch.inference_mode():
        row, (logits, attention) = Packed(one.model)(runs), one.model(runs[:, 0])

    assert outputs_of(one.model, one.preset) == Outputs(1, attention=15)
    torch.testing.assert_close(row, torch.cat([logits, attention], dim=1))


def test_the_maps_of_a_network_of_frames_have_its_logits_as_their_means() -> None:
    one = fitted("signs-small")
    runs = torch.randint(0, 256, (2, 1, *one.preset.frames.run_shape), dtype=torch.uint8)

    with torch.inference_mode():
        row, logits = Packed(one.model)(runs), one.model(runs[:, 0])
    outputs = outputs_of(one.model, one.preset)
    told, attention, maps = outputs.unpack(row.numpy())

    assert (outputs.logits, outputs.map_px, attention) == (4, 2, None)
    assert maps is not None
    np.testing.assert_allclose(told, logits.numpy(), atol=1e-5)
    np.testing.assert_allclose(maps.mean(axis=(2, 3)), logits.numpy(), atol=1e-5)


def test_one_of_several_is_told_by_its_own_log_odds() -> None:
    one = fitted("four-signs-small")
    runs = torch.randint(0, 256, (3, 1, *one.preset.frames.run_shape), dtype=torch.uint8)

    with torch.inference_mode():
        chance = torch.softmax(one.model(runs[:, 0]), dim=1)
        row = packed(one.model, one.preset)(runs)

    torch.testing.assert_close(torch.sigmoid(row[:, :4]), chance)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["signs-small", "blines-small"])
def test_the_bundle_answers_in_the_service_as_when_it_was_made(name: str, tmp_path: Path) -> None:
    one = fitted(name)

    bundle = write_bundle_of(tmp_path, one, judged(one.preset.signs), MADE)

    assert bundle.signs == one.preset.signs
    assert bundle.frames == one.preset.frames
    assert load_sign(bundle.directory, "cpu").bundle == bundle


@pytest.mark.slow
def test_a_sign_that_may_be_told_by_a_coin_is_in_the_card_and_not_in_the_bundle(tmp_path: Path) -> None:
    one = fitted("signs-small")

    bundle = write_bundle_of(tmp_path, one, judged(one.preset.signs, by_chance=("a_lines", "effusion")), MADE)

    card = (bundle.directory / "MODEL_CARD.md").read_text()
    assert bundle.signs == ("b_lines", "consolidation")
    assert [told.output for told in bundle.tells] == [1, 3]
    assert [line.split("|")[-2].strip() == "no" for line in card.splitlines() if line.startswith("| ")][1:] == [True, False, True, False]


def test_where_no_sign_is_told_there_is_no_bundle(tmp_path: Path) -> None:
    one = fitted("blines-small")

    with pytest.raises(NothingToTell, match=r"^No sign is surely told better than by a coin"):
        write_bundle_of(tmp_path, one, judged(("b_lines",), by_chance=("b_lines",)), MADE)
    assert not (tmp_path / "signs").exists()
