"""The one ASGI application: API routes first, then the dashboard behind its session gate.

Order is meaning here: the dashboard is mounted at "/" and answers every path that no route before it took.
Streamlit allows one such application per process (its Runtime is a singleton).
"""

import base64
import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy as sa
import streamlit as st
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse
from streamlit.web.bootstrap import load_config_options

from app import api as http_api
from app.dashboard import discover, draw_failure
from app.dashboard_context import DashboardContext, set_context
from app.identity import oidc
from app.identity.bearer import Bearer
from app.identity.gate import SecurityHeaders, SessionGate
from app.identity.oidc import Oidc
from app.identity.oidc_provider import Provider
from app.identity.refusal_counts import Refusals
from app.identity.sessions import Rules, Sessions
from app.telemetry.telemetry import RequestTimes
from app.web import entry
from app.web.entry import Entry
from app.web.entry_pages import Pages
from app.web.packed import Packed
from app.web.unavailable import DatabaseDoor
from sync_core.clock import Clock
from sync_core.estate.identity import Identity

_HERE = Path(__file__).parents[1]
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class WebContext:
    """What the web process is made of."""

    engine: sa.Engine  # with the application's rights, to the primary
    clock: Clock
    dashboard: DashboardContext
    routers: Sequence[APIRouter] = ()
    behind_tls: bool = False  # the browser sees https: Secure cookies, HSTS
    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1")  # host names that browsers may use
    identity: Identity = field(default_factory=Identity)
    provider: Provider | None = None  # where people sign in; None: one-time links let them in
    bearer: Bearer | None = None  # for routes that depend on app.identity.bearer
    api: http_api.Api | None = None  # needs `bearer`
    trusted_proxies: int = 0  # how many set X-Forwarded-For before us


def build(context: WebContext) -> FastAPI:
    """FastAPI and Streamlit as one application. Once per process; Streamlit starts with the lifespan."""
    apply_settings(_HERE / "streamlit.toml", {"server.allowedHosts": list(context.allowed_hosts)})
    set_context(context.dashboard)
    identity, provider, secure = context.identity, context.provider, context.behind_tls
    sessions = Sessions(context.engine, context.clock, rules_of(identity))
    refusals = Refusals(context.engine, context.clock, trusted_proxies=context.trusted_proxies)
    pages = Pages(signs_in=provider is not None, contact=identity.contact)
    dashboard = st.App(_HERE / "dashboard.py", on_script_error=draw_failure)
    # No /docs: its page loads scripts from a CDN, which the content security policy refuses.
    app = FastAPI(title="Tieline", lifespan=dashboard.lifespan(), openapi_url=None, docs_url=None, redoc_url=None)
    app.state.bearer = context.bearer
    app.include_router(entry.routes(Entry(sessions, refusals, pages, provider, secure)))
    if provider is not None:
        app.include_router(oidc.routes(Oidc(identity, provider, sessions, refusals), secure=secure))
    for router in context.routers:
        app.include_router(router)
    if context.api is not None:
        http_api.add_to(app, context.api)
    app.include_router(_front_page(context.dashboard.pages_package))
    packed = Packed(dashboard, streamlit_static())
    app.mount("/", SessionGate(packed, sessions, secure=secure, pages=pages))
    app.add_middleware(RequestTimes)  # within the others: they copy the scope, in which it finds the route
    app.add_middleware(DatabaseDoor, pages=pages)
    app.add_middleware(SecurityHeaders, secure=secure, script_hashes=streamlit_script_hashes())
    return app


def _front_page(package: str) -> APIRouter:
    """Its address is that of the dashboard; under its own name, as one would type it, Streamlit knows no page."""
    router = APIRouter()
    front = next((one.page for one in discover(package) if one.page.default), None)
    if front is not None:

        @router.get(f"/{front.path}", include_in_schema=False)
        def to_the_front(request: Request) -> RedirectResponse:
            return RedirectResponse(f"/?{request.url.query}" if request.url.query else "/")

    return router


def rules_of(identity: Identity) -> Rules:
    """How long sessions last by the estate, and whose they must be."""
    return Rules(identity.session_valid_for, identity.idle_after, identity.issuer)


def apply_settings(file: Path, overrides: Mapping[str, object]) -> None:
    """Load Streamlit's settings from `file`; by itself it looks only below the working directory and the script."""
    settings = flatten(tomllib.loads(file.read_text(encoding="utf-8")))
    load_config_options({**settings, **overrides})


def flatten(table: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Dotted names as Streamlit knows them; the header mapping is one value."""
    options: dict[str, object] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and name != "server.trustedUserHeaders":
            options |= flatten(value, f"{name}.")
        else:
            options[name] = value
    return options


def streamlit_static() -> Path:
    """The folder of what Streamlit's page is made of."""
    spec = find_spec("streamlit")
    if spec is None or spec.origin is None:
        raise RuntimeError("streamlit is not installed; install tieline with its dependencies")
    return Path(spec.origin).parent / "static"


def streamlit_script_hashes() -> tuple[str, ...]:
    """CSP sources for the inline scripts of Streamlit's own page, so that no other inline script may run."""
    page = (streamlit_static() / "index.html").read_text(encoding="utf-8")
    digests = (hashlib.sha256(script.encode()).digest() for script in _INLINE_SCRIPT.findall(page))
    return tuple(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
