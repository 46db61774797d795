"""The models of a replica: opened when they are first needed, and tried again when that failed for a passing reason."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from service.bundle import resolve
from service.errors import BadBundle, SeashoreError
from service.model import LoadedModel
from service.settings import Settings
from service.shelf import ModelEntry
from service.signature import check_signature

log = logging.getLogger(__name__)


class PatientShelf:
    """A bundle that is bad stays bad. An engine that failed, or a cluster that was still starting, is asked once more."""

    def __init__(self, settings: Settings, load: Callable[[Path], LoadedModel]) -> None:
        self._settings = settings
        self._load = load
        self._lock = threading.Lock()
        self._models: dict[str, LoadedModel] = {}
        self._bad: dict[str, BadBundle] = {}

    def warm_up(self) -> None:
        """Have the default model loaded. What stands in the way is logged, and told to whoever asks for it."""
        try:
            folder = resolve(self._settings.model_store, None, default=self._settings.default_model)
            self.get(ModelEntry(folder.parent.name, folder.name, is_default=True, is_loaded=False))
        except SeashoreError as error:
            log.error("not warm: %s: %s %s", error.code, error, error.log_detail)

    def get(self, entry: ModelEntry) -> LoadedModel:
        """Blocks while a bundle is being loaded. Raises: OperatorError."""
        name = str(entry)
        if model := self._models.get(name):
            return model
        with self._lock:
            if bad := self._bad.get(name):
                raise bad.anew()
            if name not in self._models:
                self._models[name] = self._loaded(entry)
            return self._models[name]

    def _loaded(self, entry: ModelEntry) -> LoadedModel:
        folder = self._settings.model_store / entry.name / entry.version
        try:
            if self._settings.trusted_keys is not None:
                check_signature(folder, self._settings.trusted_keys)
            return self._load(folder)
        except BadBundle as bad:
            self._bad[str(entry)] = bad
            raise
