"""What `seashore doctor` looks at, one thing after the other: this machine first, then everybody in the site file.

Nothing waits longer than its limit, and one thing that hangs holds up none of the others.
"""

import threading
from collections.abc import Callable, Iterator
from functools import partial

from service.errors import BadSite
from service.pacs.desk.doctor_here import check_cage, check_data_folder, check_ledger, check_model, check_settings, check_signs
from service.pacs.desk.doctor_network import check_archive, check_destination, check_listener, check_senders, check_service
from service.pacs.desk.echo import Check
from service.pacs.site import Site
from service.pacs.site_file import load_site
from service.reader import Reader
from service.settings import Settings
from service.telemetry import describe_bug

MODEL_LIMIT_S = 120.0
"""Loading a large model onto a cold GPU took 20 s."""
LIMIT_S = 30.0

Look = Callable[[], list[Check]]


def examine(settings: Settings, reader: Reader) -> Iterator[Check]:
    """Each as soon as it is known."""
    site, site_checks = _site(settings)
    yield from within("settings", LIMIT_S, lambda: [check_settings(settings)])
    yield from within("model", MODEL_LIMIT_S, lambda: [check_model(settings, reader)])
    yield from within("signs", MODEL_LIMIT_S, lambda: [check_signs(site.signs, reader)])
    yield from within("cage", MODEL_LIMIT_S, lambda: [check_cage(settings)])
    yield from within("data folder", LIMIT_S, lambda: [check_data_folder(settings.data_dir, site.receive.min_free_bytes)])
    yield from within("ledger", LIMIT_S, lambda: [check_ledger(settings.database_url, settings.data_dir)])
    yield from within("service", LIMIT_S, lambda: [check_service(settings.host, settings.port)])
    yield from site_checks
    if all(check.ok for check in site_checks) and settings.site is not None:
        yield from _network(site)


def within(name: str, limit_s: float, look: Look) -> list[Check]:
    """What `look` finds; a failed check when it is not through in time. The thread it hangs in ends with the process."""
    found: list[Check] = []
    thread = threading.Thread(target=lambda: found.extend(_looked(name, look)), name=f"doctor-{name}", daemon=True)
    thread.start()
    thread.join(limit_s)
    if thread.is_alive():
        return [
            Check(name, False, f"This took more than {limit_s:g} s and was given up.", "Something hangs: a disk, a device or a network.")
        ]
    return found


def _looked(name: str, look: Look) -> list[Check]:
    try:
        return look()
    except Exception as bug:  # whatever it is, the others are looked at; its text may hold a path
        return [Check(name, False, "This could not be looked at: a fault of Seashore's own.", f"Please report it: {describe_bug(bug)}")]


def _site(settings: Settings) -> tuple[Site, list[Check]]:
    if settings.site is None:
        said = "None is set (SEASHORE_SITE): nothing listens for DICOM, and nothing is sent. docs/pacs.toml is one to start from."
        return Site(), [Check("site file", True, said)]
    try:
        site = load_site(settings.site)
    except BadSite as error:
        advice = "Mend it; `seashore pacs check` reads it again."
        return Site(), [Check("site file", False, line, advice) for line in str(error).splitlines()]
    return site, [Check("site file", True, f"It is valid, with {_counted(site)}.")]


def _counted(site: Site) -> str:
    number = len(site.destination)
    return "one destination" if number == 1 else f"{number or 'no'} destinations"


def _network(site: Site) -> Iterator[Check]:
    yield from within("listener", LIMIT_S, lambda: [check_listener(site.receive)])
    yield check_senders(site.receive)
    for destination in site.destination:
        yield from within(f"destination '{destination.name}'", LIMIT_S, partial(check_destination, destination, site.receive.ae_title))
    archive = site.archive
    if archive is not None:
        yield from within("archive", LIMIT_S, lambda: check_archive(archive, site.receive.ae_title))
