"""What Schemathesis must be told of this interface: how DICOM is put into a body, and a few clips. Named by SCHEMATHESIS_HOOKS."""

from typing import Any

import schemathesis
from hypothesis import strategies as st

from tests.fakes import dicom, media

CLIPS = (media.mp4(media.texture(3, 64, 64)), media.truncated(media.mp4(media.texture(3, 64, 64)), 0.9), media.TEXT, b"present", b"slow")
"""The last two are clips to the reader of `tests.fakes.service`."""


@schemathesis.serializer("application/dicom", 'multipart/related; type="application/dicom"')
def as_it_is(ctx: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


schemathesis.openapi.media_type("application/octet-stream", st.sampled_from(CLIPS[:4]) | st.binary(max_size=200))
schemathesis.openapi.media_type(
    "application/dicom", st.sampled_from((dicom.native(media.texture(2, 64, 64)), b"", b"\x00" * 128 + b"DICM")) | st.binary(max_size=200)
)
