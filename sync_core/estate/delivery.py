"""Who is told what: `[[subscriber]]`, `[[notify]]` and `[delivery]` of the estate file. See docs/delivery.md."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final
from urllib.parse import urlsplit

from pydantic import ConfigDict

from sync_core.errors import Function, InvalidEstate
from sync_core.estate.identity import is_safe_url

PREFIX: Final = "com.tieline."
_STRICT = ConfigDict(extra="forbid")  # a misspelt key would quietly tell somebody too much, or nothing
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,38}")
_PATTERN = re.compile(r"com\.tieline(\.[a-z0-9_]+)*(\.\*)?")


class Severity(StrEnum):
    """In rising order; of money for exceptions, of kind for the rest."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class Word(StrEnum):
    """What a notification can be about."""

    EXCEPTION = "exception"
    OVERDUE = "overdue"
    QUARANTINE = "quarantine"
    LANE = "lane"
    RENEWAL = "renewal"
    AMENDMENT_LATE = "amendment_late"
    ACTIVATED = "activated"
    APPROVAL = "approval"
    REPLAY = "replay"
    SLO = "slo"
    SCHEMA = "schema"


@dataclass(frozen=True)
class Subscriber:
    """A system that gets signed events over HTTP."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    url: str
    secret_env: tuple[str, ...]  # every one of them signs (rotation)
    types: tuple[str, ...] = (f"{PREFIX}*",)
    entities: tuple[str, ...] | None = None  # None: every legal entity

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What its types begin with: `com.tieline.exception.*` as much as a whole type."""
        return tuple(pattern.removesuffix("*") for pattern in self.types)


@dataclass(frozen=True)
class Notify:
    """Messages to people, by whatever channel Apprise has."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    channel_env: str  # the variable with the Apprise URL
    on: tuple[Word, ...]
    function: Function | None = None  # only what this function has; what belongs to no function comes all the same
    min_severity: Severity = Severity.LOW
    entities: tuple[str, ...] | None = None
    digest_minutes: int = 15
    quiet: bool = False  # nothing outside of working hours


@dataclass(frozen=True)
class Delivery:
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    renewal_days: int | None = None  # as [renewal] alert_days with this number alone


def check(
    subscribers: Sequence[Subscriber], rules: Sequence[Notify], delivery: Delivery, entities: Iterable[str]
) -> None:
    """Raises InvalidEstate that names the key and what to put there."""
    known = frozenset(entities)
    _named("subscriber", [one.name for one in subscribers])
    _named("notify", [one.name for one in rules])
    for one in subscribers:
        _subscriber(one, known)
    for rule in rules:
        _rule(rule, known)
    if delivery.renewal_days is not None and not 1 <= delivery.renewal_days <= 60:
        raise InvalidEstate("[delivery]: renewal_days must be from 1 to 60")


def _subscriber(one: Subscriber, entities: frozenset[str]) -> None:
    where = f"subscriber {one.name}"
    if not is_safe_url(one.url):
        raise InvalidEstate(f"{where}: url must be https, or http to this machine; correct it")
    if "@" in urlsplit(one.url).netloc:
        raise InvalidEstate(f"{where}: url holds a user or password; leave it out, events are signed")
    if not one.secret_env:
        raise InvalidEstate(f"{where}: secret_env must name at least one variable with a whsec_ secret")
    for pattern in one.types:
        if not _PATTERN.fullmatch(pattern):
            raise InvalidEstate(f"{where}: {pattern!r} is no type; use com.tieline.exception.* or a whole type")
    if not one.types:
        raise InvalidEstate(f"{where}: types must not be empty; leave it out for all of them")
    _entities(where, one.entities, entities)


def _rule(rule: Notify, entities: frozenset[str]) -> None:
    where = f"notify {rule.name}"
    if not rule.on:
        raise InvalidEstate(f"{where}: on must name at least one of {', '.join(Word)}")
    if not 0 <= rule.digest_minutes <= 1440:
        raise InvalidEstate(f"{where}: digest_minutes must be from 0 to 1440")
    _entities(where, rule.entities, entities)


def _entities(where: str, given: tuple[str, ...] | None, known: frozenset[str]) -> None:
    if given is not None and not given:
        raise InvalidEstate(f"{where}: entities is empty; name some, or leave it out for every one")
    if unknown := sorted(set(given or ()) - known):
        raise InvalidEstate(f"{where}: {unknown[0]!r} is not in [[entity]]; add it there")


def _named(table: str, names: list[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidEstate(f"{table}.name must be unique in the estate file; given twice: {', '.join(twice)}")
    for name in names:
        if not _NAME.fullmatch(name):
            raise InvalidEstate(f"{table} {name[:60]!r}: a name has up to 39 characters: a-z, 0-9 and '-'")
