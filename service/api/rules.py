"""Which scopes each address wants. What is not named here wants `admin`: an address that is forgotten is closed, not open."""

import re
from dataclasses import dataclass

from service.access.principal import Scope

PUBLIC: frozenset[Scope] = frozenset()
"""Wanted of nobody."""
SENDING = frozenset({Scope.PREDICT})
LOOKING = frozenset({Scope.READ})
USING = frozenset({Scope.PREDICT, Scope.READ})
"""Either of them."""
RUNNING = frozenset({Scope.ADMIN})


@dataclass(frozen=True, slots=True)
class Rule:
    methods: str
    path: str
    scopes: frozenset[Scope]

    def applies(self, method: str, path: str) -> bool:
        return method in self.methods.split() and re.fullmatch(self.path, path) is not None


RULES = (
    Rule("GET HEAD", "/(healthz|readyz)", PUBLIC),
    Rule("GET HEAD", "/(pacs|admin)?|/web/.*", PUBLIC),  # pages without data: what they show they fetch, with whoever looks at them
    Rule("GET POST DELETE", "/v1/session", PUBLIC),  # which tells by itself
    Rule("POST", "(/v1)?/predict|/v1/jobs", SENDING),
    Rule("DELETE", "/v1/jobs/[^/]+", SENDING),
    Rule("GET HEAD", "/v1/jobs/.+", LOOKING),
    Rule("POST", "/v1/jobs/[^/]+/feedback", LOOKING),
    Rule("GET", "/v1/models", USING),
    Rule("GET", "/metrics|/openapi.json", LOOKING),
    Rule("POST", "/dicom-web/.*", SENDING),
)


def scopes_for(method: str, path: str) -> frozenset[Scope]:
    """One of these is needed; none where anybody may."""
    return next((rule.scopes for rule in RULES if rule.applies(method, path)), RUNNING)
