"""One request over a socket of its own, as raw bytes, and what came of it."""

import http.client
import json
import select
import socket
import time
from contextlib import suppress
from dataclasses import dataclass

from tests.soak.manners import Wire

MAX_ANSWER_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    """0: the service hung up without an answer; -1: it was still silent when patience ended; -2: the sender broke off."""
    code: str
    """Of the problem, or the verdict or the state; the media type of what is neither."""
    detail: str
    answer_s: float
    """From the last byte that was sent."""
    location: str = ""
    content: bytes = b""
    retry_after_s: float | None = None

    @property
    def outcome(self) -> str:
        return {0: "hung up", -1: "no answer", -2: "broke off"}.get(self.status) or f"{self.status} {self.code}".strip()


HUNG_UP, SILENT, BROKE_OFF = 0, -1, -2


BREAKS_OFF_AFTER_S = 0.2


def ask(port: int, wire: Wire, *, patience_s: float, breaks_off: bool = False, leaves_after_s: float = BREAKS_OFF_AFTER_S) -> Answer:
    """Send and hear. `breaks_off`: hang up so long after all is sent, unless an answer is there already."""
    began_s = time.monotonic()
    try:
        connection = socket.create_connection(("127.0.0.1", port), timeout=patience_s)
    except OSError:
        return Answer(SILENT, "", "no connection", time.monotonic() - began_s)
    with connection:
        _send(connection, wire)
        began_s = time.monotonic()
        if breaks_off and _is_silent_for(connection, leaves_after_s):
            return Answer(BROKE_OFF, "", "", 0.0)
        return _heard(connection, began_s)


def _send(connection: socket.socket, wire: Wire) -> None:
    """Until the service has heard enough: it answers, or hangs up, in the middle of what it refuses."""
    with suppress(OSError):
        for piece in wire:
            if isinstance(piece, float):
                if not _is_silent_for(connection, piece):
                    return
            else:
                connection.sendall(piece)


def _is_silent_for(connection: socket.socket, seconds: float) -> bool:
    poll = select.poll()  # select() takes no descriptor above 1023, and a crowd has more
    poll.register(connection, select.POLLIN)
    return not poll.poll(seconds * 1000)


def _heard(connection: socket.socket, began_s: float) -> Answer:
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
        content = response.read(MAX_ANSWER_BYTES)
    except TimeoutError:
        return Answer(SILENT, "", "", time.monotonic() - began_s)
    except (OSError, http.client.HTTPException):
        return Answer(HUNG_UP, "", "", time.monotonic() - began_s)
    finally:
        response.close()
    code, detail = _said(response.getheader("content-type") or "", content)
    after, location = response.getheader("retry-after"), response.getheader("location") or ""
    waited_s = time.monotonic() - began_s
    return Answer(response.status, code, detail, waited_s, location, content, None if after is None else float(after))


def _said(media_type: str, content: bytes) -> tuple[str, str]:
    if "json" not in media_type:
        return media_type.partition(";")[0], ""
    try:
        said = json.loads(content)
    except ValueError:
        return "not JSON", ""
    if not isinstance(said, dict):
        return "", ""
    if "lung_sliding" in said:
        reasons = " ".join(sorted(reason["code"] for reason in said["quality"]["reasons"]))
        return said["lung_sliding"]["verdict"], reasons
    return said.get("code") or said.get("state") or media_type, said.get("detail") or ""
