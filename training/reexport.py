"""`seashore train reexport`: a bundle as a new version whose saliency graph is written anew; all that decides an answer stays."""

import shutil
import tempfile
from pathlib import Path

from service.bundle import MODEL, MODEL_CARD, SALIENCY, Bundle, read_bundle, resolve, write_bundle
from training.export import check, export
from training.restore import restore


class VersionTaken(ValueError):
    """There is a bundle of this version already."""


def reexport(store: Path, bundle: str, version: str) -> Bundle:
    """Write NAME[:VERSION] of the store again as `version`, beside it, and read it back.

    `model.onnx`, input spec, calibration, golden clip and its answer are copied to the byte, so answers are the old ones;
    `saliency.onnx` comes from the network restored from the bundle, checked against torch and against the bundle in both engines.
    Raises: UnknownModel, BadBundle, RestoreError, ExportDisagrees, VersionTaken.
    """
    old = read_bundle(resolve(store, bundle))
    if (store / old.name / version).exists():  # `write_bundle` would refuse as well, after the work
        raise VersionTaken(f"There is a bundle {old.name}:{version} already and none is written over; --version must be another one.")
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
            model_card=_card(old, version),
            input_spec=old.input_spec,
            calibration=old.calibration,
            training={**old.training, "exported_again": {"name": old.name, "version": old.version, "sha256": old.sha256}},
        )


def _write_graphs(old: Bundle, folder: Path) -> None:
    model, shape = restore(old), old.input_spec.patch_shape
    export(model, patch_shape=shape, directory=folder)
    # The old one's own: its sha256 is what answers, jobs and DICOM objects name the model by.
    shutil.copyfile(old.model_onnx, folder / MODEL)
    check(model, patch_shape=shape, directory=folder)


def _card(old: Bundle, version: str) -> str:
    _, _, rest = (old.directory / MODEL_CARD).read_text(encoding="utf-8").partition("\n")
    return "\n".join(
        [
            f"# {old.name} {version}",
            "",
            f"{old}, exported again: the same weights, `model.onnx` (sha256 {old.sha256[:12]}), calibration and golden clip, so the same",
            "answers; `saliency.onnx` is written anew and gives the same gradients, to rounding. What follows is that bundle's card.",
            rest,
        ]
    )
