"""Rows behind a number: a viewer sees none of what has become another entity's."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from metrics.asking import Ask
from metrics.measures import Measures
from sync_core.authority import Actor, person
from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.flow_rows import ESTATE, WINDOW, amended, made
from tests.metrics.support import caught_up
from tests.reads.handmade import add_case, end_quarantined, insert

SIGNED = datetime(2026, 11, 10, 10, tzinfo=UTC)
BRITISH = person("pat@example.com", ["executive@GB01"])
IN_QUARANTINE = {  # of two signatures and one amendment of a contract that is signed, and one signature released
    "cycle-time": 2, "auto-provisioned": 2, "contract-to-cash": 2, "exception-resolution": 4, "exception-ageing": 3,
    "amendment-lag": 1,
}  # fmt: skip
ORDER = {
    "cycle-time": "working_hours", "auto-provisioned": "newest", "contract-to-cash": "days",
    "exception-resolution": "working_hours", "exception-ageing": "days", "amendment-lag": "working_hours",
}  # fmt: skip
EVERYWHERE = person("mary@example.com", ["executive"])


def _in_quarantine(engine: sa.Engine, name: str | None, kind: str, at: datetime) -> None:
    insert(engine, "quarantine", source=rows.SOURCE, event_id=f"q-{name}-{kind}-{at}", external_id=name,
           type=f"com.tieline.contract.{kind}.v9", reason="not registered", signature=True, body=b"{}",
           received_by="webhook", correlation_id="q", occurred_at=at, recorded_at=at)  # fmt: skip


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


@pytest.mark.parametrize("slug", IN_QUARANTINE)
def test_what_stands_in_quarantine_is_among_the_rows_that_a_number_counts(
    database: sa.Engine, clock: VirtualClock, slug: str
) -> None:
    known = [made(database, SIGNED + timedelta(hours=n)) for n in range(3)]
    add_case(database, known[0].contract_id, "tax_code_missing", hours=20)
    amended(database, made(database, SIGNED, SIGNED + timedelta(hours=2)), 1, SIGNED + timedelta(hours=3))
    _in_quarantine(database, "Q-1", "signed", SIGNED)
    _in_quarantine(database, None, "signed", SIGNED + timedelta(minutes=90))
    _in_quarantine(database, known[1].external_id, "amended", SIGNED + timedelta(hours=1))
    _in_quarantine(database, known[2].external_id, "signed", SIGNED)
    end_quarantined(database, at=SIGNED + timedelta(days=1), external_id=known[2].external_id)
    _in_quarantine(database, "Q-9", "signed", SIGNED)
    end_quarantined(database, at=SIGNED + timedelta(days=1), how="dismissed_at", external_id="Q-9")
    moment = caught_up(database, clock, ESTATE).at
    measures = Measures(database, clock=clock, estate=ESTATE)
    for as_of in (None, moment):
        ask = Ask(WINDOW, as_of=as_of)
        answer = measures.kpi(slug, ask).answer
        shown: list[Mapping[str, object]] = []
        after: str | None = None
        for _ in range(answer.n):
            page = measures.drill(slug, ask, after=after, limit=1)
            shown += page.rows
            after = page.after
            assert page.count == answer.n
        assert after is None
        assert len(shown) == answer.n
        told = [row for row in shown if "in quarantine" in row.values() or row.get("outcome") == "released"]
        assert len(told) == IN_QUARANTINE[slug]
        assert {row["contract"] for row in told} <= {"Q-1", None, known[1].external_id, known[2].external_id}
        assert {column.key for column in page.columns} <= told[0].keys()
        order = [float(str(row[ORDER[slug]])) for row in shown]
        assert order == sorted(order, reverse=True)
    assert measures.within(BRITISH).drill(slug, Ask(WINDOW)).count == answer.n - sum(
        row["legal_entity"] == "" for row in told
    )
