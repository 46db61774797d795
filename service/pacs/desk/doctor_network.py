"""Is the network well? Our own listener and web service, those that may call, and everybody that the site file names."""

import socket
import ssl
from contextlib import closing
from pathlib import Path

import requests
from pydicom.uid import JPEGBaseline8Bit
from pynetdicom import build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from service.pacs.desk.echo import Check, check_echo, check_store, check_web
from service.pacs.objects.heading import SOP_CLASSES, TRANSFER_SYNTAXES
from service.pacs.outgoing.dimse import associate, name_of
from service.pacs.outgoing.outcome import NodeFailed
from service.pacs.site import ANYONE, Archive, Destination, Node, Receive
from service.pacs.site_meaning import senders

TIMEOUT_S = 5.0
"""Of every wait. What a healthy network does takes milliseconds."""
DOCTORS_AE_TITLE = "SEASHORE-TEST"
"""Where anybody may call."""


def check_service(host: str, port: int) -> Check:
    """The web service, where its settings say it is. That it does not run is no fault."""
    name, where = "service", f"{_near(host)}:{port}"
    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"http://{_bracketed(_near(host))}:{port}/readyz", timeout=TIMEOUT_S)
            said = answer.json()
    except requests.ConnectionError:
        return Check(name, True, f"It does not run: nothing listens on {where}. `seashore serve` starts it.")
    except (requests.RequestException, ValueError):
        return Check(name, False, f"Something else than Seashore listens on {where}.", "Set SEASHORE_PORT to a free port.")
    if answer.status_code == 200 and said == {"status": "ready"}:
        return Check(name, True, f"It runs on {where}, and is ready.")
    detail = str(said.get("detail", "")) if isinstance(said, dict) else ""
    return Check(
        name, False, f"What listens on {where} is not ready. {detail}".strip(), "Its log says more; while it starts, wait a minute."
    )


def check_senders(receive: Receive) -> Check:
    if not receive.calling_ae_titles:
        return Check("senders", False, "Nobody may send to it.", 'Name them in calling_ae_titles under [receive], or "*" for anybody.')
    said = senders(receive)
    return Check("senders", True, f"{said[:1].upper()}{said[1:]}.")


def check_listener(receive: Receive) -> Check:
    """A C-ECHO to ourselves where we run; else whether the port could be had."""
    node = own_node(receive)
    try:
        socket.create_connection((node.address, node.port), TIMEOUT_S).close()
    except ConnectionRefusedError:
        return _free(receive)
    except OSError:
        advice = "Check address under [receive] in the site file: it must be this machine's own, or 0.0.0.0."
        return Check("listener", False, f"{name_of(node)} cannot be reached from this machine.", advice)
    check = check_echo("listener", node, ae_title=doctors_ae_title(receive), timeout_s=TIMEOUT_S)
    return check if check.ok or receive.tls is None else _handshake(receive, node)


def own_node(receive: Receive) -> Node:
    """Our listener, as one of this machine would call it: over TLS with the listener's own certificate, on both sides."""
    tls = receive.tls and receive.tls.model_copy(update={"ca": receive.tls.ca or receive.tls.certificate})
    return Node(ae_title=receive.ae_title, address=_near(receive.address), port=receive.port or 1, tls=tls)


def doctors_ae_title(receive: Receive) -> str:
    """Whom we call ourselves as: somebody who may."""
    named = [title for title in receive.calling_ae_titles if title != ANYONE]
    return DOCTORS_AE_TITLE if ANYONE in receive.calling_ae_titles or not named else named[0]


def _free(receive: Receive) -> Check:
    where = f"Port {receive.port}"
    try:
        with closing(socket.create_server((receive.address, receive.port), family=_family(receive.address))):
            return Check("listener", True, f"Nothing listens for DICOM: the service does not run. {where} is free for it.")
    except OSError:
        advice = "Below 1024 a port needs the right to it; address under [receive] must be this machine's own, or 0.0.0.0."
        return Check("listener", False, f"{where} of {receive.address} cannot be opened by this user.", advice)


def _handshake(receive: Receive, node: Node) -> Check:
    """Whether TLS is spoken there. A certificate names the hospital's address and not this one, so its name is not looked at."""
    assert receive.tls is not None
    try:
        context = ssl.create_default_context(cafile=receive.tls.ca)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(Path(str(receive.tls.certificate)), receive.tls.key, password=_no_passphrase)
        with socket.create_connection((node.address, node.port), TIMEOUT_S) as plain, context.wrap_socket(plain):
            return Check("listener", True, f"{name_of(node)} takes TLS connections. C-ECHO was not tried.")
    except (OSError, ValueError):
        advice = "Check certificate, key and ca under [receive.tls]; the service's log says more."
        return Check("listener", False, f"The TLS handshake with {name_of(node)} failed.", advice)


def _no_passphrase() -> str:
    """Without this, OpenSSL asks at the terminal, and waits for ever."""
    raise ValueError


def check_destination(destination: Destination, ae_title: str) -> list[Check]:
    """Whether it is there, and would take what it is to get."""
    name, timeout_s = f"destination '{destination.name}'", min(destination.timeout_s, TIMEOUT_S)
    if destination.web is not None:
        return [check_web(name, destination.web, timeout_s=timeout_s)]
    assert destination.dicom is not None
    node, kinds = destination.dicom, destination.results
    checks = [check_echo(name, node, ae_title=ae_title, timeout_s=timeout_s)]
    if checks[0].ok and kinds:
        classes = [SOP_CLASSES[kind] for kind in kinds]
        compressed = {SOP_CLASSES[kind]: TRANSFER_SYNTAXES[kind] for kind in kinds if TRANSFER_SYNTAXES[kind] == JPEGBaseline8Bit}
        checks.append(check_store(name, node, classes, ae_title=ae_title, timeout_s=timeout_s, compressed=compressed))
    if checks[0].ok and destination.commit:
        checks.append(_check_services(name, node, [StorageCommitmentPushModel], "commits to keep what it stores", ae_title, timeout_s))
    return checks


def check_archive(archive: Archive, ae_title: str) -> list[Check]:
    """Where clips are fetched from."""
    if archive.web is not None:
        return [check_web("archive", archive.web, timeout_s=TIMEOUT_S)]
    assert archive.dicom is not None
    wanted = [StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelMove]
    return [_check_services("archive", archive.dicom, wanted, "takes queries (C-FIND) and C-MOVE", ae_title, TIMEOUT_S)]


def _check_services(name: str, node: Node, classes: list[str], offers: str, ae_title: str, timeout_s: float) -> Check:
    """Whether it offers them all: asked when the association is opened."""
    try:
        for sop_class in classes:
            with associate(node, [build_context(sop_class)], ae_title=ae_title, timeout_s=timeout_s):
                pass
    except NodeFailed as failure:
        return Check.failed(name, failure)
    return Check(name, True, f"{name_of(node)} {offers}.")


def _near(address: str) -> str:
    """Where one of this machine reaches what listens on `address`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
