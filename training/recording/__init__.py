"""What storing, exporting and converting does to a clip's frames and times; for phantoms and for real clips' frames alike."""

from training.recording.coding import Codec, Coding, Quality, coded
from training.recording.recorder import Recorder, draw_recorder, record
from training.recording.take import Recording

__all__ = ["Codec", "Coding", "Quality", "Recorder", "Recording", "coded", "draw_recorder", "record"]
