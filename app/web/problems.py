"""Errors as RFC 9457 problem details: which HTTP status each error of ours has, and the JSON that says so.

`code` is the stable code of sync_core/errors.py and `type` is made of it; `correlation_id` is in our log too.
A router gets this by `APIRouter(route_class=ProblemRoute)` and needs nothing of the application around it.
"""

import logging
import re
import uuid
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Final

import orjson
import sqlalchemy as sa
from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect

from metrics.asking import InvalidAsk
from sync_core.authority import Forbidden
from sync_core.commands.desk import Changed, CommandRefused, InvalidInput, KeyReused, NotFound
from sync_core.errors import (
    BadSignature,
    ErrorClass,
    EventRefused,
    EventTooLarge,
    MalformedEvent,
    StoredEventUnreadable,
    TielineError,
    UnsupportedMediaType,
)
from sync_core.reads.paging import InvalidCursor

PROBLEM_JSON: Final = "application/problem+json"
CORRELATION_HEADER: Final = "x-correlation-id"

_log = logging.getLogger(__name__)
_CORRELATION = re.compile(r"[A-Za-z0-9._:-]{1,128}")

# The most specific class wins.
STATUS: Final[Mapping[type[TielineError], HTTPStatus]] = {
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidCursor: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidAsk: HTTPStatus.UNPROCESSABLE_ENTITY,
    Changed: HTTPStatus.PRECONDITION_FAILED,
    KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    CommandRefused: HTTPStatus.CONFLICT,
    StoredEventUnreadable: HTTPStatus.CONFLICT,
    MalformedEvent: HTTPStatus.BAD_REQUEST,
    BadSignature: HTTPStatus.UNAUTHORIZED,
    EventTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    EventRefused: HTTPStatus.BAD_REQUEST,
}
_STATUS_OF_CLASS: Mapping[ErrorClass, HTTPStatus] = {
    ErrorClass.TRANSIENT: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorClass.AMBIGUOUS: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorClass.CREDENTIALS: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorClass.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_RETRY_AFTER_S = 5


def status_of(error: TielineError) -> HTTPStatus:
    """422 for all that is wrong with the matter rather than with the request."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return _STATUS_OF_CLASS.get(error.error_class, HTTPStatus.UNPROCESSABLE_ENTITY)


def problem(status: HTTPStatus, *, code: str, detail: str, correlation_id: str) -> Response:
    """`title` is the status in words, as the standard asks where `type` says no more."""
    body = {
        "type": f"urn:tieline:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
        "correlation_id": correlation_id,
    }
    headers = {CORRELATION_HEADER: correlation_id}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = str(_RETRY_AFTER_S)
    return Response(orjson.dumps(body), status, headers, PROBLEM_JSON)


def correlation_id_of(request: Request) -> str:
    """What the caller gave if it can be logged safely, else a new one."""
    given = request.headers.get(CORRELATION_HEADER, "")
    return given if _CORRELATION.fullmatch(given) else str(uuid.uuid4())


class ProblemRoute(APIRoute):
    """A route whose every error is answered as a problem, without a word of our insides."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        answer = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await answer(request)
            except Exception as wrong:
                return _answer(wrong, correlation_id_of(request))

        return guarded


def _answer(wrong: Exception, correlation_id: str) -> Response:
    status, code, detail = _described(wrong)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request failed, correlation id %s", correlation_id, exc_info=wrong)
    else:
        _log.info("request refused, correlation id %s: %s", correlation_id, detail)
    answer = problem(status, code=code, detail=detail, correlation_id=correlation_id)
    if isinstance(wrong, StarletteHTTPException):
        answer.headers.update(wrong.headers or {})  # challenges and Retry-After
    if isinstance(wrong, Forbidden):
        answer.headers["www-authenticate"] = (
            f'Bearer realm="tieline", error="insufficient_scope", scope="{wrong.permission}"'
        )
    return answer


def _described(wrong: Exception) -> tuple[HTTPStatus, str, str]:
    if isinstance(wrong, TielineError):
        status = status_of(wrong)
        hidden = status == HTTPStatus.INTERNAL_SERVER_ERROR
        return status, wrong.code, _UNEXPECTED if hidden else wrong.message
    if isinstance(wrong, RequestValidationError):
        told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong.errors()[:5])
        return HTTPStatus.UNPROCESSABLE_ENTITY, "request.invalid", told
    if isinstance(wrong, HTTPException | StarletteHTTPException):
        status = HTTPStatus(wrong.status_code)
        return status, getattr(wrong, "code", f"http.{status.name.lower()}"), str(wrong.detail)
    if isinstance(wrong, ClientDisconnect):
        return HTTPStatus.BAD_REQUEST, "request.incomplete", "the connection ended before the body did; send it again"
    if isinstance(wrong, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.TimeoutError):
        return HTTPStatus.SERVICE_UNAVAILABLE, "database.unavailable", "nothing was stored; send the request again"
    return HTTPStatus.INTERNAL_SERVER_ERROR, TielineError.code, _UNEXPECTED


_UNEXPECTED = "something unexpected happened; send the request again, and report the correlation id if it stays so"
