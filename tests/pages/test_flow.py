"""The flow page: steps, functions, the way to the first payment; each card keeps its failure."""

import pandas as pd
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from metrics.asking import Ask, By, Window
from metrics.kpis.step_time import STEPS
from metrics.measures import Measures
from pages.kit import format as fmt
from sync_core.authority import person
from sync_core.clock import VirtualClock
from sync_core.reads import Reads
from tests import rows
from tests.pages.failing import SECRET, failing
from tests.pages.stage import play, texts
from tests.pages.test_executive import errors, plain, tiles

LONDON = person("london@example.com", ["executive@GB01"])
WINDOW = Window.weeks(rows.NOW, "Europe/London", 13)


def table(shown: AppTest, column: str) -> pd.DataFrame:
    tables: list[pd.DataFrame] = [one.value.reset_index() for one in shown.table]
    return next(one for one in tables if column in one.columns)


def test_the_flow_shows_where_the_time_goes(some: Reads, measured: Measures) -> None:
    shown = play("flow", some, measures=measured)
    assert not shown.exception
    assert errors(shown) == []
    assert len(shown.get("plotly_chart")) <= 6
    assert "of all working time goes into" in texts(shown)
    assert set(tiles(shown)) == {
        "Signed to billable, p50", "Auto-provisioned", "Amendment lag, p90", "Exception resolved, p50",
        "Signed to paid, p50", "Events today",
    }  # fmt: skip


def test_the_steps_are_those_of_the_measure_and_add_up(some: Reads, measured: Measures) -> None:
    steps = table(play("flow", some, measures=measured), "Still in it")
    assert [name.replace("\\", "") for name in steps["Step"]] == list(STEPS.values())
    shares = [float(share.replace("\\", "").removesuffix("%")) for share in steps["Share"]]
    assert abs(sum(shares) - 100) < 0.5


def test_the_spread_counts_every_contract_that_was_provisioned(some: Reads, measured: Measures) -> None:
    bins = measured.spread(Ask(WINDOW))
    provisioned = measured.kpi("cycle-time", Ask(WINDOW)).answer.figure("provisioned").value
    assert sum(one.cases for one in bins) == provisioned
    assert [one.end for one in bins[:-1]] == [one.start for one in bins[1:]]
    assert table(play("flow", some, measures=measured), "From")["Contracts"].sum() == provisioned


def test_weeks_with_few_cases_are_pooled_and_say_so(some: Reads, measured: Measures) -> None:
    result = measured.kpi("cycle-time", Ask(WINDOW), By.WEEK)
    weeks = [monday.isoformat() for monday in WINDOW.mondays]
    for place, week in enumerate(weeks):
        near = [result.parts[one].n for one in weeks[max(place - 3, 0) : place + 1] if one in result.parts]
        assert result.pooled[week].n == sum(near)
    assert "each point is of the 4 weeks up to it" in " ".join(
        link.proto.label for link in play("executive", some, measures=measured).get("page_link")
    )


def test_an_empty_database_says_what_to_do(nothing: Reads, database: sa.Engine) -> None:
    empty = Measures(database, clock=VirtualClock(rows.NOW), estate=rows.estate())
    shown = play("flow", nothing, measures=empty)
    assert not shown.exception
    assert errors(shown) == []
    assert "Nothing was signed in these weeks." in texts(shown)
    assert "No time was spent yet." in texts(shown)


def test_one_measure_that_fails_keeps_the_others(seeded: sa.Engine, some: Reads) -> None:
    shown = play("flow", some, measures=failing(seeded, "contract-to-cash"))
    assert set(errors(shown)) == {"From signature to payment", "Stage by stage to cash", "Signed to paid, p50"}
    assert SECRET not in texts(shown)


def test_nothing_that_can_be_read_is_one_incident(seeded: sa.Engine, some: Reads) -> None:
    assert errors(play("flow", some, measures=failing(seeded))) == ["The page"]


def test_a_viewer_of_one_entity_sees_its_contracts_alone(some: Reads, measured: Measures) -> None:
    shown = play("flow", some, measures=measured, actor=LONDON)
    reached = table(shown, "Stage")
    mine = measured.within(LONDON).kpi("contract-to-cash", Ask(WINDOW)).answer.figure("reached_signed").value
    whole = measured.kpi("contract-to-cash", Ask(WINDOW)).answer.figure("reached_signed").value
    assert int(reached["Contracts"].iloc[0]) == mine
    assert mine != whole


def test_whoever_may_not_see_kpis_is_told_what_it_needs(some: Reads, measured: Measures) -> None:
    shown = play("flow", some, measures=measured, actor=person("new@example.com", []))
    assert "This needs the permission **kpi:read**" in plain(shown)
    assert not shown.metric


def test_hand_offs_of_whole_days_are_in_days_and_what_is_not_due_waits_for_nobody(
    some: Reads, measured: Measures
) -> None:
    listed = table(play("flow", some, measures=measured), "Still waiting").set_index("Stage")
    days = [*listed["Median"], *listed["Slowest tenth from"]]
    assert all(one.replace("\\", "") in ("same day", fmt.DASH) or one.endswith(" d") for one in days), days
    known = measured.kpi("contract-to-cash", Ask(WINDOW)).answer
    active, due, ended = (int(str(known.figure(key).value)) for key in
                          ("reached_active", "reached_billable", "lost_active"))  # fmt: skip
    assert listed.loc["Active to billing day", "Still waiting"] == f"{active - due - ended:,} not due yet"


def test_billable_is_one_word_for_one_thing(some: Reads, measured: Measures) -> None:
    stages = list(table(play("flow", some, measures=measured), "Stage")["Stage"])
    assert "Due to bill" in stages
    assert "Billable" not in stages
