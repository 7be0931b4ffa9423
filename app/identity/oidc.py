"""Signing in and out by OpenID Connect: `/login`, `/oauth2/callback`, `/oauth2/backchannel-logout`.

Who somebody is comes from the verified id token alone; what they may do, from its roles claim by the estate's grants.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from app.cli.actor import CLI
from app.identity import login_attempts
from app.identity.gate import cookie_name
from app.identity.login_attempts import Attempt
from app.identity.oidc_provider import LogoutNotice, Provider, SignInRefused
from app.identity.refusal_counts import Refusals, Refused
from app.identity.sessions import END_OF_PROVIDER, Person, Provided, Sessions, start_session
from app.identity.signed_tokens import LEEWAY, Claims, InvalidToken, IssuerUnavailable
from app.web.entry_pages import Pages
from app.web.forms import BadForm, form_of
from sync_core.audit import audit
from sync_core.authority import SYSTEM
from sync_core.estate.identity import Identity, claim

_KIND: Final = "sign_in"
_NO_STORE: Final = {"cache-control": "no-store"}

_log = logging.getLogger(__name__)


class NoRole(Exception):
    """The provider vouches for the person, but no claim of theirs gives a role."""


@dataclass(frozen=True, slots=True)
class Oidc:
    """What signing in needs. Each method blocks."""

    identity: Identity
    provider: Provider
    sessions: Sessions
    refusals: Refusals

    def begin(self, browser: str, return_to: str) -> str:
        """The provider's address to send the browser to. Raises IssuerUnavailable."""
        with self.sessions.engine.begin() as conn:
            now = self.sessions.clock.now()
            attempt = login_attempts.begin(conn, browser, return_to=login_attempts.local_path(return_to), now=now)
        return self.provider.authorization_url(attempt)

    def finish(self, browser: str, query: dict[str, str]) -> tuple[str, str]:
        """The session's secret and where to go on. Raises SignInRefused, NoRole, IssuerUnavailable."""
        attempt = self._attempt(browser, query.get("state", ""))
        if query.get("iss", self.provider.client.issuer) != self.provider.client.issuer:
            raise SignInRefused("the answer comes from another issuer")
        if "error" in query or not query.get("code"):
            raise SignInRefused(f"the provider answered {query.get('error', 'without a code')[:60]!r}")
        id_token, claims = self.provider.redeem(query["code"], attempt)
        who = person_of(claims, self.identity)
        provided = Provided(self.provider.client.issuer, str(claims["sub"]), _sid(claims), id_token)
        with self.sessions.engine.begin() as conn:
            now, rules = self.sessions.clock.now(), self.sessions.rules
            secret = start_session(conn, who, now=now, rules=rules, provided=provided, how="OpenID Connect")
        return secret, attempt.return_to

    def _attempt(self, browser: str, state: str) -> Attempt:
        with self.sessions.engine.begin() as conn:
            found = login_attempts.use(conn, browser, state, now=self.sessions.clock.now())
        if found is None:
            raise SignInRefused("the state is unknown, used, too old or of another browser")
        return found

    def end(self, notice: LogoutNotice) -> int:
        """End the sessions that the provider ended; the number ended."""
        values = {"issuer": self.provider.client.issuer, "subject": notice.subject, "idp_session": notice.idp_session}
        with self.sessions.engine.begin() as conn:
            now = self.sessions.clock.now()
            ended = conn.execute(END_OF_PROVIDER, values | {"before": notice.issued_at + LEEWAY, "now": now}).all()
            entries = [
                audit.Entry("session.end", f"person {row.email}", "signed out at the identity provider")
                for row in ended
            ]
            audit.append(conn, SYSTEM, entries, now=now)
        return len(ended)


def person_of(claims: Claims, identity: Identity) -> Person:
    """Raises SignInRefused without a usable e-mail address, NoRole without a grant."""
    email = claim(claims, identity.email_claim)
    if not isinstance(email, str) or not email:
        raise SignInRefused(f"the id token has no claim {identity.email_claim!r}")
    if identity.email_claim == "email" and claims.get("email_verified") is False:
        # Whoever may write any address at the provider could act under another's name.
        raise SignInRefused("the provider has not verified the person's e-mail address")
    grants = tuple(str(grant) for grant in identity.grants_of(claims))
    if email.strip().lower().startswith(CLI):
        raise SignInRefused("the person's e-mail address is what the audit calls an account of this machine")
    try:
        who = Person(email.strip().lower(), grants)
    except ValueError as wrong:
        raise SignInRefused("the person's e-mail address has characters that cannot be used") from wrong
    if not grants:
        raise NoRole(who.email)
    return who


def routes(oidc: Oidc, *, secure: bool) -> APIRouter:
    """All of them are open to strangers."""
    door = _Door(oidc, Pages(signs_in=True, contact=oidc.identity.contact), secure)
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/login", door.login, methods=["GET"])
    router.add_api_route("/oauth2/callback", door.callback, methods=["GET"])
    router.add_api_route("/oauth2/backchannel-logout", door.backchannel_logout, methods=["POST"])
    return router


@dataclass(frozen=True, slots=True)
class _Door:
    """The routes themselves: cookies, pages and answers."""

    oidc: Oidc
    pages: Pages
    secure: bool

    def login(self, request: Request, next: str = "/") -> Response:  # noqa: A002
        browser = request.cookies.get(self._browser_cookie) or login_attempts.new_browser()
        try:
            answer = RedirectResponse(self.oidc.begin(browser, next), HTTPStatus.SEE_OTHER, _NO_STORE)
        except IssuerUnavailable as wrong:
            return self._provider_down(wrong)
        self._set_cookie(answer, self._browser_cookie, browser, login_attempts.VALID_FOR)
        return answer

    def callback(self, request: Request) -> Response:
        address = self.oidc.refusals.address(_KIND, request)
        try:
            self.oidc.refusals.check(address)
            browser = request.cookies.get(self._browser_cookie, "")
            secret, return_to = self.oidc.finish(browser, dict(request.query_params))
        except Refused as wrong:
            return _shown(self.pages.too_many(), HTTPStatus.TOO_MANY_REQUESTS, retry_after_s=wrong.retry_after_s)
        except IssuerUnavailable as wrong:
            return self._provider_down(wrong)
        except NoRole as wrong:
            # Not against the limit of the address: a whole firm may stand behind one.
            self.oidc.refusals.count(self.oidc.refusals.address("no_role", request))
            _log.info("signed in at the provider, but without a role here: %s", wrong)
            return _shown(self.pages.no_role(str(wrong)), HTTPStatus.FORBIDDEN)
        except SignInRefused as wrong:
            self.oidc.refusals.count(address)
            _log.warning("a sign-in was refused: %s", wrong)
            return _shown(self.pages.sign_in_refused(), HTTPStatus.UNAUTHORIZED)
        answer = RedirectResponse(return_to, HTTPStatus.SEE_OTHER, _NO_STORE)
        self._set_cookie(answer, cookie_name(secure=self.secure), secret, self.oidc.sessions.rules.valid_for)
        return answer

    async def backchannel_logout(self, request: Request) -> Response:
        try:
            token = (await form_of(request)).get("logout_token", "")
            await run_in_threadpool(lambda: self.oidc.end(self.oidc.provider.notice_of(token)))
        except (BadForm, InvalidToken) as wrong:
            await run_in_threadpool(self.oidc.refusals.count, self.oidc.refusals.address(_KIND, request))
            _log.warning("a logout notice was refused: %s", wrong)
            refused = {"error": "invalid_request", "error_description": str(wrong)}
            return JSONResponse(refused, HTTPStatus.BAD_REQUEST, _NO_STORE)
        except IssuerUnavailable as wrong:
            _log.error("a logout notice could not be verified: %s", wrong.message)
            return JSONResponse({"error": "server_error"}, HTTPStatus.SERVICE_UNAVAILABLE, _NO_STORE)
        return Response(status_code=HTTPStatus.OK, headers=_NO_STORE)

    @property
    def _browser_cookie(self) -> str:
        return "__Host-tieline-login" if self.secure else "tieline_login"

    def _set_cookie(self, answer: Response, name: str, value: str, valid_for: timedelta) -> None:
        age_s = int(valid_for.total_seconds())
        # Lax: the way back from the provider is a navigation that another site began.
        answer.set_cookie(name, value, max_age=age_s, path="/", httponly=True, secure=self.secure, samesite="lax")

    def _provider_down(self, wrong: IssuerUnavailable) -> Response:
        _log.error("nobody can sign in: %s", wrong.message)
        return _shown(self.pages.provider_down(), HTTPStatus.SERVICE_UNAVAILABLE)


def _sid(claims: Claims) -> str | None:
    sid = claims.get("sid")
    return sid if isinstance(sid, str) and sid else None


def _shown(page: str, status: HTTPStatus, *, retry_after_s: int | None = None) -> Response:
    headers = _NO_STORE if retry_after_s is None else {**_NO_STORE, "retry-after": str(retry_after_s)}
    return HTMLResponse(page, status, headers)
