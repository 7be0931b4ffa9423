"""Schemathesis on what stands beside the API in the same document: intake, its schemas, and the token endpoint.

With test_fuzz.py that is every operation of the OpenAPI that the product publishes; a test holds the two to it.
"""

from typing import Any

import orjson
import pytest
import schemathesis
import sqlalchemy as sa
from fastapi import FastAPI
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.openapi import document
from app.identity import token_endpoint
from app.identity.refusal_counts import Refusals
from app.published.permissions_table import everything, routes
from app.web import webhooks
from sync_core.intake.signatures import sign, signing_key
from sync_core.journal.bell import Bell
from tests.api.door import Door
from tests.api.test_fuzz import Fuzz
from tests.databases import DatabaseUrls
from tests.rows import NOW, SOURCE

KEY = signing_key("whsec_" + "A" * 43 + "=")
AROUND = {"POST /oauth/token", "POST /v1/events", "GET /v1/schemas", "GET /v1/schemas/{event_type}"}

NEVER_WRONG = {"GET /v1/schemas", "GET /v1/schemas/{event_type}"}  # without a parameter, or with one that is any text


class Signing:
    """Signs what is delivered, as its sender would: without it nothing gets past the signature.

    Each request has a loop of its own here, which must not end while the bell rings in it.
    """

    def __init__(self, app: ASGIApp, bell: Bell) -> None:
        self._app, self._bell = app, bell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/v1/events":
            await self._app(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        body = _of_a_known_source(body)
        signed = sign(body, webhook_id="msg_fuzz", at=NOW, key=KEY)
        kept = [
            (name, value) for name, value in scope["headers"] if not name.startswith((b"webhook-", b"content-length"))
        ]
        headers = [*kept, *((name.encode(), value.encode()) for name, value in signed.items())]

        async def again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app({**scope, "headers": headers}, again, send)
        await self._bell.aclose()


def _of_a_known_source(body: bytes) -> bytes:
    """Of any other one nothing would be believed, however well it is signed."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    for one in given if isinstance(given, list) else [given]:
        if isinstance(one, dict) and isinstance(one.get("source"), str):
            one["source"] = SOURCE
    return orjson.dumps(given)


def whole(door: Door, urls: DatabaseUrls) -> FastAPI:
    """The door's application with what stands beside it in the product."""
    engine = create_async_engine(urls.app, poolclass=sa.NullPool)  # a connection stays with its loop
    bell = Bell(engine)
    intake = webhooks.Intake(engine, door.estate, {SOURCE: [KEY]}, door.clock, bell)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.bearer, app.state.api = door.app.state.bearer, door.app.state.api
    app.include_router(webhooks.router(intake))
    app.include_router(token_endpoint.router(door.tokens, Refusals(door.engine, door.clock)))
    app.add_middleware(Signing, bell=bell)
    published = document(app)

    @app.get("/v1/openapi.json", include_in_schema=False)
    def openapi() -> dict[str, Any]:
        return published

    return app


def test_both_fuzz_tests_together_know_every_operation_of_the_product(door: Door, database_urls: DatabaseUrls) -> None:
    beside = {thing.name for thing in routes(whole(door, database_urls))}
    assert beside == AROUND
    product = {thing.name for thing in everything() if thing.kind == "Route"}
    assert product == beside | {thing.name for thing in routes(door.app)}


@pytest.mark.parametrize("examples", [8, pytest.param(150, marks=pytest.mark.long)])
@pytest.mark.timeout(900)
def test_no_request_beside_the_api_gets_an_answer_that_is_not_published(
    door: Door, database_urls: DatabaseUrls, examples: int
) -> None:
    app, fuzz = whole(door, database_urls), Fuzz({}, examples)
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", app)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        modes = [GenerationMode.POSITIVE] if operation.label in NEVER_WRONG else list(GenerationMode)
        for mode in modes:
            fuzz.try_out(operation, mode)
    assert fuzz.answered[202], fuzz.answered
    assert {"POST /v1/events", "GET /v1/schemas"} <= fuzz.done
