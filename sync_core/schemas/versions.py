"""Where each version of an event stands: in use, on its way out, or no longer taken; who owns it; what follows it.

What is deprecated is taken as before, and its senders are told so in the headers of each answer (RFC 9745, RFC 8594).
What is removed is quarantined whole when it is sent. What was stored is read for ever, whatever became of its version.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from enum import StrEnum
from typing import Final

from sync_core.errors import Function
from sync_core.estate.schemas import SchemaPlan
from sync_core.events import PREFIX, REGISTRY, EventType

NAMING: Final = re.compile(r"com\.tieline\.contract\.[a-z][a-z_]{0,60}\.v[1-9][0-9]{0,3}")
STANDARD: Final = (
    "com.tieline.<domain>.<what happened>.v<version>: the domain is contract, workflow, project, exception and so on; "
    "what happened is a verb in the past tense; the version rises only when a reader of the one before would break"
)


class State(StrEnum):
    ACTIVE = "active"
    DEPRECATED = "deprecated"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an event type. Days are whole ones in UTC: a state holds from its midnight on."""

    name: str
    owner: Function = Function.LEGAL  # answers for what it means
    since: str = "0.1.0"  # release of Tieline
    deprecated_on: date | None = None
    sunset_on: date | None = None  # when it may be removed at the earliest
    removed_on: date | None = None
    successor: str | None = None

    def state(self, on: date) -> State:
        if self.removed_on is not None and self.removed_on <= on:
            return State.REMOVED
        if self.deprecated_on is not None and self.deprecated_on <= on:
            return State.DEPRECATED
        return State.ACTIVE

    @property
    def type(self) -> EventType:
        return REGISTRY[self.name]


_SIGNED_1, _SIGNED_2 = f"{PREFIX}signed.v1", f"{PREFIX}signed.v2"
_NOTED: Final = {
    _SIGNED_1: Version(_SIGNED_1, deprecated_on=date(2026, 11, 1), sunset_on=date(2027, 12, 31), successor=_SIGNED_2),
    _SIGNED_2: Version(_SIGNED_2),
}


def versions(plans: Iterable[SchemaPlan] = ()) -> Mapping[str, Version]:
    """All that this release knows, by name; `plans` of the estate file stand above it."""
    known = {name: _NOTED.get(name) or Version(name) for name in REGISTRY}
    for plan in plans:
        known[plan.type] = replace(
            known[plan.type],
            deprecated_on=plan.deprecated_on,
            sunset_on=plan.sunset_on,
            removed_on=plan.removed_on,
        )
    return known


def stem(name: str) -> str:
    """Of all versions of one happening."""
    return name.rpartition(".")[0]


def headers(sent: Iterable[Version], on: date) -> dict[str, str]:
    """What the sender of these versions is told besides its receipts: the nearest dates, where all are, what next."""
    going = sorted(
        {one.name: one for one in sent if one.state(on) is State.DEPRECATED}.values(), key=lambda one: one.name
    )
    if not going:
        return {}
    told = {"deprecation": f"@{_unix(min(one.deprecated_on for one in going if one.deprecated_on))}"}
    if sunset := [one.sunset_on for one in going if one.sunset_on]:
        told["sunset"] = format_datetime(datetime.combine(min(sunset), time(), UTC), usegmt=True)
    links = ['</v1/schemas>; rel="deprecation"; type="application/json"']
    links += [f'</v1/schemas/{one.successor}>; rel="successor-version"' for one in going if one.successor]
    return {**told, "link": ", ".join(links)}


def _unix(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())
