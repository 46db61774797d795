"""How runs of whole frames are made from a clip, as one value that travels with the weights of a model that looks at the whole picture."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

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
    """Of the frames."""
    geometry: Geometry = "box"
    flow_step: int = 0
    """The model is given the optical flow from each frame to the one so many later; 0: the grey frames themselves."""

    def __post_init__(self) -> None:
        if self.geometry not in ("box", "beams"):
            raise ValueError(f'The geometry of a FrameSpec is "box" or "beams", not "{self.geometry}".')
        if min(self.fps, self.num_frames, self.stride_frames, self.side_px) <= 0:
            raise ValueError("Frame rate, lengths and side of a FrameSpec must be positive.")
        if not 0 <= self.flow_step < self.num_frames:
            raise ValueError(f"A flow over {self.flow_step} frames does not fit a run of {self.num_frames}.")
        if self.stride_frames > self.num_frames:
            raise ValueError(f"Runs of {self.num_frames} frames that begin every {self.stride_frames} would leave frames out.")

    @property
    def is_flow(self) -> bool:
        return self.flow_step > 0

    @property
    def run_shape(self) -> tuple[int, int, int, int]:
        """(1, T, h, w) of grey frames; of flow (2, T - flow_step, h, w)."""
        return 2 if self.is_flow else 1, self.num_frames - self.flow_step, self.side_px, self.side_px

    @property
    def run_dtype(self) -> type[np.uint8 | np.float32]:
        """uint8 of grey frames; of flow float32."""
        return np.float32 if self.is_flow else np.uint8

    @property
    def run_bytes(self) -> int:
        return math.prod(self.run_shape) * np.dtype(self.run_dtype).itemsize

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
