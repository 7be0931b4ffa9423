"""Questions that a page asks together: one snapshot, one statement for the cells of all its KPIs, the same numbers."""

from collections.abc import Iterator
from datetime import timedelta
from random import Random

import pytest
import sqlalchemy as sa

from app.postgres.embedded import Endpoint
from metrics.asking import Ask, By, Filters, Window
from metrics.catalog import kpis
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from tests import rows
from tests.databases import DatabaseUrls
from tests.filled import filled
from tests.metrics.support import caught_up, measured, statements

WINDOW = Window.weeks(rows.NOW, "Europe/London", 13)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


@pytest.fixture
def database_urls(server: Endpoint) -> Iterator[DatabaseUrls]:
    with filled(server, "measured_500", measured(500)) as urls:
        yield urls


@pytest.fixture
def measures(database: sa.Engine, clock: VirtualClock) -> Measures:
    return Measures(database, clock=clock, estate=rows.estate())


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


def test_what_is_read_ahead_answers_no_other_question(
    measures: Measures, database: sa.Engine, clock: VirtualClock
) -> None:
    """Random questions of one snapshot, some expected: other weeks, filters and moments, against each alone."""
    with database.begin() as conn:
        conn.execute(sa.text("UPDATE core.contract SET test = true WHERE contract_id % 3 = 0"))
        conn.execute(sa.text("INSERT INTO metrics.mark (contract_id) SELECT contract_id FROM core.contract"))
    clock.advance(timedelta(hours=1))
    caught_up(database, clock, rows.estate())
    chance = Random(5)
    windows = [Window.weeks(rows.NOW, "Europe/London", weeks) for weeks in (1, 4, 13)] + [WINDOW.before()]
    filters = [
        Filters(), Filters(frozenset({"GB01"})), Filters(frozenset({"GB01", "DE01"})),
        Filters(service_line=frozenset({"tax"})), Filters(geography=frozenset({"EMEA"})),
    ]  # fmt: skip
    moments = [None, None, rows.NOW]

    def wanted() -> dict[str, By | None]:
        some = chance.sample([*kpis().values()], 6)
        return {kpi.definition.slug: chance.choice([None, *kpi.definition.splits]) for kpi in some}

    for _ in range(6):
        window = chance.choice(windows)
        asks = [Ask(window, chance.choice(moments), narrowed) for narrowed in chance.sample(filters, 3)]
        with measures.at_once() as together:
            for _ in range(3):
                together.expect(wanted(), chance.choice(asks))
            for _ in range(3):
                one, what = chance.choice(asks), wanted()
                assert together.several(what, one) == measures.several(what, one)
                assert together.headlines(what, one) == measures.headlines(what, one)
                assert together.drill("cycle-time", one, limit=9) == measures.drill("cycle-time", one, limit=9)


def test_what_was_expected_comes_with_the_next_question(measures: Measures, database: sa.Engine) -> None:
    with measures.at_once() as together:
        together.expect({"cycle-time": By.WEEK}, Ask(WINDOW))
        together.headlines(["cycle-time"], Ask(WINDOW.before()))
        with statements(database) as sent:
            together.several({"cycle-time": By.WEEK}, Ask(WINDOW))
    assert not any("metrics.cell" in one for one in sent)


def test_after_a_failure_nothing_is_read_ahead(measures: Measures, database: sa.Engine) -> None:
    """It may have been what failed: each question is alone then."""
    with measures.at_once() as together:
        together.expect({"cycle-time": By.WEEK}, Ask(WINDOW))
        with pytest.raises(sa.exc.DBAPIError), together._moments.one() as moment:
            moment.conn.execute(sa.text("SELECT 1 / 0"))
        together.headlines(["cycle-time"], Ask(WINDOW.before()))
        with statements(database) as sent:
            together.several({"cycle-time": By.WEEK}, Ask(WINDOW))
    assert any("metrics.cell" in one for one in sent)
