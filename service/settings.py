"""What belongs to the deployment: `SEASHORE_*` in the environment, read once by whoever starts the service.

What belongs to a model is in its bundle, never here.
"""

import os
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.machine import available_cores


def _shipped_model_store() -> Path:
    """The `model_store/` beside the package: a clone serves what it ships from whatever folder it is started in."""
    return Path(__file__).resolve().parent.parent / "model_store"


def _state_home() -> Path:
    """Where the XDG base directory specification puts what a program must remember between its runs."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "seashore"


def _cores() -> int:
    """Two at least, so that a long clip does not stand before all others."""
    return min(max(2, available_cores()), MAX_READERS)


MAX_READERS = 16
"""Unless more are asked for: each takes 100 MB, and so many keep a GPU busy."""
READERS_FIELDS = {"model_store", "default_model", "device", "precision", "max_seconds", "max_pixels", "max_job_seconds"}


class Settings(BaseSettings):
    """Every setting of the service, with defaults that are safe in a hospital. Nothing is read until one is built."""

    model_config = SettingsConfigDict(env_prefix="SEASHORE_", env_ignore_empty=True, frozen=True, extra="ignore")

    host: str = Field(default="127.0.0.1", description="Address to listen on. Only this machine can reach the default.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")

    model_store: Path = Field(default_factory=_shipped_model_store, description="Folder of bundles, <name>/<version>/.")
    default_model: str | None = Field(
        default=None, description="NAME or NAME:VERSION read when a request names none. Unset: the store's only model."
    )
    device: str = Field(default="auto", description="Where patches are classified: auto, cpu, cuda, cuda:0, tensorrt, ...")
    precision: str = Field(
        default="float32",
        pattern="^(float32|tf32|float16)$",
        description="What a GPU may multiply in: float32, tf32, or float16 (TensorRT only). Where answers would change, float32 is used.",
    )

    max_upload_bytes: int = Field(default=256 * 1024 * 1024, ge=1, description="Largest clip accepted, in bytes.")
    max_seconds: float = Field(default=120.0, gt=0, description="Longest clip answered at once, in seconds.")
    max_pixels: int = Field(default=4096 * 2304, ge=1, description="Largest frame accepted, in pixels (width x height).")

    deadline_s: float = Field(default=60.0, gt=0, description="Longest a request waits for its answer once its clip is here, in seconds.")
    upload_deadline_s: float = Field(default=300.0, gt=0, description="Longest a clip may take to arrive, in seconds.")
    max_concurrent: int = Field(default_factory=_cores, ge=1, description="Clips read at the same time, each in a process of its own.")
    max_wait_s: float = Field(
        default=20.0, ge=0, description="Longest wait for a turn that is put up with, in seconds of work; above it a clip is answered 429."
    )
    max_queued: int = Field(default=64, ge=0, description="Clips that may wait for their turn, however short; one more is answered 429.")
    drain_s: float = Field(
        default=8.0, ge=0, description="How long clips that are here are still read once the service is told to stop, in seconds."
    )

    jobs: bool = Field(
        default=True, description="Take jobs; their clips and results lie on disk until their time is over. Off: /v1/predict only."
    )
    data_dir: Path = Field(
        default_factory=_state_home, description="Folder of jobs and results. Patients' clips lie in it: keep it private."
    )
    database_url: str | None = Field(
        default=None, description="postgresql://... where several processes share jobs and data folder. Unset: SQLite in the data folder."
    )
    node: str = Field(
        default="node-1",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="This process's name among those that share the jobs. Each its own.",
    )
    max_background: int = Field(default=1, ge=1, description="Clips of jobs read at the same time, beside those of /v1/predict.")
    job_keep_hours: float = Field(default=24.0, gt=0, description="How long a finished job's clip and result are kept, in hours.")
    record_keep_days: float = Field(
        default=90.0, gt=0, description="How long it is remembered which instances came from the PACS, without their pictures, in days."
    )
    max_job_seconds: float = Field(default=900.0, gt=0, description="Longest clip a job takes, in seconds.")
    site: Path | None = Field(default=None, description="The site's PACS file (TOML). Unset: nothing listens for DICOM.")

    ray_address: str | None = Field(
        default=None, description="Ray cluster of `seashore serve --ray`, HOST:PORT or auto. Unset: one of its own on this machine."
    )
    ray_readers: int = Field(
        default=4, ge=1, description="Most replicas that decode and pool clips on a Ray cluster, two clips and a CPU each."
    )
    ray_engines: int = Field(default=2, ge=1, description="Most replicas that hold the model on a Ray cluster.")
    ray_engine_cpus: float = Field(default=1.0, ge=0, description="CPUs of one such engine.")
    ray_engine_gpus: float = Field(default=0.0, ge=0, description="GPUs of one such engine; 0.5 puts two on a GPU, 0 all on CPUs.")

    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error.")

    def of_readers(self) -> dict[str, Any]:
        """What whoever reads clips must know, as JSON. Not the database's password, nor anything else of the deployment."""
        return self.model_dump(mode="json", include=READERS_FIELDS)
