"""What no route answers: a problem, not the dashboard's page, which is mounted behind the API."""

from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import compile_path

from app.api.refused import Code, Refused
from app.api.routing import ApiRoute

_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]

routes = APIRouter(route_class=ApiRoute)


@routes.api_route("/{rest:path}", methods=_METHODS, include_in_schema=False)
def unknown(request: Request) -> Response:
    allowed = ", ".join(sorted(_methods(request)))
    if allowed:
        raise Refused(Code.METHOD, f"{request.method} is not for this address; use {allowed}", {"allow": allowed})
    raise Refused(Code.NO_SUCH_ROUTE, "there is no such address; GET /v1/openapi.json lists them all")


def _methods(request: Request) -> set[str]:
    """Those that the address has a route for."""
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        known = isinstance(route.original_route, APIRoute) and route.endpoint is not unknown
        if known and route.path and compile_path(route.path)[0].match(request.url.path):
            found |= route.methods or set()
    return found
