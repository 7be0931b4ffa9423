"""Questions that cannot be meant: a moment or weeks that are yet to come, values that no contract has.

One place for pages, API and command line, so that a misspelt value is never answered with no case.
"""

from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from metrics import weeks
from metrics.asking import Ask, Chosen, InvalidAsk
from metrics.source import Source
from sync_core.contract import BillingKind

_FIRST_YEAR: Final = 1971
_MOST: Final = 40  # that a message lists
# A value that any contract had once is known, also where none of the rollups counts one now.
_ENTITIES: Final = "SELECT DISTINCT legal_entity AS value FROM metrics.cell WHERE level = 0 AND legal_entity <> ''"
_OCCURRING: Final = """
    SELECT DISTINCT {name} AS value FROM metrics.cell
    WHERE measure IN ('contract.provisioned', 'contract.open', 'contract.cancelled') AND level = 1 AND {name} <> ''
"""


def refuse_moment(as_of: datetime | None) -> None:
    """What no database and no calendar can hold. Raises InvalidAsk."""
    if as_of is not None and (as_of.tzinfo is None or not _FIRST_YEAR <= as_of.year <= 9998):
        raise InvalidAsk("as_of: a moment with its zone, of the years 1971 to 9998, such as 2026-11-23T06:00:00Z")


def refuse_future(source: Source, now: datetime) -> None:
    """A refresh may be a moment ahead of the clock: what it knows can be asked for. Raises InvalidAsk."""
    ask, zone = source.ask, source.estate.group.timezone
    if ask.as_of is not None and ask.as_of > now and ask.as_of != source.known_at:
        raise InvalidAsk("as_of: a moment that is not in the future; nothing was known before the first refresh")
    begins = datetime.combine(ask.window.start, time.min, ZoneInfo(zone))
    if begins > max(now, ask.as_of or source.known_at or now):
        week = weeks.week_name(ask.window.start)
        raise InvalidAsk(f"from: {week} has not begun yet as of {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC")


def refuse_unknown(source: Source, ask: Ask, reach: Chosen) -> None:
    """`ask` as it came: of legal entities, those within `reach` alone are known. Raises InvalidAsk."""
    filters = ask.filters
    _known("billing", filters.billing, frozenset(BillingKind))
    if filters.legal_entity:
        estate = frozenset(entity.code for entity in source.estate.entity)
        within = estate if reach is None else reach
        if reach is None and not filters.legal_entity <= within:
            within |= _values(source, _ENTITIES)
        _known("legal_entity", filters.legal_entity, within)
    if source.known_at is None:
        return
    for name, chosen in (("service_line", filters.service_line), ("geography", filters.geography)):
        if chosen:
            _known(name, chosen, _values(source, _OCCURRING.format(name=name)))


def _known(name: str, chosen: Chosen, known: AbstractSet[str]) -> None:
    unknown = sorted((chosen or frozenset()) - known)
    if unknown:
        listed = sorted(known)
        more = f" and {len(listed) - _MOST} more" if len(listed) > _MOST else ""
        there = f"there are {', '.join(listed[:_MOST])}{more}" if listed else "there is none yet"
        raise InvalidAsk(f"{name}: {unknown[0][:60]!r} is none that is known; {there}")


def _values(source: Source, sql: str) -> frozenset[str]:
    return frozenset(str(row.value) for row in source.run(sql))
