"""One definition, one number: page, API, snapshot and /metrics say the same of the same weeks, for every KPI."""

import csv
import io
import math
from collections.abc import Iterator
from decimal import Decimal

import pytest
import sqlalchemy as sa
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from app.api.kpi_views import number
from app.postgres.embedded import Endpoint
from metrics import weeks
from metrics.asking import Ask
from metrics.catalog import kpis
from metrics.kpi import Answer, Result, Unit, Value
from metrics.measures import Measures
from pages.kit import measure_words as words
from sync_core.authority import Permission
from sync_core.clock import VirtualClock
from sync_core.money import rounded
from sync_core.reads import Reads
from tests import rows
from tests.app.test_open_metrics import WANTED, House
from tests.app.told_firm import CURRENCY, WINDOW, ZONE, told_firm
from tests.metrics.snapshot.firm import Firm
from tests.pages.stage import play, texts


@pytest.fixture(scope="module")
def firm(server: Endpoint, template: str) -> Iterator[sa.Engine]:
    with told_firm(server, template) as engine:
        yield engine


def measured(engine: sa.Engine) -> dict[str, Result]:
    measures = Measures(engine, clock=VirtualClock(rows.NOW), estate=rows.estate())
    return measures.several(dict.fromkeys(kpis()), Ask(WINDOW))


def same(one: Value, other: Value) -> bool:
    if one is None or other is None:
        return one is None and other is None
    return math.isclose(float(one), float(other), rel_tol=1e-9, abs_tol=2e-6)


async def test_api_and_metrics_say_what_the_measures_say(firm: sa.Engine) -> None:
    wanted, house = measured(firm), House(firm)
    told = {
        sample.labels["kpi"]: sample.value
        for family in openmetrics((await house.get(WANTED)).text)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.name == "tieline_kpi_value" and sample.labels["window"] == "13_weeks"
    }
    assert [slug for slug, result in wanted.items() if result.answer.value is None] == []
    async with house.door.calls(Permission.KPI_READ) as program:
        for slug, result in wanted.items():
            answer = (await program.get(f"/kpis/{slug}?from={WINDOW.start}&to={WINDOW.end}")).json()
            shown = answer["value"]
            value = Decimal(shown["amount"]) if isinstance(shown, dict) else shown
            expected = number(result.answer.value, result.definition.unit, CURRENCY)
            assert same(value, expected if isinstance(expected, int | float | None) else Decimal(expected.amount)), slug
            assert (answer["n"], answer["n_open"]) == (result.answer.n, result.answer.n_open), slug
            assert same(told.get(slug), result.answer.value), slug


def test_the_snapshot_says_what_the_measures_say(firm: sa.Engine) -> None:
    wanted = measured(firm)
    house = Firm(firm, VirtualClock(rows.NOW), rows.estate())
    files = house.made(week=weeks.week_of(rows.NOW, ZONE)).files
    found = {line["kpi"]: line for line in csv.DictReader(io.StringIO(files["kpis.csv"].decode("utf-8-sig")))}
    assert found.keys() == wanted.keys()
    for slug, result in wanted.items():
        told = found[slug]["thirteen_weeks"]
        money = result.definition.unit in (Unit.MONEY, Unit.MONEY_DAYS)
        value = result.answer.value
        expected = rounded(Decimal(value), CURRENCY) if money and value is not None else value
        assert same(Decimal(told.lstrip("'")) if told else None, expected), slug


@pytest.mark.parametrize("slug", kpis())
def test_the_page_says_what_the_measures_say(firm: sa.Engine, slug: str) -> None:
    clock, estate = VirtualClock(rows.NOW), rows.estate()
    measures = Measures(firm, clock=clock, estate=estate)
    answer: Answer = measures.kpi(slug, Ask(WINDOW)).answer
    shown = play("measure", Reads(firm, clock=clock, estate=estate), {"kpi": slug, "weeks": "13"}, measures=measures)
    assert not shown.error
    headline = words.headline(answer, kpis()[slug].definition, CURRENCY)
    assert f"### {headline}" in texts(shown).replace("\\", "")
