"""The functions of the demo's past: what they pass on goes there and back by the real command, in office hours."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.sandbox.colleagues import DETOURS, Colleagues
from sync_core.cases.ownership import CAUSES
from sync_core.clock import VirtualClock
from sync_core.commands.commands import Commands
from tests import rows
from tests.commands.people import audited
from tests.reads.handmade import add_case, add_contract

MONDAY = datetime(2026, 11, 23, 6, tzinfo=UTC)
_MOVES = sa.text("""
    SELECT c.external_id, h.from_function, h.function, h.actor FROM core.case_history AS h
    JOIN core.case AS k USING (case_id) JOIN core.contract AS c USING (contract_id)
    WHERE h.what = 'handed_over' ORDER BY c.external_id, h.occurred_at
""")


class Office:
    def __init__(self, engine: sa.Engine) -> None:
        self.engine, self.clock = engine, VirtualClock(MONDAY)
        commands = Commands(engine, clock=self.clock, estate=rows.estate())
        self.people = Colleagues(engine, commands, 7, rows.estate())

    async def until(self, end: datetime) -> None:
        while self.clock.now() < end:
            self.clock.advance(timedelta(minutes=30))
            await self.people.work(self.clock.now())

    def moves(self) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        with self.engine.connect() as conn:
            for row in conn.execute(_MOVES):
                found.setdefault(row.external_id, []).append((row.from_function, row.function))
        return found


@pytest.fixture
def office(database: sa.Engine) -> Office:
    """Sixty exceptions of tax, opened when the day begins."""
    for number in range(60):
        contract = add_contract(database, external_id=f"C-{number:02}", state="blocked")
        add_case(database, contract, "tax_code_missing", function="tax", opened_at=MONDAY, seen_at=MONDAY)
    return Office(database)


def test_every_detour_leads_away_from_the_function_that_owns_the_cause() -> None:
    for cause, detour in DETOURS.items():
        assert CAUSES[cause].owner != detour.function


async def test_some_are_passed_on_and_of_these_some_come_back(office: Office) -> None:
    await office.until(MONDAY + timedelta(days=4))
    moves, ways = office.moves(), {f"C-{n:02}": office.people.way(f"C-{n:02}", "tax_code_missing") for n in range(60)}
    assert {contract: len(path) for contract, path in moves.items()} == {
        contract: len(way) for contract, way in ways.items() if way
    }  # fmt: skip
    lengths = {len(path) for path in moves.values()}
    assert lengths == {1, 2, 3}
    for path in moves.values():
        there_and_back = [("tax", "finance_operations"), ("finance_operations", "tax")] * 2
        assert path == there_and_back[: len(path)]
    entries = audited(office.engine)
    assert {entry["action"] for entry in entries} == {"exception.acknowledge", "exception.hand_over"}
    with office.engine.connect() as conn:
        noted = conn.scalar(sa.text("SELECT count(*) FROM core.case WHERE acknowledged_by IS NOT NULL"))
        hours = set(conn.scalars(sa.text("SELECT extract(hour FROM occurred_at AT TIME ZONE 'UTC') FROM core.audit")))
    assert 25 < int(noted or 0) < 60
    assert hours <= set(range(8, 17))


async def test_who_goes_on_later_passes_nothing_on_twice(office: Office) -> None:
    await office.until(MONDAY + timedelta(days=4))
    before = office.moves()
    again = Office(office.engine)
    again.clock.advance(timedelta(days=4))
    await again.until(MONDAY + timedelta(days=5))
    assert again.moves() == before


async def test_at_the_weekend_nobody_works(office: Office) -> None:
    office.clock.advance(timedelta(days=5))
    await office.until(MONDAY + timedelta(days=6, hours=18))
    assert office.moves() == {}
