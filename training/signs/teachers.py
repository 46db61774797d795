"""Distillation: a network learns, beside the labels, what larger or several networks say that were fitted to the same runs before it.

After Hinton, Vinyals and Dean 2015 (arXiv 1503.02531), at a temperature of 1. The teachers look at each run as the student does, augmented
alike, and are asked anew each time (Beyer et al. 2022, arXiv 2106.05237: a good teacher is consistent).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.signs.networks import logits_of, probabilities
from training.signs.preset import Loss


class Teachers:
    """Fitted networks, asked together. They learn nothing more, and their weights are no part of the student's."""

    def __init__(self, models: Sequence[nn.Module], loss: Loss) -> None:
        self._models = [model.eval().requires_grad_(False) for model in models]
        self._loss = loss

    def told(self, given: Tensor) -> Tensor:
        """Runs (n, ...) -> (n, K), the mean of their probabilities. On the runs' device."""
        with torch.no_grad():
            each = [probabilities(logits_of(model.to(given.device)(given)).float(), self._loss) for model in self._models]
        return torch.stack(each).mean(dim=0)

    def loss_of(self, logits: Tensor, given: Tensor) -> Tensor:
        """How far logits (n, K) are from what the teachers say of the same runs, of every sign: also of those whose label is not known."""
        told = self.told(given)
        return F.cross_entropy(logits, told) if self._loss.kind == "softmax" else F.binary_cross_entropy_with_logits(logits, told)
