"""Is this machine well? The models and their device, the cage that clips are read in, the disk, the ledger."""

import os
import shutil
import time
from pathlib import Path
from tempfile import TemporaryFile

from service.bundle_files import GOLDEN_CLIP
from service.errors import BadOption, LedgerUnavailable, RequestError, SeashoreError
from service.findings import Analysis
from service.jobs.ledger import Ledger, ledger_url, require_sound
from service.options import parse_signs
from service.pacs.desk.echo import Check
from service.pipeline import Options
from service.reader import Reader, open_timed
from service.readers.process import ReaderLost, ReaderProcess
from service.settings import Settings
from service.shelf import OPERATORS_HINT
from service.sign_shelf import refuse_untold
from service.telemetry import describe_bug

TRIAL_BYTES = 4 * 2**20
SLOW_DISK_S = 2.0
"""For TRIAL_BYTES with fsync: every instance waits for that before it is acknowledged. Disks of this decade take some 20 ms."""
GIB = 2**30


def check_settings(settings: Settings) -> Check:
    """Of those that contradict each other; a value that is wrong by itself has stopped the command before."""
    if settings.site is not None and not settings.jobs:
        advice = "Set SEASHORE_JOBS to true, or unset SEASHORE_SITE."
        return Check("settings", False, "SEASHORE_SITE is set, but SEASHORE_JOBS is off: nothing listens for DICOM.", advice)
    return Check("settings", True, "They can be read, and fit together.")


def check_model(settings: Settings, reader: Reader) -> Check:
    """Loads it, which has its golden clip checked, and reads that clip once more for the time it takes."""
    try:
        entry = reader.find(None)
        reader.load(entry)
        clip, decode_ms = open_timed(reader, settings.model_store / entry.name / entry.version / GOLDEN_CLIP)
        analysis, _ = reader.read(clip, entry, Options(), decode_ms=decode_ms)
    except (RequestError, OSError):
        return Check("model", False, "Its golden clip cannot be read.", "Copy the bundle into the model store once more.")
    except SeashoreError as error:
        return Check("model", False, str(error), error.log_detail or OPERATORS_HINT)
    return Check("model", True, f"{entry} answers its golden clip as it must, on {analysis.model.device}; {_pace(analysis)}.")


def check_signs(asked: str, reader: Reader) -> Check:
    """`asked`: the site file's `signs`. Loads their models."""
    reader.load_signs()
    try:
        refuse_untold(parse_signs(asked), offered := reader.signs())
    except BadOption as error:
        advice = "Lay the model of these signs into model_store/signs, or change `signs` in the site file. Sliding is read all the same."
        return Check("signs", False, str(error), advice)
    known = ", ".join(f"{entry.name} {entry.version} ({', '.join(entry.signs)})" for entry in offered)
    return Check("signs", True, f"Asked for are: {asked}. {f'There is {known}.' if known else 'There is no model for any.'}")


def _pace(analysis: Analysis) -> str:
    return f"{analysis.clip.duration_s:.1f} s of clip took {analysis.timings.total_ms / 1000:.1f} s"


def check_cage(settings: Settings) -> Check:
    """Starts one process that reads clips, as the service does, and asks it what its cage leaves open."""
    name = "cage"
    try:
        process = ReaderProcess.started(settings.of_readers())
    except (ReaderLost, OSError) as error:
        advice = f"Please report it: {describe_bug(error)}"
        return Check(name, False, "A process that reads clips could not be started.", advice)
    process.end()
    if process.gaps:
        advice = "Linux 5.13 or newer with Landlock, and libseccomp (Debian: libseccomp2), make it whole."
        return Check(name, False, " ".join(["The processes that read clips are not caged:", *process.gaps]), advice)
    return Check(name, True, "Clips are read without network, other files, or privileges, and with limits on memory and time.")


def check_data_folder(folder: Path, min_free_bytes: int) -> Check:
    """Whether a file can be written there and brought onto the disk, and what space is left."""
    name = "data folder"
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    try:
        took_s = _write_trial(there)
        free = shutil.disk_usage(there).free
    except OSError as error:
        advice = "Let the user that Seashore runs as write to it, or set SEASHORE_DATA_DIR to another folder."
        return Check(name, False, f"It cannot be written to: {os.strerror(error.errno or 0)}.", advice)
    if free < min_free_bytes:
        found = (
            f"Only {free / GIB:.1f} GiB are free; with less than min_free_bytes, {min_free_bytes / GIB:.1f} GiB, nothing is taken (A700)."
        )
        return Check(name, False, found, "Make room, or set SEASHORE_DATA_DIR to a larger disk.")
    if took_s > SLOW_DISK_S:
        found = f"Writing {TRIAL_BYTES // 2**20} MiB for good took {took_s:.1f} s; senders wait that long for every clip."
        return Check(name, False, found, "Use a local disk, not a network folder that is this slow.")
    missing = "" if there == folder else "It does not exist yet, and can be made. "
    return Check(
        name, True, f"{missing}{TRIAL_BYTES // 2**20} MiB are on the disk in {took_s * 1000:.0f} ms; {free / GIB:.0f} GiB are free."
    )


def _write_trial(folder: Path) -> float:
    """Seconds that TRIAL_BYTES take. The file has no name, and is gone afterwards whatever happens. Raises: OSError."""
    start_s = time.monotonic()
    with TemporaryFile(dir=folder) as file:
        file.write(os.urandom(TRIAL_BYTES))
        file.flush()
        os.fsync(file.fileno())
    return time.monotonic() - start_s


def check_ledger(database_url: str | None, data_dir: Path) -> Check:
    """PostgreSQL where one is set, else the SQLite file."""
    if database_url is not None:
        return _asked("PostgreSQL", Ledger(database_url))
    what, path = "SQLite in the data folder", data_dir / "ledger.sqlite"
    if not path.exists():
        return Check("ledger", True, f"{what}: there is none yet; the service makes it when it starts.")
    if not os.access(path, os.R_OK | os.W_OK):
        return Check(
            "ledger", False, f"{what}: this user may not write it.", "Run as the user that Seashore runs as, or give it the right."
        )
    if not _is_sound(path):
        advice = (
            "Stop the service and copy it from the backup. Without one, put it aside in the data folder (mv ledger.sqlite "
            "ledger.sqlite.$(date +%F), and the same with -wal and -shm where they are): the next start begins a new one. Clips from the "
            "PACS lie under jobs/ and are taken up again by themselves; jobs of the API must be handed in again."
        )
        return Check("ledger", False, f"{what}: the file is damaged, or is no SQLite database.", advice)
    return _asked(what, Ledger(ledger_url(None, data_dir)))


def _is_sound(path: Path) -> bool:
    """As the service finds it when it starts."""
    try:
        require_sound(ledger_url(None, path.parent))
    except LedgerUnavailable:
        return False
    return True


def _asked(what: str, ledger: Ledger) -> Check:
    try:
        ledger.list(limit=1)
    except LedgerUnavailable as error:
        if error.log_detail == "ProgrammingError":
            return Check("ledger", True, f"{what} can be reached; its tables are made when the service starts.")
        advice = "Check SEASHORE_DATABASE_URL, that the server runs, and that its user may connect from here."
        return Check("ledger", False, f"{what} cannot be read.", advice)
    finally:
        ledger.close()
    return Check("ledger", True, f"{what} can be read.")
