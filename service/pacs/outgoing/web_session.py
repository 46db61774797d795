"""HTTP to a DICOMweb service elsewhere: who we are, whom we trust, and what went wrong, in plain words.

No URL is ever written anywhere: it may hold a password, and the UIDs of a study.
"""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import AuthBase, HTTPBasicAuth

from service.pacs.outgoing.outcome import NodeFailed
from service.pacs.site import Web

MAX_RETRY_AFTER_S = 3600.0
MAX_ANSWER_BYTES = 64 * 2**20


class _Token(AuthBase):
    """OAuth 2.0 bearer token (RFC 6750)."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def name_of(web: Web) -> str:
    """Host and port alone."""
    parts = urlsplit(web.url)
    return f"The DICOMweb service at {parts.hostname}" + (f":{parts.port}" if parts.port else "")


@contextmanager
def open_session(web: Web) -> Iterator[requests.Session]:
    """Proxies and passwords come from the site file alone, never from the environment or a .netrc. Raises: NodeFailed."""
    for name in ("urllib3", "requests", "retrying", "dicomweb_client"):  # they write URLs
        logging.getLogger(name).propagate = False
    with requests.Session() as session, _in_words(web):
        session.trust_env = False
        session.auth = _auth(web)
        session.verify = True if web.ca is None else _readable(web, web.ca)
        yield session


def _auth(web: Web) -> AuthBase | None:
    if web.password_file is None:
        return None
    try:
        secret = web.password_file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise NodeFailed(
            f"The password file for {_lower(name_of(web))} could not be read.",
            "Check password_file in the site file, and that Seashore may read it.",
            is_reached=False,
        ) from None
    return _Token(secret) if web.user is None else HTTPBasicAuth(web.user, secret)


def _readable(web: Web, authorities: Path) -> str:
    if authorities.is_file():
        return str(authorities)
    raise NodeFailed(
        f"The TLS file for {_lower(name_of(web))} could not be read.", "Check ca in the site file: a PEM file.", is_reached=False
    )


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


@contextmanager
def _in_words(web: Web) -> Iterator[None]:
    """The one place where requests' errors become ours."""
    try:
        yield
    except requests.JSONDecodeError:
        raise not_dicomweb(web) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        if isinstance(error, requests.HTTPError) and error.response is not None:
            raise refusal(web, error.response) from None
        words, advice = _why(error)
        raise NodeFailed(f"{name_of(web)} {words}.", advice, is_reached=False) from None


def _why(error: Exception) -> tuple[str, str]:
    """requests keeps the cause somewhere in a chain of errors; its class names are stable, its texts hold URLs."""
    causes = {type(cause).__name__ for cause in _causes(error)}
    if isinstance(error, requests.exceptions.SSLError) or "SSLError" in causes:
        return (
            "and Seashore could not agree on TLS",
            "Check that it is https there, and give the authority that signed its certificate as ca.",
        )
    if isinstance(error, requests.Timeout) or "TimeoutError" in causes:
        advice = "Check the url in the site file, that the machine is on, and that no firewall swallows the call."
        return "did not answer in time", advice
    if {"gaierror", "NameResolutionError"} & causes:
        return "could not be found", "Check the url's spelling in the site file, and the name server."
    if "ConnectionRefusedError" in causes:
        return "refused the connection: nothing listens there", "Check the url in the site file, and that the service is running."
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema | requests.exceptions.MissingSchema):
        return "could not be called", "The url in the site file must begin with http:// or https://."
    return "broke off the connection", "Its log should say why."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it was made from."""
    yield error
    for cause in (*error.args, getattr(error, "reason", None), error.__cause__):
        if isinstance(cause, BaseException):
            yield from _causes(cause)


# What it answered


def checked(web: Web, answer: requests.Response) -> requests.Response:
    """`answer`, where it is a 2xx. Raises: NodeFailed."""
    if not 200 <= answer.status_code < 300:
        answer.close()
        raise refusal(web, answer)
    return answer


def refusal(web: Web, answer: requests.Response) -> NodeFailed:
    status = answer.status_code
    words, advice, is_permanent = _refusal_words(status)
    wait_s = retry_after_s(answer.headers.get("Retry-After"))
    return NodeFailed(f"{name_of(web)} {words} ({status}).", advice, is_permanent=is_permanent, status=status, retry_after_s=wait_s)


def _refusal_words(status: int) -> tuple[str, str, bool]:
    """An administrator can mend a wrong password or address while results wait; what is wrong with an object stays wrong."""
    known = {
        401: ("did not accept who Seashore says it is", "Check user and password_file in the site file.", False),
        403: ("does not allow this to Seashore", "Give its user the right to it there.", False),
        404: ("knows nothing at this address", "Check the url in the site file: its root, below which /studies lies.", False),
        405: ("does not offer this at this address", "Check the url in the site file, and that the service is switched on there.", False),
        408: ("waited too long for Seashore", "Wait, or raise its limit there.", False),
        413: ("finds the objects too large", "Raise its limit, or leave the largest kind out of `results`.", True),
        415: ("does not take DICOM objects at this address", "Check the url in the site file.", False),
        429: ("asks to be called less often", "Wait, or raise its limit there.", False),
    }
    if status in known:
        return known[status]
    if 300 <= status < 400:
        return "has moved elsewhere", "Write its new address into the site file.", False
    if status >= 500:
        return "could not do it just now", "Its log should say why.", False
    return "refused what was sent", "Its log should say why; check the url in the site file too.", True


def not_dicomweb(web: Web) -> NodeFailed:
    return NodeFailed(
        f"{name_of(web)} answered with something else than DICOM JSON.",
        "Check the url in the site file; a login page or a proxy may stand in between.",
    )


def retry_after_s(value: str | None) -> float:
    """Of a Retry-After header (RFC 9110 10.2.3), seconds or a date; at most an hour, 0 where there is none or it cannot be read."""
    if value is None:
        return 0.0
    try:
        wait_s = float(value) if value.strip().isdigit() else parsedate_to_datetime(value).timestamp() - time.time()
    except ValueError:
        return 0.0
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)


def json_of(web: Web, answer: requests.Response, within_s: float) -> Any:
    """The body of a streamed answer. Raises: NodeFailed."""
    try:
        return json.loads(body_of(web, answer, within_s))
    except ValueError:
        raise not_dicomweb(web) from None


def body_of(web: Web, answer: requests.Response, within_s: float) -> bytes:
    """Of a streamed answer. Raises: NodeFailed when it is endless, or slower than `within_s`: requests' own time limit begins anew with
    every byte."""
    body, end_s = bytearray(), time.monotonic() + within_s
    with answer:
        while chunk := answer.raw.read1(2**16, decode_content=True):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise not_dicomweb(web)
            if time.monotonic() > end_s:
                raise requests.ReadTimeout
    return bytes(body)
