"""GET /v1/asyncapi.json: the events that come in and go out, with where each version stands today."""

import orjson
from fastapi import APIRouter, Request, Response

from app.api.answers import JSON
from app.api.routing import ApiRoute
from app.published.asyncapi import document

routes = APIRouter(route_class=ApiRoute)


@routes.get("/asyncapi.json", include_in_schema=False)
def asyncapi(request: Request) -> Response:
    reads = request.app.state.api.reads
    return Response(orjson.dumps(document(reads.estate.versions, on=reads.now.date())), media_type=JSON)
