"""What is stuck: ranked by money and by the bill run that will be missed, the same that a replay is selected by."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from sync_core.authority import Permission, person
from sync_core.clock import VirtualClock
from sync_core.commands.desk import Act, Desk, InvalidInput, NotFound
from sync_core.commands.replays import Missed, Origin, Replays, Selection, StuckFilter, preview
from sync_core.journal.progress import State
from sync_core.reads import Reads
from sync_core.reads.paging import Cursor, Listed, Window
from sync_core.reads.snapshot import snapshot
from sync_core.reads.stuck import StuckRow, StuckSort, stuck_listing
from tests.reads.conftest import MANY, reads_over
from tests.reads.handmade import add_case, add_contract
from tests.rows import NOW, estate

ADA = person("ada@example.com", ["operator"])


def walked(reads: Reads, wanted: StuckFilter, sort: StuckSort, *, size: int = 200) -> list[StuckRow]:
    rows: list[StuckRow] = []
    window = Window(size)
    while True:
        page = reads.stuck(wanted, sort=sort, window=window)
        rows += page.rows
        if page.after is None:
            assert len(rows) == page.total
            return rows
        window = Window(size, after=page.after)


def test_money_that_waits_ranks_first_and_a_known_cause_is_named(database: sa.Engine, reads: Reads) -> None:
    small = add_contract(database, state="blocked", value_reporting=Decimal(10))
    add_case(database, small, "rate_missing", exposure_reporting=Decimal(10), function="delivery")
    large = add_contract(database, state="set_aside", value_reporting=Decimal(900))
    add_contract(database, state="waiting")
    add_contract(database, state="waiting", last_error="the batch is answered at 06:00")  # nothing is wrong with it
    tried = add_contract(
        database, state="waiting", last_error="cloud: refused", last_error_class="transient", value_reporting=None,
        currency="BRL",
    )  # fmt: skip
    add_contract(database, took=1.0)
    page = reads.stuck()
    assert [row.contract_id for row in page.rows] == [large, small, tried]
    assert page.rows[1].causes == ("rate_missing",)
    assert page.rows[2].exposure_reporting is None
    assert [row.contract_id for row in reads.stuck(StuckFilter(function="delivery")).rows] == [small]
    assert [row.contract_id for row in reads.stuck(StuckFilter(min_money=Decimal(100))).rows] == [large, tried]
    assert reads.stuck(StuckFilter(states=(State.ACTIVE,))).total == 1


def test_the_bill_run_that_bills_a_contract_ranks_it(database: sa.Engine, reads: Reads) -> None:
    later = add_contract(database, state="blocked", legal_entity="DE01", bill_on=date(2026, 12, 1))
    american = add_contract(database, state="blocked", legal_entity="US01")
    german = add_contract(database, state="blocked", legal_entity="DE01")
    unknown = add_contract(database, state="blocked", legal_entity="??")
    rows = reads.stuck(sort=StuckSort.BILL_RUN).rows
    assert [row.contract_id for row in rows] == [german, american, later, unknown]
    # 23 November, 06:00 UTC; the runs of the 30th begin at nine o'clock, in Berlin and in New York.
    assert [row.to_bill_run for row in rows] == [
        timedelta(days=7, hours=2),
        timedelta(days=7, hours=8),
        timedelta(days=22, hours=2),
        None,
    ]


def test_what_a_reader_cannot_reach_is_not_there(database: sa.Engine, reads: Reads) -> None:
    add_contract(database, state="blocked", legal_entity="US01")
    mine = add_contract(database, state="blocked", legal_entity="GB01")
    british = reads.within(person("bob@example.com", ["operator@GB01"]))
    assert [row.contract_id for row in british.stuck().rows] == [mine]


@pytest.mark.parametrize("sort", StuckSort)
def test_pages_of_many_follow_each_other_without_gap_or_double(many: sa.Engine, sort: StuckSort) -> None:
    rows = walked(reads_over(many), StuckFilter(), sort)
    assert len({row.contract_id for row in rows}) == len(rows) > 300
    keys: dict[StuckSort, list[Any]] = {
        StuckSort.MONEY: [-row.exposure_reporting.amount for row in rows if row.exposure_reporting],
        StuckSort.BILL_RUN: [row.bill_run_at for row in rows if row.bill_run_at],
        StuckSort.AGE: [row.state_since for row in rows],
    }
    assert keys[sort] == sorted(keys[sort])


@pytest.mark.parametrize("states", [(State.ACTIVE,), (State.WAITING, State.DRAFT), ()])
@pytest.mark.parametrize("sort", StuckSort)
def test_what_is_walked_is_in_the_order_of_what_is_sorted(
    many: sa.Engine, sort: StuckSort, states: tuple[State, ...]
) -> None:
    wanted = StuckFilter(states=states)
    listing = stuck_listing(wanted, sort, now=NOW, estate=estate(), entities=None)
    ways = [replace(listing, count_limit=limit) for limit in (5, 1_000_000)]

    def shown(window: Window) -> Listed[StuckRow]:
        walked, ordered = (way.page(conn, window) for way in ways)
        assert walked.rows == ordered.rows
        assert (walked.after, walked.before) == (ordered.after, ordered.before)
        return walked

    with snapshot(many) as conn:
        first = shown(Window(40))
        second = shown(Window(40, after=first.after))
        assert shown(Window(40, before=second.before)).rows == first.rows
        # Where those with a value end, and those without begin.
        if sort is StuckSort.MONEY:
            shown(Window(40, after=Cursor("0", MANY)))
            shown(Window(40, before=Cursor(None, MANY)))


def test_a_selection_takes_what_the_list_shows_and_refuses_what_cannot_be_one(many: sa.Engine) -> None:
    wanted = StuckFilter(cause="po_missing", legal_entity="GB01")
    shown = {row.contract_id for row in walked(reads_over(many), wanted, StuckSort.MONEY)}
    desk = Desk(many, VirtualClock(NOW), estate())
    with pytest.raises(_Undo) as undone:
        desk.run(ADA, Permission.REPLAY_PREVIEW, lambda act: _undo(act, Selection(stuck=wanted)))
    assert undone.value.contracts == shown != set()
    for selection, error, words in (
        (Selection(), InvalidInput, "one of the three"),
        (Selection(contracts=(1,), stuck=wanted), InvalidInput, "one of the three"),
        (Selection(contracts=(10**12,)), NotFound, "1 of the 1 contracts"),
        (Selection(stuck=StuckFilter(cause="no such")), InvalidInput, "widen it"),
        (Selection(missed=Missed("cloud", NOW.replace(tzinfo=None))), InvalidInput, "no time zone"),
        (Selection(stuck=StuckFilter(states=tuple(State), customer="'; DROP TABLE")), InvalidInput, "widen it"),
    ):
        with pytest.raises(error, match=words):
            Replays(desk).preview(ADA, selection)


class _Undo(Exception):
    """Rolls the command back, with what it froze."""

    def __init__(self, contracts: set[int]) -> None:
        super().__init__(contracts)
        self.contracts = contracts


def _undo(act: Act, selection: Selection) -> None:
    made = preview(act, selection, origin=Origin.CURRENT, title="")
    items = sa.text("SELECT contract_id FROM core.replay_item WHERE replay_id = :id")
    raise _Undo(set(act.conn.execute(items, {"id": made.replay_id}).scalars()))
