"""The page of one measure."""

import sqlalchemy as sa

from metrics.measures import Measures
from sync_core.clock import VirtualClock
from sync_core.reads import Reads
from tests import rows
from tests.pages.stage import play, texts


def test_a_measure_shows_its_number_formula_parts_and_rows(some: Reads, measured: Measures) -> None:
    shown = play("measure", some, {"kpi": "cycle-time", "weeks": "52"}, measures=measured)
    assert not shown.exception
    assert not shown.error
    assert "Contract-to-project cycle time" in texts(shown)
    assert "Kaplan" in texts(shown)
    assert len(shown.dataframe) == 1
    assert len(shown.dataframe[0].value) == 50


def test_a_split_by_service_line_adds_up_to_the_number(some: Reads, measured: Measures) -> None:
    shown = play("measure", some, {"kpi": "cycle-time", "weeks": "52", "by": "service_line"}, measures=measured)
    assert not shown.error
    table = next(table.value for table in shown.table if "Cases" in table.value.columns)
    cases = sum(int(text) for text in table["Cases"])
    assert f"n = {cases}" in texts(shown).replace(r"\=", "=")
    assert {"Consulting", "Tax", "Technology"} < set(table.index)  # the fourth: in quarantine


def test_nothing_measured_yet_is_said(nothing: Reads, database: sa.Engine) -> None:
    empty = Measures(database, clock=VirtualClock(rows.NOW), estate=rows.estate())
    shown = play("measure", nothing, {"kpi": "cycle-time"}, measures=empty)
    assert not shown.error
    assert not shown.exception
