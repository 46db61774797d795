"""The card of a bundle that was fine-tuned: what it began from and on which labels, then what every card says, then its parent's card."""

from collections.abc import Mapping
from typing import Any

from service.bundle_files import MODEL_CARD
from service.cine.pooling import Calibration
from training.card import LIMITS, write_card
from training.finetune import Chosen, FineTuning
from training.finetune_limits import ENOUGH_CLIPS
from training.labelled import both_labels, counted

_PARTS = {"train": "learned from", "validation": "calibrated on", "test": "held out"}


def write_site_card(tuning: FineTuning, calibration: Calibration, figures: Mapping[str, Any], chosen: Chosen, command: str) -> str:
    """The text of MODEL_CARD.md."""
    parent = (tuning.parent.directory / MODEL_CARD).read_text(encoding="utf-8")
    card = write_card(tuning.experiment, calibration, figures, list(tuning.parts["train"]), command)
    title, _, rest = card.partition("\n")
    said = rest.replace(LIMITS, _limits(tuning))
    return "\n".join([title, *_begun_from(tuning, chosen), said, f"## The bundle it began from: {tuning.parent}", "", _below(parent)])


def _begun_from(tuning: FineTuning, chosen: Chosen) -> list[str]:
    kept = "the parent's, since the fine-tuned ones were no better" if chosen.is_parent else "the fine-tuned ones"
    return [
        "",
        f"Fine-tuned from {tuning.parent} (model.onnx sha256 {tuning.parent.sha256[:12]}) on a site's own clips. What the parent was",
        "made from, its data and their licences are in its own card, at the end of this one.",
        "",
        "| clips | patients | " + " | ".join(_labels(tuning)) + " |",
        "|---|---|" + "---|" * len(_labels(tuning)),
        *(_row(tuning, part) for part in _PARTS),
        "",
        "Learned from: twins of every clip, whatever its label, phantoms, and "
        + ("patches of the clips labelled present and absent as they are." if both_labels(tuning.parts["train"]) else "no label."),
        f"Validation loss {chosen.loss_before:.3f} before and {chosen.loss_after:.3f} after; the weights are {kept}. Calibrated anew.",
        f"A limit set on fewer than {ENOUGH_CLIPS} clips of any one kind is the parent's wherever that is stricter.",
    ]


def _labels(tuning: FineTuning) -> list[str]:
    return list(counted([clip for clips in tuning.parts.values() for clip in clips]))


def _row(tuning: FineTuning, part: str) -> str:
    clips = tuning.parts[part]
    counts = [str(counted(clips).get(label, 0)) for label in _labels(tuning)]
    return f"| {_PARTS[part]} | {len({clip.patient for clip in clips})} | {' | '.join(counts)} |"


def _limits(tuning: FineTuning) -> str:
    """The first point of the shipped card, that no absent clip was seen, is not true here; the others are."""
    learned, held_out = (counted(tuning.parts[part]).get("absent", 0) for part in ("train", "test"))
    first, *others = LIMITS.split("\n* ")
    known = "is in the site's report, with its interval" if held_out else "is unknown; we state none"
    said = (
        f"* Clips labelled absent by the site: {learned} learned from, {held_out} held out. The sensitivity for real absence\n"
        f"  {known}; the tables above are of made-up controls."
    )
    return "\n* ".join([said if first.startswith("* **No clip with known absent") else first, *others])


def _below(card: str) -> str:
    """The parent's card without its title, its headings one step down."""
    title, _, rest = card.partition("\n")
    lines = (rest if title.startswith("# ") else card).strip("\n").splitlines()
    return "\n".join(f"#{line}" if line.startswith("##") else line for line in lines) + "\n"
