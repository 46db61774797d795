"""What the attention points at, on runs of two to six frames."""

import numpy as np
import pytest

from service.cine.attention import attended, representative_frame


def test_frames_with_their_even_share_or_more_are_attended() -> None:
    attention = np.array([[0.8, 0.2], [0.3, 0.7]])

    assert attended(attention).tolist() == [[True, False], [False, True]]


def test_an_even_attention_points_at_every_frame_also_with_rounding() -> None:
    even = np.full((1, 30), 1 / 30, np.float32) + np.float32(1e-4) * np.resize([1, -1], 30).astype(np.float32)

    assert attended(even).all()


@pytest.mark.parametrize("num_shown", range(1, 7))
def test_an_attention_shared_by_some_frames_points_at_just_those(num_shown: int) -> None:
    """However many: 1 to all 6 of them."""
    attention = np.zeros(6)
    attention[:num_shown] = 1 / num_shown

    assert attended(attention).tolist() == [k < num_shown for k in range(6)]


def test_the_representative_frame_has_the_greatest_attention_and_is_the_first_of_equals() -> None:
    assert representative_frame(np.array([[0.1, 0.7, 0.2], [0.2, 0.4, 0.4]])).tolist() == [1, 1]
