"""A bundle opened on a device: what `analyse` reads clips with."""

from dataclasses import dataclass

from service.bundle import Bundle
from service.engine.turn import Device
from service.findings import ModelRef


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A verified bundle and the device that runs its graphs."""

    bundle: Bundle
    engine: Device

    @property
    def ref(self) -> ModelRef:
        return ModelRef(self.bundle.name, self.bundle.version, self.bundle.sha256, self.engine.device)
