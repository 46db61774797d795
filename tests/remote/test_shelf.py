"""The models of a replica."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.errors import BadBundle, EngineFailed, OperatorError
from service.model import LoadedModel
from service.remote.shelf import PatientShelf
from service.settings import Settings
from tests.fakes.inputs import constant_engine, loaded_model
from tests.remote.beside import ENTRY

MODEL = loaded_model(constant_engine(0.0))


class Loader:
    """Raises these one after the other, then gives the model. `folders` lists what it was asked for."""

    def __init__(self, *errors: OperatorError) -> None:
        self.errors = list(errors)
        self.folders: list[Path] = []

    def __call__(self, folder: Path) -> LoadedModel:
        self.folders.append(folder)
        if self.errors:
            raise self.errors.pop(0)
        return MODEL


def shelf(loader: Loader, store: Path = Path("store")) -> PatientShelf:
    return PatientShelf(Settings(model_store=store), loader)


def test_a_model_is_loaded_once() -> None:
    loader = Loader()
    models = shelf(loader)

    assert [models.get(ENTRY), models.get(ENTRY)] == [MODEL, MODEL]
    assert loader.folders == [Path("store/linear/0.0.1")]


def test_an_engine_that_failed_is_asked_once_more() -> None:
    models = shelf(Loader(EngineFailed("No GPU just now.")))

    with pytest.raises(EngineFailed, match="No GPU just now"):
        models.get(ENTRY)

    assert models.get(ENTRY) is MODEL


def test_a_bad_bundle_stays_bad() -> None:
    loader = Loader(BadBundle("It is damaged.", log_detail="sha256"))
    models = shelf(loader)
    for _ in range(2):
        with pytest.raises(BadBundle, match="It is damaged") as error:
            models.get(ENTRY)
        assert error.value.log_detail == "sha256"

    assert len(loader.folders) == 1


def test_a_bundle_that_nobody_trusted_has_signed_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "trusted.pem").write_bytes(
        Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    loader = Loader()
    models = PatientShelf(Settings(model_store=tmp_path, trusted_keys=tmp_path / "trusted.pem"), loader)

    with pytest.raises(BadBundle, match=r"^The bundle linear:0\.0\.1 is not signed, and this service takes none that is not\.$"):
        models.get(ENTRY)
    assert loader.folders == []


def test_an_empty_store_is_logged_when_a_replica_warms_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shelf(Loader(), tmp_path).warm_up()

    assert "not warm: bad_bundle: The model store holds no model." in caplog.text
