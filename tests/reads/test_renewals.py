"""The list of renewals: what is near, in which order, and how much money is in it."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from sync_core.clock import VirtualClock
from sync_core.life.life_row import RenewalState
from sync_core.reads import Reads, Window
from sync_core.reads.renewals import RenewalFilter
from tests import rows
from tests.commands.people import BRITISH_TAX
from tests.reads.handmade import add_contract, insert
from tests.rows import NOW

TODAY = NOW.date()


def near(engine: sa.Engine, name: str, days: int, renewal: str = "manual", **columns: object) -> int:
    due = TODAY + timedelta(days=days)
    renews_on = due + timedelta(days=30)
    values: dict[str, Any] = {"renewal": renewal, "notice_by": due, "renewal_due": due, "renews_on": renews_on}
    return add_contract(engine, took=1, external_id=name, **(values | columns))


@pytest.fixture
def nothing(database: sa.Engine) -> Reads:
    return Reads(database, clock=VirtualClock(NOW), estate=rows.estate())


@pytest.fixture
def some(database: sa.Engine) -> sa.Engine:
    alerted = near(database, "SOON", 5, "automatic", value_reporting=Decimal(300))
    for ahead in (7, 30):
        day = TODAY + timedelta(days=5)
        insert(database, "renewal_alert", contract_id=alerted, notice_by=day, days_ahead=ahead, alerted_at=NOW)
    near(database, "LATER", 80, legal_entity="GB01")
    near(database, "FAR", 120)
    near(database, "LATE", -10)
    near(database, "GONE", -60)
    near(database, "TALKED", -60, "initiated")
    near(database, "REFUSED", 20, "declined", notice_by=None, renews_on=None)
    near(database, "OVER", 5, state="ended")
    near(database, "TRIAL", 5, test=True)
    add_contract(database, took=1, external_id="NONE", renewal="")
    return database


def names(reads: Reads, wanted: RenewalFilter | None = None) -> list[str]:
    return [row.external_id for row in reads.renewals(wanted or RenewalFilter()).rows]


def test_what_is_ahead_comes_first_and_what_is_over_is_gone(some: sa.Engine, nothing: Reads) -> None:
    assert names(nothing) == ["SOON", "REFUSED", "LATER", "TALKED", "LATE"]
    assert names(nothing, RenewalFilter(days=365)) == ["SOON", "REFUSED", "LATER", "FAR", "TALKED", "LATE"]
    assert names(nothing, RenewalFilter(days=10)) == ["SOON", "TALKED", "LATE"]
    assert [row.external_id for row in nothing.renewals().rows if row.passed] == ["TALKED", "LATE"]
    assert names(nothing, RenewalFilter(states=(RenewalState.DECLINED,))) == ["REFUSED"]
    assert "TRIAL" in names(nothing, RenewalFilter(tests=True))


def test_a_row_says_what_becomes_of_it_and_which_alert_went_out(some: sa.Engine, nothing: Reads) -> None:
    [row] = [row for row in nothing.renewals().rows if row.external_id == "SOON"]
    assert (row.renewal, row.due_on, row.alerted) == (RenewalState.AUTOMATIC, TODAY + timedelta(days=5), 7)
    assert row.value_reporting is not None
    assert row.value_reporting.amount == 300


def test_pages_follow_each_other(some: sa.Engine, nothing: Reads) -> None:
    first = nothing.renewals(window=Window(2))
    second = nothing.renewals(window=Window(2, after=first.after))
    assert [row.external_id for row in (*first.rows, *second.rows)] == ["SOON", "REFUSED", "LATER", "TALKED"]
    back = nothing.renewals(window=Window(2, before=second.before))
    assert [row.external_id for row in back.rows] == ["SOON", "REFUSED"]


def test_the_money_is_told_by_what_becomes_of_it(some: sa.Engine, nothing: Reads) -> None:
    totals = nothing.renewal_totals()
    assert {state.value: (total.count, total.money.amount) for state, total in totals.items()} == {
        "manual": (2, Decimal(200)), "automatic": (1, Decimal(300)), "initiated": (1, Decimal(100)),
        "declined": (1, Decimal(100)),
    }  # fmt: skip
    assert list(totals) == [
        RenewalState.MANUAL, RenewalState.AUTOMATIC, RenewalState.INITIATED, RenewalState.DECLINED,
    ]  # fmt: skip


def test_what_is_out_of_reach_is_absent(some: sa.Engine, nothing: Reads) -> None:
    british = nothing.within(BRITISH_TAX)
    assert names(british) == ["LATER"]
    assert [total.count for total in british.renewal_totals().values()] == [1]


def test_days_are_those_of_the_group(some: sa.Engine, nothing: Reads) -> None:
    assert nothing.today == date(NOW.year, NOW.month, NOW.day)
