"""Results out to one destination, by whichever way the site file names. Destinations share nothing: a dead one delays no other."""

from collections.abc import Sequence
from pathlib import Path

from service.pacs.outgoing.outcome import Delivered, Outcome
from service.pacs.outgoing.store_scu import store
from service.pacs.outgoing.stow_client import stow
from service.pacs.site import Destination


def send(paths: Sequence[Path], destination: Destination, *, ae_title: str) -> Outcome:
    """Offer Part 10 files once. `ae_title` is ours. Blocks; each wait of it is at most `destination.timeout_s`."""
    if not paths:
        return Delivered(())
    if destination.dicom is not None:
        return store(paths, destination.dicom, ae_title=ae_title, timeout_s=destination.timeout_s)
    assert destination.web is not None
    return stow(paths, destination.web, timeout_s=destination.timeout_s)
