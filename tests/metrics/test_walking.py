"""The first rows behind a number, found along indexes, are those that a look at all of them finds."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from app.postgres.embedded import Endpoint
from benchmarks import portfolio
from metrics.asking import Ask, Filters, Window
from metrics.catalog import kpis
from metrics.source import Source
from sync_core.clock import VirtualClock
from sync_core.reads.snapshot import snapshot
from tests.filled import filled
from tests.metrics.support import caught_up

WINDOW = Window.weeks(portfolio.NOW, "Europe/London", 26)
FILTERS = {
    "all": Filters(),
    "some": Filters(legal_entity=frozenset({"US01", "DE01"}), service_line=frozenset({"tax", "consulting"})),
    "none": Filters(legal_entity=frozenset()),
}
SLUGS = (
    "amendment-lag", "auto-provisioned", "contract-to-cash", "cycle-time", "dispute-rate", "exception-ageing",
    "exception-resolution", "forecast-accuracy", "reconciliation", "step-time", "stuck-money",
)  # fmt: skip


def _seeded(url: str) -> None:
    owner = sa.create_engine(url)
    portfolio.seed(owner, 4_000)
    owner.dispose()


@pytest.fixture(scope="module")
def firm(server: Endpoint) -> Iterator[sa.Engine]:
    with filled(server, "walking", _seeded) as urls:
        engine = sa.create_engine(urls.app)
        caught_up(engine, VirtualClock(portfolio.NOW), portfolio.estate())
        yield engine
        engine.dispose()


def _drilled(engine: sa.Engine, slug: str, ask: Ask, *, all_of_them: bool) -> tuple[object, ...]:
    """What the first pages show, how many rows there are, what they add up to, and whether these were all."""
    rows: list[dict[str, object]] = []
    after = None
    for _ in range(9):
        with snapshot(engine) as conn:
            source = Source(conn, ask, estate=portfolio.estate(), from_versions=all_of_them)
            page = kpis()[slug].drill(source, after=after, limit=7)
        rows += [dict(row) for row in page.rows]
        after = page.after
        if after is None:
            break
    return rows, page.count, page.total, after is None


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("slug", SLUGS)
def test_the_first_rows_are_those_of_all(firm: sa.Engine, slug: str, filters: str) -> None:
    ask = Ask(WINDOW, filters=FILTERS[filters])
    walked = _drilled(firm, slug, ask, all_of_them=False)
    assert walked == _drilled(firm, slug, ask, all_of_them=True)
    assert (filters == "all") <= (walked[1] != 0)
    assert (filters == "none") <= (walked[:2] == ([], 0))


@pytest.mark.parametrize(
    ("slug", "indexes"),
    [
        ("amendment-lag", {"amendment_fact_slowest", "amendment_fact_waiting"}),
        ("auto-provisioned", {"contract_fact_newest"}),
        ("contract-to-cash", {"cash_fact_slowest", "cash_fact_waiting"}),
        ("cycle-time", {"contract_fact_slowest", "contract_fact_waiting"}),
        ("exception-ageing", {"case_fact_open"}),
        ("exception-resolution", {"case_fact_slowest", "case_fact_waiting"}),
        ("forecast-accuracy", {"schedule_fact_error"}),
        ("step-time", {"contract_fact_slowest", "contract_fact_waiting"}),
        ("stuck-money", {"exposure_fact_largest"}),
    ],
)
def test_pages_are_walks_along_the_indexes_of_their_order(firm: sa.Engine, slug: str, indexes: set[str]) -> None:
    plan = _plan(firm, slug)
    assert all(f"using {index}" in plan for index in indexes), plan


def _plan(engine: sa.Engine, slug: str) -> str:
    """Of the statement that ranks the last page that is asked for, the second where there is one."""
    sent: list[tuple[str, Any]] = []

    def note(conn: object, cursor: object, statement: str, values: Any, context: object, many: object) -> None:
        if "AS lane" in statement:
            sent.append((statement, values))

    with snapshot(engine) as conn:
        sa.event.listen(conn, "before_cursor_execute", note)
        first = kpis()[slug].drill(Source(conn, Ask(WINDOW), estate=portfolio.estate()), after=None, limit=2)
        kpis()[slug].drill(Source(conn, Ask(WINDOW), estate=portfolio.estate()), after=first.after, limit=2)
        sa.event.remove(conn, "before_cursor_execute", note)
        # So few rows are sorted as fast as they are walked: what counts is that an index has the order.
        for way in ("sort", "seqscan", "bitmapscan"):
            conn.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        statement, values = sent[-1]
        return "\n".join(conn.exec_driver_sql(f"EXPLAIN (COSTS OFF) {statement}", values).scalars())
