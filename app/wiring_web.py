"""The web process's part of the composition root: dashboard, intake, and what they read through."""

from collections.abc import Sequence

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI

from app import api as http_api
from app.api.access_log import AccessLog
from app.dashboard_context import DashboardContext
from app.demo.clock import DemoClock
from app.identity import token_endpoint
from app.identity.api_tokens import ApiTokens
from app.identity.bearer import Bearer
from app.identity.issued_elsewhere import IssuedElsewhere
from app.identity.links import OPERATOR
from app.identity.oidc_client import client_of
from app.identity.oidc_provider import Provider, http_client
from app.identity.refusal_counts import Refusals
from app.settings import load
from app.telemetry import open_metrics
from app.telemetry.open_metrics import OpenMetrics
from app.telemetry.telemetry import RequestTimes
from app.web import webhooks
from app.web.web import WebContext, build
from app.wiring import Wiring
from metrics.measures import Measures
from pages.kit.frame import Viewer
from sync_core.commands.commands import Commands
from sync_core.journal.bell import Bell
from sync_core.reads.reads import Reads

_LOCAL = Viewer(OPERATOR.email, OPERATOR.actor)


def dashboard(wiring: Wiring, primary: sa.Engine, *, local_viewer: Viewer | None = None) -> DashboardContext:
    """What the pages draw from. Only the estate that Tieline brings along can have a made-up past."""
    engine = wiring.engine(read_only=True)
    demo = _demo_clock(wiring, engine)
    reads = Reads(engine, clock=demo or wiring.clock, estate=wiring.estate)
    commands = Commands(primary, clock=wiring.clock, estate=wiring.estate)
    measures = Measures(engine, clock=demo or wiring.clock, estate=wiring.estate)
    notice = demo.notice if demo else None
    return DashboardContext(reads, commands, measures, local_viewer=local_viewer, notice=notice)


def web(wiring: Wiring, *, with_intake: bool) -> FastAPI:
    """The dashboard behind its gate, and the intake and the API in front of it. Raises InvalidSettings."""
    client = client_of(wiring)
    settings, engine = wiring.settings, wiring.engine()
    context = WebContext(
        engine=engine,
        clock=wiring.clock,
        dashboard=dashboard(wiring, engine),
        routers=_routers(wiring, engine) if with_intake else (),
        behind_tls=settings.behind_tls or (settings.public_url or "").startswith("https://"),
        allowed_hosts=settings.hosts,
        identity=wiring.estate.identity,
        provider=Provider(client, http_client(), wiring.clock) if client else None,
        bearer=_bearer(wiring, engine) if with_intake else None,
        api=_api(wiring, engine) if with_intake else None,
        trusted_proxies=settings.trusted_proxies,
    )
    return build(context)


def api(wiring: Wiring) -> FastAPI:
    """The intake and the API alone."""
    app = FastAPI(title="Tieline", openapi_url=None, docs_url=None, redoc_url=None)
    engine = wiring.engine()
    app.state.bearer = _bearer(wiring, engine)

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    for router in _routers(wiring, engine):
        app.include_router(router)
    http_api.add_to(app, _api(wiring, engine))
    app.add_middleware(RequestTimes)
    return app


def local_dashboard() -> DashboardContext:
    """For a bare `streamlit run app/dashboard.py`: everyone who reaches it is the operator of this machine."""
    wiring = Wiring(load(), "dashboard")
    return dashboard(wiring, wiring.engine(), local_viewer=_LOCAL)


def _demo_clock(wiring: Wiring, engine: sa.Engine) -> DemoClock | None:
    return DemoClock(engine) if wiring.settings.estate is None else None


def _api(wiring: Wiring, engine: sa.Engine) -> http_api.Api:
    """Reads from the primary: a program asks for what it has just made."""
    clock = _demo_clock(wiring, engine) or wiring.clock
    reads = Reads(engine, clock=clock, estate=wiring.estate)
    commands = Commands(engine, clock=wiring.clock, estate=wiring.estate)
    measures = Measures(engine, clock=clock, estate=wiring.estate)
    return http_api.Api(reads, commands, AccessLog(engine, wiring.clock), measures)


def _routers(wiring: Wiring, engine: sa.Engine) -> Sequence[APIRouter]:
    tokens = token_endpoint.router(ApiTokens(engine, wiring.clock), _refusals(wiring, engine))
    return (_intake(wiring), tokens, open_metrics.routes(_open_metrics(wiring, engine)))


def _open_metrics(wiring: Wiring, engine: sa.Engine) -> OpenMetrics:
    clock = _demo_clock(wiring, engine) or wiring.clock
    measures = Measures(engine, clock=clock, estate=wiring.estate)
    return OpenMetrics(engine, clock, measures, _bearer(wiring, engine), wiring.settings.trusted_proxies)


def _bearer(wiring: Wiring, engine: sa.Engine) -> Bearer:
    """Our own tokens before those of others: they are told apart by their look."""
    elsewhere = IssuedElsewhere(wiring.estate.identity.api_issuer, http_client(), wiring.clock)
    return Bearer((ApiTokens(engine, wiring.clock), elsewhere), _refusals(wiring, engine))


def _refusals(wiring: Wiring, engine: sa.Engine) -> Refusals:
    return Refusals(engine, wiring.clock, trusted_proxies=wiring.settings.trusted_proxies)


def _intake(wiring: Wiring) -> APIRouter:
    engine = wiring.async_engine()
    intake = webhooks.Intake(engine, wiring.estate, wiring.signing_keys(), wiring.clock, Bell(engine))
    return webhooks.router(intake)
