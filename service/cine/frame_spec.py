"""How runs of whole frames are made from a clip, as one value that travels with the weights of a model that looks at the whole picture."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from service.errors import BadBundle

Geometry = Literal["box", "beams"]
"""How the sector becomes a square (service.cine.frame_cut): its box as it lies on the frame, or its beams side by side."""


@dataclass(frozen=True, slots=True)
class FrameSpec:
    """Written by training into the bundle, read by the service; no defaults but what older networks were fitted with.

    A frame becomes a square, and its proportions are not kept, as the published models are given it.
    """

    fps: float
    num_frames: int
    """T, of one run; 1 for a model that looks at single frames."""
    stride_frames: int
    """From the beginning of one run to that of the next; less than `num_frames` where runs overlap."""
    side_px: int
    """h and w."""
    dtype: Literal["uint8"]
    geometry: Geometry = "box"

    def __post_init__(self) -> None:
        if self.geometry not in ("box", "beams"):
            raise ValueError(f'The geometry of a FrameSpec is "box" or "beams", not "{self.geometry}".')
        if min(self.fps, self.num_frames, self.stride_frames, self.side_px) <= 0:
            raise ValueError("Frame rate, lengths and side of a FrameSpec must be positive.")
        if self.stride_frames > self.num_frames:
            raise ValueError(f"Runs of {self.num_frames} frames that begin every {self.stride_frames} would leave frames out.")

    @property
    def run_shape(self) -> tuple[int, int, int]:
        """(T, h, w)"""
        return self.num_frames, self.side_px, self.side_px

    @property
    def run_s(self) -> float:
        return self.num_frames / self.fps

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "FrameSpec":
        """The inverse of `to_json`. Raises: BadBundle."""
        try:
            return cls(**fields)
        except (TypeError, ValueError) as error:
            raise BadBundle("The bundle's input_spec is not one this version can read.", log_detail=str(error)) from error
