"""This node on the wire, as its administrator asks for it. Nothing of a patient, no file's name, no password."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from service.api.pacs_schemas import DestinationSchema
from service.standing import Presence


class _Schema(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Health(StrEnum):
    WELL = "well"
    ATTENTION = "attention"
    """It works, and somebody should look."""
    NOT_READY = "not_ready"
    """No clip is read."""


class ProblemKind(StrEnum):
    """What may be wrong with a node. Those of `NOT_READY` stop it."""

    NOT_READY = "not_ready"
    STARTING = "starting"
    STOPPING = "stopping"
    NO_ANSWER = "no_answer"
    DISK_LOW = "disk_low"
    READING_HANGS = "reading_hangs"
    QUEUE_FULL = "queue_full"
    JOBS_WAIT = "jobs_wait"
    PROCESSES_GONE = "processes_gone"
    MODEL_REFUSED = "model_refused"
    SIGNS_FAIL = "signs_fail"
    """A model of signs cannot be asked; sliding is read all the same."""
    RESULTS_GIVEN_UP = "results_given_up"
    RESULTS_WAIT = "results_wait"
    CLIPS_NOT_READ = "clips_not_read"
    FAILURES = "failures"


class NodeProblemSchema(_Schema):
    """One thing that is wrong."""

    kind: ProblemKind = Field(description="Stable; the page says it in words, and what to do.")
    subject: str = Field(description='Whose it is: a part of this answer, a model, a destination; "" the whole node\'s.')
    count: int = Field(description="How many results, jobs, clips or processes; 0 where nothing is counted.")
    since: datetime | None = Field(description="Since when, where that is known.")
    code: str = Field(description='Of the error behind it; "" where there is none.')
    detail: str = Field(description="The service's own sentence about it.")


class ModelStandingSchema(_Schema):
    """One model of the store."""

    name: str
    version: str
    default: bool
    presence: Presence = Field(description="`not_asked`: loaded when it is first asked for. `refused`: `detail` says why.")
    sha256: str = Field(description='Of its model.onnx as its manifest states it; "" where that cannot be read.')
    device: str = Field(description='Where it really runs; "" unless loaded.', examples=["cpu (OpenVINO)"])
    precision: str = Field(description='What it is really calculated in; "" unless loaded.', examples=["float32"])
    code: str
    detail: str


class SignStandingSchema(_Schema):
    """One model of signs beside sliding: the version that is offered, or will be."""

    name: str
    version: str
    signs: list[str] = Field(description="Those that it tells; none where its manifest cannot be read.")
    presence: Presence = Field(description="`not_asked`: not loaded yet. `refused`: `detail` says why.")
    sha256: str = Field(description='Of its model.onnx as its manifest states it; "" where that cannot be read.')
    device: str = Field(description='Where it really runs; "" unless loaded here.', examples=["cpu (OpenVINO)"])
    code: str
    detail: str = Field(description="Why it was refused; of one that is loaded, what befell its device.")


class DeviceSchema(_Schema):
    """What the default model runs on. Memory is null where the system or the driver does not say."""

    name: str
    cores: int | None = Field(description="Of a processor, those this process may keep busy; null for a GPU.")
    memory_bytes: int | None
    free_memory_bytes: int | None


class ReadingQueueSchema(_Schema):
    """Clips of /v1/predict in this process, now."""

    reading: int
    waiting: int
    wait_s: float = Field(description="Seconds of work before a clip that comes now.")
    longest_read_s: float = Field(description="How long the one that was begun first has been read.")
    full: bool = Field(description="A clip that comes now is answered 429.")
    stopping: bool
    max_reading: int
    max_waiting: int
    max_wait_s: float


class ProcessesSchema(_Schema):
    """The processes that read clips."""

    size: int = Field(description="At most so many.")
    started: int
    alive: int
    busy: int
    lost: int = Field(description="Since the start: died, or had to be ended, and were replaced.")


class JobsSchema(_Schema):
    """Jobs of the API, of all nodes that share them: those under way, and those that ended within `job_keep_hours`."""

    waiting: int
    reading: int
    read: int
    refused: int = Field(description="Not read because of the clip.")
    failed: int = Field(description="Not read because of the service.")
    oldest_waiting_s: float


class DiskSchema(_Schema):
    """Of the data folder."""

    free_bytes: int
    total_bytes: int
    jobs_bytes: int | None = Field(description="What jobs and instances of the PACS take; null until it has been counted.")
    needed_bytes: int = Field(description="With less than that free, `disk_low` is told; instances of the PACS are refused.")


class FailureSchema(_Schema):
    """Something that was not read or not done."""

    at: datetime
    code: str
    detail: str
    job: str | None = Field(description="Its id; null of requests.")
    request: str | None = Field(description="Id of the request, as the log and X-Request-Id have it; null of jobs.")
    count: int = Field(description="So many of this code one after the other; time and sentence are the last one's.")


class NodeSchema(_Schema):
    """How this node is. A part is null where it is not in use, not yet looked at, or does not answer; then `problems` says so."""

    health: Health
    problems: list[NodeProblemSchema] = Field(description="The gravest first; empty where all is well.")
    node: str
    at: datetime
    started_at: datetime
    versions: dict[str, str] | None = Field(examples=[{"seashore": "0.1.0", "python": "3.12.3", "openvino": "2026.4.1"}])
    models: list[ModelStandingSchema] | None
    signs: list[SignStandingSchema] | None = Field(description="Models of signs beside sliding.")
    device: DeviceSchema | None
    queue: ReadingQueueSchema
    processes: ProcessesSchema | None
    jobs: JobsSchema | None
    disk: DiskSchema | None
    destinations: list[DestinationSchema] | None
    failures: list[FailureSchema] = Field(description="The newest first; at most 20.")
    settings: dict[str, str | int | float | bool | None] = Field(description="Those in force that are safe to show.")
