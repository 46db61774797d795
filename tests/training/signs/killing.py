"""A fit whose process is gone."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from training import trainer


class Killed(BaseException):
    """Nothing catches it."""


@contextmanager
def killed_after(num_epochs: int) -> Iterator[None]:
    """What is fitted inside must die where the next epoch after so many begins, whoever's they are."""

    class Dying(trainer.Curve):
        epochs_left = num_epochs

        def on_train_epoch_start(self, running: object, task: object) -> None:
            super().on_train_epoch_start(running, task)  # type: ignore[arg-type]
            Dying.epochs_left -= 1
            if Dying.epochs_left < 0:
                raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "Curve", Dying)
        with pytest.raises(Killed):
            yield
