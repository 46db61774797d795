"""What a diseased chest shows, and what lies beside a healthy lung: each with what it does to sliding."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.float64]

_ADHESION_EDGE_MM = 1.5


@dataclass(frozen=True, slots=True)
class Adhesion:
    """A stretch where the lung sticks to the wall (pleurodesis, old empyema): no sliding, and no pneumothorax either."""

    center_mm: float
    half_width_mm: float


@dataclass(frozen=True, slots=True)
class Consolidation:
    """Airless lung below the pleura (pneumonia, contusion): grey as liver, a ragged bright lower border. It moves with the lung."""

    center_mm: float
    half_width_mm: float
    depth_mm: float
    level_db: float = -38.0
    """Darker than the haze around it: what lies right below the pleura and echoes less than the wall is consolidation."""
    rim_db: float = -3.0
    """Of its lower border, beside the pleura."""
    bronchogram_db: float = 0.0
    """By how much air left in its bronchi outshines it; 0: none is left."""


class Organ(StrEnum):
    HEART = "heart"
    """Beside the left lung: it beats hard where nothing slides."""
    LIVER = "liver"
    """At the base the lung's edge sweeps over liver or spleen with each breath (lung curtain)."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Where the lung ends in the picture and another organ lies at the wall."""

    organ: Organ
    edge_mm: float
    side: str = "right"
    """Of the edge on which the organ lies: "right" or "left"."""

    def __post_init__(self) -> None:
        if self.side not in ("left", "right"):
            raise ValueError(f'An organ lies on the "left" or "right" of the lung\'s edge, not "{self.side}".')


@dataclass(frozen=True, slots=True)
class Base:
    """The base of the lung: a bright dome of diaphragm over liver or spleen, which takes the place of lung and of fluid.

    fluid  . . . . . . . .
    lung   ::::::  __  :::      top_mm below the pleura, at `center_mm`; beside the picture where only a flank of it is seen
           ::::  /    \\ :
           :: / organ  \\      half_width_mm where it has sunk by `height_mm`
    """

    center_mm: float
    half_width_mm: float
    top_mm: float
    height_mm: float
    level_db: float = -32.0
    """Of the organ."""
    rim_db: float = -9.0
    """Of the diaphragm."""


@dataclass(frozen=True, slots=True)
class Pathology:
    """Nothing unless said otherwise."""

    elasticity: float = 0.0
    """How much further the lung slides at the right end of the picture than in its middle, as a share: bases move more than apices."""
    adhesions: tuple[Adhesion, ...] = ()
    roughness_mm: float = 0.0
    """RMS raggedness of the pleural line; with a large `pleura_thickness_mm` the thick pleura of ARDS or viral pneumonia."""
    consolidations: tuple[Consolidation, ...] = ()
    effusion_mm: float = 0.0
    """Fluid between wall and lung: what is seen then is the lung rising and sinking, and sliding cannot be judged."""
    effusion_echo: float = 0.08
    """Amplitude that is left in the fluid of what goes back and forth between pleura and probe; old blood and pus are not quite black."""
    effusion_slope: float = 0.0
    """How much thicker the fluid is at the right end of the picture than in its middle, as a share; thinner if negative."""
    neighbour: Neighbour | None = None
    base: Base | None = None

    def __post_init__(self) -> None:
        if not -0.9 <= self.elasticity <= 0.9:
            raise ValueError(f"A lung's elasticity lies in -0.9..0.9; it cannot be {self.elasticity:g}.")
        if not -1 <= self.effusion_slope <= 1:
            raise ValueError(f"Fluid has a slope in -1..1, or it would lie above the pleura; it cannot be {self.effusion_slope:g}.")

    @property
    def slides_unevenly(self) -> bool:
        return self.elasticity != 0 or bool(self.adhesions)


def slide_share(pathology: Pathology, u_mm: Places, wall_mm: Places, half_mm: float) -> Places:
    """How much of the lung's slide is left at places `u_mm` (K,), with the wall at `wall_mm` (F,): about 1, 0 at adhesions, (F, K)."""
    stretched = 1 + pathology.elasticity * u_mm / half_mm
    share = np.repeat(stretched[None, :], len(wall_mm), axis=0)
    for adhesion in pathology.adhesions:
        off_mm = np.abs(u_mm - wall_mm[:, None] - adhesion.center_mm) - adhesion.half_width_mm
        share = share * np.clip(0.5 + off_mm / (2 * _ADHESION_EDGE_MM), 0, 1)
    return share
