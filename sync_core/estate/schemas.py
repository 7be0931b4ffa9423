"""`[[schema]]` and `[[release]]` of the estate file: when versions of events end here, and which releases come."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Final

from pydantic import ConfigDict

from sync_core.errors import InvalidEstate
from sync_core.events import REGISTRY

_STRICT = ConfigDict(extra="forbid")
_OURS: Final = ("tieline", "postgresql")
_LONGEST: Final = 80


@dataclass(frozen=True)
class SchemaPlan:
    """Takes the place of what this release says of one version. What was removed goes to quarantine when it is sent."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    type: str
    deprecated_on: date | None = None
    sunset_on: date | None = None
    removed_on: date | None = None


@dataclass(frozen=True)
class PlannedRelease:
    """A release of a system that is known ahead; what runs is seen by the workers themselves."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    system: str  # tieline, postgresql, erp:<name>, clm:<name>
    version: str
    on: date
    note: str = ""


def check(plans: Sequence[SchemaPlan], releases: Sequence[PlannedRelease], systems: Iterable[str]) -> None:
    """`systems`: erp:<name> and clm:<name> of the estate. Raises InvalidEstate."""
    names = [plan.type for plan in plans]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidEstate(f"schema.type must be unique in the estate file; given twice: {', '.join(twice)}")
    for plan in plans:
        _plan(plan)
    known = {*_OURS, *systems}
    for release in releases:
        if release.system not in known:
            raise InvalidEstate(
                f"release {release.version}: system {release.system!r} is none of {', '.join(sorted(known))}"
            )
        if not re.fullmatch(rf"\S.{{0,{_LONGEST - 1}}}", release.version):
            raise InvalidEstate(f"release of {release.system}: version must have 1 to {_LONGEST} characters")


def _plan(plan: SchemaPlan) -> None:
    if plan.type not in REGISTRY:
        raise InvalidEstate(f"schema {plan.type!r} is no event type of this release; `tieline schemas list` has them")
    days = [day for day in (plan.deprecated_on, plan.sunset_on, plan.removed_on) if day is not None]
    if days != sorted(days):
        raise InvalidEstate(
            f"schema {plan.type}: deprecated_on, sunset_on and removed_on must be in this order in time"
        )
    if plan.sunset_on is not None and plan.deprecated_on is None:
        raise InvalidEstate(f"schema {plan.type}: a version with sunset_on needs deprecated_on; senders are told by it")
