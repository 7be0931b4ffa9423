"""sandbox-legacy: its window, its nights, its groups, and what it refuses."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from app.sandbox.legacy import admin, server
from app.sandbox.legacy.server import SandboxLegacy
from sync_core.clock import VirtualClock
from sync_core.connectors.erp.sandbox_legacy.layout import CODE_PAGE, file_of, line_of, record_of, records_in
from sync_core.lanes.batches import BatchWindow

WINDOW = BatchWindow(time(22), time(4), time(6), "UTC")
EVENING = datetime(2026, 3, 3, 22, 30, tzinfo=UTC)
MORNING = datetime(2026, 3, 4, 6, tzinfo=UTC)
MASTER: dict[str, object] = {
    "currencies": [{"code": "03", "iso": "EUR"}, {"code": "41", "iso": "KWD"}],
    "legal_entities": [{"code": "0100", "name": "Example GmbH", "currency": "EUR"}],
    "tax_codes": [{"legal_entity": "0100", "code": "V20", "rate": "20"}],
    "payment_terms": [{"code": "Z30", "days": "30"}],
    "revenue_categories": [{"code": "E10", "account": "4000"}],
    "customers": [{"code": "K1", "name": "Kunde", "tax_registration": "ATU1", "country": "AT"}],
}
TOKEN, PASSWORD = "admin-token", "password"


def build(clock: VirtualClock, state: Path | None = None) -> SandboxLegacy:
    app = server.build(clock, window=WINDOW, password=PASSWORD, admin_token=TOKEN, state=state)
    admin.put_master(app.store, MASTER)
    app.nights.publish(clock.now())
    return app


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(EVENING)


@pytest.fixture
def app(clock: VirtualClock) -> SandboxLegacy:
    return build(clock)


@pytest_asyncio.fixture
async def client(app: SandboxLegacy) -> AsyncIterator[httpx.AsyncClient]:
    transport, auth = httpx.ASGITransport(app), httpx.BasicAuth("tieline", PASSWORD)
    async with httpx.AsyncClient(transport=transport, base_url="http://legacy", auth=auth) as opened:
        yield opened


def group(owner: str) -> dict[str, str]:
    return {"type": "10", "owner": owner, "mark": "m"}


def order(key: str, **more: str) -> dict[str, str]:
    return {
        "type": "30", "action": "P", "key": key, "name": "Auftrag", "entity": "0100", "customer": "K1", "method": "F",
        "currency": "03", "value": "100000", "starts": "20260301", "terms": "Z30", "tax": "V20", **more,
    }  # fmt: skip


def milestone(key: str, order_key: str, **more: str) -> dict[str, str]:
    return {
        "type": "32", "action": "P", "key": key, "order": order_key, "name": "Stufe", "amount": "100000",
        "currency": "03", "bill_on": "20260310", "category": "E10", **more,
    }  # fmt: skip


def release(key: str) -> dict[str, str]:
    return {"type": "30", "action": "A", "key": key}


def batch(name: str, *records: dict[str, str]) -> bytes:
    return file_of(name, "BATCH", "20260303223000", (line_of(record) for record in records))


async def send(client: httpx.AsyncClient, name: str, *records: dict[str, str]) -> httpx.Response:
    return await client.put(f"/inbox/{name}", content=batch(name, *records))


async def answers(client: httpx.AsyncClient, name: str) -> list[tuple[str, str]]:
    """Answer and code of each record of a batch, groups too."""
    text = (await client.get(f"/files/RES-{name}")).content.decode(CODE_PAGE)
    return [(r["answer"], r["code"]) for r in records_in(text) if r["type"] == "60"]


async def test_out_of_hours_it_says_when_it_opens(client: httpx.AsyncClient, clock: VirtualClock) -> None:
    clock.advance_to(MORNING)
    answer = await send(client, "T1", group("a"), order("a"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, str(16 * 3600 + 1))
    assert answer.json()["detail"] == "batches are taken from 22:00 to 04:00 (UTC)"
    assert (await client.get("/files")).json()["inbox"] == []


async def test_what_is_sent_in_the_evening_lies_in_the_inbox_and_stands_in_the_morning(
    client: httpx.AsyncClient, clock: VirtualClock
) -> None:
    sent = await send(client, "T1", group("a"), order("a"), milestone("a#M:1", "a"), release("a"))
    assert (sent.status_code, sent.json()["answer_due"]) == (202, MORNING.isoformat())
    before = (await client.get("/files")).json()
    assert [row["file"] for row in before["inbox"]] == ["T1"]
    clock.advance_to(MORNING)
    listed = (await client.get("/files")).json()
    assert listed["inbox"] == []
    assert await answers(client, "T1") == [("P", "000")] * 3
    dump = records_in((await client.get(f"/files/{listed['dumps'][0]['file']}")).content.decode(CODE_PAGE))
    held = {r["type"]: r for r in dump}
    assert (held["30"]["released"], held["30"]["value"], held["32"]["order"]) == ("J", "100000", "a")


async def test_a_group_is_posted_whole_or_not_at_all_and_others_are_not_concerned(
    client: httpx.AsyncClient, clock: VirtualClock, app: SandboxLegacy
) -> None:
    wrong = milestone("a#M:2", "a", category="NONE")
    await send(
        client, "T1",
        group("a"), order("a"), milestone("a#M:1", "a"), wrong, release("a"),
        group("b"), order("b"), release("b"),
    )  # fmt: skip
    clock.advance_to(MORNING)
    assert await answers(client, "T1") == [
        ("H", "G00"),
        ("H", "G00"),
        ("X", "R01"),
        ("H", "G00"),
        ("P", "000"),
        ("P", "000"),
    ]
    assert [doc["external_id"] for doc in app.store.all("project")] == ["b"]


async def test_the_same_record_in_two_batches_is_posted_twice(
    client: httpx.AsyncClient, clock: VirtualClock, app: SandboxLegacy
) -> None:
    for name in ("T1", "T2"):
        await send(client, name, group("a"), order("a"))
    assert (await send(client, "T1", group("a"), order("a"))).status_code == 409
    clock.advance_to(MORNING)
    await client.get("/files")
    assert len(list(app.store.all("project"))) == 2


async def test_what_is_billed_is_never_reversed_and_an_order_takes_it_along_when_posted_again(
    client: httpx.AsyncClient, clock: VirtualClock, app: SandboxLegacy
) -> None:
    await send(client, "T1", group("a"), order("a"), milestone("a#M:1", "a"), release("a"))
    clock.advance_to(datetime(2026, 3, 12, 23, tzinfo=UTC))
    await client.get("/files")
    (billed,), (posted,) = app.store.all("milestone"), app.store.all("project")
    assert billed["billed"]
    reverse = {"type": "32", "action": "R", "document": str(billed["id"])}
    again = [{"type": "30", "action": "R", "document": str(posted["id"])}, order("a", value="200000")]
    await send(client, "T2", group("a"), reverse)
    await send(client, "T3", group("a"), again[0])
    await send(client, "T4", group("a"), *again)
    clock.advance_to(datetime(2026, 3, 13, 6, tzinfo=UTC))
    assert await answers(client, "T2") == [("X", "B01")]
    assert await answers(client, "T3") == [("X", "O07")]
    assert await answers(client, "T4") == [("P", "000")] * 2
    (live,) = [doc for doc in app.store.all("project") if doc["status"] == "active"]
    (kept,) = app.store.all("milestone")
    assert (live["contract_value"], live["billed_amount"]) == ("2000.00", "1000.00")
    assert (kept["project_id"], kept["billed"]) == (live["id"], True)


async def test_what_is_posted_tonight_is_billed_in_the_next_night_at_the_earliest(
    client: httpx.AsyncClient, clock: VirtualClock, app: SandboxLegacy
) -> None:
    late = milestone("a#M:1", "a", bill_on="20260301")
    await send(client, "T1", group("a"), order("a"), late, release("a"))
    clock.advance_to(MORNING)
    await client.get("/files")
    assert list(app.store.all("invoice")) == []
    clock.advance_to(MORNING + timedelta(days=1))
    await client.get("/files")
    assert [doc["amount"] for doc in app.store.all("invoice")] == ["1000.00"]


async def test_a_file_that_does_not_follow_the_layout_is_refused_whole(client: httpx.AsyncClient) -> None:
    content = batch("T1", group("a"), order("a"))
    assert (await client.put("/inbox/T1", content=content[:-20])).status_code == 422
    assert (await client.put("/inbox/no-such-name", content=content)).status_code == 422
    assert (await client.get("/files")).json()["inbox"] == []


async def test_only_who_has_the_password_gets_in(app: SandboxLegacy) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://legacy") as stranger:
        assert (await stranger.get("/files")).status_code == 401
        assert (await stranger.get("/files", auth=("tieline", "guess"))).status_code == 401
        assert (await stranger.post("/_sandbox/night")).status_code == 401


async def test_a_restart_loses_nothing(tmp_path: Path, clock: VirtualClock) -> None:
    state, auth = tmp_path / "legacy.jsonl", httpx.BasicAuth("tieline", PASSWORD)
    app = build(clock, state)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://legacy", auth=auth) as client:
        await send(client, "T1", group("a"), order("a"), release("a"))
    app.close()
    clock.advance_to(MORNING)
    app = build(clock, state)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://legacy", auth=auth) as client:
        assert (await client.get("/files")).json()["inbox"] == []
        assert await answers(client, "T1") == [("P", "000")] * 2
    assert [doc["status"] for doc in app.store.all("project")] == ["active"]
    app.close()


async def test_an_answer_repeats_the_group_with_its_mark(client: httpx.AsyncClient, clock: VirtualClock) -> None:
    await send(client, "T1", group("a"), order("a"))
    clock.advance_to(MORNING)
    text = (await client.get("/files/RES-T1")).content.decode(CODE_PAGE)
    told = record_of(text.split("\r\n")[1])
    assert (told["type"], told["owner"], told["mark"], told["action"]) == ("10", "a", "m", "P")
