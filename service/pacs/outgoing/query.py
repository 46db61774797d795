"""Whether another node holds one object: asked by QIDO-RS, or by C-FIND at the image level (PS3.4 C.4.1)."""

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

from service.pacs.outgoing import web_session
from service.pacs.outgoing.dimse import associate, name_of
from service.pacs.outgoing.outcome import NodeFailed
from service.pacs.outgoing.web_session import checked, json_of, open_session
from service.pacs.site import Destination, Node, Web

PENDING = (0xFF00, 0xFF01)
SOP_INSTANCE_UID = "00080018"


def holds(destination: Destination, study: str, series: str, instance: str, *, ae_title: str, timeout_s: float) -> bool:
    """Raises: NodeFailed where it cannot be asked."""
    if destination.web is not None:
        return _holds_by_web(destination.web, study, series, instance, timeout_s)
    assert destination.dicom is not None
    return _holds_by_dimse(destination.dicom, study, series, instance, ae_title, timeout_s)


def _holds_by_web(web: Web, study: str, series: str, instance: str, timeout_s: float) -> bool:
    with open_session(web) as session:
        url = f"{web.url.rstrip('/')}/studies/{study}/series/{series}/instances"
        wanted, headers = {"SOPInstanceUID": instance}, {"Accept": "application/dicom+json"}
        answer = session.get(url, params=wanted, headers=headers, timeout=timeout_s, stream=True)
        if answer.status_code in (204, 404):  # some services answer so for a series that they do not know yet
            answer.close()
            return False
        found = json_of(web, checked(web, answer), timeout_s)
    try:
        return any(one[SOP_INSTANCE_UID]["Value"] == [instance] for one in found)
    except (KeyError, TypeError):
        raise web_session.not_dicomweb(web) from None


def _holds_by_dimse(node: Node, study: str, series: str, instance: str, ae_title: str, timeout_s: float) -> bool:
    asked = Dataset()
    asked.QueryRetrieveLevel = "IMAGE"
    asked.StudyInstanceUID, asked.SeriesInstanceUID, asked.SOPInstanceUID = study, series, instance
    contexts, is_found = [build_context(StudyRootQueryRetrieveInformationModelFind)], False
    with associate(node, contexts, ae_title=ae_title, timeout_s=timeout_s) as line:
        for status, answer in line.association.send_c_find(asked, StudyRootQueryRetrieveInformationModelFind):
            if "Status" not in status:
                raise line.lost()
            if status.Status in PENDING:
                is_found = is_found or (answer is not None and answer.get("SOPInstanceUID") == instance)
            elif status.Status != 0:
                advice = "Allow Seashore to query it; its log should say why."
                raise NodeFailed(f"{name_of(node)} did not answer the query (C-FIND, {int(status.Status):04X}).", advice)
    return is_found
