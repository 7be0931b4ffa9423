"""What waits in the queue, by state, with the oldest of each. Alarm on age, not on depth."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import sqlalchemy as sa


class Waiting(StrEnum):
    """A contract in the queue is in one of them."""

    READY = "ready"  # due, and nobody has it; on a stopped lane it stays here and ages
    SCHEDULED = "scheduled"  # due later: a retry, a settling time, a recheck
    IN_FLIGHT = "in_flight"  # a worker has it
    BLOCKED = "blocked"  # a person must act
    DEAD = "dead"  # set aside after its last attempt


COMPLETIONS_OVER: Final = timedelta(minutes=15)

# In-flight goes before the rest. What is ready or scheduled has waited since it was due; what a person must act on,
# since it stopped. Needs :now.
STANDING: Final = f"""
    SELECT lane, state, count(*) AS contracts, min(since) AS oldest_at FROM (
        SELECT lane, CASE WHEN lease_owner IS NOT NULL THEN '{Waiting.IN_FLIGHT}'
                          WHEN state = 'set_aside' THEN '{Waiting.DEAD}' WHEN state = 'blocked' THEN '{Waiting.BLOCKED}'
                          WHEN due_at <= :now THEN '{Waiting.READY}' ELSE '{Waiting.SCHEDULED}' END AS state,
               CASE WHEN state IN ('set_aside', 'blocked') THEN state_since ELSE least(due_at, :now) END AS since
        FROM core.contract
        WHERE due_at IS NOT NULL OR lease_owner IS NOT NULL OR state IN ('set_aside', 'blocked')
    ) AS waiting GROUP BY lane, state
"""
_STANDING = sa.text(STANDING)
_COMPLETED = sa.text("""
    SELECT system, sum(n) AS completed FROM telemetry.count_minute
    WHERE name = 'attempts' AND label = 'ok' AND at >= :since AND at < :until GROUP BY system
""")


@dataclass(frozen=True, slots=True)
class Backlog:
    """Of one lane ("": contracts of which no ERP is known yet), or of all of them."""

    contracts: Mapping[Waiting, int]
    oldest_age_s: Mapping[Waiting, float]  # of those states that have any; scheduled ones are not late, so 0
    completed: int  # runs that ended well within the last 15 whole minutes
    drain_s: float | None  # how long what is ready takes at that rate; None at rate 0 with something ready


def backlog(conn: sa.Connection, *, now: datetime) -> dict[str, Backlog]:
    """By lane."""
    until = now.replace(second=0, microsecond=0)
    since = until - COMPLETIONS_OVER
    completed = {row.system: int(row.completed) for row in conn.execute(_COMPLETED, {"since": since, "until": until})}
    contracts: dict[str, dict[Waiting, int]] = {lane: {} for lane in completed}
    ages: dict[str, dict[Waiting, float]] = {}
    for row in conn.execute(_STANDING, {"now": now}):
        contracts.setdefault(row.lane, {})[Waiting(row.state)] = row.contracts
        ages.setdefault(row.lane, {})[Waiting(row.state)] = max(0.0, (now - row.oldest_at).total_seconds())
    return {lane: made(found, ages.get(lane, {}), completed.get(lane, 0)) for lane, found in sorted(contracts.items())}


def made(contracts: Mapping[Waiting, int], ages: Mapping[Waiting, float], completed: int) -> Backlog:
    whole = {state: contracts.get(state, 0) for state in Waiting}
    rate = completed / COMPLETIONS_OVER.total_seconds()
    ready = whole[Waiting.READY]
    drain_s = 0.0 if not ready else ready / rate if rate else None
    return Backlog(whole, dict(ages), completed, drain_s)


def over_all(parts: Mapping[str, Backlog]) -> Backlog:
    """Of all lanes together."""
    contracts = {state: sum(part.contracts[state] for part in parts.values()) for state in Waiting}
    ages = {
        state: max(found)
        for state in Waiting
        if (found := [part.oldest_age_s[state] for part in parts.values() if state in part.oldest_age_s])
    }
    return made(contracts, ages, sum(part.completed for part in parts.values()))
