"""What comes to be known late moves the cells of its own weeks and entities; all others stay as they were written."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest
import sqlalchemy as sa

from metrics.asking import Ask, By, Window
from metrics.buckets import BOUNDS
from metrics.facts import facts
from metrics.source import Source
from metrics.weeks import week_of
from sync_core.clock import VirtualClock
from sync_core.reads.snapshot import snapshot
from tests import rows
from tests.databases import DatabaseUrls
from tests.metrics.snapshot.firm import Firm, late_events
from tests.metrics.support import caught_up

ZONE = rows.estate().group.timezone
WINDOW = Window.weeks(rows.NOW, ZONE, 70)
ALL_TIME = Window(date(1969, 12, 29), WINDOW.end + timedelta(weeks=400))  # with stocks, and with days that are ahead

_CELLS = sa.text("""
    SELECT measure, level, period, legal_entity, service_line, geography, billing, label, bucket, n, amount,
           CAST(xmin AS text) AS written_by
    FROM metrics.cell
""")
_ONE_WEEK = sa.text("""
    UPDATE core.contract SET first_active_at = least(first_active_at + interval '2 days', CAST(:now AS timestamptz)),
                             updated_at = :now
    WHERE legal_entity = 'GB01' AND state = 'active'
      AND (signed_at AT TIME ZONE :zone) >= CAST(:monday AS date)
      AND (signed_at AT TIME ZONE :zone) < CAST(:monday AS date) + 7
    RETURNING contract_id
""")
_MARK = sa.text("INSERT INTO metrics.mark (contract_id) SELECT unnest(CAST(:ids AS bigint[]))")


@dataclass(frozen=True)
class Cell:
    n: int
    amount: object
    written_by: str  # the transaction that wrote the row


Key = tuple[object, ...]


def cells(engine: sa.Engine) -> dict[Key, Cell]:
    with engine.connect() as conn:
        return {tuple(row[:9]): Cell(row.n, row.amount, row.written_by) for row in conn.execute(_CELLS)}


def moved(before: dict[Key, Cell], after: dict[Key, Cell]) -> set[Key]:
    """The cells that were written since."""
    assert before.keys() <= after.keys(), "no cell is taken away"
    return {key for key, cell in after.items() if before.get(key) != cell}


def touched(engine: sa.Engine, since: datetime) -> set[tuple[object, object]]:
    """Week and entity of all that versions counted for which were closed or added since; "": of all entities."""
    found: set[tuple[object, object]] = set()
    with engine.connect() as conn:
        for fact in facts().values():
            statement = sa.text(f"""
                SELECT DISTINCT x.period, f.legal_entity FROM {fact.table} AS f CROSS JOIN {fact.contributions}
                WHERE f.known_from > :since OR f.known_to > :since""")  # fmt: skip
            known = {"since": since, "zone": ZONE, "bounds": list(BOUNDS), "reporting": "USD", **fact.values}
            found |= {tuple(row) for row in conn.execute(statement, {n: known[n] for n in statement.compile().params})}
    return found | {(period, "") for period, _ in found}


def add_up(engine: sa.Engine, at: datetime) -> None:
    """The rollups say what the versions add up to, split by anything."""
    with snapshot(engine) as conn:
        measures = sorted(conn.scalars(sa.text("SELECT DISTINCT measure FROM metrics.cell")))
        for by in (None, By.WEEK, By.LEGAL_ENTITY, By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING, By.LABEL):
            latest = Source(conn, Ask(ALL_TIME), estate=rows.estate()).cells(measures, by)
            past = Source(conn, Ask(ALL_TIME, as_of=at), estate=rows.estate(), from_versions=True).cells(measures, by)
            assert latest
            assert sorted(map(repr, latest)) == sorted(map(repr, past)), by


@pytest.fixture
def firm(database_urls: DatabaseUrls, database: sa.Engine) -> Firm:
    rows.seed(database_urls.owner, 1_000)
    one = Firm(database, VirtualClock(rows.NOW), rows.estate())
    one.caught_up()
    return one


def test_late_events_of_hundreds_of_contracts_leave_rollups_equal_to_the_versions(firm: Firm) -> None:
    first, before = firm.clock.now(), cells(firm.engine)
    firm.later(timedelta(hours=5))
    late_events(firm, 300)
    at = caught_up(firm.engine, firm.clock, firm.estate, batch=110, release=firm.release).at
    add_up(firm.engine, at)
    written = moved(before, cells(firm.engine))
    assert len(written) > 1_000
    news = touched(firm.engine, first)
    assert {(key[2], key[3]) for key in written} <= news
    untouched = {key for key in before if (key[2], key[3]) not in news}
    assert untouched, "the oldest contracts are not among the newest 300"
    assert not untouched & written


def test_late_news_of_one_week_and_entity_writes_no_cell_of_another(firm: Firm) -> None:
    before = cells(firm.engine)
    monday = week_of(rows.NOW, ZONE) - timedelta(weeks=20)
    firm.later(timedelta(hours=5))
    with firm.engine.begin() as conn:
        bound = {"now": firm.clock.now(), "zone": ZONE, "monday": monday}
        late = list(conn.scalars(_ONE_WEEK, bound))
        conn.execute(_MARK, {"ids": late})
    at = firm.caught_up()
    assert late
    after = cells(firm.engine)
    written = moved(before, after)
    of_contracts = {key for key in written if str(key[0]).startswith("contract.")}
    assert {(key[2], key[3]) for key in of_contracts} == {(monday, "GB01"), (monday, "")}
    assert {key[3] for key in written} == {"GB01", ""}, "no cell of another entity, whatever the measure"
    others = {key: cell for key, cell in before.items() if key[3] not in ("GB01", "")}
    assert others
    assert {key: after[key] for key in others} == others, "the same rows, by the same transaction"
    add_up(firm.engine, at)
