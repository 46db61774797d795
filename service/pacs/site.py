"""What one hospital's network looks like to Seashore: who may send, what is analysed, where results go. One TOML file.

`seashore pacs check` reads it and says what is wrong, with the line. Units are in the names; nothing of a patient is in it.
"""

from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, model_validator

from service.errors import BadOption
from service.options import parse_signs
from service.pacs.rules import EVERY_ULTRASOUND_OBJECT, Rule, parse_rule

AETitle = Annotated[str, StringConstraints(min_length=1, max_length=16, pattern=r"^[ -\[\]-~]+$", strip_whitespace=True)]
"""PS3.5 6.2: at most 16 characters, no backslash, no control characters, leading and trailing blanks count for nothing."""

ANYONE = "*"


def _existing(path: Path, info: ValidationInfo) -> Path:
    """Relative to the site file's folder. Only `load_site` says which that is; without it nothing is looked for."""
    folder = (info.context or {}).get("folder")
    if folder is None:
        return path
    if not (folder / path).is_file():
        raise ValueError("there is no such file; a relative name is taken from the site file's folder")
    return Path(folder / path)


def _readable_rule(text: str) -> str:
    parse_rule(text)
    return text


def _readable_signs(text: str) -> str:
    try:
        parse_signs(text)
    except BadOption as error:
        raise ValueError(str(error).replace("signs is", "it is", 1)) from None  # the key is named before it
    return text


def _refuse_twins(what: str, key: str, names: Sequence[str]) -> None:
    twin = next((name for name in names if names.count(name) > 1), None)
    if twin is not None:
        raise ValueError(f"two of [[{what}]] have the {key} '{twin}'")


ExistingFile = Annotated[Path, AfterValidator(_existing)]
WebAddress = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#]+[^\s?#]*$")]
SignsText = Annotated[str, AfterValidator(_readable_signs)]
RuleText = Annotated[str, AfterValidator(_readable_rule)]
Flag = Annotated[bool, Field(strict=True)]
Seconds = Annotated[float, Field(strict=True, gt=0, le=30 * 24 * 3600.0)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
"""Strict: `port = true` and `port = "104"` are slips, not numbers."""


class ResultKind(StrEnum):
    """One object that is written about a clip."""

    SR = "sr"
    """Comprehensive 3D SR, TID 1500."""
    SC = "sc"
    """Multi-frame true-colour Secondary Capture: the annotated clip."""
    PDF = "pdf"
    """Encapsulated PDF: the one-page report."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TLS(_Table):
    """PS3.15 B.1 (BCP 195). With `ca`, the other side must show a certificate signed by it (mutual)."""

    certificate: ExistingFile | None = None
    key: ExistingFile | None = None
    ca: ExistingFile | None = None

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> "TLS":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together; one of them is missing")
        return self


class Node(_Table):
    """One DICOM application entity elsewhere."""

    ae_title: AETitle
    address: str = Field(min_length=1)
    port: Port
    tls: TLS | None = None


class Receive(_Table):
    """The DICOM listener (C-ECHO, C-STORE, Storage Commitment)."""

    ae_title: AETitle = "SEASHORE"
    address: str = "127.0.0.1"
    port: Annotated[int, Field(strict=True, ge=0, le=65535)] = 11112
    """0: any free one."""
    calling_ae_titles: tuple[AETitle, ...] = ()
    """Who may send. Empty: nobody; "*": anyone. Upper and lower case differ (PS3.8 9.3.2)."""
    max_associations: Annotated[int, Field(strict=True, ge=1, le=1000)] = 16
    max_pdu_bytes: Annotated[int, Field(strict=True, ge=4096, le=2**20)] = 2**17
    max_instance_bytes: Annotated[int, Field(strict=True, ge=1)] = 2 * 2**30
    """A larger one is answered A700."""
    min_free_bytes: Annotated[int, Field(strict=True, ge=0)] = 2 * 2**30
    """Less free space than this is answered A700, so that nothing half-written is ever acknowledged."""
    idle_s: Seconds = 60.0
    """An association on which nothing comes for this long is ended."""
    tls: TLS | None = None
    node: tuple[Node, ...] = ()
    """Where Storage Commitment answers go, by the AE title of whoever asked. PS3.4 J.3.3: they come on an association of their own."""

    def may_send(self, ae_title: str) -> bool:
        return ANYONE in self.calling_ae_titles or ae_title.strip() in self.calling_ae_titles

    def node_of(self, ae_title: str) -> Node | None:
        return next((node for node in self.node if node.ae_title == ae_title.strip()), None)

    @model_validator(mode="after")
    def _consistent(self) -> "Receive":
        _refuse_twins("node", "AE title", [node.ae_title for node in self.node])
        if self.tls is not None and self.tls.certificate is None:
            raise ValueError("[receive.tls] needs certificate and key: they are what this side shows")
        return self


class Web(_Table):
    """One DICOMweb service elsewhere; `url` is its root, below which /studies lies."""

    url: WebAddress
    user: str | None = None
    password_file: ExistingFile | None = None
    """Holds the password, or the token when no user is given. Never in this file, which people mail to each other."""
    ca: ExistingFile | None = None


class Destination(_Table):
    """Where results go: by C-STORE (`dicom`) or by STOW-RS (`web`), never both."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]
    dicom: Node | None = None
    web: Web | None = None
    results: tuple[ResultKind, ...] = (ResultKind.SR, ResultKind.SC, ResultKind.PDF)
    commit: Flag = False
    """Ask for Storage Commitment after C-STORE: then "committed" is reported, not only "delivered"."""
    timeout_s: Seconds = 30.0
    give_up_after_s: Seconds = 3 * 24 * 3600.0
    """Tried again for this long, then a dead letter."""

    @model_validator(mode="after")
    def _one_way(self) -> "Destination":
        if (self.dicom is None) == (self.web is None):
            raise ValueError("give either [destination.dicom] or [destination.web]")
        if self.commit and self.dicom is None:
            raise ValueError("commit needs [destination.dicom]: STOW-RS has no storage commitment")
        return self


class Archive(_Table):
    """Where `POST /pacs/analyse` fetches clips from: QIDO-RS and WADO-RS (`web`), or C-FIND and C-MOVE (`dicom`)."""

    dicom: Node | None = None
    web: Web | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Archive":
        if (self.dicom is None) == (self.web is None):
            raise ValueError("give either [archive.dicom] or [archive.web]")
        return self


class Site(_Table):
    """The whole file."""

    receive: Receive = Receive()
    archive: Archive | None = None
    destination: tuple[Destination, ...] = ()
    analyse: RuleText | None = None
    """The rule: which instances are analysed, as an expression over elements (see `rules`). None: whatever is ultrasound."""
    signs: SignsText = "none"
    """Signs looked for besides sliding, as the API's `signs=`: none, all, or names with commas between them."""
    strip_identity: Flag = False
    """Keep the copy that is analysed without the patient's identity. Results then cannot be written into the study: for research nodes."""
    show_outside_region: Flag = False
    """Show pixels outside the ultrasound region in results. They often hold the patient's name."""

    @cached_property
    def rule(self) -> Rule:
        return parse_rule(EVERY_ULTRASOUND_OBJECT if self.analyse is None else self.analyse)

    def destination_named(self, name: str) -> Destination | None:
        return next((destination for destination in self.destination if destination.name == name), None)

    @model_validator(mode="after")
    def _results_have_a_study(self) -> "Site":
        if self.strip_identity and self.destination:
            raise ValueError("strip_identity leaves no study that results could go into: give no [[destination]]")
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> "Site":
        _refuse_twins("destination", "name", [destination.name for destination in self.destination])
        return self

    @model_validator(mode="after")
    def _reports_may_come_in(self) -> "Site":
        """Most archives answer a commitment request on an association that they open to our listener (PS3.4 J.3.3)."""
        for destination in self.destination:
            if destination.commit and destination.dicom is not None and not self.receive.may_send(destination.dicom.ae_title):
                title = destination.dicom.ae_title
                raise ValueError(f"destination '{destination.name}' has commit, so '{title}' must be in calling_ae_titles under [receive]")
        return self
