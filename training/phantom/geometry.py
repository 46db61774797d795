"""Where the echoes of a phantom lie: beams and depths on one side, pixels of the frame on the other.

convex: apex (x, y)          linear:
         . theta0..theta1     x0 ______ x1
    r0  / \\                    |      |   u: mm along the pleura's depth, 0 in the middle
       /___\\  z = r - r0       |      |   z: mm below the probe's face
  r1  /_____\\                  |______|
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.phantom.spec import PhantomSpec, half_width_mm

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Fan:
    """A convex probe's sector in frame pixels; angles in rad from straight down, right positive."""

    apex: tuple[float, float]
    r0: float
    r1: float
    theta0: float
    theta1: float


@dataclass(frozen=True, slots=True)
class Geometry:
    """The sector of a phantom. `fan` is None for a linear probe; `box` (x0, y0, x1, y1) bounds it and may reach beyond the frame."""

    spec: PhantomSpec
    fan: Fan | None
    box: tuple[float, float, float, float]

    @property
    def half_mm(self) -> float:
        return half_width_mm(self.spec)

    @property
    def beams_mm(self) -> NDArray[np.float64]:
        """Lateral place of each beam at the pleura, (num_beams,)."""
        return np.linspace(-self.half_mm, self.half_mm, self.spec.num_beams)

    @property
    def depths_mm(self) -> NDArray[np.float64]:
        return np.linspace(0, self.spec.depth_mm, self.spec.num_depths)

    @property
    def beam_mm(self) -> float:
        """Between neighbouring beams at the pleura."""
        return 2 * self.half_mm / (self.spec.num_beams - 1)

    @property
    def sample_mm(self) -> float:
        """Between neighbouring depths."""
        return self.spec.depth_mm / (self.spec.num_depths - 1)

    def to_px(self, u_mm: NDArray[np.float64], z_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Lateral place and depth (any equal shapes) -> pixels (..., 2)."""
        scale = self.spec.mm_per_px
        if self.fan is None:
            return np.stack([(self.box[0] + self.box[2]) / 2 + u_mm / scale, self.spec.top_px + z_mm / scale], axis=-1)
        theta = self._theta(u_mm)
        r = self.fan.r0 + z_mm / scale
        return np.stack([self.fan.apex[0] + r * np.sin(theta), self.fan.apex[1] + r * np.cos(theta)], axis=-1)

    def to_mm(self, x_px: NDArray[np.float64], y_px: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels -> (lateral place, depth) in mm; the inverse of `to_px`."""
        scale = self.spec.mm_per_px
        if self.fan is None:
            return (x_px - (self.box[0] + self.box[2]) / 2) * scale, (y_px - self.spec.top_px) * scale
        dx, dy = x_px - self.fan.apex[0], y_px - self.fan.apex[1]
        reference_mm = self.spec.inner_radius_mm + self.spec.pleura_depth_mm
        return np.arctan2(dx, dy) * reference_mm, (np.hypot(dx, dy) - self.fan.r0) * scale

    def polygon(self) -> NDArray[np.float64]:
        """Outline of the sector in pixels, clockwise from the top left, (n, 2); may reach beyond the frame."""
        u = np.linspace(-self.half_mm, self.half_mm, 2 if self.fan is None else 33)
        top, bottom = self.to_px(u, np.zeros_like(u)), self.to_px(u, np.full_like(u, self.spec.depth_mm))
        return np.concatenate([top, bottom[::-1]])

    def scan_maps(self) -> tuple[Floats, Floats]:
        """For each pixel of the frame, which beam and which depth sample it shows (cv2.remap's maps), (H, W) each."""
        y, x = np.mgrid[: self.spec.height_px, : self.spec.width_px].astype(np.float64)
        u, z = self.to_mm(x, y)
        return ((u + self.half_mm) / self.beam_mm).astype(np.float32), (z / self.sample_mm).astype(np.float32)

    def _theta(self, u_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        return u_mm / (self.spec.inner_radius_mm + self.spec.pleura_depth_mm)


def lay_out(spec: PhantomSpec) -> Geometry:
    """The sector in the middle of the frame, its shallowest echo on row `top_px`."""
    middle, scale = (spec.width_px - 1) / 2, spec.mm_per_px
    bottom = spec.top_px + spec.depth_mm / scale
    if spec.probe == "linear":
        half = spec.aperture_mm / 2 / scale
        return Geometry(spec, None, (middle - half, spec.top_px, middle + half, bottom))
    r0, r1, half_rad = spec.inner_radius_mm / scale, (spec.inner_radius_mm + spec.depth_mm) / scale, np.deg2rad(spec.opening_deg / 2)
    # The face bulges downwards: its corners are the highest echoes of the fan.
    apex_y = spec.top_px - r0 * float(np.cos(half_rad))
    half = r1 * float(np.sin(half_rad))
    fan = Fan((middle, apex_y), r0, r1, -float(half_rad), float(half_rad))
    return Geometry(spec, fan, (middle - half, spec.top_px, middle + half, apex_y + r1))
