"""How the database answers: by which index, over many rows. Plans are what holds on every machine; times do not."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from app.postgres.embedded import Endpoint
from sync_core.authority import person
from sync_core.journal.progress import State
from sync_core.reads import ContractFilter, Cursor, Reads, Sort, Window
from sync_core.reads.exceptions import ExceptionFilter, ExceptionSort, exception_listing
from sync_core.reads.paging import segments
from sync_core.reads.schemas import stored
from sync_core.reads.snapshot import snapshot
from sync_core.reads.stuck import StuckSort
from sync_core.replay.selection import StuckFilter
from tests.reads.conftest import reads_over, seeded

Statement = tuple[str, Any]


@contextmanager
def recorded(engine: sa.Engine) -> Iterator[list[Statement]]:
    """The statements sent within, with what they bind."""
    sent: list[Statement] = []

    def note(conn: object, cursor: object, statement: str, values: Any, context: object, many: object) -> None:
        sent.append((statement, values))

    sa.event.listen(engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(engine, "before_cursor_execute", note)


def plans(engine: sa.Engine, read: Callable[[], object], *, of: str) -> list[str]:
    """The plans of those statements of `read` whose text contains `of`."""
    with recorded(engine) as sent:
        read()
    with snapshot(engine) as conn:
        return [
            "\n".join(conn.exec_driver_sql(f"EXPLAIN (COSTS OFF) {text}", values).scalars())
            for text, values in sent
            if of in text
        ]


def far_end(engine: sa.Engine, column: str) -> Cursor:
    """The hundredth lowest of those that have a value in the column: the far end of a list that begins at the top."""
    with engine.connect() as conn:
        row = conn.execute(
            sa.text(f"""SELECT contract_id, {column} AS value FROM core.contract WHERE {column} IS NOT NULL
                        ORDER BY {column}, contract_id OFFSET 100 LIMIT 1""")
        ).one()
    return Cursor(str(row.value) if isinstance(row.value, Decimal) else row.value.isoformat(), row.contract_id)


@pytest.mark.parametrize(
    ("sort", "column", "index"),
    [
        (Sort.VALUE, "value_reporting", "contract_by_value"),
        (Sort.SIGNED, "signed_at", "contract_by_signed"),
        (Sort.UPDATED, "updated_at", "contract_by_updated"),
        (Sort.AGE, "signed_at", "contract_by_signed"),
    ],
)
def test_a_page_of_contracts_is_a_walk_along_an_index_however_deep(
    many: sa.Engine, sort: Sort, column: str, index: str
) -> None:
    reads, edge = reads_over(many), far_end(many, column)
    for window in (Window(), Window(after=edge), Window(before=edge)):
        for plan in plans(many, lambda window=window: reads.contracts(sort=sort, window=window), of="functions"):  # type: ignore[misc]
            assert re.match(rf"Limit\n  ->  Index Scan (Backward )?using {index} on contract\n", plan), plan


@pytest.mark.parametrize("most", [200, None])
def test_the_events_of_a_version_are_a_walk_along_its_index(many: sa.Engine, most: int | None) -> None:
    def read() -> None:
        with snapshot(many) as conn:
            assert list(stored(conn, "com.tieline.contract.unheard.v9", most=most)) == []

    (plan,) = plans(many, read, of="coalesce(sent, data)")
    assert "event_by_sent_type" in plan, plan
    assert "Sort" not in plan, plan


def test_text_is_found_by_trigrams(many: sa.Engine) -> None:
    reads = reads_over(many)
    (plan, *_) = plans(many, lambda: reads.contracts(ContractFilter(text="Contoso 17")), of="found")
    assert "Bitmap Index Scan on contract_search" in plan


def test_what_few_contracts_meet_is_found_by_state(many: sa.Engine) -> None:
    reads = reads_over(many)
    (plan,) = plans(many, lambda: reads.contracts(ContractFilter(states=(State.SET_ASIDE,))), of="found")
    assert "contract_by_state" in plan


def test_a_contract_is_told_by_indexes_alone(many: sa.Engine) -> None:
    reads = reads_over(many)
    for plan in plans(many, lambda: reads.contract(20_000), of="SELECT"):
        assert "Seq Scan" not in plan.replace("Seq Scan on financial_source", ""), plan  # a row an ERP


@pytest.mark.parametrize("viewer", ["executive", "executive@GB01"])
@pytest.mark.parametrize(
    ("name", "of", "index"),
    [
        ("lanes", "state = 'waiting'", "contract_never_active"),
        ("exception_groups", "AS overdue", "case_open"),
        ("intake", "AS events", "event_recorded"),
    ],
)
def test_what_stands_now_is_read_by_the_index_made_for_it(
    many: sa.Engine, viewer: str, name: str, of: str, index: str
) -> None:
    reads = reads_over(many).within(person("gb@example.com", [viewer]))
    (plan,) = plans(many, getattr(reads, name), of=of)
    assert index in plan, plan


@pytest.mark.parametrize(
    ("read", "of"),
    [
        (Reads.exception_groups, "AS overdue"),
        (lambda reads: reads.tallies("ada@example.com"), "v(view)"),
        (Reads.exceptions, "found AS MATERIALIZED"),
    ],
)
def test_who_sees_all_open_exceptions_has_them_counted_without_a_look_at_their_contracts(
    many: sa.Engine, read: Callable[[Reads], object], of: str
) -> None:
    reads = reads_over(many)
    (plan,) = plans(many, lambda: read(reads), of=of)
    assert set(re.findall(r"Scan using (\w+) on contract", plan)) == {"contract_of_tests"}, plan
    assert "Scan on contract" not in plan, plan
    limited = reads.within(person("gb@example.com", ["executive@GB01"]))
    (plan,) = plans(many, lambda: read(limited), of=of)
    assert "on contract c" in plan, plan


def test_a_limited_page_of_contracts_is_a_walk_too(many: sa.Engine) -> None:
    limited = reads_over(many).within(person("gb@example.com", ["executive@GB01+DE01"]))
    for plan in plans(many, lambda: limited.contracts(sort=Sort.VALUE), of="functions"):
        assert re.match(r"Limit\n  ->  Index Scan using contract_by_value on contract\n", plan), plan


def test_of_all_only_those_with_money_that_waits_are_ranked_by_it_and_the_others_walked(many: sa.Engine) -> None:
    reads, all_active = reads_over(many), StuckFilter(states=(State.ACTIVE,))
    valued, bare = plans(many, lambda: reads.stuck(all_active), of="AS row_id FROM core.contract")
    assert "contract_never_active" in valued, valued
    assert "Seq Scan on contract" not in valued, valued
    assert re.match(r"Limit\n  ->  Nested Loop Left Join\n.*\n +->  Index Scan Backward using contract_pkey", bare)


def test_the_longest_in_a_state_are_walked(many: sa.Engine) -> None:
    reads, all_active = reads_over(many), StuckFilter(states=(State.ACTIVE,))
    (plan,) = plans(many, lambda: reads.stuck(all_active, sort=StuckSort.AGE), of="AS row_id FROM core.contract")
    assert re.match(r"Limit\n  ->  Index (Only )?Scan using contract_by_state on contract", plan), plan


@pytest.mark.parametrize(
    ("sort", "index"), [("money", "case_by_money"), ("age", "case_by_age"), ("due", "case_by_due")]
)
def test_closed_exceptions_are_walked_in_their_order(many: sa.Engine, sort: str, index: str) -> None:
    listing = exception_listing(ExceptionFilter(state="closed"), ExceptionSort(sort), reporting="USD")
    with snapshot(many) as conn:
        segment = segments(listing.order, None, backward=False)[0]
        text = f"""EXPLAIN (COSTS OFF) SELECT {listing.columns} FROM {listing.source}
            WHERE {listing.where.sql(*segment.conditions)} ORDER BY {segment.by} LIMIT 50"""
        plan = "\n".join(conn.execute(sa.text(text), listing.where.values).scalars())
    assert re.search(rf"Index Scan (Backward )?using {index} on", plan), plan
    assert "Sort" not in plan, plan


def test_when_an_erp_last_answered_is_the_end_of_an_index(many: sa.Engine) -> None:
    (plan,) = plans(many, reads_over(many).lanes, of="slots_used")
    assert "Index Only Scan using run_reached" in plan, plan


def test_no_read_asks_once_per_row(many: sa.Engine) -> None:
    reads = reads_over(many)
    calls: dict[str, tuple[Callable[[], object], int]] = {
        "intake": (reads.intake, 2),
        "contracts": (lambda: reads.contracts(window=Window(500)), 3),
        "contract": (lambda: reads.contract(20_000), 11),
        "exceptions": (lambda: reads.exceptions(window=Window(500)), 3),
        "ageing": (reads.exception_ageing, 2),
        "lanes": (reads.lanes, 3),
        "tallies": (lambda: reads.tallies("ada@example.com"), 2),
        "stuck": (lambda: reads.stuck(window=Window(500)), 3),
        "approvals": (reads.approvals, 4),
        "quarantine": (reads.quarantine, 3),
        "replays": (reads.replays, 4),
        "status": (reads.status, 8),
    }
    for name, (call, most) in calls.items():
        with recorded(many) as sent:
            call()
        assert len(sent) <= most, (name, len(sent))


@pytest.mark.long
def test_times_over_a_hundred_thousand_contracts(server: Endpoint) -> None:
    """Prints milliseconds (median of seven, and the best); run with -s."""
    for engine in seeded(server, 100_000):
        reads, edge = reads_over(engine), far_end(engine, "value_reporting")
        for name, call in _calls(reads, edge).items():
            print(f"{name:34s} {_times(call)}")


def _calls(reads: Reads, edge: Cursor) -> dict[str, Callable[[], object]]:
    return {
        "intake": reads.intake,
        "contracts, latest change": reads.contracts,
        "contracts, most money": lambda: reads.contracts(sort=Sort.VALUE),
        "contracts, deep page by money": lambda: reads.contracts(sort=Sort.VALUE, window=Window(after=edge)),
        "contracts, text": lambda: reads.contracts(ContractFilter(text="Contoso 17")),
        "contracts, blocked by money": lambda: reads.contracts(
            ContractFilter(states=(State.BLOCKED,)), sort=Sort.VALUE
        ),
        "contracts, tax's exceptions": lambda: reads.contracts(ContractFilter(function="tax")),
        "contracts, entity and service line": lambda: reads.contracts(
            ContractFilter(legal_entity="US01", service_line="consulting"), sort=Sort.VALUE
        ),
        "contracts, none meet": lambda: reads.contracts(ContractFilter(service_line="none"), sort=Sort.VALUE),
        "contract": lambda: reads.contract(60_000),
        "exceptions": reads.exceptions,
        "exception groups": reads.exception_groups,
        "ageing in working days": reads.exception_ageing,
        "tallies": lambda: reads.tallies("ada@example.com"),
        "stuck": reads.stuck,
        "stuck, active by money": lambda: reads.stuck(StuckFilter(states=(State.ACTIVE,))),
        "stuck, active by bill run": lambda: reads.stuck(StuckFilter(states=(State.ACTIVE,)), sort=StuckSort.BILL_RUN),
        "stuck, active by age": lambda: reads.stuck(StuckFilter(states=(State.ACTIVE,)), sort=StuckSort.AGE),
        "approvals": reads.approvals,
        "quarantine": reads.quarantine,
        "lanes": reads.lanes,
        "workers": reads.workers,
        "jobs": reads.jobs,
        "status": reads.status,
    }


def _times(call: Callable[[], object]) -> str:
    taken = []
    for _ in range(7):
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1000)
    return f"{sorted(taken)[3]:7.1f} {min(taken):7.1f} ms"
