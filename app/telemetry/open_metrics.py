"""GET /metrics for Prometheus and its kin: OpenMetrics with exemplars, or Prometheus' older text, as the reader asks.

Who may: a program on this machine that came straight to us, or one with a token that has the scope kpi:read; such a
token's reach limits the KPIs to its legal entities. Behind proxies nobody is "on this machine".
"""

import ipaddress
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Final

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from app.identity.bearer import Bearer, needs
from app.telemetry import exposition
from app.web.problems import ProblemRoute
from metrics import weeks
from metrics.asking import Ask, Window
from metrics.backlog import backlog
from metrics.clm_backlog import sampled_clms
from metrics.kpi import Result, Span
from metrics.measures import Measures
from metrics.slo import standings, within
from metrics.technical import sampled_database
from sync_core.authority import Actor, Permission
from sync_core.clock import Clock
from sync_core.reads.snapshot import snapshot

KEPT_S: Final = 10.0  # readers that come together get the same answer
MOST_KEPT: Final = 16  # different reaches
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_BREAKERS = sa.text("SELECT lane, breaker FROM core.lane ORDER BY lane")


@dataclass
class OpenMetrics:
    """Safe for many threads. Reads what is asked for when it is asked for, at most every few seconds."""

    engine: sa.Engine
    clock: Clock
    measures: Measures
    bearer: Bearer
    trusted_proxies: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _kept: dict[frozenset[str] | None, tuple[float, list[Metric]]] = field(default_factory=dict)

    def families(self, actor: Actor | None) -> list[Metric]:
        """`actor` None: this machine's own, which sees everything."""
        reach = actor.entities(Permission.KPI_READ) if actor else None
        with self._lock:  # one reader at a time: the others find its answer
            kept = self._kept.get(reach)
            if kept is None or time.monotonic() > kept[0] + KEPT_S:
                if len(self._kept) >= MOST_KEPT:
                    self._kept.clear()
                kept = self._kept[reach] = time.monotonic(), self._read(actor)
            return kept[1]

    def _read(self, actor: Actor | None) -> list[Metric]:
        now, reach = self.clock.now(), actor.entities(Permission.KPI_READ) if actor else None
        with snapshot(self.engine) as conn:
            families = [
                exposition.about(version("tieline")),
                exposition.calls(conn),
                *exposition.counts(conn),
                *exposition.standing(backlog(conn, now=now), [(r.lane, r.breaker) for r in conn.execute(_BREAKERS)]),
                *exposition.clms(sampled_clms(conn)),
                *exposition.database(sampled_database(conn)),
                *exposition.objectives(within(standings(conn), reach, reach)),
            ]
        measures = self.measures if actor is None else self.measures.within(actor)
        return families + exposition.kpis(headlines(measures, now), measures.estate.group.reporting_currency)


def headlines(measures: Measures, now: datetime) -> Mapping[str, Mapping[str, Result]]:
    """By window. A state of the last week is that of its end, as it was known then; absent where it was not measured
    yet. Beside the 13 weeks up to now it is that of now.
    """
    zone, spans = measures.estate.group.timezone, {one.slug: one.span for one in measures.definitions()}
    monday = weeks.last_ended(now, zone)
    week, end = Window(monday, monday + timedelta(days=7)), weeks.end_of(monday, zone)
    states = {slug: None for slug, span in spans.items() if span is Span.STATE}
    flows = {slug: None for slug in spans if slug not in states}
    with measures.at_once() as together:
        last = together.several(flows, Ask(week))
        if together.known_since(end):
            last |= together.several(states, Ask(week, end))
        return {"last_week": last, "13_weeks": together.several(flows | states, Ask(Window.weeks(now, zone, 13)))}


class _Collected:
    """As the library's encoders want it."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def routes(metrics: OpenMetrics) -> APIRouter:
    router = APIRouter(route_class=ProblemRoute)

    @router.get("/metrics", include_in_schema=False)
    def answer(request: Request) -> Response:
        actor = None if on_this_machine(request, metrics.trusted_proxies) else _caller(metrics.bearer, request)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collected(metrics.families(actor)))
        encode: Callable[[CollectorRegistry], bytes]
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=None, headers={"content-type": content_type, "vary": "accept"})

    return router


def _caller(bearer: Bearer, request: Request) -> Actor:
    """Raises BearerRefused."""
    return needs(Permission.KPI_READ)(bearer.actor_of(request))


def on_this_machine(request: Request, trusted_proxies: int) -> bool:
    """Straight from a program here, under a name of this machine: neither through a proxy nor by a page's script."""
    if trusted_proxies or any(name in request.headers for name in _FORWARDED) or "origin" in request.headers:
        return False
    if request.headers.get("authorization") or request.client is None or request.url.hostname not in _LOCAL_NAMES:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
