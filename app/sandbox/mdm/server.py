"""REST API of the sandbox master-data system (Starlette). All but /healthz want `Authorization: Bearer <token>`.

GET /api/changes?after=&limit=          the feed: whole records as they were changed, by watermark
GET, PUT /api/customers/{mdm_id}        one customer
POST /api/customers/{mdm_id}/merge      {"into": mdm_id}
GET, PUT /api/legal-entities/{mdm_id}   one legal entity
PUT /sandbox/faults                     {"status": 503, "times": 2} or {"torn": 1}: the next calls of the feed fail
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, ExceptionHandler, Receive, Scope, Send

from app.sandbox.answers import Bearer, as_json, problem
from app.sandbox.clm.journal import Journal
from app.sandbox.mdm.records import Customer, LegalEntity, Refused, Store, UnknownRecord
from sync_core.clock import Clock

RELEASE = "4.2"  # that it says it runs
_MOST = 1000
_KINDS = {"customers": "customer", "legal-entities": "legal_entity"}


class Faults(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status: Annotated[int, Field(ge=400, le=599)] = 503
    times: Annotated[int, Field(ge=0)] = 0  # answers with that status
    torn: Annotated[int, Field(ge=0)] = 0  # answers that end in the middle


class Merge(BaseModel):
    model_config = ConfigDict(extra="forbid")

    into: str


@dataclass(slots=True)
class SandboxMdm:
    """Callable as an ASGI application; `store` does the same work without HTTP."""

    store: Store
    asgi: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.asgi(scope, receive, send)

    def close(self) -> None:
        self.store.close()


def build(clock: Clock, *, token: str, journal: Path | None = None) -> SandboxMdm:
    """Without `journal` it forgets everything when it ends."""
    store = Store(clock, Journal(journal) if journal else None)
    asgi = Starlette(
        routes=_Routes(store).table(),
        middleware=[Middleware(Bearer, token=token)],
        exception_handlers=_PROBLEMS,
    )
    return SandboxMdm(store, asgi)


async def _not_found(_request: Request, error: Exception) -> Response:
    return problem(404, "Unknown record", str(error))


async def _refused(_request: Request, error: Exception) -> Response:
    return problem(409, "Refused", str(error))


async def _unprocessable(_request: Request, error: Exception) -> Response:
    return problem(422, "The data does not fit", str(error))


_PROBLEMS: dict[int | type[Exception], ExceptionHandler] = {
    UnknownRecord: _not_found,
    Refused: _refused,
    ValidationError: _unprocessable,
    ValueError: _unprocessable,
}


class _Routes:
    """The handlers; one instance per system."""

    def __init__(self, store: Store) -> None:
        self._store, self._faults = store, Faults()

    def table(self) -> list[Route]:
        return [
            Route("/healthz", self.health),
            Route("/api/changes", self.changes),
            Route("/api/{kind}/{mdm_id}", self.one),
            Route("/api/{kind}/{mdm_id}", self.put, methods=["PUT"]),
            Route("/api/customers/{mdm_id}/merge", self.merge, methods=["POST"]),
            Route("/sandbox/faults", self.fail, methods=["PUT"]),
        ]

    async def health(self, _request: Request) -> Response:
        return as_json({"status": "ok", "version": RELEASE, "changes": len(self._store.feed)})

    async def changes(self, request: Request) -> Response:
        if self._faults.times:
            self._faults = self._faults.model_copy(update={"times": self._faults.times - 1})
            return problem(self._faults.status, "A fault that was ordered", "come again")
        after = int(request.query_params.get("after", "0"))
        limit = max(1, min(int(request.query_params.get("limit", "100")), _MOST))
        feed = self._store.feed
        if after > len(feed):
            return problem(410, "Beyond the end", "this system was reset: its feed is shorter than you have read")
        page = feed[after : after + limit]
        reached = after + len(page)
        answer = as_json({"records": page, "watermark": str(reached), "more": reached < len(feed)})
        if self._faults.torn:
            self._faults = self._faults.model_copy(update={"torn": self._faults.torn - 1})
            return Response(bytes(answer.body)[: len(answer.body) // 2], media_type="application/json")
        return answer

    async def one(self, request: Request) -> Response:
        return as_json(self._store.get(self._kind(request), request.path_params["mdm_id"]))

    async def put(self, request: Request) -> Response:
        model = Customer if self._kind(request) == "customer" else LegalEntity
        return as_json(self._store.put(request.path_params["mdm_id"], model.model_validate_json(await request.body())))

    async def merge(self, request: Request) -> Response:
        asked = Merge.model_validate_json(await request.body())
        return as_json(self._store.merge(request.path_params["mdm_id"], asked.into))

    async def fail(self, request: Request) -> Response:
        self._faults = Faults.model_validate_json(await request.body())
        return as_json({"status": "set"})

    @staticmethod
    def _kind(request: Request) -> str:
        kind = _KINDS.get(request.path_params["kind"])
        if kind is None:
            raise UnknownRecord(f"there are {' and '.join(_KINDS)}")
        return kind
