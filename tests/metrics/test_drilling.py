"""Rows behind a number: a viewer sees none of what has become another entity's."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from metrics.asking import Ask
from metrics.measures import Measures
from sync_core.authority import Actor, person
from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.flow_rows import ESTATE, WINDOW, made
from tests.metrics.support import caught_up

SIGNED = datetime(2026, 11, 10, 10, tzinfo=UTC)
BRITISH = person("pat@example.com", ["executive@GB01"])
EVERYWHERE = person("mary@example.com", ["executive"])


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


def test_a_contract_that_has_moved_to_another_entity_is_not_named_in_a_past_drill(
    database: sa.Engine, clock: VirtualClock
) -> None:
    moved, stayed = made(database, SIGNED, title="Ours"), made(database, SIGNED, title="Stays")
    then = caught_up(database, clock, ESTATE).at
    move = sa.text("UPDATE core.contract SET legal_entity = 'DE01', title = 'Secret' WHERE contract_id = :id")
    with database.begin() as conn:
        conn.execute(move, {"id": moved.contract_id})
    clock.advance(timedelta(minutes=1))
    measures = Measures(database, clock=clock, estate=ESTATE)

    def titles(actor: Actor, as_of: datetime | None) -> tuple[int, dict[object, tuple[object, object]]]:
        shown = measures.within(actor).drill("auto-provisioned", Ask(WINDOW, as_of=as_of))
        return shown.count, {row["contract_id"]: (row["contract"], row["title"]) for row in shown.rows}

    kept = (stayed.external_id, "Stays")
    for as_of in (then, None):  # the rollups do not know of the move yet
        assert titles(BRITISH, as_of) == (2, {moved.contract_id: (None, None), stayed.contract_id: kept})
        assert titles(EVERYWHERE, as_of)[1][moved.contract_id] == (moved.external_id, "Secret")
