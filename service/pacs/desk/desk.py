"""The administrator's desk: what `seashore pacs` asks of one deployment, whether or not its service runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.errors import BadSite, LedgerUnavailable
from service.jobs.ledger import Ledger, ledger_url
from service.pacs.audit import AuditTrail
from service.pacs.desk.again import again, again_all, named
from service.pacs.desk.audit_reading import parse_since, read_trail
from service.pacs.desk.echo import Check
from service.pacs.desk.overview import Overview, Watch
from service.pacs.desk.round_trip import round_trip
from service.pacs.site import Site
from service.pacs.site_file import load_site
from service.pacs.site_meaning import sentences
from service.reader import Reader
from service.settings import Settings

NO_LEDGER = (
    "Nothing was ever taken on here: there is no ledger in the data folder. "
    "SEASHORE_DATA_DIR or SEASHORE_DATABASE_URL must be set as they are for the service."
)


@dataclass(frozen=True, slots=True)
class Desk:
    """Every method raises: LedgerUnavailable."""

    ledger: Ledger
    audit: AuditTrail
    destinations: tuple[str, ...]

    def overview(self) -> Overview:
        return Watch(self.ledger, self.destinations).overview()

    def again(self, id: str | None, waiting: str | None) -> list[str]:
        """What was done, a sentence each: to what has this id, to all that waits for a destination, or else to all that is dead.

        Raises: UnknownJob.
        """
        found = self.overview()
        chosen = again_all(found, waiting) if id is None else [named(found, id)]
        return [again(self.ledger, self.audit, what) for what in chosen]


@contextmanager
def open_desk(settings: Settings) -> Iterator[Desk]:
    """Raises: LedgerUnavailable."""
    if settings.database_url is None and not (settings.data_dir / "ledger.sqlite").exists():
        raise LedgerUnavailable(NO_LEDGER)
    ledger, site = Ledger(ledger_url(settings.database_url, settings.data_dir)), _site_of(settings)
    names = () if site is None else tuple(destination.name for destination in site.destination)
    try:
        yield Desk(ledger, AuditTrail(settings.data_dir / "audit", settings.node), names)
    finally:
        ledger.close()


def _site_of(settings: Settings) -> Site | None:
    """None where there is none, or it is wrong: what is in the ledger can be shown all the same."""
    try:
        return None if settings.site is None else load_site(settings.site)
    except BadSite:
        return None


def meaning(path: Path) -> list[str]:
    """Of a site file. Raises: BadSite."""
    return sentences(load_site(path))


def trail(settings: Settings, since: str | None, job: str) -> list[dict[str, Any]]:
    """Raises: BadOption."""
    begin = None if since is None else parse_since(since, datetime.now(UTC))
    return read_trail(settings.data_dir / "audit", begin, job)


def try_round_trip(settings: Settings, reader: Reader, within_s: float, tell: Callable[[Check], Check]) -> list[Check]:
    """Each check is told as soon as it is known."""
    site = _site_of(settings)
    if site is None:
        advice = "Set SEASHORE_SITE; `seashore pacs check` says what is wrong in the file."
        return [tell(Check("test clip", False, "There is no round trip without a valid site file.", advice))]
    return [tell(check) for check in round_trip(settings, site, reader, within_s)]
