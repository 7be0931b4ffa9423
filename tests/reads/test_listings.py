"""Lists of contracts and exceptions: every row once, in order, whichever way one turns the pages."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

from sync_core.journal.progress import State
from sync_core.reads import (
    ContractFilter,
    Cursor,
    ExceptionFilter,
    ExceptionSort,
    InvalidCursor,
    Reads,
    Sort,
    Window,
    contracts_frame,
    exceptions_frame,
)
from sync_core.reads.contracts import contract_listing
from sync_core.reads.exceptions import exception_listing
from sync_core.reads.paging import Listed, Listing
from sync_core.reads.snapshot import snapshot
from tests.reads.handmade import add_case, add_contract
from tests.rows import NOW

T = TypeVar("T")
FEW, WALK = 10_000, 3  # count limits under which the same rows are sorted, or read along an index


def pages(engine: sa.Engine, listing: Listing[T], *, size: int = 4) -> Iterator[Listed[T]]:
    window = Window(size)
    with snapshot(engine) as conn:
        while True:
            page = listing.page(conn, window)
            yield page
            if page.after is None:
                return
            window = Window(size, after=Cursor.parse(str(page.after)))


def test_of_no_contracts_there_is_one_empty_page(reads: Reads) -> None:
    page = reads.contracts()
    assert (page.rows, page.total_text, page.after, page.before) == ((), "0", None, None)
    assert contracts_frame(page).empty
    assert exceptions_frame(reads.exceptions(), now=NOW).empty


@pytest.fixture
def mixed(database: sa.Engine) -> list[int]:
    """Ties and missing values among what is sorted by."""
    worth = [None, Decimal("10.10"), Decimal(5), Decimal(5), Decimal(5), Decimal(1), None]
    ids = [add_contract(database, signed=50 - n // 2, value_reporting=value) for n, value in enumerate(worth)]
    return [*ids, *(add_contract(database, signed=None, updated_at=NOW) for _ in range(6))]


@pytest.mark.parametrize("count_limit", [FEW, WALK])
@pytest.mark.parametrize("sort", Sort)
def test_turning_pages_shows_every_contract_once_and_in_order(
    database: sa.Engine, mixed: list[int], sort: Sort, count_limit: int
) -> None:
    listing = contract_listing(ContractFilter(), sort, now=NOW, reporting="USD")
    whole = [row.contract_id for page in pages(database, listing, size=500) for row in page.rows]
    listing = replace(listing, count_limit=count_limit)
    turned = list(pages(database, listing))
    shown = [row.contract_id for page in turned for row in page.rows]
    assert shown == whole
    assert sorted(shown) == sorted(mixed)
    assert turned[0].total_text == ("13" if count_limit == FEW else "3+")
    with snapshot(database) as conn:
        back = turned[-1]
        for before in reversed(turned[:-1]):
            back = listing.page(conn, Window(4, before=back.before))
            assert [row.contract_id for row in back.rows] == [row.contract_id for row in before.rows]
    assert (back.before, turned[0].before) == (None, None)


def test_sorted_by_value_the_most_money_is_first_and_unknown_money_last(database: sa.Engine, reads: Reads) -> None:
    for value in (None, Decimal(1), Decimal(300), Decimal(20)):
        add_contract(database, value_reporting=value)
    shown = [row.value_reporting for row in reads.contracts(sort=Sort.VALUE).rows]
    assert [money.amount if money else None for money in shown] == [300, 20, 1, None]


def test_sorted_by_age_the_oldest_signature_is_first_and_drafts_last(database: sa.Engine, reads: Reads) -> None:
    draft, young, old = (add_contract(database, signed=hours) for hours in (None, 1, 90))
    page = reads.contracts(sort=Sort.AGE)
    assert [row.contract_id for row in page.rows] == [old, young, draft]
    assert [row.age for row in page.rows] == [timedelta(hours=90), timedelta(hours=1), None]


def test_the_age_of_an_active_contract_is_what_it_took(database: sa.Engine, reads: Reads) -> None:
    add_contract(database, signed=90, took=2)
    assert reads.contracts().rows[0].age == timedelta(hours=2)


def test_text_is_found_inside_words_in_any_case_and_as_it_stands(database: sa.Engine, reads: Reads) -> None:
    wanted = add_contract(database, title="100% Cloud_rollout", customer_name="Ærø \\ Partners")
    add_contract(database, title="1000 CloudXrollout")
    for text in ("00% cl", "CLOUD_R", "ærø \\ p", "\0 100% "):
        assert [row.contract_id for row in reads.contracts(ContractFilter(text=text)).rows] == [wanted], text


def test_text_shorter_than_three_is_looked_for_at_the_start_of_the_id(database: sa.Engine, reads: Reads) -> None:
    wanted = add_contract(database, external_id="Z9-1")
    add_contract(database, external_id="A", title="Z9")
    assert [row.contract_id for row in reads.contracts(ContractFilter(text="Z9")).rows] == [wanted]


def test_filters_narrow_the_list_together(database: sa.Engine, reads: Reads) -> None:
    columns: dict[str, Any] = {"legal_entity": "GB01", "service_line": "tax", "billing": "milestones", "lane": "legacy"}
    wanted = add_contract(database, state="blocked", **columns)
    add_case(database, wanted, "po_missing", function="delivery")
    add_case(database, wanted, "rate_missing", function="delivery")
    for name in columns:
        add_contract(database, state="blocked", **(columns | {name: "other"}))
    add_contract(database, **columns)
    resolved = add_contract(database, state="blocked", **columns)
    add_case(database, resolved, "po_missing", function="delivery", state="resolved")
    every = ContractFilter(states=(State.BLOCKED, State.SET_ASIDE), function="delivery", **columns)
    page = reads.contracts(every)
    assert [(row.contract_id, row.functions) for row in page.rows] == [(wanted, ("delivery",))]
    assert contracts_frame(page).loc[wanted, "exceptions"] == "delivery"


def test_lists_offer_what_the_estate_names_and_contracts_have(database: sa.Engine, reads: Reads) -> None:
    for service_line in ("tax", "audit", "tax", ""):
        add_contract(database, service_line=service_line)
    offered = reads.choices()
    assert offered.service_lines == ("audit", "tax")
    assert (offered.entities["DE01"], offered.lanes) == ("Meridian GmbH", ("cloud", "legacy"))


def test_a_legal_entity_that_only_contracts_name_is_offered_and_marked(database: sa.Engine, reads: Reads) -> None:
    for entity in ("GB-OLD", "GB01", ""):
        add_contract(database, legal_entity=entity)
    assert list(reads.choices().entities.items())[-1] == ("GB-OLD", "GB-OLD (not in the estate)")
    assert list(reads.choices().entities)[:-1] == list(reads.estate.entities)


def test_trial_contracts_are_listed_only_when_asked_for(database: sa.Engine, reads: Reads) -> None:
    add_contract(database, test=True)
    assert reads.contracts().total == 0
    assert reads.contracts(ContractFilter(tests=True)).total == 1


@pytest.mark.parametrize("text", ["", "x", "1~", "1~nan", "1~Infinity", "9" * 19, "-1", "1~2026-01-01T00:00:00", "٣"])
def test_a_damaged_page_link_is_refused_in_words(reads: Reads, text: str) -> None:
    with pytest.raises(InvalidCursor, match="start again at the first page"):
        reads.contracts(sort=Sort.VALUE, window=Window(after=Cursor.parse(text)))


def test_a_link_of_another_sorting_is_refused(reads: Reads) -> None:
    with pytest.raises(InvalidCursor, match="another sorting"):
        reads.contracts(sort=Sort.SIGNED, window=Window(after=Cursor.parse("1~100.5")))


@pytest.mark.parametrize("count_limit", [FEW, WALK])
@pytest.mark.parametrize("sort", ExceptionSort)
def test_turning_pages_shows_every_exception_once(database: sa.Engine, sort: ExceptionSort, count_limit: int) -> None:
    contract = add_contract(database)
    due = [None, NOW, NOW, NOW + timedelta(hours=1), None, NOW - timedelta(hours=1)]
    ids = [
        add_case(database, contract, f"cause {n}", due_at=at, hours=n // 2, exposure_reporting=at and Decimal(n // 3))
        for n, at in enumerate(due)
    ]
    listing = replace(exception_listing(ExceptionFilter(), sort, reporting="USD"), count_limit=count_limit)
    turned = list(pages(database, listing, size=2))
    shown = [row for page in turned for row in page.rows]
    assert sorted(row.case_id for row in shown) == ids
    if sort is ExceptionSort.DUE:
        assert [row.due_at for row in shown] == [due[5], NOW, NOW, due[3], None, None]
    if sort is ExceptionSort.AGE:
        assert [row.opened_at for row in shown] == sorted(row.opened_at for row in shown)


def test_exceptions_are_filtered_by_what_the_overview_links_to(database: sa.Engine, reads: Reads) -> None:
    one, two = add_contract(database, legal_entity="GB01"), add_contract(database)
    wanted = add_case(database, one, "po_missing", function="delivery", severity="high")
    add_case(database, two, "po_missing", function="delivery")
    add_case(database, one, "rate_missing", function="delivery")
    resolved = add_case(database, one, "tax_code_missing", state="resolved")
    (group,) = (group for group in reads.exception_groups() if group.cause == "po_missing")
    assert (
        reads.exceptions(ExceptionFilter(cause=group.query["cause"], function=group.query["function"])).total
        == group.count
        == 2
    )
    narrow = ExceptionFilter(cause="po_missing", severity="high", legal_entity="GB01", error_class="missing_data")
    page = reads.exceptions(narrow)
    assert [row.case_id for row in page.rows] == [wanted]
    assert exceptions_frame(page, now=NOW).loc[wanted, "age_h"] == 1
    assert [row.case_id for row in reads.exceptions(ExceptionFilter(state="resolved")).rows] == [resolved]
    assert reads.exceptions(ExceptionFilter(state="all")).total == 4
