"""Pseudonyms of patients and sites, for tables of labelled clips.

A pseudonym is a keyed hash (HMAC-SHA256). The key lies beside the manifest and stays with whoever may know the patients; with
it, clips that come later get the same pseudonyms, and without it nobody can try names until one fits.
"""

import hashlib
import hmac
import secrets
from pathlib import Path

from pydicom.dataset import Dataset

from service.cine.dicom_object import text

PATIENT_ELEMENTS = ("PatientID", "IssuerOfPatientID")


class BadKey(ValueError):
    """The key beside a manifest cannot be used."""


def key_beside(manifest: Path) -> bytes:
    """The key of a manifest's pseudonyms, made at first use, readable by its owner alone. Raises: BadKey, if it is damaged."""
    path = manifest.with_name(f"{manifest.name}.key")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise BadKey("The key beside the manifest (its name and .key) is damaged: it is not 64 hexadecimal digits.")
    return key


def pseudonym(key: bytes, kind: str, identity: str) -> str:
    """64 bits of it: among a million patients, two share one with a chance of one in thirty million."""
    return hmac.new(key, f"{kind}\0{identity}".encode(), hashlib.sha256).hexdigest()[:16]


def patient_pseudonym(key: bytes, identity: str) -> str:
    return f"P-{pseudonym(key, 'patient', identity)}"


def patient_identity(made: Dataset) -> str:
    """Whose object it is, never to be shown; "" when it does not say. Two hospitals may give the same number to two patients; the
    issuer tells them apart."""
    identity = text(made, "PatientID")
    return f"{text(made, 'IssuerOfPatientID')}\0{identity}" if identity else ""
