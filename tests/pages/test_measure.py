"""The page of one measure."""

import pytest
import sqlalchemy as sa

from metrics.asking import Ask, Window
from metrics.catalog import kpis
from metrics.kpi import Answer, Unit
from metrics.measures import Measures
from metrics.targets import judged
from pages.kit import measure_words as words
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
    assert {"Consulting", "Tax", "Technology"} <= set(table.index)  # one more while a signature is in quarantine


def test_in_a_column_of_values_too_few_cases_are_said_in_words_and_not_as_their_number() -> None:
    known = kpis()["cycle-time"].definition
    few = Answer(None, 3, why_none="n = 3: below 20 cases a percentile says nothing")
    assert words.part(few, known, "USD") == "too few"
    assert words.part(Answer(6.4, 30), known, "USD") == words.headline(Answer(6.4, 30), known, "USD") == "6.4 h"


def test_nothing_measured_yet_is_said(nothing: Reads, database: sa.Engine) -> None:
    empty = Measures(database, clock=VirtualClock(rows.NOW), estate=rows.estate())
    shown = play("measure", nothing, {"kpi": "cycle-time"}, measures=empty)
    assert not shown.error
    assert not shown.exception


@pytest.mark.parametrize(("kpi", "adds"), [("stuck-money", "Stuck"), ("reconciliation", "Signed")])
def test_a_state_is_as_of_a_moment_and_its_amounts_have_their_currency(
    some: Reads, measured: Measures, kpi: str, adds: str
) -> None:
    shown = play("measure", some, {"kpi": kpi}, measures=measured)
    assert not shown.error
    said = texts(shown).replace("\\", "")
    assert "As of 23 Nov 2026 06:00 UTC, whatever the period, money in USD." in said
    assert "Largest first; they add up to the number above" in said
    assert shown.expander[0].label.startswith("Further figures (")
    assert any(expander.label == "Money in each currency" for expander in shown.expander) == (kpi == "reconciliation")
    listed = shown.dataframe[0].value
    assert not any(str(amount)[:1].isdigit() for amount in listed[adds]), listed


def test_the_rows_of_a_percentile_do_not_add_up_to_it(some: Reads, measured: Measures) -> None:
    shown = play("measure", some, {"kpi": "cycle-time", "weeks": "52"}, measures=measured)
    assert "What the number above is worked out from" in texts(shown)
    assert "add up to the number above" not in texts(shown)
    assert texts(shown).count("could be billed within this working time") == 1


def test_rows_of_money_do_not_add_up_to_a_rate_and_a_month_is_no_week(some: Reads, measured: Measures) -> None:
    shown = play("measure", some, {"kpi": "dispute-rate", "weeks": "52", "by": "week"}, measures=measured)
    assert not shown.error
    assert "add up to the number above" not in texts(shown)
    table = next(table.value for table in shown.table if "Cases" in table.value.columns)
    assert table.index.name == "Month"
    assert len(table)
    assert not any("week" in str(name) for name in table.index)


def test_each_part_of_the_time_names_its_step(some: Reads, measured: Measures) -> None:
    shown = play("measure", some, {"kpi": "step-time", "weeks": "52", "by": "legal_entity"}, measures=measured)
    assert not shown.error
    table = next(table.value for table in shown.table if "Its slowest step" in table.value.columns)
    assert len(table.columns) == 5
    assert all(table["Its slowest step"])


def test_a_part_that_is_not_reached_is_no_quotation(some: Reads, measured: Measures) -> None:
    shown = play(
        "measure", some, {"kpi": "contract-to-cash", "weeks": "13", "by": "legal_entity"}, measures=measured
    )  # fmt: skip
    table = next(table.value for table in shown.table if "Cases" in table.value.columns)
    least = [value for value in table["Value"] if ">" in value]
    assert least, "the case needs a part whose percentile is not reached"
    assert all(value.startswith("\\>") for value in least)


def test_without_a_baseline_the_page_says_how_to_import_one(some: Reads, measured: Measures) -> None:
    shown = play("measure", some, {"kpi": "roi"}, measures=measured)
    assert not shown.error
    said = texts(shown)
    assert "The baseline is missing" in said
    assert "`tieline baseline import FILE`" in said
    assert "\\`" not in said, "a command is a code span, not its backticks"
    assert "Choose a longer period" not in said


def test_what_adds_up_stands_behind_the_contract_and_codes_are_in_words(some: Reads, measured: Measures) -> None:
    shown = play("measure", some, {"kpi": "stuck-money"}, measures=measured)
    listed = shown.dataframe[0].value
    assert list(listed.columns)[:3] == ["Contract", "Stuck, converted", "Stuck"]
    assert set(listed["Differs by"]) <= {"Blocked", "Value", "Rates", "Schedule"}
    assert not any("_" in code for code in listed["Open exceptions"])


def test_rows_that_cannot_be_read_leave_the_number(seeded: sa.Engine, some: Reads, measured: Measures) -> None:
    def time_out(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        if "ORDER BY k.place DESC" in statement:
            raise sa.exc.OperationalError("canceling statement due to statement timeout", None, Exception())

    sa.event.listen(seeded, "before_cursor_execute", time_out)
    try:
        shown = play("measure", some, {"kpi": "cycle-time"}, measures=measured)
    finally:
        sa.event.remove(seeded, "before_cursor_execute", time_out)
    assert [one.value.split(" could")[0] for one in shown.error] == ["The rows behind it"]
    assert "definition version" in texts(shown)
    assert "### By week" in texts(shown)


def test_what_a_target_came_to_stands_as_a_badge(some: Reads, measured: Measures) -> None:
    shown = play("measure", some, {"kpi": "cycle-time"}, measures=measured)
    found = measured.kpi("cycle-time", Ask(Window.weeks(rows.NOW, "Europe/London", 13)))
    verdict = judged(found.definition, found.answer)
    assert verdict
    assert [one for one in shown.markdown if verdict.capitalize() in one.value]


def test_two_small_rates_can_be_told_apart() -> None:
    written = [words.value(one, Unit.RATIO, "") for one in (0.0064, 0.06, 0.5, 1.239, -0.0064, 0, 1234.5)]
    assert written == ["0.0064", "0.06", "0.50", "1.24", "-0.0064", "0.00", "1,234.50"]
