"""POST /oauth/token: access tokens for the clients of `tieline client create` (RFC 6749, client credentials)."""

import base64
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_plus

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from app.identity.api_tokens import ApiTokens, InvalidClient, InvalidScope
from app.identity.refusal_counts import Refusals, Refused
from app.web.forms import BadForm, form_of

_KIND: Final = "token"
_NO_STORE: Final = {"cache-control": "no-store", "pragma": "no-cache"}


class _Error(Exception):
    """An error answer of RFC 6749, 5.2."""

    def __init__(self, status: HTTPStatus, error: str, words: str, **headers: str) -> None:
        super().__init__(words)
        self.status, self.error, self.headers = status, error, headers


def router(tokens: ApiTokens, refusals: Refusals) -> APIRouter:
    """One route; it stands beside the API and needs no token itself."""
    routes = APIRouter(tags=["access"])

    @routes.post(
        "/oauth/token",
        summary="Get an access token",
        description="Client credentials: the client by HTTP Basic or in the form; `scope` narrows what it has.",
        openapi_extra={"requestBody": _REQUEST_BODY},
        responses=_ANSWERS,
    )
    async def token(request: Request) -> Response:
        try:
            form = await form_of(request)
            return await run_in_threadpool(_answer, request, form, tokens, refusals)
        except BadForm as wrong:
            return _refusal(_Error(HTTPStatus.BAD_REQUEST, "invalid_request", str(wrong)))
        except _Error as wrong:
            return _refusal(wrong)

    return routes


def _answer(request: Request, form: dict[str, str], tokens: ApiTokens, refusals: Refusals) -> Response:
    if form.get("grant_type") != "client_credentials":
        known = "grant_type" in form
        error = "unsupported_grant_type" if known else "invalid_request"
        raise _Error(HTTPStatus.BAD_REQUEST, error, "grant_type must be client_credentials")
    client_id, secret = _credentials(request, form)
    # Only clients that exist are counted: made-up names would fill the table.
    subjects = [refusals.address(_KIND, request)]
    if tokens.is_client(client_id):
        subjects += refusals.client(_KIND, client_id, request)
    try:
        refusals.check(*subjects)
        issued = tokens.issue(client_id, secret, form.get("scope", ""))
    except Refused as wrong:
        after = {"retry-after": str(wrong.retry_after_s)}
        raise _Error(HTTPStatus.TOO_MANY_REQUESTS, "slow_down", str(wrong), **after) from wrong
    except InvalidClient as wrong:
        refusals.count(*subjects)
        challenge = {"www-authenticate": 'Basic realm="tieline"'}
        raise _Error(HTTPStatus.UNAUTHORIZED, "invalid_client", "client or secret is not good", **challenge) from wrong
    except InvalidScope as wrong:
        raise _Error(HTTPStatus.BAD_REQUEST, "invalid_scope", "the client has not all of these scopes") from wrong
    body = {
        "access_token": issued.token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in_s,
        "scope": " ".join(issued.scopes),
    }
    return JSONResponse(body, headers=_NO_STORE)


def _credentials(request: Request, form: dict[str, str]) -> tuple[str, str]:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        if "client_id" not in form or "client_secret" not in form:
            raise _Error(HTTPStatus.BAD_REQUEST, "invalid_request", "client_id and client_secret are missing")
        return form["client_id"], form["client_secret"]
    if "client_secret" in form:
        raise _Error(HTTPStatus.BAD_REQUEST, "invalid_request", "send the secret once: by HTTP Basic or in the form")
    try:
        client_id, found, secret = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except ValueError as wrong:  # base64's own error is one, and so is what it says of text beyond ASCII
        raise _Error(HTTPStatus.BAD_REQUEST, "invalid_request", "the Authorization header cannot be read") from wrong
    if not found:
        raise _Error(HTTPStatus.BAD_REQUEST, "invalid_request", "the Authorization header cannot be read")
    return unquote_plus(client_id), unquote_plus(secret)


def _refusal(wrong: _Error) -> Response:
    body = {"error": wrong.error, "error_description": str(wrong)}
    return JSONResponse(body, wrong.status, {**_NO_STORE, **wrong.headers})


_REQUEST_BODY: Final = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "required": ["grant_type"],
                "properties": {
                    "grant_type": {"const": "client_credentials"},
                    "scope": {
                        "type": "string",
                        "description": "Names with spaces between; all that it has if left out",
                    },
                    "client_id": {"type": "string", "description": "Unless HTTP Basic carries it"},
                    "client_secret": {"type": "string", "format": "password"},
                },
            }
        }
    },
}
_ERROR: Final = {
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
            }
        }
    }
}
_ANSWERS: Final[dict[int | str, dict[str, object]]] = {
    200: {
        "description": "A bearer token for an hour",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["access_token", "token_type", "expires_in", "scope"],
                    "properties": {
                        "access_token": {"type": "string"},
                        "token_type": {"const": "Bearer"},
                        "expires_in": {"type": "integer", "description": "Seconds"},
                        "scope": {"type": "string"},
                    },
                }
            }
        },
    },
    400: {"description": "invalid_request, unsupported_grant_type or invalid_scope", **_ERROR},
    401: {"description": "invalid_client: unknown, wrong secret, revoked or disabled", **_ERROR},
    429: {"description": "Too many refused attempts; wait for Retry-After", **_ERROR},
}
