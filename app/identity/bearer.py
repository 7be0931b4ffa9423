"""Which program calls the API: `Authorization: Bearer` with a token of ours or of an issuer in the estate file.

Routes depend on `authenticated`, or on `needs(Permission...)`, which also refuses a program without that scope. The
application carries its `Bearer` in `app.state.bearer`. Refusals follow RFC 6750 and are answered as problems.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final, Protocol

from fastapi import Depends, HTTPException, Request

from app.identity.refusal_counts import Refusals, Refused
from app.identity.signed_tokens import InvalidToken
from sync_core.authority import Actor, Permission

REALM: Final = "tieline"
_KIND: Final = "bearer"


class BearerRefused(HTTPException):
    """An answer with `WWW-Authenticate`; `code` goes into the problem."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        challenge: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        headers = {} if challenge is None else {"www-authenticate": challenge}
        if retry_after_s is not None:
            headers["retry-after"] = str(retry_after_s)
        super().__init__(status, detail, headers)
        self.code = code


class TokenSource(Protocol):
    """One kind of token."""

    def reads(self, token: str) -> bool:
        """Whether the token is of this kind, by its look."""
        ...

    def actor_of(self, token: str) -> Actor:
        """Raises InvalidToken."""
        ...


class Bearer:
    """Safe for many threads; blocks on the database or the issuer, so never call it on the event loop."""

    def __init__(self, sources: tuple[TokenSource, ...], refusals: Refusals) -> None:
        self._sources, self._refusals = sources, refusals

    def actor_of(self, request: Request) -> Actor:
        """Raises BearerRefused: 401 without a good token, 429 for an address that keeps bringing bad ones."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            # No error code without credentials: RFC 6750, 3.1.
            challenge = f'Bearer realm="{REALM}"'
            raise BearerRefused(
                HTTPStatus.UNAUTHORIZED,
                "token.missing",
                "send an access token as Authorization: Bearer",
                challenge=challenge,
            )
        try:
            return self._known(token.strip())
        except InvalidToken as wrong:
            self._count(request)
            challenge = f'Bearer realm="{REALM}", error="invalid_token", error_description="{wrong}"'
            raise BearerRefused(HTTPStatus.UNAUTHORIZED, "token.invalid", str(wrong), challenge=challenge) from wrong

    def _known(self, token: str) -> Actor:
        for source in self._sources:
            if source.reads(token):
                return source.actor_of(token)
        raise InvalidToken("the access token is of no issuer that is known here")

    def _count(self, request: Request) -> None:
        address = self._refusals.address(_KIND, request)
        try:
            self._refusals.check(address)
        except Refused as wrong:
            raise BearerRefused(
                HTTPStatus.TOO_MANY_REQUESTS, "token.too_many_refused", str(wrong), retry_after_s=wrong.retry_after_s
            ) from wrong
        finally:
            self._refusals.count(address)


def authenticated(request: Request) -> Actor:
    """The program that calls. A dependency of a route: `actor: Annotated[Actor, Depends(authenticated)]`."""
    bearer: Bearer = request.app.state.bearer
    return bearer.actor_of(request)


@dataclass(frozen=True, slots=True)
class Needing:
    """A route's dependency: the program that calls, if it has this scope somewhere."""

    permission: Permission  # app/published/permissions_table.py reads it from the routes

    def __call__(self, actor: Annotated[Actor, Depends(authenticated)]) -> Actor:
        if not actor.may(self.permission):
            challenge = f'Bearer realm="{REALM}", error="insufficient_scope", scope="{self.permission}"'
            detail = f"this needs the scope {self.permission}"
            raise BearerRefused(HTTPStatus.FORBIDDEN, "token.insufficient_scope", detail, challenge=challenge)
        return actor


def needs(permission: Permission) -> Needing:
    """A dependency: the program that calls, if it has this scope somewhere. Commands and reads ask for the entity."""
    return Needing(permission)
