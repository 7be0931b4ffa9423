"""By when the owner of an exception must have mended it, and how severe it is."""

from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from sync_core.errors import Function
from sync_core.estate.calendar import add_working_hours
from sync_core.estate.estate import Estate, WorkingTime


def due(
    estate: Estate, function: Function, legal_entity: str, now: datetime, *, hours: int | None = None
) -> datetime | None:
    """In the working time of the legal entity, or in the group's zone where the entity is unknown. None: no owner.

    `hours`: those of a rule of the policy; they go before the owner's.
    """
    owner, entity = estate.owners.get(function), estate.entities.get(legal_entity)
    if owner is None and hours is None:
        return None
    calendar, zone = (entity.working_time, entity.timezone) if entity else (WorkingTime(), estate.group.timezone)
    allowed = owner.sla_working_hours if owner and hours is None else hours or 0
    return _after(now, allowed, calendar, zone)


@lru_cache(maxsize=256)
def _after(now: datetime, hours: int, calendar: WorkingTime, zone: str) -> datetime:
    """Kept, because a commit asks the same for each of its exceptions."""
    return add_working_hours(now, hours, calendar, zone)


def severity(reporting: Decimal | None, estate: Estate) -> str:
    """By money in the reporting currency (bounds in the estate's group); unknown money is treated as much money."""
    if reporting is None or reporting >= estate.group.high_exposure:
        return "high"
    return "medium" if reporting >= estate.group.medium_exposure else "low"
