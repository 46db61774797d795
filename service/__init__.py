"""Seashore's inference service: a lung-ultrasound clip goes in, lung sliding with its evidence comes out."""

__version__ = "0.1.0"
