"""The web process's part of the composition root: dashboard, intake, and what they read through."""

from fastapi import APIRouter, FastAPI

from app import webhooks
from app.dashboard_context import DashboardContext
from app.demo_clock import DemoClock
from app.settings import load
from app.web import WebContext, build
from app.wiring import Wiring
from pages._frame import Viewer
from sync_core.bell import Bell
from sync_core.reads.reads import Reads

_LOCAL = Viewer("operator@localhost", ("admin",))


def dashboard(wiring: Wiring, *, local_viewer: Viewer | None = None) -> DashboardContext:
    """What the pages draw from. Only the estate that Tieline brings along can have a made-up past."""
    engine = wiring.engine(read_only=True)
    demo = DemoClock(engine) if wiring.settings.estate is None else None
    reads = Reads(engine, clock=demo or wiring.clock, estate=wiring.estate)
    return DashboardContext(reads, None, local_viewer=local_viewer, notice=demo.notice if demo else None)


def web(wiring: Wiring, *, with_intake: bool) -> FastAPI:
    """The dashboard behind its gate, and the intake in front of it."""
    context = WebContext(
        engine=wiring.engine(),
        clock=wiring.clock,
        dashboard=dashboard(wiring),
        routers=(_intake(wiring),) if with_intake else (),
        behind_tls=wiring.settings.behind_tls,
        allowed_hosts=wiring.settings.hosts,
    )
    return build(context)


def api(wiring: Wiring) -> FastAPI:
    """The intake alone."""
    app = FastAPI(title="Tieline", docs_url=None, redoc_url=None)

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    app.include_router(_intake(wiring))
    return app


def local_dashboard() -> DashboardContext:
    """For a bare `streamlit run app/dashboard.py`: everyone who reaches it is the operator of this machine."""
    return dashboard(Wiring(load(), "dashboard"), local_viewer=_LOCAL)


def _intake(wiring: Wiring) -> APIRouter:
    engine = wiring.async_engine()
    intake = webhooks.Intake(engine, wiring.estate, wiring.signing_keys(), wiring.clock, Bell(engine))
    return webhooks.router(intake)
