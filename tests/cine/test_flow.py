"""Optical flow: how far pixels move, in px to the right and down."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.flow import dis_flow, flow_steps


def drifting(num: int, *, right: int, down: int) -> NDArray[np.uint8]:
    """Speckle that moves as a whole, (num, 96, 96)."""
    speckle = np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)
    smooth = cv2.GaussianBlur(speckle, (0, 0), 2.0)
    return np.stack([smooth[60 - k * down : 156 - k * down, 60 - k * right : 156 - k * right] for k in range(num)]).astype(np.uint8)


def test_what_moves_right_and_down_has_a_positive_flow() -> None:
    flow = flow_steps(drifting(3, right=2, down=1), dis_flow(), 1)

    assert flow.shape == (2, 2, 96, 96)
    np.testing.assert_allclose(np.median(flow, axis=(1, 2, 3)), (2.0, 1.0), atol=0.1)


def test_a_flow_over_two_frames_is_twice_as_long_and_has_one_less() -> None:
    flow = flow_steps(drifting(4, right=1, down=0), dis_flow(), 2)

    assert flow.shape == (2, 2, 96, 96)
    np.testing.assert_allclose(np.median(flow[0]), 2.0, atol=0.1)


def test_a_step_longer_than_the_run_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^A flow over 3 frames does not fit a run of 3\.$"):
        flow_steps(drifting(3, right=0, down=0), dis_flow(), 3)
