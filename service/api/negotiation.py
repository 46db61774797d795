"""Which form of the answer a request asks for (the Accept header, RFC 9110 section 12.5.1)."""

from dataclasses import dataclass
from enum import StrEnum

from service.errors import NotAcceptable
from service.options import quoted


class Form(StrEnum):
    """The forms an answer comes in, in the service's order of preference."""

    JSON = "application/json"
    ANNOTATED_CLIP = "video/mp4"
    ARRAYS = "application/x-npz"


NOT_BUILT = {
    "application/pdf": "The one-page report (application/pdf) is not in this version yet.",
    "application/dicom": "The structured report (application/dicom) is not in this version yet.",
}
OFFERED = "The answer comes as application/json, video/mp4 (the annotated clip) or application/x-npz (the arrays)."


@dataclass(frozen=True, slots=True)
class _Range:
    """One item of an Accept header: "video/*;q=0.5"."""

    kind: str
    subtype: str
    quality: float

    def specificity(self, media_type: str) -> int:
        """0 does not match, 1 is */*, 2 is type/*, 3 is exact."""
        kind, subtype = media_type.split("/")
        if self.kind == "*":
            return 1
        if self.kind != kind:
            return 0
        return 2 if self.subtype == "*" else 3 * (self.subtype == subtype)


def negotiate(accept: str | None) -> Form:
    """The form the caller likes best; JSON where the caller does not care. Raises: NotAcceptable."""
    ranges = [_parse_range(item) for item in (accept or "*/*").split(",") if item.strip()] or [_Range("*", "*", 1.0)]
    best = max(Form, key=lambda form: _quality(form, ranges))  # max keeps the first of equals: the service's order
    if _quality(best, ranges) > 0:
        return best
    wanted = [sentence for media_type, sentence in NOT_BUILT.items() if _quality(media_type, ranges) > 0]
    raise NotAcceptable(" ".join([*(wanted or [f"Accept is {quoted(accept or '')}."]), OFFERED]))


def _quality(media_type: str, ranges: list[_Range]) -> float:
    matching = [(r.specificity(media_type), r.quality) for r in ranges if r.specificity(media_type)]
    return max(matching)[1] if matching else 0.0


def _parse_range(item: str) -> _Range:
    """A range that cannot be parsed matches nothing."""
    media_type, *parameters = (part.strip().lower() for part in item.split(";"))
    kind, slash, subtype = media_type.partition("/")
    quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
    try:
        return _Range(kind, subtype, min(max(float(quality), 0.0), 1.0)) if slash else _Range("", "", 0.0)
    except ValueError:
        return _Range("", "", 0.0)
