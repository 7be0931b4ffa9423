"""When contracts are signed: a year of planning by quarters, in each entity's own calendar and zone.

Contracts are signed on working days, mostly in the last weeks of a quarter; the last days run into the evening.
Weekends carry 1 % here: of the agreements in CUAD v1 (The Atticus Project, CC BY 4.0) 5 % are dated on one,
but there a date is the agreement's, not the moment of the last signature.
"""

from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from random import Random
from zoneinfo import ZoneInfo

from sync_core.estate.calendar import is_working_day
from sync_core.estate.estate import Entity

_CLOSED_DAY = 0.03
_RUSH_DAYS = 14  # calendar days before the end of the quarter
_QUIET_DAYS = 10  # after its beginning


def _quarter_end(day: date) -> date:
    month = (day.month - 1) // 3 * 3 + 3
    following = date(day.year + month // 12, month % 12 + 1, 1)
    return following - timedelta(days=1)


def _weight(day: date, entity: Entity) -> float:
    left = (_quarter_end(day) - day).days
    since = (day - (_quarter_end(day).replace(day=1) - timedelta(days=62)).replace(day=1)).days
    weight = 1.0
    if left < _RUSH_DAYS:
        weight += 4.0 * (1 - left / _RUSH_DAYS)
    elif since < _QUIET_DAYS:
        weight = 0.6
    elif (day + timedelta(days=4)).month != day.month:
        weight = 1.5
    return weight if is_working_day(day, entity.working_time) else weight * _CLOSED_DAY


class SigningDays:
    """Draws days from [start, end) for one entity."""

    def __init__(self, entity: Entity, start: date, end: date) -> None:
        if end <= start:
            raise ValueError("a plan needs at least one day between start and end; move the end")
        self._entity = entity
        self._days = [start + timedelta(days=n) for n in range((end - start).days)]
        self._sums = list(accumulate(_weight(day, entity) for day in self._days))

    def draw(self, rng: Random) -> datetime:
        """A moment (UTC) in working hours, later into the evening when the quarter ends."""
        day = rng.choices(self._days, cum_weights=self._sums)[0]
        evening = 3.5 if (_quarter_end(day) - day).days < 3 else 0.0
        return in_office(rng, self._entity, day, evening_h=evening)


def in_office(rng: Random, entity: Entity, day: date, *, evening_h: float = 0.0) -> datetime:
    """A moment of the day between opening and closing, most likely late in the morning or in the afternoon."""
    opens, closes = _hours(entity.working_time.opens), _hours(entity.working_time.closes) + evening_h
    peak = 0.3 if rng.random() < 0.45 else 0.75
    hour = rng.triangular(opens, closes, opens + peak * (closes - opens))
    seconds = min(hour * 3600, 24 * 3600 - 1)
    local = datetime.combine(day, time(), ZoneInfo(entity.timezone)) + timedelta(seconds=int(seconds))
    return local.astimezone(UTC)


def working_day(day: date, entity: Entity) -> date:
    """This day, or the next one on which the entity works."""
    while not is_working_day(day, entity.working_time):
        day += timedelta(days=1)
    return day


def _hours(at: time) -> float:
    return at.hour + at.minute / 60
