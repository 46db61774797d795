"""The verdicts' limits of a bundle that was fine-tuned: a site's few clips may make it more careful, never bolder."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from service.cine.pooling import Calibration, summarise
from training.calibrate import SETS_NO_LIMIT, CalibrationClip

ENOUGH_CLIPS = 19
"""From so many on, 19 of 20 clips to come keep the limit set on them (`training.calibrate.conformal_limit`); fewer promise nothing."""


def cautious(found: Calibration, parent: Calibration, clips: Sequence[CalibrationClip]) -> Calibration:
    """`found` on `clips`; a limit set on fewer than ENOUGH_CLIPS of any one kind is the parent's where that is stricter.

    So few may widen the band in which nothing is said, and never narrow it.
    """
    sliding, still = set_on(clips)
    present_above = found.present_above if still >= ENOUGH_CLIPS else max(found.present_above, parent.present_above)
    absent_below = found.absent_below if sliding >= ENOUGH_CLIPS else min(found.absent_below, parent.absent_below)
    return replace(found, present_above=present_above, absent_below=absent_below)


def set_on(clips: Sequence[CalibrationClip]) -> tuple[int, int]:
    """How many clips the limit of "absent" was set on, and of the rarest kind that of "present" was set on; unreadable ones are none."""
    usable = [clip for clip in clips if summarise(clip.evidence).is_complete]
    kinds = Counter(clip.kind for clip in usable if not clip.slides and clip.kind not in SETS_NO_LIMIT)
    return sum(clip.slides for clip in usable), min(kinds.values(), default=0)
