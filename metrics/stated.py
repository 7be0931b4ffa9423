"""Numbers that finance stated, as they were known: the baseline from before go-live, and assumptions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from metrics.source import Source
from sync_core.finance import Stated

KNOWN: Final = """
    SELECT DISTINCT ON (s.kind, s.name) s.kind, s.name, s.value, s.reason, s.recorded_at
    FROM metrics.stated_value AS s WHERE s.known_from <= :known_at ORDER BY s.kind, s.name, s.seq DESC
"""


@dataclass(frozen=True, slots=True)
class Given:
    value: Decimal
    reason: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class StatedNumbers:
    """By name; what was never stated is not there."""

    baseline: Mapping[str, Given] = field(default_factory=dict)
    assumptions: Mapping[str, Given] = field(default_factory=dict)


def stated(source: Source) -> StatedNumbers:
    """The last that was known of each at source.known_at. One statement."""
    found: dict[str, dict[str, Given]] = {kind.value: {} for kind in Stated}
    if source.known_at is not None:
        for row in source.run(KNOWN):
            found[row.kind][row.name] = Given(row.value, row.reason, row.recorded_at)
    return StatedNumbers(found[Stated.BASELINE], found[Stated.ASSUMPTION])
