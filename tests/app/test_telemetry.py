"""Spans of a real run reach a real OTLP receiver with the ids of the journal; latencies reach the database."""

import asyncio
import importlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import orjson
import pytest
import sqlalchemy as sa
from opentelemetry import metrics, trace
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.postgres.urls import DatabaseUrls as Urls
from app.settings import InvalidSettings, Settings, load
from app.telemetry import telemetry
from app.wiring import Wiring
from sync_core.connectors import tracing
from sync_core.intake.cloudevents import parse_structured
from sync_core.intake.intake import accept
from sync_core.telemetry import meters
from sync_core.telemetry.latencies import BOUNDS, LATENCIES, Kind, Latencies, Series, timed
from tests.databases import DatabaseUrls
from tests.engine.support import Bench
from tests.otlp_receiver import Receiver, attributes, receiving
from tests.rows import NOW
from tests.sows import cloud_event, signed

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@contextmanager
def exporting(url: str) -> Iterator[TracerProvider]:
    """As a process that was told where to send; the tests' own process goes on without."""
    provider = telemetry.tracer_provider(url, "worker")
    before = tracing._TRACER
    tracing._TRACER = provider.get_tracer("tieline")
    known, trace._TRACER_PROVIDER = trace._TRACER_PROVIDER, provider
    try:
        yield provider
    finally:
        tracing._TRACER, trace._TRACER_PROVIDER = before, known
        provider.shutdown()


async def deliver(bench: Bench, traceparent: str) -> None:
    """A signed contract, by the real intake."""
    event = cloud_event("e1", "signed.v1", signed("C-1")) | {"traceparent": traceparent}
    async with bench.engine.begin() as conn:
        await accept(conn, [parse_structured(orjson.dumps(event))], estate=bench.estate, now=bench.clock.now(),
                     received_by="webhook")  # fmt: skip


async def test_event_run_and_operations_are_one_trace_with_the_ids_of_the_journal(
    async_database: AsyncEngine, receiver: Receiver
) -> None:
    bench = Bench(async_database)
    with exporting(receiver.url):
        await deliver(bench, f"00-{TRACE}-00f067aa0ba902b7-01")
        await (await bench.worker()).drain()
    assert await bench.states() == {"C-1": "active"}
    assert (receiver.paths, receiver.services) == ({"/v1/traces"}, {"tieline"})
    [received] = receiver.named("event.receive")
    [converged] = receiver.named("contract.converge")
    operations = [span for span in receiver.spans if span not in (received, converged)]
    assert {span.trace_id.hex() for span in receiver.spans} == {TRACE}
    assert received.parent_span_id.hex() == "00f067aa0ba902b7"
    assert converged.parent_span_id == received.span_id
    assert operations
    assert {span.parent_span_id for span in operations} == {converged.span_id}
    journal = await bench.rows("SELECT DISTINCT kind || '.' || action, span_id FROM core.operation WHERE span_id <> ''")
    assert sorted(journal) == sorted((span.name, span.span_id.hex()) for span in operations)
    assert await bench.rows("SELECT DISTINCT trace_id FROM core.run") == [(TRACE,)]
    about = {attribute.key: attribute.value.string_value for attribute in converged.attributes}
    assert (about["tieline.contract"], about["tieline.outcome"]) == ("C-1", "converged")


async def test_without_a_receiver_the_journal_has_ids_all_the_same(async_database: AsyncEngine) -> None:
    bench = Bench(async_database)
    await deliver(bench, f"00-{TRACE}-{'ab' * 8}-01")
    await (await bench.worker()).drain()
    assert await bench.rows("SELECT DISTINCT trace_id FROM core.run") == [(TRACE,)]
    spans = [row[0] for row in await bench.rows("SELECT DISTINCT span_id FROM core.operation WHERE status = 'done'")]
    assert len(spans) > 1
    assert all(len(span) == 16 for span in spans)
    assert not tracing.recorded()


@contextmanager
def metering(url: str) -> Iterator[MeterProvider]:
    """As a process that was told where to send: its instruments are made by the SDK. The tests' own go on without."""
    provider = telemetry.meter_provider(url, "worker")
    names = ("_CALLS", "_KINDS", "_RUNS")
    before = {name: getattr(meters, name) for name in names}
    known, metrics._internal._METER_PROVIDER = metrics._internal._METER_PROVIDER, provider
    try:
        importlib.reload(meters)
        yield provider
    finally:
        metrics._internal._METER_PROVIDER = known
        provider.shutdown()
        vars(meters).update(before)


async def test_durations_of_calls_runs_and_requests_go_out_as_metrics(
    async_database: AsyncEngine, receiver: Receiver
) -> None:
    bench = Bench(async_database)
    with metering(f"{receiver.url}/v1/traces"):
        await deliver(bench, f"00-{TRACE}-00f067aa0ba902b7-01")
        await (await bench.worker()).drain()
        Latencies().observe(Series(Kind.WEB, "tieline", "GET /v1/kpis/{slug}", False, "refused"), 0.02)
        Latencies().observe(Series(Kind.DB, "postgresql", "web SELECT", False, "ok"), 0.004)
    assert receiver.paths == {"/v1/metrics"}
    told = {name: [(attributes(point), point.count) for point in points] for name, points in receiver.durations.items()}
    assert told["tieline.contract.run.duration"] == [({"tieline.lane": "cloud", "tieline.outcome": "converged"}, 1)]
    assert told["http.server.request.duration"] == [
        ({"http.request.method": "GET", "http.route": "/v1/kpis/{slug}", "error.type": "refused"}, 1)
    ]
    assert ({"db.system.name": "postgresql", "db.operation.name": "SELECT"}, 1) in told["db.client.operation.duration"]
    [point] = receiver.durations["http.server.request.duration"]
    assert tuple(point.explicit_bounds) == BOUNDS[Kind.WEB]
    assert point.sum == pytest.approx(0.02)
    assert b"C-1" not in b"".join(receiver.bodies)


async def test_calls_to_an_erp_are_metered_whether_journalled_or_not(receiver: Receiver) -> None:
    with metering(receiver.url):
        meters.took("erp", "cloud", "project.create", "ok", 0.3)
        meters.took("erp", "cloud", "project.create", "erp.unavailable", 30.5)
    points = receiver.durations["tieline.call.duration"]
    assert {attributes(point).get("error.type", ""): point.count for point in points} == {"": 1, "erp.unavailable": 1}


def test_a_step_that_fails_says_so_and_a_link_names_the_other_trace(receiver: Receiver) -> None:
    original = f"00-{TRACE}-{'ab' * 8}-01"
    with exporting(receiver.url):
        step = tracing.begin("again", parent=None, link=original)
        with pytest.raises(ValueError, match="no"), tracing.operation("project.create", parent=step.traceparent):
            raise ValueError("no")
        step.end("retry", ok=False, words="no")
    [again], [create] = receiver.named("again"), receiver.named("project.create")
    assert again.trace_id.hex() != TRACE
    assert [link.trace_id.hex() for link in again.links] == [TRACE]
    assert create.parent_span_id == again.span_id
    assert {span.status.code for span in (again, create)} == {Status.STATUS_CODE_ERROR}


def test_a_receiver_that_is_not_there_disturbs_nothing() -> None:
    begun = time.monotonic()
    with exporting("http://127.0.0.1:1"):
        tracing.begin("a", parent=None).end("ok", ok=True)
    assert time.monotonic() - begun < 60


def test_the_endpoint_must_be_an_address_without_a_password() -> None:
    assert Settings(otlp_endpoint="http://127.0.0.1:4318").otlp_endpoint == "http://127.0.0.1:4318"
    for wrong in ("localhost:4318", "http://user:secret@collector:4318", "ftp://x"):
        with pytest.raises(InvalidSettings, match="TIELINE_OTLP_ENDPOINT"):
            load(otlp_endpoint=wrong)


def test_latencies_are_kept_when_they_cannot_be_stored_and_added_when_they_can(database: sa.Engine) -> None:
    latencies = Latencies()
    series = Series(Kind.CLM, "crm", "poll", False, "ok")
    latencies.observe(series, 0.2)
    nowhere = sa.create_engine("postgresql+psycopg://app@127.0.0.1:1/none", poolclass=sa.NullPool)
    with pytest.raises(sa.exc.OperationalError):
        latencies.store(nowhere, now=NOW)
    latencies.observe(series, 0.3)
    assert latencies.store(database, now=NOW) == 2
    assert latencies.store(database, now=NOW) == 0
    latencies.observe(series, 0.2)
    latencies.store(database, now=NOW)
    with database.connect() as conn:
        rows = conn.execute(sa.text("SELECT le, n, total_s FROM telemetry.call_minute ORDER BY le")).all()
    assert [tuple(row) for row in rows] == [(0.25, 2, pytest.approx(0.4)), (0.5, 1, pytest.approx(0.3))]


def test_two_processes_add_to_the_same_minute(database: sa.Engine) -> None:
    parts = [Latencies() for _ in range(4)]
    for part in parts:
        for _ in range(50):
            part.observe(Series(Kind.WEB, "tieline", "GET pages", False, "ok"), 0.02)
    threads = [threading.Thread(target=part.store, args=(database,), kwargs={"now": NOW}) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.connect() as conn:
        assert conn.scalar(sa.text("SELECT n FROM telemetry.call_total")) == 200


def test_a_process_times_its_statements_and_stores_them_at_its_end(
    database_urls: DatabaseUrls, database: sa.Engine
) -> None:
    urls = Urls(database_urls.app_libpq, database_urls.owner_libpq, database_urls.app_libpq, database_urls.app_libpq,
                embedded=False)  # fmt: skip
    wiring = Wiring(Settings(), "worker", urls)
    with telemetry.running(wiring), database.begin() as conn:
        conn.execute(sa.text("SELECT 1"))
        with pytest.raises(sa.exc.ProgrammingError), conn.begin_nested():
            conn.execute(sa.text("UPDATE core.event SET id = 'x'"))
        with timed(Kind.CLM, "crm", "poll", writes=False):
            pass
    with database.connect() as conn:
        found = {tuple(row) for row in conn.execute(sa.text(
            "SELECT kind, operation, writes, outcome FROM telemetry.call_total"))}  # fmt: skip
    assert found >= {
        ("db", "worker SELECT", False, "ok"), ("db", "worker UPDATE", True, "failed"), ("clm", "poll", False, "ok"),
    }  # fmt: skip
    assert LATENCIES.store(database, now=NOW) == 0, "nothing is observed any more"


async def test_too_many_names_become_one() -> None:
    latencies = Latencies()
    await asyncio.gather(*(
        asyncio.to_thread(latencies.observe, Series(Kind.WEB, "tieline", f"GET /{n}", False, "ok"), 0.01)
        for n in range(2_100)
    ))  # fmt: skip
    assert len({series.operation for series, _ in latencies._held}) <= 2_001


@pytest.mark.parametrize(
    ("path", "counted"),
    [("/flow/_stcore/health", 0), ("/measure/_stcore/host-config", 0), ("/_stcore/health", 1), ("/flow/none", 1)],
)
async def test_a_page_that_looks_for_its_server_made_no_call_that_failed(path: str, counted: int) -> None:
    async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(status_code=404)(scope, receive, send)

    latencies = Latencies()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(telemetry.RequestTimes(not_found, latencies)), base_url="http://tieline"
    ) as client:
        assert (await client.get(path)).status_code == 404
    assert len(latencies._held) == counted
