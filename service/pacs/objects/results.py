"""All results of one analysis, as Part 10 files ready to send."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from service.findings import Analysis
from service.jobs.folder import write_whole
from service.pacs.objects.encapsulated_pdf import encapsulated_pdf
from service.pacs.objects.heading import save
from service.pacs.objects.sc import Draw, write_annotated_clip
from service.pacs.objects.source import read_source
from service.pacs.objects.sr import structured_report
from service.pacs.site import ResultKind


def write_results(
    source_path: Path,
    draw: Draw,
    analysis: Analysis,
    kinds: Collection[ResultKind],
    folder: Path,
    *,
    report_pdf: Callable[[], bytes],
    show_outside_region: bool = False,
    written_at: datetime | None = None,
) -> dict[ResultKind, Path]:
    """Write these kinds of results into `folder`, each whole or not at all; what is there from before is replaced.

    The same clip and model give the same UIDs, and with the same `written_at` the same objects. `report_pdf` is asked only for a PDF.
    Raises: RequestError when the source can no longer be read.
    """
    source, when = read_source(source_path), written_at or datetime.now(UTC)

    def _fill(kind: ResultKind, part: Path) -> None:
        if kind is ResultKind.SC:
            write_annotated_clip(part, source, draw, analysis, when, show_outside_region=show_outside_region)
        elif kind is ResultKind.SR:
            save(structured_report(source, analysis, when), part)
        else:
            save(encapsulated_pdf(source, analysis, report_pdf(), when), part)

    paths = {kind: folder / f"{kind.value}.dcm" for kind in ResultKind if kind in kinds}
    for kind, path in paths.items():
        write_whole(path, partial(_fill, kind))
    return paths
