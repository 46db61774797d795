"""Clips fetched from the site's archive and handed to the inbox, as if they had been sent: `POST /pacs/analyse`.

Nothing is promised before it is done: who asked gets the jobs that are recorded by then, and a sentence for each clip that is not.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from service.disk import check_room, needing_room
from service.errors import ArchiveFailed, NoArchive, NoRoom, NoSuchClips, Overloaded
from service.pacs.incoming.identity import read_identity, received_of
from service.pacs.incoming.inbox import StoreRefused, hand_over
from service.pacs.incoming.intake import Intake
from service.pacs.outgoing.fetch import find
from service.pacs.outgoing.fetch_dimse import Moved, move
from service.pacs.outgoing.fetch_web import fetch_by_web
from service.pacs.outgoing.outcome import NodeFailed
from service.pacs.outgoing.remote import RemoteInstance, Wanted
from service.pacs.site import Archive, Node, Site, Web

AT_ONCE = 2
"""Studies fetched at the same time. An archive has patients of its own to serve."""
TIMEOUT_S = 30.0
"""Of every wait for the archive."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """`jobs`: what was taken on, also what was known already; `problems`: a sentence for each clip that was found and not taken on."""

    jobs: tuple[str, ...]
    problems: tuple[str, ...]


class Puller:
    """For several threads."""

    def __init__(self, site: Site, inbox: Intake) -> None:
        self._site = site
        self._inbox = inbox
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def pull(self, wanted: Wanted) -> Pulled:
        """Blocks until every clip is here.

        Raises: NoArchive, Overloaded, NoSuchClips; ArchiveFailed when not one could be had; NoRoom, LedgerUnavailable, BadBundle.
        """
        archive = self._site.archive
        if archive is None:
            raise NoArchive("The site file names no [archive] to fetch clips from.")
        with self._place():
            pulled = self._pull(archive, wanted)
        if not pulled.jobs:
            raise ArchiveFailed(" ".join(dict.fromkeys(pulled.problems)))
        return pulled

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise Overloaded(f"{AT_ONCE} studies are being fetched already. Ask again in a minute.", retry_after_s=60)
        try:
            yield
        finally:
            self._places.release()

    def _pull(self, archive: Archive, wanted: Wanted) -> Pulled:
        ae_title = self._site.receive.ae_title
        try:
            found = find(archive, wanted, ae_title=ae_title, timeout_s=TIMEOUT_S)
        except NodeFailed as failure:
            raise ArchiveFailed(f"{failure} {failure.advice}") from None
        if not found:
            raise NoSuchClips("The archive has no multi-frame ultrasound or Secondary Capture objects under these UIDs.")
        if archive.web is not None:
            return self._by_web(archive.web, found)
        assert archive.dicom is not None
        return self._by_dimse(archive.dicom, found, ae_title)

    def _by_web(self, web: Web, found: Sequence[RemoteInstance]) -> Pulled:
        jobs, problems = [], []
        with needing_room(), TemporaryDirectory(prefix="fetched-", dir=self._inbox.folder) as folder:
            for instance in found:
                try:
                    with needing_room():
                        jobs.append(self._fetch(web, instance, Path(folder)))
                except NoRoom as full:  # our disk, not the archive: the rest of the study has no room either
                    if not jobs:
                        raise
                    problems.append(str(full))
                    break
                except NodeFailed as failure:
                    problems.append(f"{failure} {failure.advice}")
                except (StoreRefused, OSError) as error:
                    problems.append(str(error) if isinstance(error, StoreRefused) else "The disk could not be written to.")
        return Pulled(tuple(jobs), tuple(problems))

    def _fetch(self, web: Web, instance: RemoteInstance, folder: Path) -> str:
        """Its job. Raises: NodeFailed, StoreRefused, NoRoom, OSError."""
        receive = self._site.receive
        check_room(folder, min_free_bytes=receive.min_free_bytes)
        path = fetch_by_web(web, instance, folder, timeout_s=TIMEOUT_S, max_bytes=receive.max_instance_bytes)
        received = received_of(path, read_identity(path), calling_ae_title="", size_bytes=path.stat().st_size)
        hand_over(self._inbox, received)
        return self._inbox.job_of(instance.instance)

    def _by_dimse(self, node: Node, found: Sequence[RemoteInstance], ae_title: str) -> Pulled:
        """They come to our listener; when the archive says that one is sent, the listener has acknowledged it, or it never came."""
        moved: list[Moved] = []
        problems = []
        try:
            move(node, found, ae_title=ae_title, timeout_s=TIMEOUT_S, on_progress=moved.append)
        except NodeFailed as failure:
            problems.append(f"{failure} {failure.advice}")
        classes = {instance.instance: instance.sop_class_uid for instance in found}
        came = [one.instance for one in moved if self._inbox.holds(classes[one.instance], one.instance)]
        problems += [one.sentence or _lost(node, ae_title) for one in moved if one.instance not in came]
        return Pulled(tuple(self._inbox.job_of(instance) for instance in came), tuple(problems))


def _lost(node: Node, ae_title: str) -> str:
    advice = f"{node.ae_title} must be in calling_ae_titles, and know {ae_title} by this machine's address and port."
    return f"{node.ae_title} says that it sent a clip, and it did not come. {advice}"
