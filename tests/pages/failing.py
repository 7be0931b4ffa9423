"""Test only: measures of which some, or all, cannot be read."""

from collections.abc import Iterable, Mapping
from typing import NoReturn

import sqlalchemy as sa

from metrics.asking import Ask, By
from metrics.kpi import Result, Value
from metrics.measures import Dimensions, Measures
from sync_core.clock import VirtualClock
from tests import rows

SECRET = "the password is in this message"


class Failing(Measures):
    """Fails for the KPIs named in `broken`, alone or with others; for all, and the filters too, when it is empty."""

    broken: frozenset[str] = frozenset()

    def several(self, wanted: Mapping[str, By | None], ask: Ask) -> dict[str, Result]:
        if not self.broken or self.broken & wanted.keys():
            self._fail()
        return super().several(wanted, ask)

    def headlines(self, slugs: Iterable[str], ask: Ask) -> dict[str, Value]:
        if not self.broken or self.broken & {*slugs}:
            self._fail()
        return super().headlines(slugs, ask)

    def dimensions(self, ask: Ask) -> Dimensions:
        return super().dimensions(ask) if self.broken else self._fail()

    def _fail(self) -> NoReturn:
        raise RuntimeError(SECRET)


def failing(engine: sa.Engine, *broken: str) -> Failing:
    measures = Failing(engine, clock=VirtualClock(rows.NOW), estate=rows.estate())
    measures.broken = frozenset(broken)
    return measures
