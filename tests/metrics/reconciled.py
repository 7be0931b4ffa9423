"""Test only: the reconciliation of all that the test has committed."""

from decimal import Decimal

import sqlalchemy as sa

from metrics.asking import Ask, By, Window
from metrics.kpi import Result
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.support import caught_up

WINDOW = Window.weeks(rows.NOW, "Europe/London", 4)
ZERO = Decimal(0)
SUMS = ("signed", "billed", "credited", "paid", "remaining")
EARNED = ("recognised", "deferred", "accrued")
EXPLAINED = ("ended", "not_provisioned", "on_its_way", "not_reported")


def measures_of(engine: sa.Engine, clock: VirtualClock) -> Measures:
    caught_up(engine, clock, rows.estate())
    return Measures(engine, clock=clock, estate=rows.estate())


def asked_of(engine: sa.Engine, clock: VirtualClock, by: By | None = None) -> Result:
    return measures_of(engine, clock).kpi("reconciliation", Ask(WINDOW), by)


def money(result: Result, key: str) -> Decimal:
    value = result.answer.figure(key).value
    return ZERO if value is None else Decimal(str(value))
