"""The analysis of exceptions: ages by function, how long each takes, how they travel."""

from datetime import timedelta

import pandas as pd
import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from metrics.measures import Measures
from sync_core.authority import person
from sync_core.clock import VirtualClock
from sync_core.reads import Reads
from tests import rows
from tests.metrics.support import caught_up
from tests.pages.failing import failing
from tests.pages.stage import CFO, play, texts
from tests.pages.test_executive import errors, tiles
from tests.reads.handmade import add_case, add_contract, add_quarantined, insert

LONDON = person("london@example.com", ["executive@GB01"])
VIEW = {"view": "analysis"}


@pytest.fixture
def worked(database: sa.Engine) -> Measures:
    """Two open exceptions of tax in London, one of legal in New York that tax had before, one event in quarantine."""
    for _ in range(2):
        london = add_contract(database, legal_entity="GB01", state="blocked")
        add_case(database, london, "tax_code_missing", function="tax", hours=24 * 8)
    york = add_contract(database, state="blocked")
    case = add_case(database, york, "po_missing", function="legal", hours=24 * 2)
    for hours, function, before in ((48, "tax", None), (40, "legal", "tax")):
        insert(
            database, "case_history", case_id=case, what="opened" if before is None else "handed_over",
            from_function=before, function=function,
            occurred_at=rows.NOW - timedelta(hours=hours), recorded_at=rows.NOW - timedelta(hours=hours),
        )  # fmt: skip
    add_quarantined(database, "Q-1", hours=5)
    caught_up(database, VirtualClock(rows.NOW), rows.estate())
    return Measures(database, clock=VirtualClock(rows.NOW), estate=rows.estate())


def analysed(reads: Reads, measures: Measures, **more: object) -> AppTest:
    return play("exceptions", reads, VIEW, measures=measures, **more)  # type: ignore[arg-type]


def by_function(shown: AppTest) -> pd.DataFrame:
    found = next(one.value for one in shown.table if list(one.value.columns) == ["Function", "Exceptions", "Median"])
    return found.set_index("Function")


def test_the_ages_add_up_and_quarantine_is_integrations(worked: Measures, nothing: Reads) -> None:
    shown = analysed(nothing, worked)
    assert not shown.exception
    assert errors(shown) == []
    assert tiles(shown)["Open now"] == "4"
    now = next(metric for metric in shown.metric if metric.label == "Open now")
    said = "exceptions and signatures in quarantine, as of 06:00 UTC"
    assert (now.delta, now.proto.delta_description) == ("3 and 1", said)
    assert "**3 exceptions open**" in texts(shown)
    assert "beside them **1 signature in quarantine**" in texts(shown)
    ages = next(one.value for one in shown.table if any("working days" in str(c) for c in one.value.columns))
    assert set(ages.index) == {"Legal", "Tax", "Integration", "All"}
    assert sum(int(str(cell).replace("\\", "").partition(" (")[0]) for cell in ages.loc["All"]) == 4


def test_each_function_has_its_exceptions_and_links_to_them(worked: Measures, nothing: Reads) -> None:
    shown = analysed(nothing, worked)
    told = by_function(shown)
    assert dict(told["Exceptions"]) == {"Legal": "1", "Tax": "2", "Integration": "1", "All": "4"}
    assert str(told.loc["Tax", "Median"]) == "too few"
    more = next(one.value for one in shown.table if "Handed on" in one.value.columns).set_index("Function")
    assert dict(more["Handed on"]) == {"Legal": "0", "Tax": "1", "Integration": "0", "All": "1"}
    shown.button(key="of_tax").click().run()
    assert shown.query_params["function"] == "tax"
    assert "view" not in shown.query_params
    assert set(shown.dataframe[0].value["cause"]) == {"Tax code missing"}


def test_a_viewer_of_one_entity_sees_its_exceptions_alone(worked: Measures, nothing: Reads) -> None:
    assert dict(by_function(analysed(nothing, worked, actor=LONDON))["Exceptions"]) == {"Tax": "2", "All": "2"}
    assert dict(by_function(analysed(nothing, worked, actor=CFO))["Exceptions"])["All"] == "4"


def test_seeded_rows_are_analysed(some: Reads, measured: Measures) -> None:
    shown = analysed(some, measured)
    assert not shown.exception
    assert errors(shown) == []


def test_an_empty_database_has_nothing_to_analyse(nothing: Reads, database: sa.Engine) -> None:
    shown = analysed(nothing, Measures(database, clock=VirtualClock(rows.NOW), estate=rows.estate()))
    assert errors(shown) == []
    assert "No open exceptions." in texts(shown)
    assert "Nothing was handed over." in texts(shown)


def test_one_measure_that_fails_keeps_the_others(seeded: sa.Engine, some: Reads) -> None:
    shown = analysed(some, failing(seeded, "exception-ageing"))
    assert set(errors(shown)) == {"Open now", "Open exceptions by age"}
    assert "Resolution by function" in texts(shown)
