"""What every address that reads a clip takes: its options, and a folder for its files."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Query, Request
from pydantic import WithJsonSchema

from service.disk import needing_room
from service.errors import BadOption
from service.findings import TOLD_SIGNS
from service.options import quoted

# Query options are text here, so that every refusal is our own sentence; the document says what they really are.
SaliencyOption = Annotated[
    str | None,
    Query(description="Each patch's saliency: none, the input gradient (unless given), or its average over noisy copies (slower)."),
    WithJsonSchema({"type": "string", "enum": ["none", "vanilla", "smoothgrad"]}),
]
ModelOption = Annotated[
    str | None,
    Query(description="NAME or NAME:VERSION of a model in /v1/models."),
    WithJsonSchema({"type": "string", "examples": ["NAME:VERSION"]}),
]
RowsOption = Annotated[
    str | None,
    Query(description="Patch rows read: the two just below the pleural line (unless given), or all down to where the echoes end."),
    WithJsonSchema({"type": "string", "enum": ["pleura", "all"]}),
]
RegionOption = Annotated[
    str | None,
    Query(
        description="Pleural region drawn by hand, in pixels of the frame: 'x,y x,y x,y ...' or '[[x,y],[x,y],[x,y]]'; replaces the search."
    ),
    WithJsonSchema({"type": "string", "examples": ["120,200 520,200 520,260 120,260"]}),
]
ScaleOption = Annotated[
    str | None,
    Query(description="Millimetres a pixel, when the clip does not say."),
    WithJsonSchema({"type": "number", "minimum": 0.005, "maximum": 2.0, "examples": [0.08]}),
]
SignsOption = Annotated[
    str | None,
    Query(
        description="Signs looked for besides sliding: none (unless given), all that there is a model for, or some of "
        f"{', '.join(TOLD_SIGNS)}, with commas between them. /v1/models says what each model tells."
    ),
    WithJsonSchema({"type": "string", "examples": ["all", "b_lines,effusion"]}),
]
LineStart = Annotated[
    str | None,
    Query(alias="from", description="Where the M-mode's first row lies: 'x,y' in pixels of the uploaded frame."),
    WithJsonSchema({"type": "string", "examples": ["320,40"]}),
]
LineEnd = Annotated[
    str | None,
    Query(alias="to", description="Where its last row lies."),
    WithJsonSchema({"type": "string", "examples": ["320,400"]}),
]
AwaitedOption = Annotated[
    str | None,
    Query(description="Somebody looks on: the clip is read as soon as those of /v1/predict, before jobs for which nobody does."),
    WithJsonSchema({"type": "boolean"}),
]
OPTION_NAMES = ("saliency", "model", "rows", "region", "mm_per_px", "signs")


async def _scratch_folder() -> AsyncIterator[Path]:
    """A folder for one request's files, gone once its answer has been sent."""
    with needing_room():
        folder = Path(tempfile.mkdtemp(prefix="seashore-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


ScratchFolder = Annotated[Path, Depends(_scratch_folder)]


def refuse_unknown_options(request: Request, known: Collection[str] = OPTION_NAMES) -> None:
    """A misspelt option would otherwise be an answer to another question."""
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            raise BadOption(f"There is no option {quoted(name)}; the options are {', '.join(known)}.")
        if names.count(name) > 1:
            raise BadOption(f"{name} is given {names.count(name)} times; give it once.")
