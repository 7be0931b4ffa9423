"""The executive page: its numbers are the measures', each card keeps its failure, each viewer sees their own."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
import streamlit as st
from streamlit.testing.v1 import AppTest

from metrics.asking import Ask, Window
from metrics.measures import Measures
from pages.kit import format as fmt
from pages.kit.bill_runs import coming
from pages.parts.executive import words
from sync_core.authority import person
from sync_core.clock import VirtualClock
from sync_core.money import Money
from sync_core.reads import Reads
from tests import rows
from tests.metrics.money_rows import milestone, signed, told
from tests.metrics.support import caught_up
from tests.pages.failing import SECRET, failing
from tests.pages.stage import CFO, play, texts
from tests.reads.handmade import add_case, add_contract, add_quarantined

LONDON = person("london@example.com", ["executive@GB01"])
NOBODY = person("new@example.com", [])
WINDOW = Window.weeks(rows.NOW, "Europe/London", 13)


def tiles(shown: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in shown.metric}


def errors(shown: AppTest) -> list[str]:
    return [element.value.split(" could")[0] for element in shown.error]


def plain(shown: AppTest) -> str:
    return texts(shown).replace("\\", "")


def links(shown: AppTest) -> dict[str, str]:
    return {link.proto.label.replace("\\", ""): link.proto.query_string for link in shown.get("page_link")}


@pytest.fixture
def late(database: sa.Engine) -> Measures:
    """Half of 100 USD is to be billed on 30 November, and nobody has completed what it needs."""
    soon = [milestone("a", 50, "2026-11-30"), milestone("b", 50, "2027-03-01")]
    add_case(database, told(database, "C-1", [signed(milestones=soon)], days_ago=2), "po_missing")
    caught_up(database, VirtualClock(rows.NOW), rows.estate())
    return Measures(database, clock=VirtualClock(rows.NOW), estate=rows.estate())


def test_the_tiles_say_what_the_measures_say(some: Reads, measured: Measures) -> None:
    shown = play("executive", some, measures=measured)
    assert not shown.exception
    assert errors(shown) == []
    assert list(tiles(shown)) == [
        "Money stuck", "Misses the next bill run", "Signed to billable, p50", "Auto-provisioned", "Amendment lag, p90",
        "Disputed invoices",
    ]  # fmt: skip
    asked = measured.several(dict.fromkeys(("stuck-money", "auto-provisioned")), Ask(WINDOW))
    stuck, auto = asked["stuck-money"].answer.value, asked["auto-provisioned"].answer.value
    assert isinstance(stuck, Decimal)
    assert isinstance(auto, float)
    assert tiles(shown)["Money stuck"] == fmt.money(Money(stuck, "USD"))
    assert tiles(shown)["Auto-provisioned"] == fmt.percent(auto)
    assert fmt.money(Money(stuck, "USD")) in plain(shown)
    assert "All entities, 13 weeks up to today, money in USD." in plain(shown)
    assert "Data as of 23 Nov 2026 06:00 UTC." in plain(shown)


def test_every_number_opens_its_rows_with_the_filters(some: Reads, measured: Measures) -> None:
    shown = play("executive", some, {"weeks": "26", "entity": "GB01"}, measures=measured)
    assert "Legal entity GB01, 26 weeks up to today" in plain(shown)
    queries = [link.proto.query_string for link in shown.get("page_link")]
    for slug in ("stuck-money", "cycle-time", "auto-provisioned", "amendment-lag", "dispute-rate", "reconciliation"):
        assert f"kpi={slug}&weeks=26&entity=GB01" in queries


def test_the_headline_tells_what_the_next_bill_run_misses(late: Measures, nothing: Reads) -> None:
    shown = play("executive", nothing, measures=late)
    assert errors(shown) == []
    assert (tiles(shown)["Money stuck"], tiles(shown)["Misses the next bill run"]) == ("$100", "$50")
    said = "**$100 stands between what was signed and what the ERPs hold.** $50 of it misses the next bill runs, "
    assert said + "the first in 7.1 d. Of the exceptions, **PO missing** holds up $100 of 1 contract." in plain(shown)
    run = next(metric for metric in shown.metric if metric.label == "Misses the next bill run")
    assert (run.delta, run.proto.delta_description) == ("in 7.1 d", "DE01, 30 Nov 2026")
    assert links(shown)["**$100** PO missing, 1 contract"] == "cause=po_missing&function=tax"


def test_causes_are_narrowed_as_the_money_is_and_their_links_carry_it(database: sa.Engine, nothing: Reads) -> None:
    for name, entity, value, cause in (("C-1", "US01", 100, "po_missing"), ("C-2", "GB01", 900, "rate_missing")):
        contract = told(database, name, [signed(value=str(value))], days_ago=2, legal_entity=entity, value=value)
        add_case(database, contract, cause, exposure=value, exposure_reporting=value)
    add_quarantined(database, "Q-1", hours=1)
    caught_up(database, VirtualClock(rows.NOW), rows.estate())
    measures = Measures(database, clock=VirtualClock(rows.NOW), estate=rows.estate())
    shown = play("executive", nothing, {"entity": "US01"}, measures=measures)
    assert errors(shown) == []
    assert "Of the exceptions, **PO missing** holds up $100 of 1 contract." in plain(shown)
    assert "Not narrowed by the filters: what nobody could read" in plain(shown)
    asked = links(shown)
    assert asked["**$100** PO missing, 1 contract"] == "cause=po_missing&function=tax&entity=US01"
    assert not any("Rate missing" in label for label in asked)
    listed = play("exceptions", nothing, {"entity": "US01", "billing": "time_and_materials"}, measures=measures)
    assert not listed.dataframe
    listed.button(key="drop_billing").click().run()
    assert len(listed.dataframe[0].value) == 1


def test_a_year_that_is_over_is_told_by_its_last_day(some: Reads, measured: Measures) -> None:
    shown = play("executive", some, {"from": "2026-06-01", "to": "2026-08-31"}, measures=measured)
    assert "13 weeks up to 30 Aug 2026, money" in plain(shown)


def test_bill_runs_come_soonest_first_in_the_time_of_their_entity() -> None:
    runs = coming(rows.estate().entity, rows.NOW)
    assert [run.entity.code for run in runs] == ["DE01", "GB01", "US01"]  # the working day begins in the east
    assert {run.day for run in runs} == {"30 Nov 2026"}
    assert all(timedelta(days=7) <= run.left < timedelta(days=8) for run in runs)


def test_a_currency_without_a_rate_is_named_and_in_no_sum(database: sa.Engine, nothing: Reads) -> None:
    told(database, "C-1", [signed(currency="BRL", value="5000")], days_ago=2, currency="BRL", value=5000)
    caught_up(database, VirtualClock(rows.NOW), rows.estate())
    measures = Measures(database, clock=VirtualClock(rows.NOW), estate=rows.estate())
    shown = play("executive", nothing, measures=measures)
    assert errors(shown) == []
    assert "**R$5.0K stands between what was signed and what the ERPs hold.**" in plain(shown)
    assert "Not in the bars for want of an exchange rate: R$5.0K." in plain(shown)


def test_a_new_installation_is_told_how_to_send_a_first_event(nothing: Reads, database: sa.Engine) -> None:
    empty = Measures(database, clock=VirtualClock(rows.NOW), estate=rows.estate())
    shown = play("executive", nothing, measures=empty)
    assert not shown.exception
    assert errors(shown) == []
    assert "Send a first event" in texts(shown)
    assert not shown.metric


def test_before_anything_is_measured_each_card_says_why_it_is_empty(database: sa.Engine, nothing: Reads) -> None:
    add_contract(database)
    empty = Measures(database, clock=VirtualClock(rows.NOW), estate=rows.estate())
    shown = play("executive", nothing, measures=empty)
    assert not shown.exception
    assert errors(shown) == []
    for said in ("Nothing is stuck.", "Nothing is signed yet.", "No month is over yet.", "No baseline."):
        assert said in texts(shown)


def test_one_measure_that_fails_keeps_the_others(seeded: sa.Engine, some: Reads) -> None:
    shown = play("executive", some, measures=failing(seeded, "reconciliation"))
    assert errors(shown) == ["Signed to billed"]
    assert len(shown.metric) == 6
    assert SECRET not in texts(shown) + "".join(element.value for element in shown.error)


def test_a_tile_that_fails_keeps_its_neighbours(seeded: sa.Engine, some: Reads) -> None:
    shown = play("executive", some, measures=failing(seeded, "dispute-rate"))
    assert set(errors(shown)) == {"Disputed invoices"}
    assert len(shown.metric) == 5


def test_a_comparison_that_fails_leaves_the_others_theirs(seeded: sa.Engine, some: Reads, measured: Measures) -> None:
    whole = play("executive", some, measures=measured)
    st.cache_resource.clear()
    shown = play("executive", some, measures=failing(seeded, "dispute-rate"))
    changes = {tile.label: tile.delta for tile in whole.metric}
    assert any(changes.values())
    assert {tile.label: tile.delta for tile in shown.metric} == {
        label: change for label, change in changes.items() if label != "Disputed invoices"
    }


@pytest.mark.parametrize(
    ("weeks", "lost"),
    [(26, {"Signed, forecast and billed", "Disputes by month"}), (13, set())],
    ids=["months", "before"],
)
def test_one_window_that_cannot_be_read_takes_no_other_with_it(
    seeded: sa.Engine, some: Reads, weeks: int, lost: set[str]
) -> None:
    """The months of the last charts, or the weeks that numbers are compared with; their cells came with all others."""
    broken = Window.weeks(rows.NOW, "Europe/London", weeks)
    broken = broken.before() if weeks == 13 else broken

    failed: list[str] = []

    def time_out(_conn: object, _cursor: object, statement: str, given: object, *_: object) -> None:
        if "metrics.cell" not in statement or not isinstance(given, dict):
            return
        walks = [walk for kind in ("listed", "counted") for walk in json.loads(given.get(kind, "[]"))]
        if (f"{broken.start}", f"{broken.end}") in {(walk["since"], walk["until"]) for walk in walks}:
            failed.append(statement)
            raise sa.exc.OperationalError("canceling statement due to statement timeout", None, Exception())

    sa.event.listen(seeded, "before_cursor_execute", time_out)
    try:
        shown = play("executive", some, measures=Measures(seeded, clock=VirtualClock(rows.NOW), estate=rows.estate()))
    finally:
        sa.event.remove(seeded, "before_cursor_execute", time_out)
    assert failed
    assert {*errors(shown)} <= lost
    assert len(shown.metric) == 6


def test_nothing_that_can_be_read_is_one_incident(seeded: sa.Engine, some: Reads) -> None:
    shown = play("executive", some, measures=failing(seeded))
    assert not shown.exception
    assert errors(shown) == ["The page"]
    assert "The numbers could not be read. Data as of 23 Nov 2026 06:00 UTC." in texts(shown)


def test_a_viewer_of_one_entity_sees_its_numbers_alone(some: Reads, measured: Measures) -> None:
    shown, whole = (play("executive", some, measures=measured, actor=actor) for actor in (LONDON, CFO))
    assert errors(shown) == []
    assert "Legal entity GB01, 13 weeks" in plain(shown)
    mine = measured.within(LONDON).kpi("stuck-money", Ask(WINDOW)).answer
    assert isinstance(mine.value, Decimal)
    assert tiles(shown)["Money stuck"] == fmt.money(Money(mine.value, "USD"))
    assert tiles(shown)["Money stuck"] != tiles(whole)["Money stuck"]
    assert shown.selectbox(key="filter_entity").options == ["All entities", "GB01 · Meridian Ltd."]
    runs = next(table.value for table in shown.table if "Next run" in table.value.columns)
    assert list(runs["Legal entity"]) == ["Meridian Ltd\\."]


def test_whoever_may_not_see_kpis_is_told_what_it_needs(some: Reads, measured: Measures) -> None:
    shown = play("executive", some, measures=measured, actor=NOBODY)
    assert "This needs the permission" in texts(shown)
    assert not shown.metric


def test_numbers_that_are_late_say_so(seeded: sa.Engine) -> None:
    clock = VirtualClock(rows.NOW + timedelta(minutes=10))
    reads = Reads(seeded, clock=clock, estate=rows.estate())
    shown = play("executive", reads, measures=Measures(seeded, clock=clock, estate=rows.estate()))
    assert "10 min old" in texts(shown)


def test_quarantine_is_a_decision_too(late: Measures, database: sa.Engine, nothing: Reads) -> None:
    add_quarantined(database, "Q-1", hours=50)
    shown = play("executive", nothing, measures=late)
    assert links(shown)["**1 delivery** in quarantine"] == "view=quarantine"


def test_a_notice_stands_at_the_head_and_more_comes_fast_while_it_does(late: Measures, nothing: Reads) -> None:
    said = ["The past is being made: 12 Aug 2026 reached"]
    shown = play("executive", nothing, notice=lambda: said[0] if said else None, measures=late)
    assert "12 Aug 2026 reached" in texts(shown)
    assert shown.session_state["tieline.quick"]
    said.clear()
    shown.run()
    assert "12 Aug 2026 reached" not in texts(shown)
    assert not shown.session_state["tieline.quick"]


def test_a_notice_stands_in_place_of_the_steps_to_a_first_event(nothing: Reads, database: sa.Engine) -> None:
    empty = Measures(database, clock=VirtualClock(rows.NOW), estate=rows.estate())
    shown = play("executive", nothing, notice=lambda: "The past is being made", measures=empty)
    assert "**What was signed is what the ERPs hold.**" in texts(shown)
    assert "Send a first event" not in texts(shown)


def test_unknown_amounts_are_a_dash() -> None:
    assert words.money(None, "USD") == fmt.DASH
