"""Clips in from the archive that the site file names, by whichever way it names.

By DICOMweb they come as files; by C-MOVE the archive sends them to our listener, where they are taken like any others.
"""

from service.pacs.outgoing.fetch_dimse import find_by_dimse
from service.pacs.outgoing.fetch_web import find_by_web
from service.pacs.outgoing.remote import RemoteInstance, Wanted
from service.pacs.site import Archive


def find(archive: Archive, wanted: Wanted, *, ae_title: str, timeout_s: float) -> tuple[RemoteInstance, ...]:
    """The instances that can be clips; none where the archive holds nothing of the kind. Raises: NodeFailed."""
    if archive.web is not None:
        return find_by_web(archive.web, wanted, timeout_s=timeout_s)
    assert archive.dicom is not None
    return find_by_dimse(archive.dicom, wanted, ae_title=ae_title, timeout_s=timeout_s)
