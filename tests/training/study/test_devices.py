"""Several devices share each batch, and a fit begun before there were such settings goes on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.batches import TwinBatches
from training.experiment import ExperimentError, FitSettings, with_changes
from training.fit import FitError, fit
from training.study.grid import Row, Study
from training.study.run import RowInput


def test_two_devices_share_every_batch_and_twins_stay_together() -> None:
    pair = np.repeat(np.arange(16), 2)
    whole = list(TwinBatches(pair, 8, seed=0))
    first, second = (list(TwinBatches(pair, 8, seed=0, device=device, num_devices=2)) for device in (0, 1))

    assert [a + b for a, b in zip(first, second, strict=True)] == whole
    assert {len(batch) for batch in first + second} == {4}
    assert all(sorted(pair[batch].tolist())[::2] == sorted(pair[batch].tolist())[1::2] for batch in first + second)


def test_a_batch_that_gives_a_device_less_than_two_patches_is_refused(study: Study) -> None:
    with pytest.raises(ValueError, match="Found 9 devices and batches of 16; needed are 1 or more, each with 2 patches of a batch."):
        replace(study.fit, num_devices=9)


def test_settings_changed_by_hand_are_refused_in_a_sentence(study: Study) -> None:
    with pytest.raises(ExperimentError, match="In fit: A fit needs a width, epochs and threads of at least 1 and batches of at least 2."):
        with_changes(study.fit, "fit", num_threads=0)


def test_a_fit_recorded_before_there_were_optimizers_to_choose_goes_on_as_adamw(
    row: Row, given: RowInput, study: Study, tmp_path: Path
) -> None:
    settings = replace(study.fit, optimizer="adamw", constant_rate=False, epochs=1)
    fit(given.examples, settings, tmp_path, parts=given.parts, progress=False)
    record = json.loads((tmp_path / "fit.json").read_text())
    for name in ("optimizer", "constant_rate", "num_devices"):
        del record["settings"][name]
    (tmp_path / "fit.json").write_text(json.dumps(record))

    assert FitSettings.from_json(record["settings"]) == settings
    assert fit(given.examples, settings, tmp_path, parts=given.parts, progress=False) == tmp_path / "best.ckpt"
    with pytest.raises(FitError, match="This folder holds another fit: optimizer was adamw and is adam now."):
        fit(given.examples, replace(settings, optimizer="adam"), tmp_path, parts=given.parts, progress=False)
