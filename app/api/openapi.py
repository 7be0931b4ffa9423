"""GET /v1/openapi.json: what FastAPI knows of the routes, made whole with scopes, problems and required headers."""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Final

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from app.api.answers import JSON, REPLAYED_HEADER
from app.api.conditions import REQUIRED
from app.api.routing import PROBLEM_SCHEMA, ApiRoute, problems
from app.published.route_permissions import permissions_of
from sync_core.authority import Permission

Document = dict[str, Any]  # JSON

_PATHS: Final = ("/v1/", "/oauth/token")
_ABOUT: Final = """\
Contracts, exceptions, replays and the audit of Tieline, for programs. Get a token at `POST /oauth/token`, or bring one
of an issuer that the estate file names. Errors are problem details (RFC 9457) with a stable `code`.
"""
_SCOPES: Final[Mapping[Permission, str]] = {
    Permission.EVENTS_WRITE: "Deliver events",
    Permission.CONTRACTS_READ: "Read contracts, legal holds and the status",
    Permission.VALIDATIONS_WRITE: "Ask whether terms would be provisioned",
    Permission.EXCEPTIONS_READ: "Read exceptions, approvals and quarantine",
    Permission.EXCEPTIONS_WRITE: "Assign, hand over, acknowledge and comment on exceptions; save filters",
    Permission.EXCEPTIONS_DECIDE: "Close exceptions by decision",
    Permission.CORRECTIONS_WRITE: "Correct contracts",
    Permission.APPROVALS_DECIDE: "Approve and refuse",
    Permission.REPLAY_READ: "Read replays and what is stuck",
    Permission.REPLAY_PREVIEW: "Make replays, which previews them",
    Permission.REPLAY_EXECUTE: "Confirm, pause, resume and cancel replays",
    Permission.POLICY_WRITE: "Propose policies, withdraw one's own",
    Permission.POLICY_APPROVE: "Refuse policies; their approval is a person's",
    Permission.REPLAY_APPROVE: "Refuse replays; their approval is a person's",
    Permission.ADOPTION_WRITE: "Decide which project of an ERP is whose, from the command line",
    Permission.QUARANTINE_WRITE: "Release and dismiss quarantined events",
    Permission.AUDIT_READ: "Read the audit",
    Permission.EVIDENCE_READ: "Export evidence",
    Permission.HOLDS_WRITE: "Place and release legal holds",
    Permission.KPI_READ: "Read KPIs",
    Permission.SNAPSHOT_READ: "Read snapshots",
    Permission.FINANCE_WRITE: "Import exchange rates, disputes, the baseline and assumptions",
    Permission.SNAPSHOT_WRITE: "Have snapshots made",
    Permission.SCHEDULES_WRITE: "Run scheduled jobs now, pause them and let them go on",
    Permission.SCHEMAS_WRITE: "Register versions of events, acknowledge new fields",
    Permission.SUBSCRIBERS_WRITE: "Administer subscribers of outgoing events",
    Permission.ACCESS_WRITE: "Administer the programs that may call the API",
}
_SCHEMES: Final = {
    "clientCredentials": {
        "type": "oauth2",
        "description": "A token of Tieline's own, for a client of `tieline client create` or POST /v1/clients",
        "flows": {
            "clientCredentials": {"tokenUrl": "/oauth/token", "scopes": {one.value: t for one, t in _SCOPES.items()}}
        },
    },
    "issuer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of an issuer that the estate file names; its scopes have the same names",
    },
}
_PROBLEM: Final = {
    "title": "Problem",
    "description": "RFC 9457",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "correlation_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "examples": ["urn:tieline:problem:command.changed"]},
        "title": {"type": "string", "examples": ["Precondition Failed"]},
        "status": {"type": "integer", "examples": [412]},
        "detail": {"type": "string", "description": "What is wrong and what to do"},
        "code": {"type": "string", "description": "Stable, for programs", "examples": ["command.changed"]},
        "correlation_id": {"type": "string", "description": "In our log, too; also the header x-correlation-id"},
    },
}

routes = APIRouter(route_class=ApiRoute)


@routes.get("/openapi.json", include_in_schema=False)
def openapi(request: Request) -> Response:
    state = request.app.state
    if not hasattr(state, "openapi_json"):
        state.openapi_json = orjson.dumps(document(request.app))
    return Response(state.openapi_json, media_type=JSON)


def document(app: FastAPI) -> Document:
    """OpenAPI 3.1 of the routes for programs."""
    made: Document = get_openapi(
        title="Tieline", version=version("tieline"), description=_ABOUT, routes=app.routes, openapi_version="3.1.0"
    )
    made["paths"] = {path: item for path, item in made["paths"].items() if path.startswith(_PATHS)}
    components = made.setdefault("components", {})
    components["securitySchemes"] = _SCHEMES
    schemas = components.setdefault("schemas", {})
    for replaced in ("HTTPValidationError", "ValidationError"):
        schemas.pop(replaced, None)
    schemas[PROBLEM_SCHEMA] = _PROBLEM
    needs = _needs(app)
    for path, method, operation in _operations(made):
        scope = needs.get((path, method.upper()))
        operation["security"] = [{name: [scope]} for name in _SCHEMES] if scope else []
        _headers(operation)
        _responses(operation)
    return made


def _needs(app: FastAPI) -> dict[tuple[str, str], Permission]:
    found: dict[tuple[str, str], Permission] = {}
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute):
            for permission in permissions_of(route):
                found |= {(str(route.path), method): permission for method in route.methods or ()}
    return found


def _operations(made: Document) -> Iterator[tuple[str, str, Document]]:
    for path, item in made["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def _headers(operation: Document) -> None:
    """A header whose absence has a status of its own is optional to FastAPI and required to the caller."""
    for parameter in operation.get("parameters", ()):
        if parameter["schema"].pop(REQUIRED, False):
            parameter["required"] = True
        if parameter["in"] == "header":
            # Null stood for its absence.
            parameter["schema"] = {"type": "string", **_kept(parameter["schema"])}


def _kept(schema: Document) -> Document:
    return {name: value for name, value in schema.items() if name not in ("anyOf", "type")}


def _responses(operation: Document) -> None:
    named = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
    for status, response in operation["responses"].items():
        # FastAPI's own words for a refused value; what is sent is a problem.
        if "HTTPValidationError" in orjson.dumps(response).decode():
            response["content"] = problems(422)[422]["content"]
        if status in ("200", "201", "202") and operation["security"]:
            headers = response.setdefault("headers", {})
            headers |= _answered(named)


def _answered(named: set[str]) -> Document:
    """Headers of a good answer, by what the request can have."""
    told: Document = {}
    if "cursor" in named:
        told["link"] = {"schema": {"type": "string"}, "description": 'rel="next" and rel="prev", where there are any'}
    if "idempotency-key" in named:
        words = "Only in the answer to a repeat: nothing was done again"
        told[REPLAYED_HEADER] = {"schema": {"const": "true"}, "description": words}
    return told
