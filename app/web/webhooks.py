"""POST /v1/events: CloudEvents in, receipts out; and the schemas of what is understood.

The order of the checks: size, content type, form, signature, and only then the database. All events of one request
must come from sources whose own secret verifies it, so one CLM cannot speak for another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, HTTPException, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncEngine

from app.web.problems import PROBLEM_JSON, ProblemRoute
from sync_core.clock import Clock
from sync_core.delivery.messages import OUTGOING, OutgoingType
from sync_core.errors import BadSignature, EventTooLarge, Function, UnsupportedMediaType
from sync_core.estate.estate import Estate
from sync_core.events import REGISTRY, EventType
from sync_core.intake.cloudevents import BATCH, JSON, STRUCTURED, CloudEvent, parse_request
from sync_core.intake.intake import Receipt, ReceiptStatus, accept
from sync_core.intake.signatures import SigningKey, verify
from sync_core.journal.bell import Bell
from sync_core.schemas.versions import State, Version, headers

MIB: Final = 1 << 20
SCHEMA_JSON: Final = "application/schema+json"


@dataclass(frozen=True, slots=True)
class Intake:
    """What the webhook needs: where to store, what the estate knows, and each source's keys (all that are valid)."""

    engine: AsyncEngine
    estate: Estate
    keys: Mapping[str, Sequence[SigningKey]]  # by CloudEvents source
    clock: Clock
    bell: Bell
    max_body_bytes: int = MIB


class ReceiptView(BaseModel):
    """What became of one event. Of a duplicate: what its first delivery was told."""

    event_id: str
    source: str
    status: ReceiptStatus
    recorded_at: datetime
    correlation_id: str
    reason: Annotated[str | None, Field(description="Why the event is in quarantine")] = None
    differs: Annotated[
        bool, Field(description="A duplicate whose content is not that of the first delivery, which stands")
    ] = False


class Receipts(BaseModel):
    """One receipt per event, in the order of the request."""

    receipts: list[ReceiptView]


class SchemaEntry(BaseModel):
    """Days are whole ones in UTC. A deprecated version is taken as before; a removed one goes to quarantine."""

    type: Annotated[str, Field(description="The CloudEvents type, version included")]
    signature: Annotated[bool, Field(description="Carries executed terms")]
    state: State
    owner: Annotated[Function, Field(description="The business function that answers for what it means")]
    since: Annotated[str, Field(description="Release of Tieline")]
    deprecated_on: date | None
    sunset_on: Annotated[date | None, Field(description="It may be removed from this day on")]
    removed_on: date | None
    successor: Annotated[str | None, Field(description="Send this version instead")]
    summary: str
    href: str


class OutgoingEntry(BaseModel):
    type: Annotated[str, Field(description="The CloudEvents type of what subscribers get, version included")]
    summary: str
    href: str


class Schemas(BaseModel):
    schemas: list[SchemaEntry]
    outgoing: list[OutgoingEntry]


class OrjsonResponse(JSONResponse):
    """Of any other class FastAPI publishes that its answers are texts."""

    def render(self, content: object) -> bytes:
        return orjson.dumps(content)


def router(intake: Intake) -> APIRouter:
    """`POST /v1/events`, `GET /v1/schemas`, `GET /v1/schemas/{type}`."""
    routes = APIRouter(prefix="/v1", tags=["events"], route_class=ProblemRoute, default_response_class=OrjsonResponse)

    @routes.post(
        "/events",
        status_code=HTTPStatus.ACCEPTED,
        response_model=Receipts,
        responses=_ANSWERS,
        openapi_extra={"requestBody": _REQUEST_BODY, "parameters": _SIGNATURE_HEADERS},
        summary="Deliver contract events",
        description=_DESCRIPTION,
    )
    async def deliver(request: Request) -> Response:
        body = await _body(request, intake.max_body_bytes)
        events = parse_request(request.headers, body)
        _verify(request.headers, body, events, intake)
        async with intake.engine.begin() as conn:
            receipts = await accept(conn, events, estate=intake.estate, now=intake.clock.now(), received_by="webhook")
        if any(receipt.status is ReceiptStatus.ACCEPTED for receipt in receipts):
            intake.bell.ring()
        repeated = all(receipt.duplicate for receipt in receipts)
        status = HTTPStatus.OK if repeated else HTTPStatus.ACCEPTED
        known = intake.estate.versions
        told = headers({known[event.type] for event in events if event.type in known}, intake.clock.now().date())
        return OrjsonResponse({"receipts": [_view(receipt) for receipt in receipts]}, status, told)

    @routes.get("/schemas", response_model=Schemas, summary="All event types that are understood or sent")
    def schemas() -> Response:
        today = intake.clock.now().date()
        known = [_entry(one, intake.estate.versions[one.name], today) for one in REGISTRY.values()]
        return OrjsonResponse({"schemas": known, "outgoing": [_told(one) for one in OUTGOING.values()]})

    @routes.get(
        "/schemas/{event_type}",
        responses={200: {"content": {SCHEMA_JSON: {}}}, 404: _problem("No such event type")},
        summary="JSON Schema (2020-12) of one event type's data",
    )
    def schema(event_type: Annotated[str, Path(examples=["com.tieline.contract.signed.v1"])]) -> Response:
        known = REGISTRY.get(event_type) or OUTGOING.get(event_type)
        if known is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such event type; GET /v1/schemas lists them all")
        return Response(orjson.dumps(known.schema()), media_type=SCHEMA_JSON)

    return routes


async def _body(request: Request, most: int) -> bytes:
    """Stops reading at the limit, whatever Content-Length said."""
    too_large = EventTooLarge(f"the body is over {most} bytes; send fewer events in a batch")
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > most:
        raise too_large
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("compressed bodies are not read; send it without Content-Encoding")
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > most:
            raise too_large
    return bytes(read)


def _verify(headers: Mapping[str, str], body: bytes, events: Sequence[CloudEvent], intake: Intake) -> None:
    for source in sorted({event.source for event in events}):
        try:
            verify(headers, body, keys=intake.keys.get(source, ()), now=intake.clock.now())
        except BadSignature as wrong:
            raise BadSignature(f"source {source!r}: {wrong.message}") from wrong


def _view(receipt: Receipt) -> dict[str, object]:
    return {
        "event_id": receipt.event_id,
        "source": receipt.source,
        "status": receipt.status,
        "recorded_at": receipt.recorded_at,
        "correlation_id": receipt.correlation_id,
        "reason": receipt.reason,
        "differs": receipt.differs,
    }


def _entry(known: EventType, version: Version, today: date) -> dict[str, object]:
    return {
        "type": known.name,
        "signature": known.signature,
        "state": version.state(today),
        "owner": version.owner,
        "since": version.since,
        "deprecated_on": version.deprecated_on,
        "sunset_on": version.sunset_on,
        "removed_on": version.removed_on,
        "successor": version.successor,
        "summary": known.summary,
        "href": f"/v1/schemas/{known.name}",
    }


def _told(known: OutgoingType) -> dict[str, object]:
    return {"type": known.name, "summary": known.summary, "href": f"/v1/schemas/{known.name}"}


def _problem(description: str) -> dict[str, object]:
    return {"description": description, "content": {PROBLEM_JSON: {"schema": _PROBLEM_SCHEMA}}}


_PROBLEM_SCHEMA: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "correlation_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and what to do"},
        "code": {"type": "string", "description": "Stable, for programs"},
        "correlation_id": {"type": "string"},
    },
}
_GOING: Final = {
    name: {"schema": {"type": "string"}, "description": words}
    for name, words in (
        ("Deprecation", "RFC 9745: since when a version in the request is deprecated; absent: none is"),
        ("Sunset", "RFC 8594: from when on a version in the request may be taken no more"),
        ("Link", "Where the dates of all versions are (rel=deprecation), and what follows each (successor-version)"),
    )
}
_ANSWERS: Final[dict[int | str, dict[str, object]]] = {
    200: {"model": Receipts, "description": "Every event was on record already", "headers": _GOING},
    202: {
        "description": "Stored for good; what was not understood is in quarantine, which its receipt says",
        "headers": _GOING,
    },
    400: _problem("Not JSON, or not CloudEvents: the detail names the attribute. Nothing was stored"),
    401: _problem("No valid signature. Nothing was stored"),
    413: _problem("The body is over the limit. Nothing was stored"),
    415: _problem("The content type is none of the CloudEvents modes, or the body is compressed"),
    503: _problem("The database cannot be reached; send it again after Retry-After"),
}
_EVENT_SCHEMA: Final = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "description": "Unique for the source, the same in every retry"},
        "source": {"type": "string", "format": "uri-reference", "description": "As in the estate file"},
        "type": {"enum": sorted(REGISTRY)},
        "time": {"type": "string", "format": "date-time", "description": "When it happened; give it"},
        "subject": {"type": "string"},
        "datacontenttype": {"type": "string", "default": JSON},
        "traceparent": {"type": "string", "description": "W3C Trace Context"},
        "correlationid": {"type": "string", "description": "Yours, else one is made"},
        "data": {"type": "object", "description": "By the schema of the type, see /v1/schemas"},
    },
}
_REQUEST_BODY: Final = {
    "required": True,
    "content": {
        STRUCTURED: {"schema": _EVENT_SCHEMA},
        BATCH: {"schema": {"type": "array", "minItems": 1, "items": _EVENT_SCHEMA}},
        JSON: {"schema": {"type": "object", "description": "Binary mode: the data; its attributes in ce- headers"}},
    },
}
_SIGNATURE_HEADERS: Final = [
    {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": words}
    for name, words in (
        ("webhook-id", "The same in every retry"),
        ("webhook-timestamp", "Unix seconds of this attempt, within five minutes of our clock"),
        ("webhook-signature", "v1,<base64 of HMAC-SHA256 over id.timestamp.body>; several with spaces between"),
    )
]
_DESCRIPTION: Final = (
    "CloudEvents 1.0 in structured, batch or binary mode, signed by Standard Webhooks 1.0.0. An event is stored once, "
    "however often it is sent: repeat a request that got no answer. What is not understood is kept whole in "
    "quarantine and released once its schema is known, so it need not be sent again."
)
