"""The PACS on the wire: what is fetched, and how the queues stand."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class _Schema(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WantedSchema(_Schema):
    """A study of the archive, or less of it."""

    study: str = Field(description="Study Instance UID.")
    series: str | None = Field(default=None, description="Series Instance UID.")
    instance: str | None = Field(default=None, description="SOP Instance UID; with its series.")


class PulledSchema(_Schema):
    """What was taken on."""

    jobs: list[str] = Field(description="One a clip; /v1/jobs/{id} tells how it is getting on.")
    problems: list[str] = Field(description="A sentence for each clip that was found and could not be had.")


class InstanceSchema(_Schema):
    """One received instance."""

    job: str
    came_at: datetime
    stage: str = Field(examples=["read"])
    because: str = Field(description="The verdict, or the reason.")


class DestinationSchema(_Schema):
    """Where one destination stands."""

    destination: str
    waiting: int
    delivered: int
    dead: int
    oldest_waiting_s: int
    last_failure: str


class LetterSchema(_Schema):
    """One delivery that waits or is dead."""

    id: str
    job: str
    destination: str
    attempts: int
    because: str
    asked_at: datetime


class QueueSchema(_Schema):
    """Of everything that is still on record."""

    instances: dict[str, int] = Field(description="Instances from the PACS, by stage.")
    recent: list[InstanceSchema]
    destinations: list[DestinationSchema]
    waiting: list[LetterSchema] = Field(description="The newest of them; `destinations` counts all.")
    dead: list[LetterSchema]
    unread: list[InstanceSchema] = Field(description="Not read because of Seashore itself: POST /pacs/retry/{job} has them read again.")


class AgainSchema(_Schema):
    """What was done, in a sentence."""

    done: str
