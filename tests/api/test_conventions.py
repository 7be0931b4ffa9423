"""What all resources have in common: pages, entity tags, idempotency, problems, and no cookie that opens anything."""

import asyncio

import httpx
import pytest
import sqlalchemy as sa

from app.identity.sessions import Person, Rules, Sessions, start_session
from sync_core.authority import Permission
from tests.api.door import Door, if_match, key
from tests.reads.handmade import add_case, add_contract

P = Permission


def next_of(answer: httpx.Response, rel: str = "next") -> str | None:
    return answer.links[rel]["url"].removeprefix("/v1") if rel in answer.links else None


async def test_pages_are_walked_to_the_end_and_back_by_their_links(door: Door) -> None:
    made = [add_contract(door.engine, external_id=f"W-{n}") for n in range(7)]
    async with door.calls(P.CONTRACTS_READ) as program:
        seen, address, pages = [], "/contracts?limit=3&sort=signed&lane=cloud", []
        while address:
            answer = await program.get(address)
            pages.append([item["contract_id"] for item in answer.json()["items"]])
            seen += pages[-1]
            assert (answer.json()["total"], answer.json()["capped"]) == (7, False)
            address = next_of(answer) or ""
        assert sorted(seen) == sorted(made)
        assert answer.json()["next"] is None
        back = await program.get(next_of(answer, "prev") or "")
        assert [item["contract_id"] for item in back.json()["items"]] == pages[-2]
        assert "lane=cloud" in (next_of(back) or "")
        assert (await program.get("/contracts?limit=3")).json()["prev"] is None


@pytest.mark.parametrize("cursor", ["x", "YQ", "%00", "YX54", "YTE~", "YTF-MWU5OTk5OTk", "Y" * 200])
async def test_a_cursor_that_is_none_of_ours_is_refused(door: Door, firm: dict[str, int], cursor: str) -> None:
    async with door.calls(P.CONTRACTS_READ) as program:
        answer = await program.get(f"/contracts?cursor={cursor}&sort=value")
    assert (answer.status_code, answer.json()["code"]) == (422, "reads.invalid_cursor")


@pytest.mark.parametrize("address", ["/contracts?limit=501", "/contracts?limit=0", "/contracts?state=gone",
                                     "/contracts?text=%00", f"/contracts/{2**63}", "/contracts/0"])  # fmt: skip
async def test_values_out_of_range_are_named(door: Door, address: str) -> None:
    async with door.calls(P.CONTRACTS_READ) as program:
        answer = await program.get(address)
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")


async def test_a_misspelt_filter_lists_nothing(door: Door, firm: dict[str, int]) -> None:
    async with door.calls(P.CONTRACTS_READ) as program:
        answer = await program.get("/contracts?legal_entty=GB01")
    assert (answer.status_code, answer.json()["code"]) == (422, "request.unknown_parameter")
    assert "legal_entity" in answer.json()["detail"]


async def test_a_change_names_the_version_it_is_based_on(door: Door, firm: dict[str, int]) -> None:
    case = firm["case L-1"]
    async with door.calls() as program:
        tag = (await program.get(f"/exceptions/{case}")).headers["etag"]
        assert tag == 'W/"1"'
        call = f"/exceptions/{case}/assign"
        missing = await program.post(call, json={"assignee": "a@example.com"})
        assert (missing.status_code, missing.json()["code"]) == (428, "request.if_match_missing")
        done = await program.post(call, json={"assignee": "a@example.com"}, headers=if_match(tag))
        assert done.json() == {"changed": [case], "refused": []}
        for old in (tag, '"1"', "1", "nonsense", 'W/"1", W/"2"'):
            late = await program.post(call, json={"assignee": "b@example.com"}, headers=if_match(old))
            assert (late.status_code, late.json()["code"]) == (412, "command.changed"), old
        assert (await program.post(call, json={"assignee": "c@example.com"}, headers=if_match("*"))).is_success
        assert (await program.get(f"/exceptions/{case}")).json()["exception"]["assignee"] == "c@example.com"


async def test_a_repeat_gets_the_first_answer_and_does_nothing(door: Door, firm: dict[str, int]) -> None:
    case = firm["case L-1"]
    async with door.calls() as program:
        call, body = f"/exceptions/{case}/comments", {"text": "called the client"}
        first = await program.post(call, json=body, headers=key("a"))
        again = await program.post(call, json=body, headers=key("a"))
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert again.content == first.content
        other = await program.post(call, json={"text": "another"}, headers=key("a"))
        assert (other.status_code, other.json()["code"]) == (422, "idempotency.key_reused")
        elsewhere = await program.post(f"/exceptions/{firm['case N-1']}/comments", json=body, headers=key("a"))
        assert elsewhere.json()["code"] == "idempotency.key_reused"
        assert len(door.audited("exception.comment")) == 1
    async with door.calls() as another:  # keys are each program's own
        assert (await another.post(call, json=body, headers=key("a"))).is_success
    assert len(door.audited("exception.comment")) == 2


async def test_a_refused_request_leaves_its_key_free(door: Door, firm: dict[str, int]) -> None:
    call, body = f"/exceptions/{firm['case L-1']}/acknowledge", {"headers": {**key("k"), **if_match(9)}}
    async with door.calls() as program:
        assert (await program.post(call, **body)).status_code == 412  # type: ignore[arg-type]
        assert (await program.post(call, headers={**key("k"), **if_match(1)})).is_success


async def test_of_two_at_once_under_one_key_one_is_done(door: Door, firm: dict[str, int]) -> None:
    call = f"/exceptions/{firm['case L-1']}/comments"
    async with door.calls() as program:
        many = [program.post(call, json={"text": "once"}, headers=key("k")) for _ in range(6)]
        answers = await asyncio.gather(*many)
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert {a.json()["code"] for a in answers if a.status_code == 409} <= {"idempotency.in_use"}
    assert len(door.audited("exception.comment")) == 1


@pytest.mark.parametrize("header", ["plain", '"', '""', '"a', '"a"; p=1', '"a" "b"', '"é"', '"' + "x" * 201 + '"'])
async def test_a_key_that_is_no_quoted_text_is_refused(door: Door, firm: dict[str, int], header: str) -> None:
    call = f"/exceptions/{firm['case L-1']}/comments"
    async with door.calls() as program:
        answer = await program.post(call, json={"text": "x"}, headers={b"idempotency-key": header.encode()})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency.key_malformed")
    assert not door.audited("exception.comment")


async def test_bulk_needs_a_key(door: Door, firm: dict[str, int]) -> None:
    async with door.calls() as program:
        answer = await program.post("/exceptions/acknowledge", json={"exceptions": [{"exception_id": 1}]})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency.key_missing")


async def test_of_many_those_that_can_be_are_changed_and_the_others_say_why(door: Door, firm: dict[str, int]) -> None:
    ours, stale, theirs = firm["case L-1"], add_case(door.engine, firm["L-1"], "tax_missing"), firm["case N-1"]
    body = {"exceptions": [{"exception_id": ours, "version": 1}, {"exception_id": stale, "version": 7},
                           {"exception_id": theirs}], "assignee": "a@example.com"}  # fmt: skip
    async with door.calls(entities=frozenset({"GB01"})) as program:
        done = (await program.post("/exceptions/assign", json=body, headers=key("b"))).json()
    assert done["changed"] == [ours]
    assert {(one["exception_id"], one["code"]) for one in done["refused"]} == {
        (stale, "command.changed"), (theirs, "command.not_found"),
    }  # fmt: skip


async def test_a_body_over_the_limit_is_not_read(door: Door) -> None:
    async def endless() -> object:
        for _ in range(100):
            yield b"x" * 65_536

    async with door.calls() as program:
        answer = await program.post("/replays", content=endless(), headers={"content-type": "application/json"})  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"text": "\\ud800"}', b'{"text": "a\\u0000b"}', b"[]",
                                  b'{"text": "x", "more": 1}', b'{"text": 7}', b"null", b"1" * 5000])  # fmt: skip
async def test_a_body_that_cannot_be_used_is_refused(door: Door, firm: dict[str, int], body: bytes) -> None:
    call, headers = f"/exceptions/{firm['case L-1']}/comments", {"content-type": "application/json"}
    async with door.calls() as program:
        answer = await program.post(call, content=body, headers=headers)
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_what_no_route_answers_is_a_problem(door: Door) -> None:
    async with door.calls() as program:
        nowhere = await program.get("/nothing/here")
        assert (nowhere.status_code, nowhere.json()["code"]) == (404, "http.not_found")
        wrong = await program.delete("/contracts")
        assert (wrong.status_code, wrong.json()["code"], wrong.headers["allow"]) == (
            405, "http.method_not_allowed", "GET",
        )  # fmt: skip
        assert (await program.patch("/exceptions/filters/mine")).headers["allow"] == "DELETE, GET, PUT"


async def test_the_cookie_of_a_browser_opens_nothing(door: Door, firm: dict[str, int]) -> None:
    """No ambient credentials, so another site cannot make a browser call the API."""
    sessions = Sessions(door.engine, door.clock, Rules())
    with door.engine.begin() as conn:
        secret = start_session(
            conn, Person("a@example.com", ("administrator",)), now=door.clock.now(), rules=Rules(), how="link"
        )
    assert sessions.find(secret) is not None
    async with door.bearing(None) as browser:
        for name in ("tieline_session", "__Host-tieline"):
            cookie = {"cookie": f"{name}={secret}"}
            assert (await browser.get("/contracts", headers=cookie)).status_code == 401
            done = await browser.post(
                f"/exceptions/{firm['case L-1']}/comments",
                json={"text": "x"},
                headers={**cookie, "x-auth-email": "a@b"},
            )
            assert done.status_code == 401
    with door.engine.connect() as conn:
        assert conn.scalar(sa.text("SELECT count(*) FROM core.audit WHERE action LIKE 'exception.%'")) == 0


async def test_answers_are_kept_by_no_cache(door: Door, firm: dict[str, int]) -> None:
    async with door.calls() as program:
        assert (await program.get("/contracts")).headers["cache-control"] == "no-store"
