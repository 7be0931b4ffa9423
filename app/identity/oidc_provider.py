"""The identity provider as OpenID Connect describes it: discovery, the code's exchange, its id and logout tokens.

OpenID Connect Core 1.0, RP-Initiated Logout 1.0, Back-Channel Logout 1.0, RFC 7636 (PKCE), RFC 9207 (`iss`). Nothing
here writes to the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode

import httpx

from app.identity.login_attempts import Attempt
from app.identity.oidc_client import Client
from app.identity.signed_tokens import (
    LEEWAY,
    Claims,
    InvalidToken,
    IssuerUnavailable,
    Keys,
    Published,
    check,
    fetch_json,
    time_of,
    verify,
)
from sync_core.clock import Clock
from sync_core.estate.identity import is_safe_url

TIMEOUT_S: Final = 10.0
LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_DISCOVERY: Final = "/.well-known/openid-configuration"
_NOTICE_GOOD_FOR: Final = timedelta(minutes=10)


class SignInRefused(Exception):
    """The provider sent somebody back without proof of who it is; the message says why and may be logged."""


@dataclass(frozen=True, slots=True)
class LogoutNotice:
    """Which of the provider's sessions ended there."""

    subject: str | None
    idp_session: str | None
    issued_at: datetime


class Provider:
    """Safe for many threads; blocks on the provider."""

    def __init__(self, client: Client, http: httpx.Client, clock: Clock) -> None:
        self.client = client
        self._http, self._clock = http, clock
        self._discovery = Published(lambda: discover(http, client.issuer), clock)
        self._keys = Keys(lambda: self._endpoint("jwks_uri"), http, clock)

    def authorization_url(self, attempt: Attempt) -> str:
        """Where the browser is sent. Raises IssuerUnavailable."""
        asked = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.client.redirect_uri,
            "scope": " ".join(self.client.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return _with_query(self._endpoint("authorization_endpoint"), asked)

    def redeem(self, code: str, attempt: Attempt) -> tuple[str, Claims]:
        """The id token for a code, and its claims, verified. Raises SignInRefused, IssuerUnavailable."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.client.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        token = self._post_for_token(form)
        try:
            return token, self._claims_of(token, attempt)
        except InvalidToken as wrong:
            raise SignInRefused(f"the provider's id token is not good: {wrong}") from wrong

    def logout_url(self, id_token: str | None) -> str | None:
        """The provider's sign-out page, which comes back to ours; None without one. Raises IssuerUnavailable."""
        if not isinstance(self._discovery.get().get("end_session_endpoint"), str):
            return None
        asked = {"client_id": self.client.client_id, "post_logout_redirect_uri": self.client.after_logout_uri}
        hint = {"id_token_hint": id_token} if id_token else {}
        return _with_query(self._endpoint("end_session_endpoint"), {**asked, **hint})

    def notice_of(self, logout_token: str) -> LogoutNotice:
        """Raises InvalidToken, IssuerUnavailable."""
        now = self._clock.now()
        claims = verify(logout_token, self._keys).claims
        check(claims, issuer=self.client.issuer, audience=self.client.client_id, now=now, must_expire=False)
        events, issued = claims.get("events"), time_of(claims, "iat")
        if not isinstance(events, Mapping) or not isinstance(events.get(LOGOUT_EVENT), Mapping):
            raise InvalidToken("the token is no logout token")
        if "nonce" in claims:  # else an id token could be passed off as one
            raise InvalidToken("a logout token has no nonce")
        if issued is None or now - issued > _NOTICE_GOOD_FOR:
            raise InvalidToken("the logout token is too old")
        subject, idp_session = _text(claims, "sub"), _text(claims, "sid")
        if subject is None and idp_session is None:
            raise InvalidToken("the logout token names neither a person nor a session")
        return LogoutNotice(subject, idp_session, issued)

    def _claims_of(self, token: str, attempt: Attempt) -> Claims:
        now = self._clock.now()
        claims = verify(token, self._keys).claims
        check(claims, issuer=self.client.issuer, audience=self.client.client_id, now=now)
        audiences, party = claims.get("aud"), claims.get("azp")
        if party != self.client.client_id and (
            party is not None or (isinstance(audiences, list) and len(audiences) > 1)
        ):
            raise InvalidToken("the token was made for another client")
        issued = time_of(claims, "iat")
        if issued is None or issued < attempt.begun_at - LEEWAY:
            raise InvalidToken("the token is older than this sign-in")
        if claims.get("nonce") != attempt.nonce:
            raise InvalidToken("the token belongs to another sign-in")
        if not _text(claims, "sub"):
            raise InvalidToken("the token names nobody")
        return claims

    def _post_for_token(self, form: dict[str, str]) -> str:
        url, auth = self._endpoint("token_endpoint"), httpx.Auth()
        if self.client.client_secret is None:
            form["client_id"] = self.client.client_id
        elif "client_secret_basic" in self._secret_methods():
            # RFC 6749, 2.3.1: both are form-encoded before they are joined.
            auth = httpx.BasicAuth(quote(self.client.client_id, safe=""), quote(self.client.client_secret, safe=""))
        else:
            form |= {"client_id": self.client.client_id, "client_secret": self.client.client_secret}
        try:
            answer = self._http.post(url, data=form, auth=auth, headers={"accept": "application/json"})
            body = answer.json()
        except (httpx.HTTPError, ValueError) as wrong:
            raise IssuerUnavailable(f"the provider's token endpoint failed ({type(wrong).__name__})") from wrong
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise IssuerUnavailable(f"the provider's token endpoint answered {answer.status_code}")
        token = body.get("id_token") if isinstance(body, dict) and answer.status_code == httpx.codes.OK else None
        if not isinstance(token, str):
            error = str(body.get("error", ""))[:60] if isinstance(body, dict) else ""
            raise SignInRefused(f"the provider gave no id token for the code ({answer.status_code} {error})")
        return token

    def _secret_methods(self) -> list[object]:
        given = self._discovery.get().get("token_endpoint_auth_methods_supported")
        return given if isinstance(given, list) else ["client_secret_basic"]

    def _endpoint(self, name: str) -> str:
        url = self._discovery.get().get(name)
        if not isinstance(url, str) or not is_safe_url(url):
            raise IssuerUnavailable(f"the provider's discovery document has no https address as {name}")
        return url


def discover(http: httpx.Client, issuer: str) -> Mapping[str, object]:
    """The issuer's discovery document. Raises IssuerUnavailable, also when it speaks for another issuer."""
    found = fetch_json(http, issuer.rstrip("/") + _DISCOVERY)
    if found.get("issuer") != issuer:
        raise IssuerUnavailable(
            f"the discovery document of {issuer} names another issuer; write it into the estate file as it stands there"
        )
    return found


def http_client() -> httpx.Client:
    """For identity providers: TLS verified (SSL_CERT_FILE adds a private authority), no redirect followed."""
    return httpx.Client(timeout=TIMEOUT_S, follow_redirects=False)


def _with_query(url: str, query: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def _text(claims: Claims, name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and value else None
