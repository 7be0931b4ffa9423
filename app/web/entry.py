"""The routes around the dashboard that need no session: health, one-time links, signing out."""

import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.identity.gate import cookie_name
from app.identity.links import redeem_link
from app.identity.oidc_provider import Provider
from app.identity.refusal_counts import Refusals, Refused
from app.identity.sessions import Ended, Sessions, start_session
from app.identity.signed_tokens import IssuerUnavailable
from app.web.entry_pages import Pages

_KIND: Final = "sign_in"
_NO_STORE: Final = {"cache-control": "no-store"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the routes need. With a provider one-time links open nothing."""

    sessions: Sessions
    refusals: Refusals
    pages: Pages
    provider: Provider | None
    secure: bool

    def enter(self, token: str) -> str | None:
        """The secret of a new session, or None for a link that is unknown, used or expired."""
        with self.sessions.engine.begin() as conn:
            now = self.sessions.clock.now()
            who = redeem_link(conn, token, now=now)
            if who is None:
                return None
            return start_session(conn, who, now=now, rules=self.sessions.rules, how="one-time link")

    def goodbye(self, ended: Ended | None) -> str | None:
        """The provider's sign-out page, for a session that began there."""
        if ended is None or self.provider is None or ended.issuer != self.provider.client.issuer:
            return None
        try:
            return self.provider.logout_url(ended.id_token)
        except IssuerUnavailable as wrong:
            _log.warning("a person was signed out here, but not at the provider: %s", wrong.message)
            return None


def routes(entry: Entry) -> APIRouter:
    """`/healthz`, `/logout`, `/signed-out`, and without a provider `/enter`."""
    router = APIRouter(include_in_schema=False)
    name, secure = cookie_name(secure=entry.secure), entry.secure

    @router.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/logout")
    def logout(request: Request) -> Response:
        secret = request.cookies.get(name)
        elsewhere = entry.goodbye(entry.sessions.end(secret)) if secret else None
        answer: Response = HTMLResponse(entry.pages.signed_out(), headers=_NO_STORE)
        if elsewhere:
            answer = RedirectResponse(elsewhere, HTTPStatus.SEE_OTHER, _NO_STORE)
        answer.delete_cookie(name, path="/", httponly=True, secure=secure, samesite="lax")
        return answer

    @router.get("/signed-out")
    def signed_out() -> Response:
        return HTMLResponse(entry.pages.signed_out(), headers=_NO_STORE)

    if entry.provider is None:
        _add_links(router, entry)
    return router


def _add_links(router: APIRouter, entry: Entry) -> None:
    name, secure = cookie_name(secure=entry.secure), entry.secure

    @router.get("/enter")
    def enter(request: Request, t: str = "") -> Response:
        address = entry.refusals.address(_KIND, request)
        try:
            entry.refusals.check(address)
        except Refused as wrong:
            headers = {**_NO_STORE, "retry-after": str(wrong.retry_after_s)}
            return HTMLResponse(entry.pages.too_many(), HTTPStatus.TOO_MANY_REQUESTS, headers)
        secret = entry.enter(t)
        if secret is None:
            entry.refusals.count(address)
            return HTMLResponse(entry.pages.link_refused(), HTTPStatus.UNAUTHORIZED, _NO_STORE)
        answer = RedirectResponse("/", HTTPStatus.SEE_OTHER, _NO_STORE)
        # Lax, not Strict: a link opened from a mail or chat page is a cross-site navigation, and a Strict cookie
        # would not be sent on the redirect that follows. The gate compares Origin where it matters, on the websocket.
        age_s = int(entry.sessions.rules.valid_for.total_seconds())
        answer.set_cookie(name, secret, max_age=age_s, path="/", httponly=True, secure=secure, samesite="lax")
        return answer
