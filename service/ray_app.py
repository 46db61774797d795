"""The service on a Ray cluster: readers on CPUs and engines on GPUs as Ray Serve deployments, each scaled by itself.

    seashore serve --ray             the API in this process, readers and engines on the cluster: no replica's death is seen by a caller
    serve deploy docs/ray-serve.yaml the API as a deployment as well: `build` makes the three of them

docs/ray.md says what each is for, and what is lost when.
"""

import logging
import math
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import ray
from ray import exceptions, serve
from ray.serve.exceptions import BackPressureError, ReplicaUnavailableError
from ray.serve.handle import DeploymentHandle, DeploymentResponse

from service.api.app import create_app
from service.engine.base import MAX_STREAMS, Share
from service.engine.precision import Precision
from service.errors import EngineFailed, Overloaded
from service.loading import load_model
from service.reading import Wanted
from service.remote.calls import answer_of
from service.remote.engine_desk import EngineDesk
from service.remote.reader import RemoteReader
from service.remote.reader_desk import CLIPS_A_READER, ReaderDesk
from service.settings import Settings

APPLICATION = "seashore"
READER, ENGINE, FRONT = "Reader", "Engine", "Front"

PAUSES_S = (0.0, 0.5)
"""Before the second and the third try. No more: a clip that kills whoever reads it must not kill all of them."""
LOOK_EVERY_S = 0.05
"""How often whoever waits looks whether the answer is still wanted."""
LOST = (
    exceptions.RayActorError,
    exceptions.WorkerCrashedError,
    exceptions.NodeDiedError,
    exceptions.LocalRayletDiedError,
    exceptions.ObjectLostError,
    ReplicaUnavailableError,
)
"""The replica or its machine died with the work. What it did changed nothing, so another may do it again."""

ASKS_AN_ENGINE = 64
"""Under way at one engine at most. Its batcher chooses among them, so there are more than it can do at once."""
BUSY_ENGINE_ASKS = 8
BUSY_READER_CLIPS = 1.5
"""Under way on average, from which on another replica is started."""

KNOCK_S = 5.0

log = logging.getLogger(__name__)


class HandleReplicas:
    """The replicas of a Ray Serve deployment."""

    def __init__(self, handle: DeploymentHandle) -> None:  # type: ignore[type-arg]
        self._handle = handle

    def call(self, method: str, *arguments: Any, wanted: Wanted) -> Any:
        """As `Replicas.call`."""
        for pause_s in (*PAUSES_S, None):
            response = getattr(self._handle, method).remote(*arguments)
            try:
                return answer_of(_result(response, wanted))
            except LOST as lost:
                log.warning("a replica of %s died: %s", self._handle.deployment_name, type(lost).__name__)
            except BackPressureError:
                raise Overloaded("The cluster has as many clips as it takes. Try again in 5 s.", retry_after_s=5) from None
            if pause_s is not None:
                time.sleep(pause_s)
        raise EngineFailed(f"Each of the {len(PAUSES_S) + 1} replicas that were given this work died.")


def _result(response: "DeploymentResponse[Any]", wanted: Wanted) -> Any:
    """Cancels what nobody waits for."""
    try:
        while True:
            wanted()
            try:
                return response.result(timeout_s=LOOK_EVERY_S)
            except TimeoutError:
                continue
    except LOST:
        raise
    except BaseException:
        response.cancel()  # type: ignore[no-untyped-call]
        raise


class EngineReplica(EngineDesk):
    def __init__(self, fields: dict[str, Any], cores: int) -> None:
        settings = Settings.model_validate(fields)
        share, precision = Share(cores, min(cores, MAX_STREAMS)), Precision(settings.precision)
        super().__init__(settings, partial(load_model, device=settings.device, precision=precision, share=share))
        self.warm_up()


class ReaderReplica(ReaderDesk):
    def __init__(self, fields: dict[str, Any], engines: DeploymentHandle) -> None:  # type: ignore[type-arg]
        super().__init__(Settings.model_validate(fields), HandleReplicas(engines))
        self.warm_up()


class FrontReplica:
    """The API as a deployment. Neither jobs nor PACS: what was acknowledged would lie on a machine that may go."""

    def __init__(self, fields: dict[str, Any], readers: DeploymentHandle) -> None:  # type: ignore[type-arg]
        self._settings = for_cluster(settings_of(fields | {"jobs": False, "site": None}))
        self._readers = HandleReplicas(readers)

    def __serve_build_asgi_app__(self) -> Any:
        return create_app(self._settings, RemoteReader(self._settings, self._readers))


def build(fields: dict[str, Any]) -> serve.Application:
    """All three, for `serve deploy`. `fields` are settings by their names in lower case, over those of the environment."""
    settings = settings_of(fields)
    front = serve.deployment(
        name=FRONT,
        num_replicas=2,
        max_ongoing_requests=for_cluster(settings).max_concurrent + settings.max_queued + 8,
        ray_actor_options={"num_cpus": 0.5},
        graceful_shutdown_timeout_s=settings.deadline_s,
    )(serve.ingress()(FrontReplica))
    return front.bind(fields, build_readers(settings))


def build_readers(settings: Settings) -> serve.Application:
    """Readers and engines, for a front outside the cluster."""
    fields = settings.of_replicas()
    engine = serve.deployment(
        name=ENGINE,
        max_ongoing_requests=ASKS_AN_ENGINE,
        autoscaling_config=_scaling(settings.ray_engines, BUSY_ENGINE_ASKS),
        ray_actor_options={"num_cpus": settings.ray_engine_cpus, "num_gpus": settings.ray_engine_gpus},
        **_care(settings),
    )(EngineReplica)
    reader = serve.deployment(
        name=READER,
        max_ongoing_requests=CLIPS_A_READER,
        autoscaling_config=_scaling(settings.ray_readers, BUSY_READER_CLIPS),
        ray_actor_options={"num_cpus": 1.0},
        **_care(settings),
    )(ReaderReplica)
    return reader.bind(fields, engine.bind(fields, max(1, int(settings.ray_engine_cpus))))


def for_cluster(settings: Settings) -> Settings:
    """As many clips at once as the cluster may have readers for."""
    return settings.model_copy(update={"max_concurrent": max(settings.max_concurrent, settings.ray_readers * CLIPS_A_READER)})


def settings_of(fields: dict[str, Any]) -> Settings:
    return Settings.model_validate(Settings().model_dump() | fields)


def _scaling(max_replicas: int, busy: float) -> dict[str, Any]:
    """Two at least, where there may be two: while one is started anew the other reads on."""
    return {"min_replicas": min(2, max_replicas), "max_replicas": max_replicas, "target_ongoing_requests": busy}


def _care(settings: Settings) -> dict[str, Any]:
    """Who is put away finishes first; who died is missed soon."""
    return {"graceful_shutdown_timeout_s": settings.deadline_s, "health_check_period_s": 5}


@contextmanager
def readers_on_ray(settings: Settings) -> Iterator[RemoteReader]:
    """Readers and engines on the cluster at `ray_address`, or on one of this machine's own that ends with it.

    `set_up_ray` comes before. Returns at once: `/readyz` says when they are there. A cluster that runs them already is used as it is.
    Raises: EngineFailed.
    """
    with tempfile.TemporaryDirectory(prefix="seashore-ray-") as folder:
        _join({"address": settings.ray_address} if settings.ray_address else _own_cluster(settings, folder))
        try:
            yield RemoteReader(settings, HandleReplicas(_readers(settings)))
        finally:
            ray.shutdown()


def _readers(settings: Settings) -> DeploymentHandle:  # type: ignore[type-arg]
    try:
        serve.start(proxy_location="Disabled")  # the API is here: nobody else listens for HTTP
    except exceptions.ActorAlreadyExistsError:
        log.info("another front has just started Ray Serve on this cluster")
    if APPLICATION not in serve.status().applications:
        target = serve.RunTarget(target=build_readers(settings), name=APPLICATION, route_prefix=None)
        serve.run_many([target], wait_for_applications_running=False)
    return serve.get_deployment_handle(READER, APPLICATION)


def _join(cluster: dict[str, Any]) -> None:
    try:
        _knock(cluster["address"])
        ray.init(**cluster, logging_level=logging.WARNING, log_to_driver=False, configure_logging=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise EngineFailed("The Ray cluster cannot be reached; SEASHORE_RAY_ADDRESS says where it is.", log_detail=repr(error)) from error


def _knock(address: str) -> None:
    """Raises OSError where nobody listens: Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), KNOCK_S).close()


def _own_cluster(settings: Settings, folder: str) -> dict[str, Any]:
    """As many logical CPUs as all replicas may ask for. Its logs, and clips that its shared memory cannot hold, lie in the folder."""
    return {
        "address": "local",
        "include_dashboard": False,
        "num_cpus": math.ceil(settings.ray_readers + settings.ray_engines * settings.ray_engine_cpus) + 1,
        "_node_ip_address": "127.0.0.1",
        "_temp_dir": f"{folder}/ray",  # which it opens to everybody; the folder around it is not
    }
