"""REST API of the sandbox CLM (Starlette): contracts and their changes, the event feed, write-back, its switches.

Everything but /healthz wants `Authorization: Bearer <token>`. Errors are problem+json (RFC 9457). Paths under
/sandbox are not a CLM's: they play prepared changes, order faults, and set the webhook.
"""

from datetime import timedelta
from pathlib import Path

import orjson
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ExceptionHandler, Lifespan

from app.sandbox.answers import Bearer, as_json, problem
from app.sandbox.clm.app import SOURCE, SandboxClm
from app.sandbox.clm.changes import Change, ChangeKind, Repeat
from app.sandbox.clm.requests import (
    CHANGES,
    Adopts,
    BadRequest,
    Body,
    FaultSettings,
    IntegrationBulk,
    IntegrationItem,
    IntegrationStatus,
    PlayedChange,
    WebhookSettings,
    json_object,
)
from app.sandbox.clm.store import Recorded, RevisionTaken, UnknownContract
from app.sandbox.clm.webhooks import FaultRates, Target
from sync_core.clock import Clock
from sync_core.events import SchemaUnknown

RELEASE = "26.11"  # that it says it runs
_MOST_EVENTS, _MOST_CONTRACTS = 1000, 500


def build(
    clock: Clock,
    *,
    seed: int,
    token: str,
    source: str = SOURCE,
    webhook: Target | None = None,
    faults: FaultRates = FaultRates(),
    journal: Path | None = None,
    lifespan: Lifespan[Starlette] | None = None,
) -> SandboxClm:
    """The sandbox CLM as an ASGI application. Without `journal` it forgets everything when it ends.

    Nothing runs in the background: webhooks go out when `deliver_due` is called.
    """
    clm = SandboxClm(clock, seed=seed, token=token, source=source, webhook=webhook, faults=faults, journal=journal)
    clm.asgi = Starlette(
        routes=_Routes(clm).table(),
        middleware=[Middleware(Bearer, token=token)],
        exception_handlers=_PROBLEMS,
        lifespan=lifespan,
    )
    return clm


async def _not_found(_request: Request, error: Exception) -> Response:
    return problem(404, "Unknown contract", str(error))


async def _conflict(_request: Request, error: Exception) -> Response:
    return problem(409, "Revision taken", str(error))


async def _unprocessable(_request: Request, error: Exception) -> Response:
    return problem(422, "The data does not fit", str(error))


async def _bad_request(_request: Request, error: Exception) -> Response:
    return problem(400, "Bad request", str(error))


_PROBLEMS: dict[int | type[Exception], ExceptionHandler] = {
    UnknownContract: _not_found,
    RevisionTaken: _conflict,
    SchemaUnknown: _unprocessable,
    ValidationError: _unprocessable,
    BadRequest: _bad_request,
}


def _number(request: Request, name: str, default: int, most: int | None = None) -> int:
    text = request.query_params.get(name) or str(default)
    if not text.isascii() or not text.isdigit():
        raise BadRequest(f"{name} must be a whole number, not {text[:20]!r}")
    return int(text) if most is None else max(1, min(int(text), most))


class _Routes:
    """The handlers; one instance per CLM."""

    def __init__(self, clm: SandboxClm) -> None:
        self._clm = clm

    def table(self) -> list[Route]:
        one = "/api/contracts/{contract_id}"
        return [
            Route("/healthz", self.health),
            Route("/api/events", self.events),
            Route("/api/contracts", self.contracts),
            Route("/api/contracts", self.draft, methods=["POST"]),
            Route("/api/integration", self.integrate_many, methods=["POST"]),
            Route(one, self.contract),
            Route(f"{one}/integration", self.integrate, methods=["POST"]),
            Route(f"{one}/{{what}}", self.change, methods=["POST", "PUT"]),
            Route("/sandbox/changes", self.play, methods=["POST"]),
            Route("/sandbox/contracts/{contract_id}/repeat", self.repeat, methods=["POST"]),
            Route("/sandbox/faults", self.faults, methods=["PUT"]),
            Route("/sandbox/webhook", self.webhook, methods=["PUT"]),
            Route("/sandbox/adopts", self.adopt, methods=["PUT"]),
        ]

    async def health(self, _request: Request) -> Response:
        return as_json({"status": "ok", "version": RELEASE, "events": len(self._clm.store.feed)})

    async def events(self, request: Request) -> Response:
        after = _number(request, "after", 0)
        limit = _number(request, "limit", 200, _MOST_EVENTS)
        feed = self._clm.store.feed
        page = feed[after : after + limit]
        reached = after + len(page)
        if after > len(feed):
            return problem(410, "Beyond the end", "this CLM was reset: its feed has fewer events than you have read")
        return as_json(
            {
                "events": [orjson.Fragment(event) for event in page],
                "watermark": str(reached),
                "more": reached < len(feed),
            }
        )

    async def contracts(self, request: Request) -> Response:
        after, limit = _number(request, "after", 0), _number(request, "limit", 100, _MOST_CONTRACTS)
        store = self._clm.store
        ids = store.contract_ids()
        page = [
            {"contract_id": c, "revision": store.revision_of(c), "integration": store.integration_of(c)}
            for c in ids[after : after + limit]
        ]
        return as_json({"contracts": page, "next": after + len(page) if after + len(page) < len(ids) else None})

    async def contract(self, request: Request) -> Response:
        return as_json(self._clm.store.view(request.path_params["contract_id"]))

    async def draft(self, request: Request) -> Response:
        body = await json_object(request)
        contract_id = body.pop("contract_id", None) or f"D-{len(self._clm.store.contract_ids()) + 1:05d}"
        if not isinstance(contract_id, str):
            raise BadRequest("contract_id must be text; leave it out to get one")
        return self._done(self._clm.perform(Change(contract_id, ChangeKind.DRAFTED, body)), status=201)

    async def change(self, request: Request) -> Response:
        what, contract_id = request.path_params["what"], request.path_params["contract_id"]
        if what not in CHANGES:
            return problem(404, "No such change", f"changes are {', '.join(CHANGES)}")
        kind, fill = CHANGES[what]
        body = fill(self._clm.store, contract_id, await json_object(request), self._clm.clock.now())
        return self._done(self._clm.perform(Change(contract_id, kind, body)))

    async def integrate(self, request: Request) -> Response:
        status = IntegrationStatus.model_validate_json(await request.body())
        self._clm.store.integrate(request.path_params["contract_id"], status.kept())
        return as_json({"written": 1})

    async def integrate_many(self, request: Request) -> Response:
        bulk, store = IntegrationBulk.model_validate_json(await request.body()), self._clm.store
        unknown: list[str] = []
        for item in bulk.items:
            try:
                store.integrate(item.contract_id, item.kept())
                self._taken_over(item)
            except UnknownContract:
                unknown.append(item.contract_id)
        return as_json({"written": len(bulk.items) - len(unknown), "unknown": unknown})

    def _taken_over(self, item: IntegrationItem) -> None:
        """What the owners hold becomes the contract's here, as a correction, each time that it is told."""
        changes: Body = {}
        for path, value in (item.values or {}).items():
            head, _, name = path.partition(".")
            if path in self._clm.adopts:
                changes[head] = {name: value} if name else value
        if changes:
            body: Body = {"overrides": self._clm.store.revision_of(item.contract_id), "changes": changes}
            self._clm.perform(Change(item.contract_id, ChangeKind.CORRECTED, body))

    async def adopt(self, request: Request) -> Response:
        asked = Adopts.model_validate_json(await request.body())
        self._clm.adopts = frozenset(asked.fields)
        return as_json({"status": "set"})

    async def play(self, request: Request) -> Response:
        return self._done(
            self._clm.perform(PlayedChange.model_validate_json(await request.body()).change()), status=201
        )

    async def repeat(self, request: Request) -> Response:
        return self._done(self._clm.perform(Repeat(request.path_params["contract_id"])))

    async def faults(self, request: Request) -> Response:
        asked = FaultSettings.model_validate_json(await request.body())
        longest = timedelta(seconds=asked.longest_delay_s)
        self._clm.outbox.rates = FaultRates(asked.drop, asked.duplicate, asked.delay, asked.reorder, longest)
        for contract_id, fault in asked.next_of.items():
            self._clm.outbox.demand(contract_id, fault)
        return as_json({"status": "set"})

    async def webhook(self, request: Request) -> Response:
        asked = WebhookSettings.model_validate_json(await request.body())
        try:
            self._clm.outbox.subscribe(Target(asked.url, asked.secret, asked.batched, asked.most))
        except ValueError as wrong:
            raise BadRequest(str(wrong)) from wrong
        return as_json({"status": "subscribed"})

    @staticmethod
    def _done(recorded: Recorded | None, status: int = 200) -> Response:
        if recorded is None:
            return as_json({}, status)
        return as_json(
            {"contract_id": recorded.contract_id, "revision": recorded.revision, "event_id": recorded.event_id}, status
        )
