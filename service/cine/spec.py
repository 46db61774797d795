"""Everything a model's input depends on, as one value that travels with the weights."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from service.errors import BadBundle

Band = Literal["lung", "wall"]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How patches are made from a clip. Written by training into the bundle, read by the service; no defaults.

    Pixels here are pixels of the published scale: frames in which the echoes are `picture_depth_px` deep
    (640x480 in Kolarik 2023).
    """

    fps: float
    window_frames: int
    """T."""
    window_stride_frames: int
    picture_depth_px: int
    patch_px: int
    """h and w."""
    column_stride_px: int
    """From one column of patches to the next, along the pleura."""
    row_offset_px: int
    """Top of row 0 below the pleural line; negative when the line itself is to be seen."""
    bands: tuple[Band, ...]
    """One channel each: "lung" is the patch itself, "wall" the chest wall above the same stretch of pleura."""
    wall_gap_px: int
    """Between the wall band's lower edge and the pleural line."""
    stabilised: bool
    """True when both bands follow the wall's own motion, so that what still moves moves past the wall."""
    dtype: Literal["uint8"]

    def __post_init__(self) -> None:
        if min(self.fps, self.window_frames, self.window_stride_frames, self.picture_depth_px, self.patch_px, self.column_stride_px) <= 0:
            raise ValueError("Frame rate, lengths and strides of an InputSpec must be positive.")
        if not self.bands or len(set(self.bands)) != len(self.bands):
            raise ValueError("An InputSpec names each of its bands once, and at least one.")

    @property
    def patch_shape(self) -> tuple[int, int, int, int]:
        """(C, T, h, w)"""
        return len(self.bands), self.window_frames, self.patch_px, self.patch_px

    @property
    def window_s(self) -> float:
        return self.window_frames / self.fps

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"bands": list(self.bands)}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "InputSpec":
        """The inverse of `to_json`. Raises: BadBundle."""
        try:
            return cls(**(fields | {"bands": tuple(fields["bands"])}))
        except (KeyError, TypeError, ValueError) as error:
            raise BadBundle("The bundle's input_spec is not one this version can read.", log_detail=str(error)) from error
