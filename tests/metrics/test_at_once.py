"""Questions that a page asks together: one snapshot, one statement for the cells of all its KPIs, the same numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa

from metrics.asking import Ask, By, Window
from metrics.catalog import kpis
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from tests import rows
from tests.databases import DatabaseUrls
from tests.metrics.support import caught_up

WINDOW = Window.weeks(rows.NOW, "Europe/London", 13)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


@pytest.fixture
def measures(database_urls: DatabaseUrls, database: sa.Engine, clock: VirtualClock) -> Measures:
    rows.seed(database_urls.owner, 500)
    caught_up(database, clock, rows.estate())
    return Measures(database, clock=clock, estate=rows.estate())


@contextmanager
def statements(engine: sa.Engine) -> Iterator[list[str]]:
    """What is sent in the block."""
    sent: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("by", [None, *By], ids=str)
def test_the_cells_of_all_kpis_are_brought_by_one_statement(
    measures: Measures, database: sa.Engine, by: By | None
) -> None:
    wanted = {slug: by for slug, kpi in kpis().items() if by is None or by in kpi.definition.splits}
    with statements(database) as sent:
        together = measures.several(wanted, Ask(WINDOW))
    assert sum("metrics.cell" in one for one in sent) == 1
    for slug, result in together.items():
        assert measures.kpi(slug, Ask(WINDOW), by) == result


def test_what_is_asked_at_once_is_of_one_snapshot_and_the_next_question_of_another(
    measures: Measures, database: sa.Engine, clock: VirtualClock
) -> None:
    before = measures.kpi("auto-provisioned", Ask(WINDOW))
    with measures.at_once() as together:
        first = together.kpi("cycle-time", Ask(WINDOW))
        with database.begin() as conn:
            conn.execute(sa.text("UPDATE core.contract SET test = true"))
            conn.execute(sa.text("INSERT INTO metrics.mark (contract_id) SELECT contract_id FROM core.contract"))
        clock.advance(timedelta(minutes=1))
        caught_up(database, clock, rows.estate())
        with statements(database) as sent:
            assert together.kpi("auto-provisioned", Ask(WINDOW)) == before
            assert together.kpi("cycle-time", Ask(WINDOW)) == first
        assert not any("metrics.refresh" in one for one in sent)  # it was told once
    assert measures.kpi("auto-provisioned", Ask(WINDOW)).answer.n < before.answer.n


def test_a_question_that_fails_does_not_take_the_next_one_with_it(measures: Measures) -> None:
    with measures.at_once() as together:
        whole = together.kpi("stuck-money", Ask(WINDOW))
        with pytest.raises(sa.exc.DBAPIError), together._moments.one() as moment:
            moment.conn.execute(sa.text("SELECT 1 / 0"))
        assert together.kpi("stuck-money", Ask(WINDOW)) == whole


def test_at_once_gives_its_connection_back(measures: Measures, database: sa.Engine) -> None:
    assert isinstance(database.pool, sa.QueuePool)
    with measures.at_once() as together:
        assert database.pool.checkedout() == 0  # nothing was asked yet
        together.kpi("cycle-time", Ask(WINDOW))
        assert database.pool.checkedout() == 1
    assert database.pool.checkedout() == 0
