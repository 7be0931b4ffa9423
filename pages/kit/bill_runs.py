"""The next bill runs of the legal entities that a page is about, soonest first."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pages.kit import format as fmt
from sync_core.estate.bill_runs import billing_run, next_bill_run
from sync_core.estate.estate import Entity, Estate


@dataclass(frozen=True, slots=True)
class Run:
    entity: Entity
    at: datetime  # UTC
    left: timedelta

    @property
    def day(self) -> str:
        return fmt.local_day(self.at, self.entity.timezone)


def coming(entities: Iterable[Entity], now: datetime) -> list[Run]:
    """Of those that have any."""
    runs = [(entity, next_bill_run(entity, now)) for entity in entities]
    return sorted((Run(entity, at, at - now) for entity, at in runs if at is not None), key=lambda run: run.at)


def billing(estate: Estate, legal_entity: str, bill_on: date | None, now: datetime) -> Run | None:
    """The run in which that day's bill is made; None: of an entity without any."""
    entity = next((one for one in estate.entity if one.code == legal_entity), None)
    at = billing_run(entity, bill_on, now) if entity else None
    return Run(entity, at, at - now) if entity and at else None
