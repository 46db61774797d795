"""Simulated lung-ultrasound clips with exact ground truth."""

from training.phantom.simulate import Phantom, simulate
from training.phantom.spec import BLine, Obstruction, PhantomSpec, Rib, random_spec
from training.phantom.truth import Truth

__all__ = ["BLine", "Obstruction", "Phantom", "PhantomSpec", "Rib", "Truth", "random_spec", "simulate"]
