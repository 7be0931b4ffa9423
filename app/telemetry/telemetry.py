"""What each process tells of itself: its latencies, stored every few seconds; its spans and metrics, sent by OTLP.

`running` is around a process's work. Latencies go into the database always; the others go out where
TIELINE_OTLP_ENDPOINT says so, and only then is OpenTelemetry's SDK loaded. Neither ever stops or slows the work: what
cannot be stored is tried again, what cannot be sent is dropped.
"""

import logging
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from opentelemetry import metrics, trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.settings import Settings
from app.telemetry.seldom import Seldom
from app.wiring import Wiring
from sync_core.telemetry.latencies import LATENCIES, Kind, Latencies, Series

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger(__name__)

STORE_EVERY_S: Final = 15.0
_SYSTEM: Final = "tieline"
_API: Final = "/v1/"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# A page that was opened at /flow asks there for its server before it asks at /: no such thing is there, and must not
# be, or the page would take /flow for the root of the dashboard.
_SEARCHES: Final = re.compile(r"/[^/]+/_stcore/(?:health|host-config)")
_STATEMENTS: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"})


@contextmanager
def running(wiring: Wiring) -> Iterator[None]:
    """Store this process's latencies and send its spans until the block ends, and what is left then."""
    providers = _exporting(wiring.settings, wiring.part)
    store = _Store(wiring)
    store.start()
    try:
        with _timed_statements(wiring.part):
            yield
    finally:
        store.end()
        for provider in providers:
            provider.shutdown()


class _Store(threading.Thread):
    """A thread of its own: no event loop and no page waits for it."""

    def __init__(self, wiring: Wiring, latencies: Latencies = LATENCIES) -> None:
        super().__init__(name="telemetry", daemon=True)
        self._wiring, self._latencies, self._stop_it = wiring, latencies, threading.Event()
        self._failing = False

    def run(self) -> None:
        engine = self._wiring.engine(pool_size=1)
        try:
            while not self._stop_it.wait(STORE_EVERY_S):
                self._store(engine)
            self._store(engine)
        finally:
            engine.dispose()

    def end(self) -> None:
        self._stop_it.set()
        self.join(timeout=10)

    def _store(self, engine: sa.Engine) -> None:
        try:
            self._latencies.store(engine, now=self._wiring.clock.now())
            self._failing = False
        except sa.exc.SQLAlchemyError as wrong:
            # Once for each trouble: the process itself says that its database is gone.
            if not self._failing:
                log.info("latencies could not be stored and are kept: %s", " ".join(str(wrong).split())[:200])
            self._failing = True


# ---- spans -----------------------------------------------------------------------------------------------------


# They warn at every attempt while a receiver is down.
_EXPORTERS: Final = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.sdk._shared_internal", "opentelemetry.sdk.metrics._internal.export",
)  # fmt: skip


def _exporting(settings: Settings, part: str) -> "Sequence[TracerProvider | MeterProvider]":
    if settings.otlp_endpoint is None:
        return ()
    tracers, meters = tracer_provider(settings.otlp_endpoint, part), meter_provider(settings.otlp_endpoint, part)
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(meters)
    log.info("spans and metrics go to %s", settings.otlp_endpoint)
    return tracers, meters


def _of(endpoint: str, signal: str) -> str:
    """Some name the address of the traces themselves."""
    return f"{endpoint.rstrip('/').removesuffix('/v1/traces')}/v1/{signal}"


def _resource(part: str) -> "Resource":
    from opentelemetry.sdk.resources import Resource

    return Resource.create(
        {"service.name": "tieline", "service.namespace": part, "service.version": version("tieline")}
    )


def meter_provider(endpoint: str, part: str) -> "MeterProvider":
    """Sends the durations of `meters` once a minute; OTEL_METRIC_EXPORT_INTERVAL says otherwise."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=_of(endpoint, "metrics")))
    return MeterProvider([reader], resource=_resource(part), shutdown_on_exit=False)


def tracer_provider(endpoint: str, part: str) -> "TracerProvider":
    """Sends spans to an OTLP/HTTP receiver in batches. Headers for it: OTEL_EXPORTER_OTLP_HEADERS, as everywhere."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=_resource(part), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=_of(endpoint, "traces"))))
    seldom = Seldom()
    for name in _EXPORTERS:
        logger = logging.getLogger(name)
        for before in [one for one in logger.filters if isinstance(one, Seldom)]:
            logger.removeFilter(before)
        logger.addFilter(seldom)
    return provider


# ---- what requests and statements take -------------------------------------------------------------------------


class RequestTimes:
    """ASGI middleware: each HTTP request by its route's template. Pages and their files are one operation.

    How a page in the browser looks for its server is no call. The log lines of a request name it (request_lines.py).
    """

    def __init__(self, app: ASGIApp, latencies: Latencies = LATENCIES) -> None:
        self._app, self._latencies = app, latencies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _SEARCHES.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        from app.telemetry.request_lines import concerning  # a worker serves no requests and loads no FastAPI

        begun, status = time.perf_counter(), 500

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with concerning(scope):
                await self._app(scope, receive, told)
        finally:
            self._latencies.observe(_request(scope, status), time.perf_counter() - begun)


def _request(scope: Scope, status: int) -> Series:
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    path = getattr(scope.get("route"), "path", None) or "pages"
    if scope["path"].startswith(_API) and path.startswith("/") and not path.startswith(_API):
        path = f"{_API[:-1]}{path}"  # a route knows only its own part
    outcome = "ok" if status < 400 else "refused" if status < 500 else "failed"
    return Series(Kind.WEB, _SYSTEM, f"{method} {path}", method not in _READS, outcome)


@contextmanager
def _timed_statements(part: str) -> Iterator[None]:
    """Every statement of every engine of this process, by its first word."""

    def begin(*given: Any) -> None:
        given[4]._tieline_began = time.perf_counter()

    def end(*given: Any) -> None:
        _observe(part, given[2], given[4], "ok")

    def failed(context: Any) -> None:
        if context.execution_context is not None and context.statement is not None:
            _observe(part, context.statement, context.execution_context, "failed")

    hooks = (("before_cursor_execute", begin), ("after_cursor_execute", end), ("handle_error", failed))
    for name, hook in hooks:
        sa.event.listen(sa.Engine, name, hook)
    try:
        yield
    finally:
        for name, hook in hooks:
            sa.event.remove(sa.Engine, name, hook)


def _observe(part: str, statement: str, context: Any, outcome: str) -> None:
    began = getattr(context, "_tieline_began", None)
    if began is None:
        return
    word = statement.split(None, 1)[0].upper() if statement and not statement.isspace() else ""
    word = word if word in _STATEMENTS else "OTHER"
    LATENCIES.observe(
        Series(Kind.DB, "postgresql", f"{part} {word}", word != "SELECT", outcome), time.perf_counter() - began
    )
