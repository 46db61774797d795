"""Jobs on the wire."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.access.principal import Scope
from service.api.problems import Problem
from service.api.schemas import VerdictName
from service.jobs.feedback import Opinion, Sign

StateName = Literal["queued", "running", "done", "failed", "skipped", "cancelled"]
MAX_NOTE_CHARACTERS = 2000


class JobProgress(BaseModel):
    """How far the reading is; missing when another process reads the clip."""

    model_config = ConfigDict(frozen=True)

    share: float = Field(ge=0, le=1, description="Of the work done.")
    stage: str = Field(examples=["model"])


class JobSchema(BaseModel):
    """Where one job stands."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="Seen by its owner alone; where nobody needs a key, by whoever knows it: treat it as a secret.")
    state: StateName = Field(description="`skipped`: received from the PACS and not a clip to be read. `failed`: `problem` says why.")
    progress: JobProgress | None
    model: str = Field(examples=["NAME:VERSION"])
    asked_at: datetime
    ended_at: datetime | None
    expires_at: datetime | None = Field(
        description="When the clip and its result are removed; a clip that somebody gave an opinion on may be kept longer."
    )
    verdict: VerdictName | None
    result: str | None = Field(description="Where the answer is, in every form that /v1/predict gives.")
    problem: Problem | None = Field(description="What /v1/predict would have answered for this clip.")


class FramesSchema(BaseModel):
    """Where each frame of a job's clip lies among the bytes of `frames/data`, and when it is shown."""

    model_config = ConfigDict(frozen=True)

    width: int
    height: int
    duration_s: float
    times_s: list[float] = Field(description="When each of the F frames is shown, from the clip's start.")
    offsets: list[int] = Field(description="F + 1 of them: frame k is the JPEG from offsets[k] up to, not with, offsets[k + 1].")


class SignInSchema(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(max_length=200, description="As `seashore keys add` printed it.")


class PrincipalSchema(BaseModel):
    """Who asks."""

    model_config = ConfigDict(frozen=True)

    owner: str = Field(description="Whose results they see; `local` where nobody needs a key.")
    scopes: list[Scope]


class DrawingSchema(BaseModel):
    """How far the frames are that are being drawn."""

    model_config = ConfigDict(frozen=True)

    share: float = Field(ge=0, le=1)


class FeedbackSchema(BaseModel):
    """What a clinician says of an answer. `seashore feedback export` makes a training manifest of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    opinion: Opinion
    sign: Sign | None = Field(
        default=None,
        description="What you see of sliding; a disagreement with an open verdict says nothing without it. "
        "A sign that contradicts opinion and verdict is refused.",
    )
    note: str = Field(default="", max_length=MAX_NOTE_CHARACTERS, description="Free text. Kept with the feedback only, never logged.")
