"""How a resource declares its routes: errors are problems, bodies have a limit, and both are documented.

The OpenAPI document gives each problem its schema; `problems(404, 412)` names those that a route has besides the ones
that all have.
"""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.types import Message, Receive

from app.api.refused import Code, Refused
from app.web.problems import PROBLEM_JSON, ProblemRoute

MOST_BODY_BYTES: Final = 1 << 20  # 50,000 contract ids are less than half of it
PROBLEM_SCHEMA: Final = "Problem"

Documented = dict[int | str, dict[str, Any]]  # as FastAPI takes it

_WORDS: Final = {
    HTTPStatus.BAD_REQUEST: "The Idempotency-Key is missing where it is needed or malformed, or the body is no text",
    HTTPStatus.UNAUTHORIZED: "No access token, or none that is good",
    HTTPStatus.FORBIDDEN: "The token lacks the scope; of things that may be seen but not changed, the reach",
    HTTPStatus.NOT_FOUND: "There is no such thing, or not within your reach: the two are not told apart",
    HTTPStatus.CONFLICT: "It cannot be done as things are, which the detail says; or the Idempotency-Key is in use",
    HTTPStatus.PRECONDITION_FAILED: "It was changed since you read it: read it again, then decide",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is over a mebibyte",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The Content-Type is none that the route takes",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A value cannot be used, which the detail names",
    HTTPStatus.PRECONDITION_REQUIRED: "If-Match is missing",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many bad tokens came from your address; wait for Retry-After",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A fault of Tieline; report the correlation id",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database cannot be reached; nothing was done, send it again after Retry-After",
}
COMMON: Final = (401, 403, 422, 429, 500, 503)
CHANGING: Final = (400, 409, 413)  # of every command
EDITING: Final = (*CHANGING, 404, 412, 428)  # of a command on one thing that has a version


class ApiRoute(ProblemRoute):
    """Refuses a body over the limit before it is all read, whatever Content-Length said."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        answer = super().get_route_handler()

        async def limited(request: Request) -> Response:
            return await answer(Request(request.scope, _limited(request.receive)))

        return limited


def _limited(receive: Receive) -> Receive:
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MOST_BODY_BYTES:
            raise Refused(Code.TOO_LARGE, f"the body is over {MOST_BODY_BYTES:,} bytes")
        return message

    return counted


def resource(name: str) -> APIRouter:
    """The router of one resource below /v1."""
    return APIRouter(tags=[name], route_class=ApiRoute, responses=problems(*COMMON))


def problems(*statuses: int) -> Documented:
    """For `responses=`."""
    schema = {"$ref": f"#/components/schemas/{PROBLEM_SCHEMA}"}
    return {
        status: {"description": _WORDS[HTTPStatus(status)], "content": {PROBLEM_JSON: {"schema": schema}}}
        for status in statuses
    }
