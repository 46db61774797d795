"""An analysis as JSON and back, so that every form of an answer can be made again from what a job kept."""

import base64
from functools import cache
from typing import Any

import numpy as np
from cattrs import Converter
from numpy.typing import NDArray

from service.findings import Analysis

FORMAT = 2
"""Of the JSON. Jobs are kept for days: a service that has been updated still finds those of its predecessor."""


def analysis_to_json(analysis: Analysis) -> dict[str, Any]:
    return {"format": FORMAT, "analysis": _converter().unstructure(analysis)}


def analysis_from_json(fields: dict[str, Any]) -> Analysis:
    """Raises: ValueError when another version of this software wrote it, in another format."""
    if fields.get("format") != FORMAT:
        raise ValueError("The analysis is kept in another format.")
    return _converter().structure(fields["analysis"], Analysis)


@cache
def _converter() -> Converter:
    converter = Converter(unstruct_collection_overrides={tuple: list})
    converter.register_unstructure_hook_func(_is_array, _array_to_json)
    converter.register_structure_hook_func(_is_array, lambda fields, _: _array_from_json(fields))
    return converter


def _is_array(kind: Any) -> bool:
    """`NDArray[...]` is an alias of ndarray with its parameters."""
    return getattr(kind, "__origin__", kind) is np.ndarray


def _array_to_json(array: NDArray[Any]) -> dict[str, Any]:
    return {"dtype": array.dtype.str, "shape": list(array.shape), "base64": base64.b64encode(array.tobytes()).decode()}


def _array_from_json(fields: dict[str, Any]) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(fields["base64"]), np.dtype(fields["dtype"])).reshape(fields["shape"]).copy()
