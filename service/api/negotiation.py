"""Which form of the answer a request asks for (the Accept header, RFC 9110 section 12.5.1)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from service.errors import NotAcceptable
from service.options import quoted


class Form(StrEnum):
    """The forms an answer comes in, in the service's order of preference."""

    JSON = "application/json"
    ANNOTATED_CLIP = "video/mp4"
    REPORT = "application/pdf"
    ARRAYS = "application/x-npz"
    STRUCTURED_REPORT = "application/dicom"
    """Of what came as DICOM alone: it lies in the same study."""


OFFERED = (
    "The answer comes as application/json, video/mp4 (the annotated clip), application/pdf (the one-page report) "
    "or application/x-npz (the arrays); of a DICOM object as application/dicom (the structured report) too."
)


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


def negotiate(accept: str | None, forms: Iterable[Form] = Form) -> Form:
    """The form of these that the caller likes best; JSON where the caller does not care. Raises: NotAcceptable."""
    ranges = [_parse_range(item) for item in (accept or "*/*").split(",") if item.strip()] or [_Range("*", "*", 1.0)]
    best = max(forms, key=lambda form: _quality(form, ranges))  # max keeps the first of equals: the service's order
    if _quality(best, ranges) > 0:
        return best
    raise NotAcceptable(f"Accept is {quoted(accept or '')}. {OFFERED}")


def form_of(accept: str | None, *, lies_in_a_study: bool) -> Form:
    """The form the caller likes best, of those that there are of this clip. Raises: NotAcceptable."""
    if lies_in_a_study:
        return negotiate(accept)
    try:
        return negotiate(accept, [form for form in Form if form is not Form.STRUCTURED_REPORT])
    except NotAcceptable:
        raise NotAcceptable("The structured report (application/dicom) is made of DICOM objects alone; this clip is none.") from None


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
