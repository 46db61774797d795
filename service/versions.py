"""Which versions of what are at work here, as a support engineer asks first."""

import platform
from importlib.metadata import PackageNotFoundError, version

import av

from service import __version__

PACKAGES = {
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime"),
    "openvino": ("openvino",),
    "pyav": ("av",),
    "opencv": ("opencv-python-headless", "opencv-python"),
}
"""The names under which each may be installed."""


def versions() -> dict[str, str]:
    """By name; what is not installed is left out."""
    found = {name: _installed(packages) for name, packages in PACKAGES.items()}
    own = {"seashore": __version__, "python": platform.python_version()}
    return own | {name: text for name, text in found.items() if text} | {"ffmpeg": str(av.ffmpeg_version_info)}


def _installed(packages: tuple[str, ...]) -> str:
    for package in packages:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return ""
