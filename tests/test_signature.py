"""Where a site trusts somebody to approve bundles, no other bundle is served."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.bundle import read_bundle
from service.errors import BadBundle
from service.reader import ClipReader
from service.settings import Settings
from service.signature import check_signature
from tests.fakes.service import shipped_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the shipped one."""
    shipped = shipped_bundle()
    folder = tmp_path / "store" / shipped.parent.name / shipped.name
    shutil.copytree(shipped, folder)
    return folder


def pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def approver() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def trusted(approver: Ed25519PrivateKey, tmp_path: Path) -> Path:
    """Two people are trusted; the other comes first, with a line of who that is."""
    path = tmp_path / "trusted.pem"
    path.write_bytes(b"physics department\n" + pem(Ed25519PrivateKey.generate().public_key()) + pem(approver.public_key()))
    return path


def sign(bundle: Path, key: Ed25519PrivateKey) -> None:
    (bundle / "manifest.sig").write_bytes(key.sign((bundle / "manifest.json").read_bytes()))


def refusal(bundle: Path, trusted: Path) -> str:
    with pytest.raises(BadBundle) as refused:
        check_signature(bundle, trusted)
    return str(refused.value)


def test_a_bundle_that_one_of_them_has_signed_is_served(bundle: Path, approver: Ed25519PrivateKey, trusted: Path) -> None:
    sign(bundle, approver)
    reader = ClipReader(Settings(model_store=bundle.parent.parent, device="cpu", trusted_keys=trusted))

    reader.load(reader.find(None))

    assert [entry.is_loaded for entry in reader.models()] == [True]


def test_a_bundle_that_nobody_signed_is_not_loaded(bundle: Path, trusted: Path) -> None:
    reader = ClipReader(Settings(model_store=bundle.parent.parent, device="cpu", trusted_keys=trusted))

    with pytest.raises(BadBundle, match=f"^The bundle {bundle.parent.name}:{bundle.name} is not signed, and this service takes none"):
        reader.load(reader.find(None))


def change_manifest(bundle: Path) -> None:
    path = bundle / "manifest.json"
    path.write_text(path.read_text().replace('"present_above": 0.65', '"present_above": 0.40'))
    read_bundle(bundle)  # the hashes have nothing to say against it


def cut_signature(bundle: Path) -> None:
    (bundle / "manifest.sig").write_bytes(b"short")


def sign_by_a_stranger(bundle: Path) -> None:
    sign(bundle, Ed25519PrivateKey.generate())


@pytest.mark.parametrize("harm", [change_manifest, cut_signature, sign_by_a_stranger])
def test_a_bundle_that_was_changed_or_signed_by_another_is_refused(
    harm: Callable[[Path], None], bundle: Path, approver: Ed25519PrivateKey, trusted: Path
) -> None:
    sign(bundle, approver)
    harm(bundle)

    assert refusal(bundle, trusted).endswith("is not signed by anybody whom this service trusts, or was changed since.")


def test_keys_that_are_none_are_the_operators_to_mend(bundle: Path, approver: Ed25519PrivateKey, tmp_path: Path) -> None:
    sign(bundle, approver)
    other_kind = generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path = tmp_path / "keys.pem"
    for content in (b"", b"no key\n", other_kind, pem(approver.public_key()) + other_kind):
        path.write_bytes(content)
        assert (
            refusal(bundle, path)
            == "The file of SEASHORE_TRUSTED_KEYS must hold public keys of the kind Ed25519, in PEM, and nothing else."
        )
    path.write_bytes(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    assert refusal(bundle, path) == "The file of SEASHORE_TRUSTED_KEYS cannot be read."
    assert refusal(bundle, tmp_path / "nowhere.pem") == "The file of SEASHORE_TRUSTED_KEYS cannot be read."


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_it_is_signed_with_what_every_machine_has(bundle: Path, tmp_path: Path) -> None:
    """The commands of docs/operations.md."""

    def openssl(*words: str | Path) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True)

    openssl("genpkey", "-algorithm", "ed25519", "-out", tmp_path / "approver.pem")
    openssl("pkey", "-in", tmp_path / "approver.pem", "-pubout", "-out", tmp_path / "trusted.pem")
    files = ("-in", bundle / "manifest.json", "-out", bundle / "manifest.sig")
    openssl("pkeyutl", "-sign", "-rawin", "-inkey", tmp_path / "approver.pem", *files)

    check_signature(bundle, tmp_path / "trusted.pem")
