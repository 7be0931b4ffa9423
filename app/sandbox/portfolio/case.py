"""One contract's story while it is being told: its facts, and the steps so far with the revisions they will get."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import exp
from random import Random
from zoneinfo import ZoneInfo

from pydantic import JsonValue

from app.sandbox.clm.changes import Change, ChangeKind
from app.sandbox.portfolio.defects import TREATMENTS, Defect
from app.sandbox.portfolio.planning import in_office, working_day
from app.sandbox.portfolio.steps import Action, Step
from sync_core.contract import Terms
from sync_core.estate.calendar import add_working_hours
from sync_core.estate.estate import Entity


@dataclass(frozen=True, slots=True)
class Tempo:
    """How fast stories run: in office time for a history, hurried for live traffic (an hour takes seconds)."""

    office: bool = True
    repairs: float = 1.0
    later: float = 1.0


HISTORY = Tempo()
LIVE = Tempo(office=False, repairs=1 / 40, later=1 / 2000)


@dataclass(slots=True)
class Case:
    """`shown` are the terms as the CLM publishes them, `terms` the true ones; they differ by the defect."""

    rng: Random
    contract_id: str
    entity: Entity
    signed_at: datetime
    earliest: datetime  # nothing happens before
    tempo: Tempo
    terms: Terms
    shown: Terms
    defect: Defect | None = None
    extra: Mapping[str, JsonValue] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    revision: int = 0
    amendments: int = 0
    mended_at: datetime | None = None  # the owner does not get to the repair before
    over_at: datetime | None = None  # last moment told so far

    def tell(
        self,
        at: datetime,
        kind: ChangeKind,
        body: Mapping[str, JsonValue],
        *,
        version: int = 1,
        defect: Defect | None = None,
        repairs: bool = False,
    ) -> datetime:
        """The CLM publishes a change, after all that was told before; returns when."""
        self.revision += 1
        change = Change(self.contract_id, kind, {**body, **self.extra}, version=version)
        return self._step(self._after_all(at), change, defect=defect, repairs=repairs)

    def tell_reserved(self, at: datetime, change: Change, *, defect: Defect, repairs: bool = False) -> datetime:
        """Like `tell`, for a change whose revision is given."""
        self.revision = max(self.revision, change.revision or 0)
        return self._step(self._after_all(at), change, defect=defect, repairs=repairs)

    def meanwhile(
        self, at: datetime, action: Action, *, defect: Defect | None = None, repairs: bool = False
    ) -> datetime:
        """Something that is no change of the contract: it may lie before what was told."""
        return self._step(max(at, self.earliest), action, defect=defect, repairs=repairs)

    def office_moment(self, day: date) -> datetime:
        """Some time in the working day on or after `day`."""
        return in_office(self.rng, self.entity, working_day(day, self.entity))

    def days_later(self, at: datetime, days: float) -> datetime:
        if not self.tempo.office:
            return at + timedelta(days=days * self.tempo.later)
        local = (at + timedelta(days=days)).astimezone(ZoneInfo(self.entity.timezone))
        return max(self.office_moment(local.date()), at)

    def repaired_at(self, at: datetime, defect: Defect) -> datetime:
        """When the responsible function has repaired a defect that showed at `at`; one in six takes weeks."""
        hours = TREATMENTS[defect].working_hours * exp(self.rng.gauss(0, 0.7))
        hours *= 12 if self.rng.random() < 1 / 6 else 1
        if self.mended_at is not None:
            return max(self.mended_at, at)
        if not self.tempo.office:
            return at + timedelta(hours=hours * self.tempo.repairs)
        return add_working_hours(at, hours, self.entity.working_time, self.entity.timezone)

    def _after_all(self, at: datetime) -> datetime:
        least = self.earliest if self.over_at is None else self.over_at + timedelta(seconds=1)
        self.over_at = max(at, least)
        return self.over_at

    def _step(self, at: datetime, action: Action, *, defect: Defect | None, repairs: bool) -> datetime:
        self.steps.append(Step(at, self.contract_id, action, defect, repairs))
        return at
