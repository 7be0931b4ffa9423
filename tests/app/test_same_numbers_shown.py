"""One definition, one number, where people read it: tiles of the pages, cells of the workbook, the week that ended."""

import io
import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import openpyxl
import pytest
import sqlalchemy as sa
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from app.postgres.embedded import Endpoint
from metrics.asking import Window
from metrics.catalog import kpis
from metrics.kpi import Span
from metrics.measures import Measures
from metrics.snapshot.package import WORKBOOK, Package
from metrics.weeks import week_of
from pages.kit import format as fmt
from pages.kit import measure_words as words
from sync_core.clock import VirtualClock
from sync_core.reads import Reads
from tests import rows
from tests.app.test_open_metrics import WANTED, House
from tests.app.told_firm import CURRENCY, LAST, WEEK_END, WINDOW, ZONE, answered, told_firm, value_of
from tests.metrics.snapshot.firm import Firm
from tests.pages.stage import play, texts
from tests.pages.test_executive import tiles

TILES: Final = {
    "executive": {
        "Money stuck": "stuck-money", "Signed to billable, p50": "cycle-time", "Auto-provisioned": "auto-provisioned",
        "Amendment lag, p90": "amendment-lag", "Disputed invoices": "dispute-rate",
    },
    "flow": {
        "Signed to billable, p50": "cycle-time", "Auto-provisioned": "auto-provisioned",
        "Amendment lag, p90": "amendment-lag", "Exception resolved, p50": "exception-resolution",
        "Signed to paid, p50": "contract-to-cash",
    },
    "exceptions": {"Open now": "exception-ageing", "Resolved, p50": "exception-resolution"},
}  # fmt: skip
WEEKS: Final = {"week": 1, "4 weeks": 4, "13 weeks": 13}


@pytest.fixture(scope="module")
def firm(server: Endpoint, template: str) -> Iterator[sa.Engine]:
    with told_firm(server, template) as engine:
        yield engine


def measures_sheet(made: Package) -> dict[str, dict[str, Any]]:
    """The rows of the workbook's sheet of measures, by slug."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it does not know sparklines
        book = openpyxl.load_workbook(io.BytesIO(made.files[WORKBOOK]))
    head, *lines = book["Measures"].iter_rows(values_only=True)
    listed = [dict(zip(head, line, strict=True)) for line in lines]
    return {str(row["KPI"]): row for row in listed}


def summary(made: Package) -> dict[str, tuple[object, ...]]:
    """The rows of the first sheet, by the measure's title."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book = openpyxl.load_workbook(io.BytesIO(made.files[WORKBOOK]))
    return {str(row[0]): row for row in book["Summary"].iter_rows(values_only=True)}


async def test_every_kpi_has_a_number_to_compare(firm: sa.Engine) -> None:
    told = await answered(House(firm).door)
    assert {slug: answer["why_none"] for slug, answer in told.items() if value_of(answer) is None} == {}


@pytest.mark.parametrize("page", TILES)
async def test_a_tile_says_what_the_api_says(firm: sa.Engine, page: str) -> None:
    clock, estate = VirtualClock(rows.NOW), rows.estate()
    query = {"weeks": "13", "view": "analysis"} if page == "exceptions" else {"weeks": "13"}
    shown = play(page, Reads(firm, clock=clock, estate=estate), query,
                 measures=Measures(firm, clock=clock, estate=estate))  # fmt: skip
    assert not shown.error
    told, seen = await answered(House(firm).door), tiles(shown)
    for title, slug in TILES[page].items():
        unit = kpis()[slug].definition.unit
        assert seen[title] == words.value(value_of(told[slug]), unit, CURRENCY), (title, slug)
        assert any(digit in seen[title] for digit in "0123456789"), title
    if page == "flow":
        share = value_of(told["step-time"])
        assert f"{fmt.percent(float(share or 0))} of all working time goes into" in texts(shown).replace("\\", "")


async def test_the_workbooks_cells_of_thirteen_weeks_are_the_apis_numbers(firm: sa.Engine) -> None:
    house = Firm(firm, VirtualClock(rows.NOW), rows.estate())
    made = house.made(week=week_of(rows.NOW, ZONE))
    cells, first, told = measures_sheet(made), summary(made), await answered(House(firm).door)
    assert cells.keys() == told.keys()
    for slug, answer in told.items():
        expected = pytest.approx(float(value_of(answer) or 0), rel=1e-9, abs=2e-6)
        assert cells[slug]["13 weeks"] is not None, slug
        assert cells[slug]["13 weeks"] == expected, slug
        assert first[kpis()[slug].definition.title][4] == expected, slug


async def test_the_week_that_ended_reads_the_same_in_workbook_api_and_metrics(firm: sa.Engine) -> None:
    """A headline of four or 13 weeks is held to the API's of as many weeks; a state to that of the week's end."""
    house, served = Firm(firm, VirtualClock(rows.NOW), rows.estate()), House(firm)
    cells = measures_sheet(house.made(week=LAST))
    scraped = {
        sample.labels["kpi"]: sample.value
        for family in openmetrics((await served.get(WANTED)).text)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.name == "tieline_kpi_value" and sample.labels["window"] == "last_week"
    }
    end = LAST + timedelta(weeks=1)
    by_weeks = {many: await answered(served.door, Window(end - timedelta(weeks=many), end)) for many in (1, 4, 13)}
    then = await answered(served.door, WINDOW, WEEK_END)
    compared: dict[str, set[str]] = {"week": set(), "4 weeks": set(), "13 weeks": set(), "state": set()}
    for slug, row in cells.items():
        of = str(row["Value is of"])
        state = kpis()[slug].definition.span is Span.STATE
        told = value_of((then if state else by_weeks[WEEKS[of]])[slug])
        near = None if told is None else pytest.approx(float(told), rel=1e-9, abs=2e-6)
        assert row["Value"] == near, (slug, of)
        if state or of == "week":
            assert scraped.get(slug) == near, slug
        if told is not None:
            compared["state" if state else of].add(slug)
    assert compared["state"] == {"stuck-money", "exception-ageing", "reconciliation"}
    assert {"auto-provisioned", "step-time"} <= compared["week"]
    assert {"exception-resolution"} <= compared["4 weeks"]
    assert compared["13 weeks"] == {"dispute-rate", "forecast-accuracy", "roi"}
