"""`seashore train reexport`: a bundle as a new version whose saliency graph is written anew; all that decides an answer stays.

With the manifest of the clips that it learned from it also learns to say what those were like.
"""

import shutil
import tempfile
from pathlib import Path

from service.bundle import SALIENCY, Bundle, read_bundle, resolve, write_bundle
from service.bundle_files import MODEL, MODEL_CARD
from service.cine.reference import FEWEST_CLIPS, InputReference
from service.manifest import LabelledClip, Manifest
from training.card import input_lines
from training.export import check, export
from training.inputs import reference_of
from training.restore import restore
from training.splits import deal_clips


class VersionTaken(ValueError):
    """There is a bundle of this version already."""


class OtherClips(ValueError):
    """The manifest's clips are not those that the bundle learned from, or too few can be read."""


def reexport(store: Path, bundle: str, version: str, manifest: Manifest | None = None) -> Bundle:
    """Write NAME[:VERSION] of the store again as `version`, beside it, and read it back.

    `model.onnx`, input spec, calibration, golden clip and its answer are copied to the byte, so answers are the old ones;
    `saliency.onnx` comes from the network restored from the bundle, checked against torch and against the bundle in both engines.
    Its input statistics are taken anew from the part of `manifest` it learned from, or copied.
    Raises: UnknownModel, BadBundle, RestoreError, ExportDisagrees, VersionTaken, OtherClips.
    """
    old = read_bundle(resolve(store, bundle))
    if (store / old.name / version).exists():  # `write_bundle` would refuse as well, after the work
        raise VersionTaken(f"There is a bundle {old.name}:{version} already and none is written over; --version must be another one.")
    learned_from = () if manifest is None else _learned_from(old, manifest)
    with tempfile.TemporaryDirectory() as scratch:
        graphs = Path(scratch)
        _write_graphs(old, graphs)
        return write_bundle(
            store,
            name=old.name,
            version=version,
            model_onnx=graphs / MODEL,
            saliency_onnx=graphs / SALIENCY,
            golden_clip=old.golden_clip,
            golden_answer=lambda _: old.golden_answer(),
            model_card=_card(old, version, len(learned_from)),
            input_spec=old.input_spec,
            calibration=old.calibration,
            training={**old.training, "exported_again": {"name": old.name, "version": old.version, "sha256": old.sha256}},
            input_statistics=lambda new: old.input_statistics if manifest is None else _statistics(new, learned_from),
        )


def _learned_from(old: Bundle, manifest: Manifest) -> tuple[LabelledClip, ...]:
    clips = deal_clips(manifest, seed=old.training.get("fit", {}).get("seed", 0))["train"]
    if old.training.get("clips") != len(clips):
        raise OtherClips(f'{old} learned from {old.training.get("clips")} clips; the manifest\'s part "train" has {len(clips)}.')
    return clips


def _statistics(new: Bundle, clips: tuple[LabelledClip, ...]) -> InputReference:
    reference = reference_of(new, clips)
    if reference is None:
        raise OtherClips(f"Fewer than {FEWEST_CLIPS} of the manifest's clips could be read; their statistics would say nothing.")
    return reference


def _write_graphs(old: Bundle, folder: Path) -> None:
    model, shape = restore(old), old.input_spec.patch_shape
    export(model, patch_shape=shape, directory=folder)
    # The old one's own: its sha256 is what answers, jobs and DICOM objects name the model by.
    shutil.copyfile(old.model_onnx, folder / MODEL)
    check(model, patch_shape=shape, directory=folder)


def _card(old: Bundle, version: str, num_clips: int) -> str:
    _, _, rest = (old.directory / MODEL_CARD).read_text(encoding="utf-8").partition("\n")
    return "\n".join(
        [
            f"# {old.name} {version}",
            "",
            f"{old}, exported again: the same weights, `model.onnx` (sha256 {old.sha256[:12]}), calibration and golden clip, so the same",
            "answers; `saliency.onnx` is written anew and gives the same gradients, to rounding.",
            *input_lines(num_clips),
            "",
            "What follows is that bundle's card.",
            rest,
        ]
    )
