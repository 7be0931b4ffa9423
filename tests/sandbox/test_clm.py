"""The sandbox CLM's promises: revisions and events, the feed, write-back, and what it remembers."""

from pathlib import Path

import httpx
import orjson
import pytest

from app.sandbox.clm.app import SandboxClm
from app.sandbox.clm.changes import Change, ChangeKind, Repeat
from app.sandbox.clm.server import build
from app.sandbox.clm.webhooks import Delivery
from sync_core.clock import VirtualClock
from sync_core.events import understand
from tests.sandbox.clm_process import SECRET, TOKEN, ClmProcess, Receiver, running_clm
from tests.sandbox.clm_world import TARGET, TERMS, Inbox, draft, signed_right


async def test_every_change_raises_the_revision_and_publishes_one_event_that_is_understood(
    http: httpx.AsyncClient, clm: SandboxClm
) -> None:
    one = "/api/contracts/C-1"
    changes = {"value": 15000, "milestones": [{"key": "M2", "name": "More", "amount": 2999.5, "due_on": "2026-07-30"}]}
    asked = [
        ("/api/contracts", {"contract_id": "C-1", "terms": TERMS}),
        (f"{one}/draft", {"terms": {**TERMS, "title": "Pricing review II"}}),
        (f"{one}/approval", {"approval": "approved"}),
        (f"{one}/clauses", {"clauses": {"audit_rights": "negotiated"}}),
        (f"{one}/signature", {}),
        (f"{one}/amendments", {"changes": changes}),
        (f"{one}/amendments", {"amendment": {"summary": "PO"}, "changes": {"po_number": "PO-7"}}),
        (f"{one}/corrections", {"overrides": 5, "changes": {"geography": "Europe"}}),
        (f"{one}/renewals", {"renewal": {"renews_on": "2027-06-30"}, "ends_on": "2027-06-30"}),
        (f"{one}/renewal-talks", {"initiated_on": "2026-08-01"}),
        (f"{one}/renewal-refusals", {"declined_on": "2026-08-02"}),
        (f"{one}/suspension", {"suspended_on": "2026-08-03"}),
        (f"{one}/resumption", {"resumed_on": "2026-08-04"}),
        (f"{one}/termination", {"ended_on": "2026-09-01", "reason": "stopped"}),
    ]
    answers = [(await http.post(path, json=body)).json() for path, body in asked]
    assert [answer["revision"] for answer in answers] == list(range(1, len(asked) + 1))
    events = [orjson.loads(event) for event in clm.store.feed]
    assert len({(e["source"], e["id"]) for e in events}) == len(asked)
    for event in events:
        assert event["specversion"] == "1.0"
        understand(event["type"], orjson.dumps(event["data"]))
    shown = (await http.get(one)).json()["contract"]
    assert shown["stage"] == "terminated"
    assert shown["terms"] | {"value": 15000, "po_number": "PO-7", "geography": "Europe"} == shown["terms"]
    assert [amendment["number"] for amendment in shown["amendments"]] == [1, 2]


async def test_a_cancelled_contract_is_shown_as_cancelled(http: httpx.AsyncClient) -> None:
    await http.post("/api/contracts", json={"contract_id": "C-1", "terms": TERMS})
    await http.post("/api/contracts/C-1/signature", json={})
    await http.post("/api/contracts/C-1/cancellation", json={"ended_on": "2026-03-04"})
    assert (await http.get("/api/contracts/C-1")).json()["contract"]["stage"] == "cancelled"


async def test_the_feed_is_read_page_by_page_without_gap_or_repetition(
    http: httpx.AsyncClient, clm: SandboxClm
) -> None:
    for n in range(7):
        clm.perform(draft(f"C-{n}"))
    seen, watermark, more = [], "", True
    while more:
        page = (await http.get("/api/events", params={"after": watermark, "limit": "3"})).json()
        seen += [event["subject"] for event in page["events"]]
        watermark, more = page["watermark"], page["more"]
    assert seen == [f"C-{n}" for n in range(7)]
    assert (await http.get("/api/events", params={"after": watermark})).json()["events"] == []


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/contracts/C-9/signature", {}, 404),
        ("/api/contracts/C-1/nonsense", {}, 404),
        ("/api/contracts", {"terms": {"title": "no more than a title"}}, 422),
        ("/sandbox/changes", {"contract_id": "C-1", "kind": "approved", "body": {}, "revision": 1}, 409),
        ("/sandbox/changes", {"contract_id": "C-1", "kind": "invented", "body": {}}, 422),
    ],
)
async def test_a_refusal_is_a_problem_document_and_changes_nothing(
    http: httpx.AsyncClient, clm: SandboxClm, path: str, body: dict[str, object], status: int
) -> None:
    clm.perform(draft("C-1"))
    answer = await http.post(path, json=body)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(clm.store.feed) == 1


async def test_nobody_gets_in_without_the_token(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/events", headers={"authorization": "Bearer guess"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert (await http.get("/healthz", headers={"authorization": ""})).status_code == 200


async def test_a_write_back_is_kept_and_is_no_change_of_the_contract(http: httpx.AsyncClient, clm: SandboxClm) -> None:
    clm.perform(draft("C-1"))
    clm.perform(draft("PR-1:1"))
    status = {"status": "active", "project_ref": "PRJ-7", "erp": "cloud", "provisioned_at": "2026-03-02T10:00:00Z"}
    assert (await http.post("/api/contracts/C-1/integration", json=status)).status_code == 200
    items = [{**status, "contract_id": "PR-1:1", "status": "failed"}, {**status, "contract_id": "C-404"}]
    bulk = (await http.post("/api/integration", json={"items": items})).json()
    assert bulk == {"written": 1, "unknown": ["C-404"]}
    assert (await http.get("/api/contracts/C-1")).json()["integration"] == status
    assert (await http.get("/api/contracts/PR-1:1")).json()["integration"]["status"] == "failed"
    assert len(clm.store.feed) == 2


async def test_an_unknown_payload_version_is_published_as_it_is(http: httpx.AsyncClient, clm: SandboxClm) -> None:
    clm.perform(draft("C-1"))
    strange = {"contract_id": "C-1", "kind": "signed", "version": 9, "body": {"agreement": {}}}
    assert (await http.post("/sandbox/changes", json=strange)).status_code == 201
    assert orjson.loads(clm.store.feed[-1])["type"] == "com.tieline.contract.signed.v9"
    assert (await http.get("/api/contracts/C-1")).json()["contract"]["stage"] == "draft"


async def test_a_running_clm_is_switched_over_http(http: httpx.AsyncClient, clm: SandboxClm) -> None:
    faults = {"drop": 1.0, "next_of": {"C-1": "duplicate"}}
    assert (await http.put("/sandbox/faults", json=faults)).status_code == 200
    assert (await http.post("/api/contracts", json={"contract_id": "C-1", "terms": TERMS})).status_code == 201
    assert (await http.post("/api/contracts", json={"terms": TERMS})).json()["contract_id"] == "D-00002"
    assert (await http.post("/sandbox/contracts/C-1/repeat")).json()["event_id"] == "C-1.r1"
    batched = {"url": "https://elsewhere.example", "secret": SECRET, "batched": True}
    assert (await http.put("/sandbox/webhook", json=batched)).status_code == 200
    inbox = Inbox()
    await clm.deliver_due(inbox.send)
    assert [(d.url, orjson.loads(d.body)[0]["id"]) for d in inbox.got] == [("https://elsewhere.example", "C-1.r1")]
    listed = (await http.get("/api/contracts", params={"limit": "1"})).json()
    assert ([c["contract_id"] for c in listed["contracts"]], listed["next"]) == (["C-1"], 1)


async def test_a_request_that_cannot_be_understood_is_answered_with_what_to_send(http: httpx.AsyncClient) -> None:
    short = {"url": "https://tieline.example", "secret": "whsec_c2hvcnQ="}
    answers = [
        await http.get("/api/events", params={"after": "-1"}),
        await http.post("/api/contracts", content=b"[1]"),
        await http.post("/api/contracts", content=b"{"),
        await http.post("/api/contracts", json={"contract_id": 1, "terms": TERMS}),
        await http.put("/sandbox/webhook", json=short),
    ]
    assert [answer.status_code for answer in answers] == [400] * 5
    assert "24 to 64 bytes" in answers[-1].json()["detail"]


async def test_a_repeated_event_is_the_same_byte_for_byte(clm: SandboxClm) -> None:
    clm.perform(draft("C-1"))
    clm.perform(Repeat("C-1"))
    assert clm.store.feed[0] == clm.store.feed[1]
    inbox = Inbox()
    await clm.deliver_due(inbox.send)
    assert inbox.ids() == ["C-1.r1", "C-1.r1"]


async def test_a_restart_keeps_contracts_feed_status_and_what_is_still_to_be_delivered(
    clock: VirtualClock, tmp_path: Path
) -> None:
    journal = tmp_path / "clm.jsonl"
    first = build(clock, seed=1, token=TOKEN, webhook=TARGET, journal=journal)
    inbox = Inbox(202, 503)
    first.perform(draft("C-1"))
    await first.deliver_due(inbox.send)
    first.perform(draft("C-2"))
    first.perform(Repeat("C-2"))
    await first.deliver_due(Inbox(503, 503).send)
    first.store.integrate("C-1", {"status": "active"})
    feed, view = list(first.store.feed), first.store.view("C-1")
    first.close()
    with journal.open("ab") as torn:
        torn.write(b'{"kind":"event","contr')
    second = build(clock, seed=1, token=TOKEN, webhook=TARGET, journal=journal)
    assert (second.store.feed, second.store.view("C-1")) == (feed, view)
    after = Inbox()
    await second.deliver_due(after.send)
    assert after.ids() == ["C-2.r1", "C-2.r1"]
    recorded = second.perform(Change("C-1", ChangeKind.APPROVED, {"approval": "pending"}))
    assert recorded is not None
    assert recorded.revision == 2
    second.close()
    third = build(clock, seed=1, token=TOKEN, journal=journal)
    assert len(third.store.feed) == 4
    third.close()


def test_two_processes_cannot_share_a_journal(clock: VirtualClock, tmp_path: Path) -> None:
    first = build(clock, seed=1, token=TOKEN, journal=tmp_path / "clm.jsonl")
    with pytest.raises(RuntimeError, match="in use by another sandbox CLM"):
        build(clock, seed=1, token=TOKEN, journal=tmp_path / "clm.jsonl")
    first.close()


def test_what_a_process_acknowledged_survives_kill_9_and_is_still_delivered(tmp_path: Path) -> None:
    journal = tmp_path / "clm.jsonl"
    headers = {"authorization": f"Bearer {TOKEN}"}
    nobody = "http://127.0.0.1:9/hook"  # refuses: the discard port is closed
    process = ClmProcess(journal, nobody)
    with httpx.Client(base_url=process.url, headers=headers) as client:
        for n in range(20):
            answer = client.post("/api/contracts", json={"contract_id": f"C-{n}", "terms": TERMS})
            assert answer.status_code == 201
    process.kill()
    receiver = Receiver(refusals=1)
    try:
        with running_clm(journal, receiver.url) as again:
            with httpx.Client(base_url=again.url, headers=headers) as client:
                assert len(client.get("/api/events").json()["events"]) == 20
            assert receiver.arrived.wait(20)
    finally:
        receiver.close()
    sent, body = receiver.accepted[0]
    assert signed_right(Delivery("", sent, body))
