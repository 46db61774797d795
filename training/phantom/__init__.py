"""Simulated lung-ultrasound clips with exact ground truth."""

from training.phantom.pathology import Adhesion, Base, Consolidation, Neighbour, Organ, Pathology
from training.phantom.simulate import Phantom, recorded, simulate
from training.phantom.spec import BLine, Obstruction, PhantomSpec, Rib, random_spec
from training.phantom.truth import Truth
from training.phantom.unrest import GainStep, Unrest

__all__ = [
    "Adhesion",
    "BLine",
    "Base",
    "Consolidation",
    "GainStep",
    "Neighbour",
    "Obstruction",
    "Organ",
    "Pathology",
    "Phantom",
    "PhantomSpec",
    "Rib",
    "Truth",
    "Unrest",
    "random_spec",
    "recorded",
    "simulate",
]
