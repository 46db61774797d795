"""What belongs to the deployment: `SEASHORE_*` in the environment, read once by whoever starts the service.

What belongs to a model is in its bundle, never here.
"""

import os
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator
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
READERS_FIELDS = {"model_store", "default_model", "device", "precision", "max_seconds", "max_pixels", "max_job_seconds"} | {
    "cage_memory_mb",
    "cage_cpu_s",
}


class Settings(BaseSettings):
    """Every setting of the service, with defaults that are safe in a hospital. Nothing is read until one is built."""

    model_config = SettingsConfigDict(env_prefix="SEASHORE_", env_ignore_empty=True, frozen=True, extra="ignore")

    host: str = Field(default="127.0.0.1", description="Address to listen on. Only this machine can reach the default.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")

    tls_certificate: Path | None = Field(default=None, description="PEM file with the certificate and its chain. Unset: plain HTTP.")
    tls_key: Path | None = Field(default=None, description="PEM file with its private key, where that is not in the same file.")
    keys_file: Path | None = Field(default=None, description="File of `seashore keys`. Unset: keys.json in the data folder.")
    oidc_issuer: str | None = Field(
        default=None,
        pattern=r"^https://|^http://(localhost|127\.0\.0\.1)[:/]",
        description="Issuer of the hospital's sign-on (OpenID Connect), whose tokens are taken too.",
    )
    oidc_audience: str | None = Field(default=None, description="What its tokens must be meant for. Needed with the issuer.")
    allow_keyless: bool = Field(
        default=False, description="Listen on more than loopback though nobody needs a key: whoever reaches the service can use it."
    )
    allow_plaintext: bool = Field(
        default=False, description="Listen on more than loopback without TLS: right where a proxy in front ends it, and nowhere else."
    )
    max_clips_a_minute: int = Field(default=600, ge=1, description="Most clips that one owner of keys sends in a minute.")
    max_uploads: int = Field(default=32, ge=1, description="Clips of one owner of keys under way at the same time.")

    model_store: Path = Field(default_factory=_shipped_model_store, description="Folder of bundles, <name>/<version>/.")
    default_model: str | None = Field(
        default=None, description="NAME or NAME:VERSION read when a request names none. Unset: the store's only model."
    )
    trusted_keys: Path | None = Field(
        default=None, description="PEM file of public keys (Ed25519); only bundles that one of them has signed are served. Unset: all are."
    )
    device: str = Field(default="auto", description="Where patches are classified: auto, cpu, cuda, cuda:0, tensorrt, ...")
    precision: str = Field(
        default="float32",
        pattern="^(float32|tf32|float16)$",
        description="What a GPU may multiply in: float32, tf32, or float16 (TensorRT only). Where answers would change, float32 is used.",
    )

    engine_stuck_s: float = Field(
        default=30.0,
        gt=0,
        description="A batch that the device has not given back for so long is stuck, and the engine is opened again, in seconds.",
    )
    engine_tries: int = Field(
        default=5, ge=1, description="How often an engine that was lost is opened again before the process ends itself with status 70."
    )

    max_connections: int = Field(default=512, ge=1, description="Most connections at the same time; one more is closed.")
    max_head_bytes: int = Field(default=32768, ge=1024, description="Most bytes of a request's head: its address and headers.")
    head_deadline_s: float = Field(default=20.0, gt=0, description="Longest a request's head may take to arrive, in seconds.")

    max_upload_bytes: int = Field(default=256 * 1024 * 1024, ge=1, description="Largest clip accepted, in bytes.")
    max_seconds: float = Field(default=120.0, gt=0, description="Longest clip answered at once, in seconds.")
    max_pixels: int = Field(default=4096 * 2304, ge=1, description="Largest frame accepted, in pixels (width x height).")

    cage: str = Field(
        default="best",
        pattern="^(best|require)$",
        description="Cage of the processes that read clips. best: what this machine can, and a warning; require: all, or no service.",
    )
    cage_memory_mb: int = Field(default=4096, ge=512, description="Most memory a process that reads clips may take, in MiB.")
    cage_cpu_s: int = Field(default=3600, ge=1, description="Most computing time one clip may take, in seconds.")

    deadline_s: float = Field(default=60.0, gt=0, description="Longest a request waits for its answer once its clip is here, in seconds.")
    upload_deadline_s: float = Field(default=300.0, gt=0, description="Longest a clip may take to arrive, in seconds.")
    max_concurrent: int = Field(default_factory=_cores, ge=1, description="Clips read at the same time, each in a process of its own.")
    max_wait_s: float = Field(
        default=20.0,
        ge=0,
        description="Longest wait for a turn that is put up with, in seconds of work; above it a clip is answered 429. Where somebody has "
        "waited for 30 s on end, 6 s at most.",
    )
    max_queued: int = Field(default=64, ge=0, description="Clips that may wait for their turn, however short; one more is answered 429.")
    drain_s: float = Field(
        default=8.0, ge=0, description="How long clips that are here are still read once the service is told to stop, in seconds."
    )

    jobs: bool = Field(
        default=True, description="Take jobs; their clips and results lie on disk until their time is over. Off: /v1/predict only."
    )
    min_free_bytes: int = Field(
        default=2**30, ge=0, description="Bytes free on the disk below which no clip is taken; what is under way goes on."
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
    max_frames_bytes: int = Field(
        default=4 * 1024**3,
        ge=0,
        description="Most bytes that frames drawn for the viewer take on disk; above it those looked at longest ago are forgotten.",
    )
    keep_feedback_clips: bool = Field(
        default=False, description="Keep the clip of a job that a clinician gave an opinion on, until the job is deleted by its address."
    )
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
    log_format: str = Field(default="text", pattern="^(text|json)$", description="text, or json: an object a line.")

    @model_validator(mode="after")
    def _check_access(self) -> Self:
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError("SEASHORE_OIDC_ISSUER and SEASHORE_OIDC_AUDIENCE go together")
        if self.tls_key is not None and self.tls_certificate is None:
            raise ValueError("SEASHORE_TLS_KEY needs SEASHORE_TLS_CERTIFICATE")
        return self

    def of_readers(self) -> dict[str, Any]:
        """What whoever reads clips must know, as JSON. Not the database's password, nor anything else of the deployment."""
        return self.model_dump(mode="json", include=READERS_FIELDS)

    def of_replicas(self) -> dict[str, Any]:
        """The same for the replicas of a cluster, which open bundles and cage their readers by themselves."""
        return self.model_dump(mode="json", include=READERS_FIELDS | {"trusted_keys", "cage"})
