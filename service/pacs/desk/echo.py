"""Whether another node can be reached and would serve us: what `seashore doctor` asks, in plain words. Nothing is stored by it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from service.pacs.outgoing import web_session
from service.pacs.outgoing.dimse import associate, name_of
from service.pacs.outgoing.outcome import NodeFailed
from service.pacs.outgoing.web_session import checked, json_of, open_session
from service.pacs.site import Node, Web


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `advice` says what to do where it is not well; "" where it is."""

    name: str
    ok: bool
    sentence: str
    advice: str = ""

    @classmethod
    def failed(cls, name: str, failure: NodeFailed) -> "Check":
        return cls(name, False, str(failure), failure.advice)


def check_echo(name: str, node: Node, *, ae_title: str, timeout_s: float) -> Check:
    """C-ECHO (PS3.4 A)."""
    try:
        with associate(node, [build_context(Verification)], ae_title=ae_title, timeout_s=timeout_s) as line:
            answer = line.association.send_c_echo()
            if "Status" not in answer:
                raise line.lost()
    except NodeFailed as failure:
        return Check.failed(name, failure)
    if answer.Status != 0:
        return Check(name, False, f"{name_of(node)} answered C-ECHO with status {answer.Status:04X}.", "Its log should say why.")
    return Check(name, True, f"{name_of(node)} answers C-ECHO.")


def check_store(
    name: str,
    node: Node,
    sop_classes: Sequence[UID],
    *,
    ae_title: str,
    timeout_s: float,
    compressed: Mapping[UID, UID] = MappingProxyType({}),
) -> Check:
    """Whether it would take objects of these classes: asked when the association is opened, and nothing sent.

    `compressed`: the transfer syntax of those that are sent in that one alone.
    """
    contexts = [build_context(sop_class, _syntaxes(sop_class, compressed)) for sop_class in sop_classes]
    try:
        with associate(node, contexts, ae_title=ae_title, timeout_s=timeout_s) as line:
            refused = [_offered(UID(str(context.abstract_syntax)), compressed) for context in line.association.rejected_contexts]
    except NodeFailed as failure:
        return Check.failed(name, failure)
    if refused:
        advice = "Allow it there, or leave it out of `results` in the site file."
        return Check(name, False, f"{name_of(node)} does not take {', '.join(refused)}.", advice)
    return Check(name, True, f"{name_of(node)} takes all {len(sop_classes)} kinds of objects.")


def _syntaxes(sop_class: UID, compressed: Mapping[UID, UID]) -> list[str | UID]:
    return [compressed[sop_class]] if sop_class in compressed else [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


def _offered(sop_class: UID, compressed: Mapping[UID, UID]) -> str:
    return f"{sop_class.name} in {compressed[sop_class].name}" if sop_class in compressed else sop_class.name


def check_web(name: str, web: Web, *, timeout_s: float) -> Check:
    """QIDO-RS for one study, whichever it is (PS3.18 10.6)."""
    try:
        with open_session(web) as session:
            url, headers = f"{web.url.rstrip('/')}/studies", {"Accept": "application/dicom+json"}
            answer = checked(web, session.get(url, params={"limit": 1}, headers=headers, timeout=timeout_s, stream=True))
            with answer:
                if answer.status_code != 204:  # nothing stored yet
                    json_of(web, answer, timeout_s)
    except NodeFailed as failure:
        return Check.failed(name, failure)
    return Check(name, True, f"{web_session.name_of(web)} answers QIDO-RS.")
