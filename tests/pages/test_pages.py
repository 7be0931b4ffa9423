"""Each page without data, with data and with a read that fails; filters, paging and the ways between pages."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NoReturn

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from metrics.measures import Measures
from sync_core.clock import VirtualClock
from sync_core.reads import (
    CauseGroup,
    ContractDetail,
    ContractPage,
    ExceptionFilter,
    ExceptionPage,
    LaneState,
    Reads,
)
from sync_core.reads.ages import Ageing
from sync_core.reads.reads import OPEN_EXCEPTIONS
from tests import rows
from tests.pages.stage import play, texts
from tests.reads.handmade import add_case, add_contract, insert

SECRET = "the password is in this message"


class BrokenReads(Reads):
    """Every read that a page makes fails, except what is named in `whole`."""

    whole: Sequence[str] = ()

    def contracts(self, *_: object, **__: object) -> ContractPage:
        self._fail()

    def contract(self, contract: int | tuple[str, str]) -> ContractDetail | None:
        self._fail()

    def exceptions(self, *_: object, **__: object) -> ExceptionPage:
        self._fail()

    def exception_groups(self, wanted: ExceptionFilter = OPEN_EXCEPTIONS) -> tuple[CauseGroup, ...]:
        return super().exception_groups(wanted) if "exception_groups" in self.whole else self._fail()

    def exception_ageing(self) -> Ageing:
        return super().exception_ageing() if "exception_ageing" in self.whole else self._fail()

    def lanes(self) -> list[LaneState]:
        self._fail()

    def _fail(self) -> NoReturn:
        raise RuntimeError(SECRET)


def broken(engine: sa.Engine, *whole: str) -> BrokenReads:
    reads = BrokenReads(engine, clock=VirtualClock(rows.NOW), estate=rows.estate())
    reads.whole = whole
    return reads


def errors(shown: AppTest) -> list[str]:
    return [element.value for element in shown.error]


@pytest.mark.parametrize("path", ["contracts", "contract", "exceptions"])
def test_a_page_without_data_says_what_to_do(path: str, nothing: Reads) -> None:
    shown = play(path, nothing)
    assert not shown.exception
    assert errors(shown) == []
    words = {
        "contracts": "No contract has arrived yet",
        "contract": "Find a contract",
        "exceptions": "No open exceptions",
    }
    assert words[path] in texts(shown)


@pytest.mark.parametrize("path", ["contracts", "exceptions"])
def test_a_page_with_rows_draws_every_block(path: str, some: Reads) -> None:
    shown = play(path, some)
    assert not shown.exception
    assert errors(shown) == []


@pytest.mark.parametrize("path", ["contracts", "contract", "exceptions"])
def test_a_read_that_fails_shows_an_incident_and_no_detail(path: str, seeded: sa.Engine) -> None:
    shown = play(path, broken(seeded), {"id": "1"})
    assert not shown.exception
    assert errors(shown)
    assert all("could not be drawn. Incident " in message for message in errors(shown))
    assert SECRET not in texts(shown) + "".join(errors(shown))
    assert "Data as of 23 Nov 2026 06:00 UTC." in texts(shown)


def test_one_failing_read_leaves_the_rest_of_the_exceptions(seeded: sa.Engine) -> None:
    shown = play("exceptions", broken(seeded, "exception_ageing", "exception_groups"))
    assert [message.split(" could")[0] for message in errors(shown)] == ["The list of exceptions"]
    assert "10 exceptions open" in texts(shown)


def test_contracts_are_filtered_by_the_url_and_the_url_by_the_filters(some: Reads) -> None:
    shown = play("contracts", some, {"state": "blocked", "entity": "GB01"})
    table = shown.dataframe[0].value
    assert {state for states in table["state"] for state in states} == {"blocked"}
    assert set(table["entity"]) == {"GB01"}
    shown.selectbox(key="filter_entity").select("DE01").run()
    assert shown.query_params["entity"] == "DE01"
    assert shown.query_params["state"] == "blocked"
    assert set(shown.dataframe[0].value["entity"]) == {"DE01"}


def test_what_the_url_makes_up_is_said_and_not_filtered_by(some: Reads) -> None:
    shown = play("contracts", some, {"state": "'; drop", "entity": "XX99", "sort": "password", "after": "nonsense"})
    assert not shown.exception
    assert errors(shown) == []
    assert len(shown.dataframe[0].value) == 50
    assert "This is the first page" in texts(shown)
    said = texts(shown).replace("\\", "")
    assert "Not known here, so not filtered by: state “'; drop”; legal entity “XX99”; sort by “password”." in said


def test_search_finds_one_contract_and_says_when_there_is_none(some: Reads) -> None:
    shown = play("contracts", some)
    shown.text_input(key="filter_q").set_value("C-123").run()
    assert shown.dataframe[0].value["contract"].str.endswith("#C-123").any()
    shown.text_input(key="filter_q").set_value("no such customer").run()
    assert "No contract meets these filters" in texts(shown)
    next(button for button in shown.button if button.label == "Clear all filters").click().run()
    assert len(shown.dataframe[0].value) == 50


def test_the_next_page_begins_where_this_one_ends_and_a_filter_starts_again(some: Reads) -> None:
    shown = play("contracts", some)
    first = list(shown.dataframe[0].value.index)
    shown.button(key="page_after").click().run()
    second = list(shown.dataframe[0].value.index)
    assert len(second) == 50
    assert not set(first) & set(second)
    shown.button(key="page_before").click().run()
    assert list(shown.dataframe[0].value.index) == first
    shown.button(key="page_after").click().run()
    shown.multiselect(key="filter_state").select("blocked").run()
    assert "after" not in shown.query_params


def test_a_ticked_row_opens_its_contract(some: Reads) -> None:
    shown = play("contracts", some)
    external_id = shown.dataframe[0].value["contract"].iloc[1].rpartition("#")[2]
    key = f"grid_contracts_{shown.session_state['tieline.grid.contracts']}"
    shown.session_state[key] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    shown.run()
    assert external_id in shown.markdown[0].value.replace("\\", "")


def test_a_contract_that_stands_says_for_how_long(database: sa.Engine, nothing: Reads) -> None:
    add_contract(database, state="blocked", state_since=rows.NOW - timedelta(hours=5))
    add_contract(database, took=2)
    table = play("contracts", nothing).dataframe[0].value
    assert sorted(table["stands"]) == ["", "5.0 h"]
    assert sorted(table["age"]) == ["2.0 h", "24.0 h"]


def test_lanes_say_when_their_erp_was_last_reached(database: sa.Engine, nothing: Reads) -> None:
    for lane in ("fresh", "never", "old"):
        insert(database, "lane", lane=lane, max_in_flight=4)
    for lane, hours in (("fresh", 0.1), ("old", 30)):
        insert(database, "watermark", name=f"erp:{lane}", value="1", updated_at=rows.NOW - timedelta(hours=hours))
    add_contract(database, took=2)
    measures = Measures(database, clock=VirtualClock(rows.NOW), estate=rows.estate())
    shown = play("platform", nothing, {"section": "calls"}, measures=measures)
    table = next(one.value for one in shown.table if "Slots" in one.value.columns)
    states = dict(zip(table["ERP"], table["State"], strict=True))
    assert "Running" in states["fresh"]
    assert "No call yet" in states["never"]
    assert "Not reached since 22 Nov 2026 00:00 UTC" in states["old"]


def test_a_blocked_change_that_holds_up_no_money_is_told(database: sa.Engine, nothing: Reads) -> None:
    contract = add_contract(database, state="blocked", took=2)
    add_case(database, contract, "amendment_missing", function="legal", exposure=0, exposure_reporting=0)
    causes = [button.label for button in play("exceptions", nothing).button]
    assert "**Amendment missing**, 1 contract" in causes


def test_exceptions_are_filtered_by_cause_from_the_groups(some: Reads) -> None:
    shown = play("exceptions", some)
    next(button for button in shown.button if "PO missing" in button.label).click().run()
    assert shown.query_params["cause"] == "po_missing"
    assert set(shown.dataframe[0].value["cause"]) == {"PO missing"}


def test_an_exception_says_how_late_it_is(database: sa.Engine, nothing: Reads) -> None:
    contract = add_contract(database, state="blocked")
    add_case(database, contract, "po_missing", hours=50, due_at=rows.NOW - timedelta(hours=2))
    add_case(database, contract, "rate_missing", hours=1, due_at=rows.NOW + timedelta(hours=3))
    shown = play("exceptions", nothing)
    assert set(shown.dataframe[0].value["due"]) == {"2.0 h overdue", "in 3.0 h"}
    assert "**2 exceptions open**, 1 of them overdue" in texts(shown)


def test_one_exception_that_is_late_is_told_in_plain_words(database: sa.Engine, nothing: Reads) -> None:
    add_case(database, add_contract(database, state="blocked"), "po_missing", due_at=rows.NOW - timedelta(hours=2))
    assert "**1 exception open**, overdue; the largest cause" in texts(play("exceptions", nothing))
