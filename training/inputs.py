"""What the clips were like that a model learns from, as the service itself measures it: a bundle's `input_statistics`."""

from collections.abc import Iterable

from service.bundle import Bundle
from service.cine.clip import DEFAULT_LIMITS
from service.cine.decode import open_clip
from service.cine.reference import InputReference
from service.engine.batcher import Batcher
from service.engine.select import open_engine
from service.errors import RequestError
from service.findings import InputStatistics
from service.manifest import LabelledClip
from service.model import LoadedModel
from service.pipeline import Options, analyse
from service.reading import Saliency
from training.regions import region_of


def reference_of(bundle: Bundle, clips: Iterable[LabelledClip]) -> InputReference | None:
    """Each clip is read as a clip that comes in: by `analyse`, with the bundle's own graphs. None where they are too few."""
    model = LoadedModel(bundle, Batcher(open_engine(bundle.model_onnx, bundle.saliency_onnx, device="cpu")))
    taken = [inputs_of(clip, model) for clip in clips]
    return InputReference.of([inputs for inputs in taken if inputs is not None])


def inputs_of(clip: LabelledClip, model: LoadedModel) -> InputStatistics | None:
    """None of a clip that cannot be read: nothing was learned from it either. Raises: EngineFailed."""
    try:
        options = Options(saliency=Saliency.NONE, region=region_of(clip.region))
        analysis, _ = analyse(open_clip(clip.file, DEFAULT_LIMITS), model, options)
    except RequestError:
        return None
    return analysis.inputs
