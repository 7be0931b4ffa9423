"""What pages keep for seconds is never shown to a viewer of another reach, whoever came first."""

from itertools import permutations

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from pages.kit import data
from sync_core.authority import Forbidden, person
from sync_core.reads import Reads
from tests.commands.people import audited, commands
from tests.pages.stage import play, texts
from tests.reads.handmade import add_case, add_contract

LONDON = person("london@example.com", ["executive@GB01"])
NEW_YORK = person("ny@example.com", ["executive@US01"])
GROUP = person("cfo@example.com", ["executive"])
NOBODY = person("new@example.com", [])
SIGNED = {"london": (LONDON, "1"), "ny": (NEW_YORK, "2"), "cfo": (GROUP, "3")}


@pytest.fixture
def firm(database: sa.Engine) -> list[int]:
    """One contract in London, two in New York, all blocked."""
    ids = [add_contract(database, legal_entity=entity, state="blocked") for entity in ("GB01", "US01", "US01")]
    for number, contract in enumerate(ids):
        add_case(database, contract, "po_missing" if number else "rate_missing")
    return ids


def opened(shown: AppTest) -> str:
    """How many exceptions the page of exceptions is headed with."""
    return next(one.value for one in shown.markdown if "open**" in one.value).partition(" exception")[0].strip("*")


@pytest.mark.parametrize("order", list(permutations(["london", "ny", "cfo"])), ids="-".join)
def test_each_viewer_sees_the_own_numbers_in_whatever_order_they_come(
    order: tuple[str, ...], firm: list[int], nothing: Reads
) -> None:
    for name in order:
        actor, number = SIGNED[name]
        assert opened(play("exceptions", nothing, actor=actor)) == number


def test_the_lists_and_their_filters_are_the_viewers_own(firm: list[int], nothing: Reads) -> None:
    for actor, entities in ((GROUP, {"US01", "GB01"}), (LONDON, {"GB01"}), (NEW_YORK, {"US01"})):
        for path in ("contracts", "exceptions"):
            shown = play(path, nothing, actor=actor)
            assert set(shown.dataframe[0].value["entity"]) == entities
            offered = set(shown.selectbox(key="filter_entity").options)
            named = {"US01": "US01 · Meridian Inc.", "GB01": "GB01 · Meridian Ltd."}
            assert {code for code, name in named.items() if name in offered} == entities


def test_causes_of_others_are_not_told(firm: list[int], nothing: Reads) -> None:
    assert "2 exceptions open" in texts(play("exceptions", nothing, actor=NEW_YORK))
    told = texts(play("exceptions", nothing, actor=LONDON))
    assert "1 exception open" in told
    assert "PO missing" not in told


def test_a_contract_of_others_is_one_that_does_not_exist(firm: list[int], nothing: Reads) -> None:
    assert "Tieline knows no contract by this link" not in texts(play("contract", nothing, {"id": str(firm[0])}))
    shown = play("contract", nothing, {"id": str(firm[0])}, actor=NEW_YORK)
    assert "Tieline knows no contract by this link" in texts(shown)


@pytest.mark.parametrize("read", [data.newest, data.intake, data.causes, data.ageing, data.lanes, data.choices])
def test_whoever_may_read_nothing_gets_nothing_that_others_have_read(read: object, nothing: Reads) -> None:
    assert callable(read)
    for seen in (nothing, nothing.within(GROUP)):
        read(seen)
    with pytest.raises(Forbidden):
        read(nothing.within(NOBODY))


def test_a_page_says_what_the_viewer_lacks(firm: list[int], nothing: Reads) -> None:
    shown = play("contract", nothing, {"id": str(firm[0])}, actor=NOBODY)
    assert "This needs the permission **contracts\\:read**" in texts(shown)
    assert not shown.error
    assert not shown.table


@pytest.mark.parametrize("path", ["contracts", "exceptions"])
def test_a_list_offers_its_rows_as_a_file(path: str, firm: list[int], database: sa.Engine, nothing: Reads) -> None:
    shown = play(path, nothing, actor=LONDON, commands=commands(database))
    assert not shown.exception
    assert [button.proto.label for button in shown.get("download_button")] == ["Download CSV"]
    assert audited(database) == []  # drawing the button takes nothing out
