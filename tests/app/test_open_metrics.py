"""GET /metrics: who may read it, that readers of both formats can, and that it says what pages and API say."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic

from app.telemetry import exposition, open_metrics
from app.telemetry.open_metrics import OpenMetrics, headlines
from app.telemetry.telemetry import RequestTimes
from collectors import standing
from metrics import slo
from metrics.asking import Ask, Window
from metrics.kpi import Span, Unit
from metrics.measures import Measures
from sync_core.authority import Permission
from sync_core.clock import VirtualClock
from sync_core.telemetry.latencies import Kind, Latencies, Series
from tests import rows
from tests.api.door import Door
from tests.collectors.test_journal import TRACE, add_run, counted
from tests.databases import DatabaseUrls
from tests.metrics.support import caught_up
from tests.rows import NOW

WANTED = {"accept": "application/openmetrics-text; version=1.0.0"}
HERE = "http://127.0.0.1:8080"


class House:
    """The route as a process serves it, with tokens of the door."""

    def __init__(self, engine: sa.Engine, *, trusted_proxies: int = 0) -> None:
        self.door, clock = Door(engine), VirtualClock(NOW)
        self.measures = Measures(engine, clock=clock, estate=rows.estate())
        bearer = self.door.app.state.bearer
        self.metrics = OpenMetrics(engine, clock, self.measures, bearer, trusted_proxies)
        self.app = FastAPI()
        self.app.include_router(open_metrics.routes(self.metrics))

    async def get(
        self, headers: dict[str, str] | None = None, *, url: str = HERE, client: str = "127.0.0.1"
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=(client, 40000))
        async with httpx.AsyncClient(transport=transport, base_url=url) as calls:
            return await calls.get("/metrics", headers=headers)


@pytest.fixture
def house(database: sa.Engine) -> House:
    return House(database)


def families(text: str) -> dict[str, Any]:
    return {family.name: family for family in openmetrics.text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]


def value(found: dict[str, Any], name: str, **labels: str) -> float | None:
    for family in found.values():
        for sample in family.samples:
            if sample.name == name and all(sample.labels.get(key) == wanted for key, wanted in labels.items()):
                return float(sample.value)
    return None


async def test_who_may_read(house: House) -> None:
    assert (await house.get()).status_code == 200
    assert (await house.get(client="::1", url="http://localhost:8080")).status_code == 200
    for headers, url, client in (
        ({}, HERE, "10.0.0.7"),
        ({"x-forwarded-for": "10.0.0.7"}, HERE, "127.0.0.1"),
        ({"forwarded": "for=10.0.0.7"}, HERE, "127.0.0.1"),
        ({"origin": "https://evil.example"}, HERE, "127.0.0.1"),
        ({}, "http://evil.example:8080", "127.0.0.1"),
    ):
        refused = await house.get(headers, url=url, client=client)
        assert refused.status_code == 401, (headers, url, client)
        assert refused.headers["www-authenticate"].startswith("Bearer")


async def test_behind_proxies_nobody_is_on_this_machine(database: sa.Engine) -> None:
    assert (await House(database, trusted_proxies=1).get()).status_code == 401


async def test_a_token_needs_the_scope(house: House) -> None:
    good, other = house.door.token(Permission.KPI_READ), house.door.token(Permission.CONTRACTS_READ)
    assert (await house.get({"authorization": f"Bearer {good}"}, client="10.0.0.7")).status_code == 200
    refused = await house.get({"authorization": f"Bearer {other}"}, client="10.0.0.7")
    assert (refused.status_code, refused.json()["code"]) == (403, "token.insufficient_scope")
    assert (await house.get({"authorization": "Bearer tlt_wrong"}, client="127.0.0.1")).status_code == 401


async def test_both_formats_are_what_their_parsers_read(house: House, database: sa.Engine) -> None:
    with database.begin() as conn:
        add_run(conn, 1, calls=[("project.create", 30, "ok", True), ('odd "name"\\\n', 3, "ok", False)])
    counted(database, VirtualClock(NOW))
    new, old = await house.get(WANTED), await house.get()
    assert new.headers["content-type"].startswith("application/openmetrics-text")
    assert new.text.endswith("# EOF\n")
    assert old.headers["content-type"].startswith("text/plain")
    read = families(new.text)
    assert read["tieline_call_duration_seconds"].unit == "seconds"
    assert {'odd "name"\\\n', "project.create"} == {
        sample.labels["operation"] for sample in read["tieline_call_duration_seconds"].samples
    }
    assert {family.name for family in classic(old.text)} >= {"tieline_call_duration_seconds", "tieline_attempts"}


async def test_an_exemplar_leads_to_the_trace(house: House, database: sa.Engine) -> None:
    with database.begin() as conn:
        add_run(conn, 1, calls=[("project.create", 30, "ok", True)])
    counted(database, VirtualClock(NOW))
    found = families((await house.get(WANTED)).text)["tieline_call_duration_seconds"]
    buckets = {sample.labels["le"]: sample for sample in found.samples if sample.name.endswith("_bucket")}
    assert (buckets["0.025"].value, buckets["0.05"].value, buckets["+Inf"].value) == (0, 1, 1)
    assert buckets["0.025"].exemplar is None
    exemplar = buckets["0.05"].exemplar
    assert (exemplar.labels, exemplar.value) == ({"trace_id": TRACE}, 0.03)


async def test_kpis_are_the_numbers_of_pages_and_api(database_urls: DatabaseUrls, database: sa.Engine) -> None:
    rows.seed(database_urls.owner, 2_000)
    clock = VirtualClock(NOW)
    caught_up(database, clock, rows.estate())
    standing.sample(database, clock=clock, estate=rows.estate())
    slo.evaluate(database, clock=clock, estate=rows.estate())
    house = House(database)
    found = families((await house.get(WANTED)).text)
    told = 0
    for name, window in (
        ("13_weeks", Window.weeks(NOW, "Europe/London", 13)),
        ("last_week", Window.weeks(NOW - timedelta(days=7), "Europe/London", 1)),
    ):
        for definition in house.measures.definitions():
            if name == "last_week" and definition.span is Span.STATE:  # not measured yet when it ended
                assert value(found, "tieline_kpi_cases", kpi=definition.slug, window=name) is None
                continue
            answer = house.measures.kpi(definition.slug, Ask(window)).answer
            shown = value(found, "tieline_kpi_value", kpi=definition.slug, window=name)
            if answer.value is None:
                assert shown is None
            else:
                assert shown is not None
                assert math.isclose(shown, float(answer.value), rel_tol=1e-9)
                [sample] = [s for s in found["tieline_kpi_value"].samples
                            if (s.labels["kpi"], s.labels["window"]) == (definition.slug, name)]  # fmt: skip
                assert sample.labels.get("currency") == ("USD" if definition.unit is Unit.MONEY else None)
                told += 1
            assert value(found, "tieline_kpi_cases", kpi=definition.slug, window=name) == answer.n
    assert told > 0
    for state, contracts in (("blocked", 20), ("dead", 2), ("in_flight", 0)):
        shown = sum(sample.value for sample in found["tieline_backlog_contracts"].samples
                    if sample.labels["state"] == state)  # fmt: skip
        assert shown == contracts, state
    assert value(found, "tieline_objective_target_ratio", objective="read-back") == 1
    assert (value(found, "tieline_database_size_bytes") or 0) > 1_000_000


def test_the_moment_that_is_published_finds_the_numbers_that_are(house: House) -> None:
    """A double holds no microsecond exactly, and one too early would find the refresh before."""
    known = datetime(2026, 11, 26, 22, 47, 45, 232441, UTC)
    result = replace(house.measures.kpi("roi", Ask(Window.weeks(NOW, "Europe/London", 13))), data_as_of=known)
    [family] = [one for one in exposition.kpis({"13_weeks": {"roi": result}}, "USD") if "timestamp" in one.name]
    [sample] = family.samples
    assert known <= datetime.fromtimestamp(sample.value, UTC) < known + timedelta(milliseconds=1)


async def test_a_state_of_the_last_week_is_that_of_its_end(database_urls: DatabaseUrls, database: sa.Engine) -> None:
    rows.seed(database_urls.owner, 400)
    clock = VirtualClock(NOW)
    caught_up(database, clock, rows.estate())
    clock.advance(timedelta(days=7))
    with database.begin() as conn:
        conn.execute(sa.text("UPDATE core.case SET state = 'decided', resolved_at = :now"), {"now": clock.now()})
        conn.execute(sa.text("INSERT INTO metrics.mark (contract_id) SELECT contract_id FROM core.contract"))
    caught_up(database, clock, rows.estate())
    measures = Measures(database, clock=clock, estate=rows.estate())
    week, end = Window.weeks(NOW, "Europe/London", 1), datetime(2026, 11, 30, tzinfo=UTC)
    told = headlines(measures, clock.now())
    then = measures.kpi("exception-ageing", Ask(week, end))
    assert told["last_week"]["exception-ageing"] == then
    assert then.answer.n > 0
    assert told["13_weeks"]["exception-ageing"].answer.n < then.answer.n
    assert told["last_week"]["cycle-time"].answer == measures.kpi("cycle-time", Ask(week)).answer


async def test_a_reach_limits_the_kpis_and_answers_are_kept_apart(
    database_urls: DatabaseUrls, database: sa.Engine
) -> None:
    rows.seed(database_urls.owner, 600)
    caught_up(database, VirtualClock(NOW), rows.estate())
    house = House(database)
    token = house.door.token(Permission.KPI_READ, entities=frozenset({"GB01"}))
    limited = families((await house.get({"authorization": f"Bearer {token}", **WANTED}, client="10.0.0.7")).text)
    whole = families((await house.get(WANTED)).text)
    mine, all_of_them = (value(read, "tieline_kpi_cases", kpi="cycle-time", window="13_weeks")
                         for read in (limited, whole))  # fmt: skip
    assert mine is not None
    assert all_of_them is not None
    assert 0 < mine < all_of_them


async def test_the_number_of_series_has_a_limit(house: House, database: sa.Engine) -> None:
    latencies = Latencies()
    for number in range(exposition.MOST_SERIES + 50):
        latencies.observe(Series(Kind.WEB, "tieline", f"GET /v1/{number}", False, "ok"), 0.01)
    latencies.store(database, now=NOW)
    found = families((await house.get(WANTED)).text)["tieline_call_duration_seconds"]
    shown = {sample.labels["operation"] for sample in found.samples}
    assert len(shown) == exposition.MOST_SERIES


async def test_requests_are_timed_by_their_template_and_never_by_their_path(database: sa.Engine) -> None:
    door, latencies = Door(database), Latencies()
    door.app.add_middleware(RequestTimes, latencies=latencies)
    token = door.token(Permission.CONTRACTS_READ, Permission.KPI_READ)
    async with door.bearing(token) as calls:
        for number in (1, 2, 3):
            assert (await calls.get(f"/contracts/{number}")).status_code == 404
        assert (await calls.get("/status")).status_code == 200
        assert (await calls.get("/nothing-of-this-name")).status_code == 404
    assert latencies.store(database, now=NOW) == 5
    with database.connect() as conn:
        counts = "SELECT operation, outcome, CAST(sum(n) AS int) FROM telemetry.call_total GROUP BY 1, 2 ORDER BY 1"
        told = [tuple(row) for row in conn.execute(sa.text(counts))]
    assert ("GET /v1/status", "ok", 1) in told
    by_template = [row for row in told if "{" in str(row[0])]
    assert [(row[1], row[2]) for row in by_template if "contracts" in str(row[0])] == [("refused", 3)]
    assert not [row for row in told if "nothing-of-this-name" in str(row[0])]
