"""What a site file means, in sentences: so that an administrator sees what was understood and not only that it is valid."""

from service.pacs.site import ANYONE, Archive, Destination, Node, Receive, ResultKind, Site, Web

KINDS = {ResultKind.SR: "structured report", ResultKind.SC: "annotated clip", ResultKind.PDF: "one-page report"}


def sentences(site: Site) -> list[str]:
    """One thing each, in the order of the file."""
    return [*_receive(site.receive), _rule(site), *_signs(site), _archive(site.archive), *_destinations(site), *_privacy(site)]


def senders(receive: Receive) -> str:
    """Who may send, as the end of a sentence."""
    if ANYONE in receive.calling_ae_titles:
        return "anybody may send to it"
    return f"{_listed(receive.calling_ae_titles)} may send to it" if receive.calling_ae_titles else "nobody may send to it"


def _receive(receive: Receive) -> list[str]:
    where = "any address of this machine" if receive.address in ("0.0.0.0", "::") else receive.address
    tls = "" if receive.tls is None else " over TLS" if receive.tls.ca is None else " over TLS, with a certificate of their own"
    said = [f"Listens for DICOM as {receive.ae_title} on {where}, port {receive.port}{tls}; {senders(receive)}."]
    if receive.address == "127.0.0.1":
        said.append('Only this machine can reach it: address = "0.0.0.0" under [receive] opens it to the network.')
    asked = [f"{node.ae_title} ({_place(node)})" for node in receive.node]
    return said + ([f"Answers storage commitment at {_listed(asked)}."] if asked else [])


def _rule(site: Site) -> str:
    if site.analyse is None:
        return "Analyses every ultrasound clip."
    return f"Analyses clips of which this holds: {' '.join(site.analyse.split())}"


def _signs(site: Site) -> list[str]:
    return [] if site.signs == "none" else [f"Looks besides sliding for these signs, where there is a model for them: {site.signs}."]


def _archive(archive: Archive | None) -> str:
    if archive is None:
        return "Fetches nothing: there is no [archive], so POST /pacs/analyse answers that."
    if archive.web is not None:
        return f"Fetches clips from {_url(archive.web)} by DICOMweb when POST /pacs/analyse asks for it."
    assert archive.dicom is not None
    return f"Fetches clips from {archive.dicom.ae_title} at {_place(archive.dicom)} by C-MOVE when POST /pacs/analyse asks for it."


def _destinations(site: Site) -> list[str]:
    return [_destination(destination) for destination in site.destination] or [
        "Results go nowhere: there is no [[destination]]. They can only be fetched from /v1/jobs."
    ]


def _destination(destination: Destination) -> str:
    kinds = _listed([KINDS[kind] for kind in destination.results]) or "nothing"
    if destination.web is not None:
        where = f"{_url(destination.web)} by STOW-RS"
    else:
        assert destination.dicom is not None
        tls = "" if destination.dicom.tls is None else " over TLS"
        where = f"{destination.dicom.ae_title} at {_place(destination.dicom)} by C-STORE{tls}"
    asked = ", and asks it to keep them" if destination.commit else ""
    return f"Sends {kinds} to '{destination.name}': {where}{asked}; tries for {_duration(destination.give_up_after_s)}."


def _privacy(site: Site) -> list[str]:
    said = []
    if site.strip_identity:
        said.append("Keeps clips without the patient's identity.")
    if site.show_outside_region:
        said.append("Results show pixels outside the ultrasound region, where a name may stand.")
    return said


def _url(web: Web) -> str:
    """Without what may stand before an @."""
    scheme, _, rest = web.url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _place(node: Node) -> str:
    return f"{node.address}:{node.port}"


def _duration(seconds: float) -> str:
    for unit, length_s in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:g} {unit}" if seconds % length_s == 0 else f"{seconds / length_s:.1f} {unit}"
    return f"{seconds:g} s"


def _listed(words: "tuple[str, ...] | list[str]") -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)
