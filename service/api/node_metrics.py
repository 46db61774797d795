"""This node as Prometheus sees it: queue, device, processes, jobs, disk, keys. What hangs is left out of the answer, and hangs nobody."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from service import __version__
from service.access.door import Door
from service.access.keys import now
from service.api.health import Health
from service.api.job_counts import JobCounts
from service.api.node_desk import Disk, NodeDesk
from service.api.queue import ReadingQueue
from service.engine.hardware import Hardware
from service.errors import BadKeys
from service.standing import BatchCount, ModelStanding, ProcessesStanding, ReaderStanding

WITHIN_S = 0.2
"""How long a scrape waits for the parts; those not seen by then are told as they were the last time."""
FILL_BUCKETS = (0.125, 0.25, 0.5, 0.75, 1.0)


class NodeMetrics(Collector):
    def __init__(self, desk: NodeDesk, queue: ReadingQueue, health: Health, door: Door) -> None:
        self._desk = desk
        self._queue = queue
        self._health = health
        self._door = door

    def describe(self) -> list[Metric]:
        """Nothing: else the node would be looked at before it has started."""
        return []

    def collect(self) -> Iterator[Metric]:
        seen = self._desk.seen_soon(WITHIN_S)
        yield _gauge("seashore_build_info", "1; the label says which version this is.", 1, version=__version__)
        yield _gauge("seashore_ready", "Whether /readyz says 200.", self._health.unready() is None)
        yield _gauge(
            "seashore_event_loop_lag_seconds", "How much later than it should the event loop comes round.", self._health.loop_lag_s
        )
        yield from self._of_queue()
        yield from _of_reader(seen["models"])
        yield from _of_device(seen["device"])
        yield from _of_jobs(seen.get("jobs"))
        yield from _of_disk(seen.get("disk"))
        yield from self._of_keys()

    def _of_queue(self) -> Iterator[Metric]:
        queue = self._queue.standing()
        yield _gauge("seashore_queue_seconds", "Seconds of work before a clip that comes now.", queue.wait_s)
        yield _gauge("seashore_queue_limit_seconds", "Above so many seconds of work clips are answered 429.", queue.max_wait_s)
        states = {"reading": queue.reading, "waiting": queue.waiting}
        yield _gauges("seashore_queue_clips", "Clips of /v1/predict, by state.", "state", states)
        longest = "How long the clip that was begun first has been read; 0 where none is."
        yield _gauge("seashore_longest_reading_seconds", longest, queue.longest_read_s)

    def _of_keys(self) -> Iterator[Metric]:
        with suppress(BadKeys):
            ends = self._door.next_end()
            if ends is not None:
                yield _gauge(
                    "seashore_key_expiry_seconds", "Until the next key ends; absent where none does.", (ends - now()).total_seconds()
                )


def _of_reader(standing: ReaderStanding | None) -> Iterator[Metric]:
    if standing is None:
        return
    info = GaugeMetricFamily("seashore_model_info", "1 for each model that is loaded.", labels=["model", "version", "device", "precision"])
    for model in standing.models:
        if model.device:
            info.add_metric([model.name, model.version, model.device, model.precision], 1)
    yield info
    yield from _of_batches(standing.models)
    if standing.processes is not None:
        yield from _of_processes(standing.processes)


def _of_batches(models: Iterable[ModelStanding]) -> Iterator[Metric]:
    labels = ["model", "version", "task"]
    backlog = GaugeMetricFamily("seashore_device_backlog_seconds", "Work that waits for the device.", labels=labels[:2])
    stuck = GaugeMetricFamily("seashore_longest_batch_seconds", "How long the device has been at its oldest batch.", labels=labels[:2])
    busy = CounterMetricFamily("seashore_device_busy_seconds", "The device's time for patches.", labels=labels)
    fill = HistogramMetricFamily("seashore_batch_fill_ratio", "Patches of a batch over the most that one holds.", labels=labels)
    patches = CounterMetricFamily("seashore_patches", "Patches that the device has answered.", labels=labels)
    for model in (model for model in models if model.work is not None):
        assert model.work is not None
        of_model = [model.name, model.version]
        backlog.add_metric(of_model, model.work.backlog_s)
        stuck.add_metric(of_model, model.work.longest_batch_s)
        for task in sorted({batch.task for batch in model.work.batches}):
            batches = [batch for batch in model.work.batches if batch.task == task]
            busy.add_metric([*of_model, task], sum(batch.device_s for batch in batches))
            patches.add_metric([*of_model, task], sum(batch.count * batch.patches for batch in batches))
            fill.add_metric([*of_model, task], *_filled(batches))
    yield from (backlog, stuck, busy, patches, fill)


def _filled(batches: list[BatchCount]) -> tuple[list[tuple[str, float]], float]:
    """Cumulative counts by bucket, and the sum, as a histogram is told."""
    shares = [(batch.patches / batch.largest, batch.count) for batch in batches]
    buckets = [(str(edge), float(sum(count for share, count in shares if share <= edge))) for edge in (*FILL_BUCKETS, float("inf"))]
    return [(edge.replace("inf", "+Inf"), count) for edge, count in buckets], sum(share * count for share, count in shares)


def _of_processes(processes: ProcessesStanding) -> Iterator[Metric]:
    states = {"most": processes.size, "started": processes.started, "alive": processes.alive, "busy": processes.busy}
    yield _gauges("seashore_reader_processes", "Processes that read clips: at most, started, alive, busy.", "state", states)
    lost = "Processes that read clips and died, or had to be ended."
    yield CounterMetricFamily("seashore_reader_processes_lost", lost, value=processes.lost)


def _of_device(hardware: Hardware | None) -> Iterator[Metric]:
    if hardware is not None and hardware.memory is not None:
        family = GaugeMetricFamily("seashore_device_memory_bytes", "Memory of what the default model runs on.", labels=["device", "kind"])
        family.add_metric([hardware.name, "total"], hardware.memory.num_bytes)
        if hardware.memory.free_bytes is not None:
            family.add_metric([hardware.name, "free"], hardware.memory.free_bytes)
        yield family


def _of_jobs(jobs: JobCounts | None) -> Iterator[Metric]:
    if jobs is None:
        return
    stages = ("waiting", "reading", "read", "refused", "failed")
    yield _gauges("seashore_jobs", "Jobs of the API on record, by stage.", "stage", {stage: getattr(jobs, stage) for stage in stages})
    yield _gauge("seashore_oldest_job_waiting_seconds", "How long the oldest waiting job has waited.", jobs.oldest_waiting_s)


def _of_disk(disk: Disk | None) -> Iterator[Metric]:
    if disk is not None:
        yield _gauges("seashore_disk_bytes", "Of the data folder's disk.", "kind", {"free": disk.free_bytes, "total": disk.total_bytes})


def _gauge(name: str, words: str, value: float, **labels: str) -> Metric:
    family = GaugeMetricFamily(name, words, labels=[*labels])
    family.add_metric([*labels.values()], float(value))
    return family


def _gauges(name: str, words: str, label: str, values: dict[str, Any]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
