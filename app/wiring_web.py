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


def reads(wiring: Wiring) -> Reads:
    engine = wiring.engine(read_only=True)
    clock = DemoClock(engine) if wiring.settings.estate is None else wiring.clock
    return Reads(engine, clock=clock, estate=wiring.estate)


def web(wiring: Wiring, *, with_intake: bool) -> FastAPI:
    """The dashboard behind its gate, and the intake in front of it."""
    context = WebContext(
        engine=wiring.engine(),
        clock=wiring.clock,
        dashboard=DashboardContext(reads(wiring), None),
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
    return DashboardContext(reads(Wiring(load(), "dashboard")), None, local_viewer=_LOCAL)


def _intake(wiring: Wiring) -> APIRouter:
    engine = wiring.async_engine()
    intake = webhooks.Intake(engine, wiring.estate, wiring.signing_keys(), wiring.clock, Bell(engine))
    return webhooks.router(intake)
