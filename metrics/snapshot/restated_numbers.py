"""Baselines, assumptions and exchange rates that have come to be known since an earlier moment, by whom and why."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from metrics.snapshot.content import Stated
from metrics.source import Source

_STATED: Final = """
    SELECT DISTINCT ON (s.kind, s.name) s.kind, s.name, s.value, s.recorded_by, s.known_from, s.reason, (
        SELECT o.value FROM metrics.stated_value AS o
        WHERE o.kind = s.kind AND o.name = s.name AND o.known_from <= :base ORDER BY o.seq DESC LIMIT 1) AS before
    FROM metrics.stated_value AS s WHERE s.known_from > :base AND s.known_from <= :known_at
    ORDER BY s.kind, s.name, s.seq DESC
"""
# Of the days up to the earlier moment: a rate of a later day says nothing of it.
_VALID: Final = """r.reporting = :reporting
    AND r.valid_on <= CAST(CAST(:base AS timestamptz) AT TIME ZONE :zone AS date)"""
_RATES: Final = f"""
    SELECT DISTINCT ON (r.currency) r.currency, r.rate, r.recorded_by, r.known_from, r.valid_on, (
        SELECT o.rate FROM metrics.exchange_rate AS o
        WHERE o.reporting = r.reporting AND o.currency = r.currency AND o.known_from <= :base
          AND o.valid_on <= CAST(CAST(:base AS timestamptz) AT TIME ZONE :zone AS date)
        ORDER BY o.valid_on DESC, o.seq DESC LIMIT 1) AS before
    FROM metrics.exchange_rate AS r WHERE {_VALID} AND r.known_from <= :known_at
    ORDER BY r.currency, r.valid_on DESC, r.seq DESC
"""


def restated_numbers(source: Source, since: datetime) -> Iterator[Stated]:
    """Those that say something else than they did at that moment."""
    for row in source.run(_STATED, base=since):
        if row.value != row.before:
            yield Stated(row.kind, row.name, row.before, row.value, row.recorded_by, row.known_from, row.reason)
    for row in source.run(_RATES, base=since):
        if row.known_from > since and row.rate != row.before:
            yield Stated(
                "exchange rate", row.currency, row.before, row.rate, row.recorded_by, row.known_from,
                f"valid from {row.valid_on}",
            )  # fmt: skip
