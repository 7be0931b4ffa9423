"""Error budgets: how fast one is spent, and when that is worth waking somebody. Pure.

Burn rate is the share of bad events over the share that the objective allows; at 1 the budget of 30 days lasts 30 days.
An alert needs it over a long window and over a twelfth of that, so that it starts on what matters and ends soon after
the trouble has (Google's SRE Workbook, chapter 5).

Two traps. A burn rate cannot exceed 1 / (1 - objective): at 90 % that is 10, and the usual 14.4 would never fire. So a
threshold is worked out from the share of the budget that an alert stands for and capped at that. And few events make
one failure a high rate: one late contract of two is 50 %. So a window that has fewer events than `enough` for its
threshold raises nothing; single contracts that are stuck are looked at instead.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

PERIOD: Final = timedelta(days=30)


class Alarm(StrEnum):
    PAGE = "page"  # somebody is to look now
    TICKET = "ticket"  # somebody is to look this week


@dataclass(frozen=True, slots=True)
class Policy:
    """An alert when so much of the budget is spent within `long`."""

    alarm: Alarm
    share: float
    long: timedelta

    @property
    def short(self) -> timedelta:
        return self.long / 12

    def threshold(self, objective: float) -> float:
        """Of the burn rate; reaching it fires. 14.4, 6 and 1 for objectives that allow them."""
        return min(self.share * (PERIOD / self.long), most(objective))

    def enough(self, objective: float, least: int) -> int:
        """Events in the long window below which one failure alone would reach the threshold, and `least` at least."""
        allowed = 1 - objective
        if allowed <= 0:
            return least
        return max(least, math.floor(1 / (self.threshold(objective) * allowed) + 1e-9) + 1)


POLICIES: Final = (
    Policy(Alarm.PAGE, 0.02, timedelta(hours=1)),
    Policy(Alarm.PAGE, 0.05, timedelta(hours=6)),
    Policy(Alarm.TICKET, 0.10, timedelta(days=3)),
)
WINDOWS: Final = tuple(sorted({PERIOD, *(p.long for p in POLICIES), *(p.short for p in POLICIES)}))


@dataclass(frozen=True, slots=True)
class Events:
    total: int
    bad: int

    @property
    def bad_share(self) -> float | None:
        return self.bad / self.total if self.total else None


_ROUNDED: Final = 1 - 1e-9  # what binary fractions may lack
NO_EVENTS: Final = Events(0, 0)
Counted = Mapping[timedelta, Events]  # by window, all of WINDOWS


@dataclass(frozen=True, slots=True)
class Firing:
    """A policy that is met now."""

    policy: Policy
    threshold: float
    long: float  # burn rates
    short: float


def most(objective: float) -> float:
    """The highest burn rate that there can be."""
    return math.inf if objective >= 1 else 1 / (1 - objective)


def burn(events: Events, objective: float) -> float | None:
    """None without events; infinite where nothing may be bad and something is."""
    share = events.bad_share
    if share is None:
        return None
    if objective >= 1:
        return math.inf if events.bad else 0.0
    return share / (1 - objective)


def budget_left(counted: Counted, objective: float) -> float | None:
    """Of 30 days: 1 is untouched, below 0 overspent. None without events; all or nothing where none may be bad."""
    events = counted[PERIOD]
    if not events.total:
        return None
    if objective >= 1:
        return 0.0 if events.bad else 1.0
    return 1 - events.bad / (events.total * (1 - objective))


def firing(counted: Counted, objective: float, *, least: int) -> list[Firing]:
    """The policies that are met, the most urgent first. `least`: see Policy.enough."""
    if objective >= 1:
        return []  # no rate of nothing: one bad event is told by itself
    found = []
    for policy in POLICIES:
        threshold = policy.threshold(objective)
        long, short = burn(counted[policy.long], objective), burn(counted[policy.short], objective)
        too_few = counted[policy.long].total < policy.enough(objective, least)
        if long is None or short is None or too_few:
            continue
        if min(long, short) >= threshold * _ROUNDED:
            found.append(Firing(policy, threshold, long, short))
    return found


def is_thin(counted: Counted, objective: float, *, least: int) -> bool:
    """Whether every window has too few events for its alert."""
    return all(counted[p.long].total < p.enough(objective, least) for p in POLICIES)


def worst(found: Sequence[Firing]) -> Alarm | None:
    alarms = [one.policy.alarm for one in found]
    return None if not alarms else Alarm.PAGE if Alarm.PAGE in alarms else Alarm.TICKET
