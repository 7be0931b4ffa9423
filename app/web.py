"""The one ASGI application: API routes first, then the dashboard behind its session gate.

Order is meaning here: the dashboard is mounted at "/" and answers every path that no route before it took.
Streamlit allows one such application per process (its Runtime is a singleton).
"""

import base64
import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy as sa
import streamlit as st
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from streamlit.web.bootstrap import load_config_options

from app import entry_pages
from app.dashboard import draw_failure
from app.dashboard_context import DashboardContext, set_context
from app.gate import SecurityHeaders, SessionGate, cookie_name
from app.sessions import SESSION_VALID_FOR, Sessions
from sync_core.clock import Clock

_HERE = Path(__file__).parent
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class WebContext:
    """What the web process is made of."""

    engine: sa.Engine  # may write core.login_link and core.session
    clock: Clock
    dashboard: DashboardContext
    routers: Sequence[APIRouter] = ()
    behind_tls: bool = False  # the browser sees https: Secure cookies, HSTS
    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1")  # host names that browsers may use


def build(context: WebContext) -> FastAPI:
    """FastAPI and Streamlit as one application. Once per process; Streamlit starts with the lifespan."""
    apply_settings(_HERE / "streamlit.toml", {"server.allowedHosts": list(context.allowed_hosts)})
    set_context(context.dashboard)
    sessions = Sessions(context.engine, context.clock)
    dashboard = st.App(_HERE / "dashboard.py", on_script_error=draw_failure)
    # No /docs: its page loads scripts from a CDN, which the content security policy refuses.
    app = FastAPI(title="Tieline", lifespan=dashboard.lifespan(), docs_url=None, redoc_url=None)
    app.include_router(entry_routes(sessions, secure=context.behind_tls))
    for router in context.routers:
        app.include_router(router)
    app.mount("/", SessionGate(dashboard, sessions, secure=context.behind_tls))
    app.add_middleware(SecurityHeaders, secure=context.behind_tls, script_hashes=streamlit_script_hashes())
    return app


def entry_routes(sessions: Sessions, *, secure: bool) -> APIRouter:
    """`/healthz`, `/enter` and `/logout`."""
    router = APIRouter(include_in_schema=False)
    name = cookie_name(secure=secure)

    @router.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/enter")
    def enter(t: str = "") -> Response:
        secret = sessions.redeem(t)
        if secret is None:
            return HTMLResponse(entry_pages.LINK_REFUSED, status_code=401, headers={"cache-control": "no-store"})
        answer = RedirectResponse("/", status_code=303, headers={"cache-control": "no-store"})
        # Lax, not Strict: a link opened from a mail or chat page is a cross-site navigation, and a Strict cookie
        # would not be sent on the redirect that follows. The gate compares Origin where it matters, on the websocket.
        lifetime_s = int(SESSION_VALID_FOR.total_seconds())
        answer.set_cookie(name, secret, max_age=lifetime_s, path="/", httponly=True, secure=secure, samesite="lax")
        return answer

    @router.get("/logout")
    def logout(request: Request) -> Response:
        if secret := request.cookies.get(name):
            sessions.revoke(secret)
        answer = HTMLResponse(entry_pages.SIGNED_OUT, headers={"cache-control": "no-store"})
        answer.delete_cookie(name, path="/", httponly=True, secure=secure, samesite="lax")
        return answer

    return router


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


def streamlit_script_hashes() -> tuple[str, ...]:
    """CSP sources for the inline scripts of Streamlit's own page, so that no other inline script may run."""
    spec = find_spec("streamlit")
    if spec is None or spec.origin is None:
        raise RuntimeError("streamlit is not installed; install tieline with its dependencies")
    page = (Path(spec.origin).parent / "static" / "index.html").read_text(encoding="utf-8")
    digests = (hashlib.sha256(script.encode()).digest() for script in _INLINE_SCRIPT.findall(page))
    return tuple(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
