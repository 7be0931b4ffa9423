"""POST /v1/events answers with receipts, or with a problem and nothing stored."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, timedelta

import httpx
import orjson
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.web import webhooks
from app.web.webhooks import Intake
from sync_core.clock import VirtualClock
from sync_core.estate.estate import Estate
from sync_core.estate.schemas import SchemaPlan
from sync_core.events import PREFIX, REGISTRY
from sync_core.intake.cloudevents import BATCH, JSON, STRUCTURED
from sync_core.intake.signatures import sign, signing_key
from sync_core.journal.bell import Bell
from tests.intake.deliveries import NOW, rows
from tests.intake.test_quarantine import OTHER, wider_estate
from tests.sows import SOURCE, cloud_event, signed
from tests.versions import as_v2

KEY = signing_key("whsec_" + base64.b64encode(bytes(32)).decode())
OTHER_KEY = signing_key("whsec_" + base64.b64encode(bytes([1] * 32)).decode())
LIMIT = 20_000

Client = httpx.AsyncClient


@asynccontextmanager
async def asked_by(engine: AsyncEngine, estate: Estate | None = None) -> AsyncIterator[Client]:
    """Who asks the intake; at the end no ring of the bell is on its way."""
    bell = Bell(engine)
    intake = Intake(
        engine, estate or wider_estate(), {SOURCE: [KEY], OTHER: [OTHER_KEY]}, VirtualClock(NOW), bell, LIMIT
    )
    app = FastAPI()
    app.include_router(webhooks.router(intake))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tieline") as client:
        yield client
    await bell.aclose()


@pytest.fixture
async def client(async_database: AsyncEngine) -> AsyncIterator[Client]:
    async with asked_by(async_database) as client:
        yield client


def structured(event_id: str, contract: str, kind: str = "signed.v1") -> bytes:
    return orjson.dumps(cloud_event(event_id, kind, signed(contract)))


def headers(body: bytes, content_type: str = STRUCTURED) -> dict[str, str]:
    return {"content-type": content_type, **sign(body, webhook_id="msg_1", at=NOW, key=KEY)}


async def post(client: Client, body: bytes, content_type: str = STRUCTURED) -> httpx.Response:
    return await client.post("/v1/events", content=body, headers=headers(body, content_type))


async def test_an_event_is_accepted_and_its_repeat_is_answered_as_before(
    client: Client, async_database: AsyncEngine
) -> None:
    first = await post(client, structured("e-1", "C-1"))
    assert first.status_code == 202
    [receipt] = first.json()["receipts"]
    assert (receipt["event_id"], receipt["source"], receipt["status"]) == ("e-1", SOURCE, "accepted")
    again = await post(client, structured("e-1", "C-1"))
    assert again.status_code == 200
    assert again.json()["receipts"] == [receipt | {"status": "duplicate"}]
    assert len(await rows(async_database, "SELECT 1 FROM core.event")) == 1


async def test_the_sender_of_a_deprecated_version_is_told_so_in_the_headers(async_database: AsyncEngine) -> None:
    plan = SchemaPlan(f"{PREFIX}signed.v1", date(2026, 1, 1), date(2027, 6, 30))
    dated = replace(wider_estate(), schema=(plan,))
    async with asked_by(async_database, dated) as client:
        first = await post(client, structured("e-1", "C-1"))
        again = await post(client, structured("e-1", "C-1"))
        second = orjson.dumps(cloud_event("e-2", "signed.v2", as_v2(signed("C-2"))))
        later = await post(client, second)
        mixed = await post(client, b"[" + second + b"," + structured("e-3", "C-3") + b"]", BATCH)
        listed = (await client.get("/v1/schemas")).json()["schemas"]
    for answer in (first, again, mixed):
        assert answer.headers["deprecation"] == "@1767225600"
        assert answer.headers["sunset"] == "Wed, 30 Jun 2027 00:00:00 GMT"
        assert '</v1/schemas/com.tieline.contract.signed.v2>; rel="successor-version"' in answer.headers["link"]
    assert (first.status_code, again.status_code, later.status_code) == (202, 200, 202)
    assert "deprecation" not in later.headers
    known = {one["type"]: one for one in listed}
    assert known[f"{PREFIX}signed.v1"] == {
        "type": f"{PREFIX}signed.v1", "signature": True, "state": "deprecated", "owner": "legal", "since": "0.1.0",
        "deprecated_on": "2026-01-01", "sunset_on": "2027-06-30", "removed_on": None,
        "successor": f"{PREFIX}signed.v2", "href": f"/v1/schemas/{PREFIX}signed.v1",
        "summary": "Fully executed: the whole terms, as of the last signature.",
    }  # fmt: skip
    assert known[f"{PREFIX}signed.v2"]["state"] == "active"


async def test_a_batch_answers_for_each_of_its_events(client: Client) -> None:
    events = [structured("e-1", "C-1"), structured("e-2", "C-2", "signed.v9"), structured("e-1", "C-1")]
    answer = await post(client, b"[" + b",".join(events) + b"]", BATCH)
    assert answer.status_code == 202
    assert [r["status"] for r in answer.json()["receipts"]] == ["accepted", "quarantined", "duplicate"]
    assert "not registered" in answer.json()["receipts"][1]["reason"]


async def test_binary_mode(client: Client, async_database: AsyncEngine) -> None:
    body = orjson.dumps(signed("C-1"))
    attributes = {"ce-id": "e-1", "ce-source": SOURCE, "ce-type": "com.tieline.contract.signed.v1"}
    sent = headers(body, JSON) | attributes | {"ce-specversion": "1.0", "ce-note": "Euro%20%E2%82%AC"}
    assert (await client.post("/v1/events", content=body, headers=sent)).status_code == 202
    [stored] = await rows(async_database, "SELECT occurred_at, attributes FROM core.event")
    assert (stored.occurred_at, stored.attributes["note"]) == (NOW, "Euro €")


async def refused(client: Client, status: int, code: str, body: bytes, sent: dict[str, str]) -> str:
    answer = await client.post("/v1/events", content=body, headers=sent | {"x-correlation-id": "mine-1"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"], problem["correlation_id"]) == (status, code, "mine-1")
    assert problem["type"] == f"urn:tieline:problem:{code}"
    return str(problem["detail"])


async def test_a_refused_request_is_a_problem_and_leaves_nothing(client: Client, async_database: AsyncEngine) -> None:
    good = structured("e-1", "C-1")
    stale = sign(good, webhook_id="m", at=NOW - timedelta(minutes=6), key=KEY)
    typed = {"content-type": STRUCTURED}
    assert "JSON" in await refused(client, 400, "event.malformed", b"{", headers(b"{"))
    nameless = orjson.dumps({"specversion": "1.0", "source": SOURCE, "type": "t"})
    assert "id is missing" in await refused(client, 400, "event.malformed", nameless, headers(nameless))
    assert "webhook-id" in await refused(client, 401, "event.bad_signature", good, typed)
    assert "behind" in await refused(client, 401, "event.bad_signature", good, typed | stale)
    await refused(client, 415, "event.unsupported_media_type", good, headers(good, "text/plain"))
    await refused(client, 415, "event.unsupported_media_type", good, headers(good) | {"content-encoding": "gzip"})
    large = structured("e-1", "C" * LIMIT)
    await refused(client, 413, "event.too_large", large, headers(large))
    assert await rows(async_database, "SELECT 1 FROM core.event UNION ALL SELECT 1 FROM core.quarantine") == []


async def test_a_clm_cannot_speak_for_another(client: Client) -> None:
    foreign = orjson.dumps(cloud_event("e-1", "signed.v1", signed("C-1")) | {"source": OTHER})
    assert OTHER in await refused(client, 401, "event.bad_signature", foreign, headers(foreign))
    mixed = b"[" + structured("e-2", "C-2") + b"," + foreign + b"]"
    assert OTHER in await refused(client, 401, "event.bad_signature", mixed, headers(mixed, BATCH))
    unknown = foreign.replace(OTHER.encode(), b"urn:nobody")
    assert "urn:nobody" in await refused(client, 401, "event.bad_signature", unknown, headers(unknown))


async def test_the_limit_holds_without_a_content_length(client: Client) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100:
            sent += 1
            yield b" " * 1000

    answer = await client.post("/v1/events", content=endless(), headers={"content-type": STRUCTURED})
    assert (answer.status_code, answer.json()["code"]) == (413, "event.too_large")


async def test_without_a_database_the_sender_is_told_to_come_again() -> None:
    engine = create_async_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    async with asked_by(engine) as client:
        answer = await post(client, structured("e-1", "C-1"))
    assert (answer.status_code, answer.json()["code"]) == (503, "database.unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "127.0.0.1" not in answer.text


async def test_the_schemas_are_served(client: Client) -> None:
    listed = (await client.get("/v1/schemas")).json()["schemas"]
    assert [entry["type"] for entry in listed] == list(REGISTRY)
    for entry in listed:
        answer = await client.get(entry["href"])
        assert answer.headers["content-type"] == "application/schema+json"
        Draft202012Validator.check_schema(answer.json())
    missing = await client.get("/v1/schemas/nothing.v1")
    assert (missing.status_code, missing.json()["code"]) == (404, "http.not_found")


async def test_the_api_description_holds_the_modes_and_the_answers(client: Client) -> None:
    described = (await client.get("/openapi.json")).json()["paths"]["/v1/events"]["post"]
    assert set(described["requestBody"]["content"]) == {STRUCTURED, BATCH, JSON}
    assert {"200", "202", "400", "401", "413", "415", "503"} <= set(described["responses"])
