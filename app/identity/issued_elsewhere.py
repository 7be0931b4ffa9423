"""Access tokens (JWT) of the issuers that the estate file names under [[identity.api_issuer]]."""

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import httpx

from app.identity.oidc_provider import discover
from app.identity.signed_tokens import Claims, InvalidToken, IssuerUnavailable, Keys, check, issuer_claimed, verify
from sync_core.authority import Actor, program
from sync_core.clock import Clock
from sync_core.estate.identity import ApiIssuer, claim, is_safe_url, texts_of

_ID_TOKEN_CLAIMS = ("nonce", "at_hash", "c_hash")


class IssuedElsewhere:
    """Safe for many threads; blocks on an issuer when its keys are not known."""

    def __init__(self, issuers: Sequence[ApiIssuer], http: httpx.Client, clock: Clock) -> None:
        self._http, self._clock = http, clock
        self._issuers = {one.issuer: (one, Keys(self._url_of(one), http, clock)) for one in issuers}

    def reads(self, token: str) -> bool:
        return token.count(".") == 2

    def actor_of(self, token: str) -> Actor:
        """Raises InvalidToken, IssuerUnavailable."""
        known = self._issuers.get(issuer_claimed(token))
        if known is None:
            raise InvalidToken("the access token is of no issuer that is known here")
        api, keys = known
        claims = verify(token, keys).claims
        check(claims, issuer=api.issuer, audience=api.audience, now=self._clock.now())
        if any(name in claims for name in _ID_TOKEN_CLAIMS):
            raise InvalidToken("an id token is no access token")
        scopes = texts_of(claim(claims, api.scope_claim))
        entities = None if api.entities_claim is None else frozenset(texts_of(claim(claims, api.entities_claim)))
        return program(_name(api, claims), scopes, entities=entities)

    def _url_of(self, api: ApiIssuer) -> Callable[[], str]:
        def url() -> str:
            if api.jwks_url is not None:
                return api.jwks_url
            found = discover(self._http, api.issuer).get("jwks_uri")
            if not isinstance(found, str) or not is_safe_url(found):
                raise IssuerUnavailable(f"the discovery document of {api.issuer} has no https address of its keys")
            return found

        return url


def _name(api: ApiIssuer, claims: Claims) -> str:
    """The issuer stands before it, so that no client is taken for one of another issuer, for ours, or for a person."""
    for name in ("client_id", "azp", "appid", "sub"):
        value = claims.get(name)
        if isinstance(value, str) and value and value.isprintable() and len(value) <= 200:
            issuer = urlsplit(api.issuer)
            return f"{issuer.netloc}{issuer.path.rstrip('/')}/{value}"
    raise InvalidToken("the access token names no client")
