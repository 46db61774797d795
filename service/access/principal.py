"""Whoever asks: whose results they are, and what they may do."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a key or token allows."""

    PREDICT = "predict"
    """Send clips, and remove what was kept of them."""
    READ = "read"
    """Look at results, of the same owner."""
    ADMIN = "admin"
    """Everything, of every owner."""


@dataclass(frozen=True, slots=True)
class Principal:
    owner: str
    """Whose jobs and results they are; several keys may have one owner. No name of a person."""
    scopes: frozenset[Scope]

    @property
    def is_admin(self) -> bool:
        return Scope.ADMIN in self.scopes

    def may(self, scopes: frozenset[Scope]) -> bool:
        """Whether one of them is theirs."""
        return self.is_admin or not scopes.isdisjoint(self.scopes)

    def owns(self, owner: str) -> bool:
        return self.is_admin or self.owner == owner


LOCAL = Principal("local", frozenset(Scope))
"""Everybody, where no key was ever made and no sign-on is set up."""
