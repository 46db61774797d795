"""Whose bundles are served: those whose manifest somebody has signed who is trusted here.

The manifest gives the sha256 of every other file of the bundle, so a signature of the manifest stands for all of them. It is detached,
Ed25519 (RFC 8032) over the manifest's bytes, as `openssl pkeyutl -sign -rawin` writes it.
"""

import re
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from service.bundle_files import MANIFEST, SIGNATURE
from service.errors import BadBundle

_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


def check_signature(directory: Path, trusted_keys: Path) -> None:
    """`trusted_keys`: a PEM file of public keys, one of which must have signed the bundle. Raises: BadBundle."""
    called = f"{directory.parent.name}:{directory.name}"
    keys = _keys(trusted_keys)
    if not (directory / SIGNATURE).is_file():
        raise BadBundle(f"The bundle {called} is not signed, and this service takes none that is not.")
    try:
        manifest, signature = (directory / MANIFEST).read_bytes(), (directory / SIGNATURE).read_bytes()
    except OSError as error:
        raise BadBundle(f"The signature of {called} cannot be read.", log_detail=repr(error)) from error
    if not any(_has_signed(key, signature, manifest) for key in keys):
        raise BadBundle(f"The bundle {called} is not signed by anybody whom this service trusts, or was changed since.")


def _has_signed(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _keys(path: Path) -> list[Ed25519PublicKey]:
    try:
        found = [load_pem_public_key(block) for block in _PEM.findall(path.read_bytes())]
    except (OSError, ValueError) as error:  # ValueError: not base64, or no key
        raise BadBundle("The file of SEASHORE_TRUSTED_KEYS cannot be read.", log_detail=repr(error)) from error
    keys = [key for key in found if isinstance(key, Ed25519PublicKey)]
    if not keys or len(keys) < len(found):
        raise BadBundle("The file of SEASHORE_TRUSTED_KEYS must hold public keys of the kind Ed25519, in PEM, and nothing else.")
    return keys
