"""Every route against every scope, and what a program that is limited to some legal entities gets to see."""

from typing import Any

import httpx

from app.published.permissions_table import routes
from sync_core.authority import Permission
from tests.api.door import Door, if_match, key, replay
from tests.rows import SOURCE
from tests.sows import milestone_terms

P = Permission
LONDON = frozenset({"GB01"})

# The least that each command takes; what it is about need not exist.
BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/approvals/{exception_id}/decide": {"approve": True, "reason": "as agreed"},
    "POST /v1/clients": {"client_id": "made-here", "scopes": ["access:write"], "entities": None},
    "POST /v1/clients/{client_id}/disable": {"reason": "not used"},
    "POST /v1/clients/{client_id}/secrets/{secret_id}/revoke": {"reason": "leaked"},
    "POST /v1/drift/compare": {},
    "POST /v1/drift/repair": {},
    "POST /v1/validations": {"terms": milestone_terms()},
    "POST /v1/exceptions/acknowledge": {"exceptions": [{"exception_id": 1}]},
    "POST /v1/exceptions/assign": {"exceptions": [{"exception_id": 1}], "assignee": None},
    "POST /v1/exceptions/decide": {"exceptions": [{"exception_id": 1}], "reason": "as agreed"},
    "POST /v1/exceptions/filters": {"name": "mine", "query": {}},
    "PUT /v1/exceptions/filters/{name}": {"query": {}},
    "POST /v1/exceptions/hand-over": {"exceptions": [{"exception_id": 1}], "function": "tax", "reason": "yours"},
    "POST /v1/exceptions/{exception_id}/assign": {"assignee": None},
    "POST /v1/exceptions/{exception_id}/comments": {"text": "x"},
    "POST /v1/exceptions/{exception_id}/correction": {"values": {}, "reason": "as agreed"},
    "POST /v1/exceptions/{exception_id}/correction/preview": {"values": {}},
    "POST /v1/exceptions/{exception_id}/decide": {"reason": "as agreed"},
    "POST /v1/exceptions/{exception_id}/hand-over": {"function": "tax", "reason": "yours"},
    "POST /v1/exceptions/{exception_id}/identify": {"record": None, "reason": "no relation"},
    "POST /v1/exceptions/{exception_id}/identify/take-back": {"code": "HM", "reason": "another firm"},
    "POST /v1/exceptions/{exception_id}/resolve": {"decisions": {"project.name": "ours"}, "reason": "as agreed"},
    "POST /v1/holds": {"contract_ids": [1], "reason": "a lawsuit"},
    "POST /v1/holds/release": {"hold_ids": [1], "reason": "it is over"},
    "POST /v1/quarantine/dismiss": {"quarantine_ids": [1], "reason": "a test"},
    "POST /v1/quarantine/release": {"quarantine_ids": [1]},
    "POST /v1/policies": {"policy": "# none", "reason": "a try"},
    "POST /v1/policies/{proposal_id}/approve": {"reason": "agreed"},
    "POST /v1/policies/{proposal_id}/refuse": {"reason": "not now"},
    "POST /v1/policies/{proposal_id}/withdraw": {"reason": "not now"},
    "POST /v1/moves": {"move_from": "cloud", "move_to": "next", "contracts": [1]},
    "POST /v1/replays": {"contracts": [1]},
    "POST /v1/schedules/{job}/pause": {"reason": "the ERP is moved"},
    "POST /v1/schedules/{job}/resume": {"reason": "it is moved"},
    "POST /v1/schedules/{job}/run": {"reason": "figures for the board"},
    "POST /v1/schema-drift/acknowledge": {"drift_ids": [1], "reason": "known to us"},
    "POST /v1/schema-registrations": {"type": "x", "json_schema": "{}", "reads_as": "y", "reason": "an upgrade"},
    "POST /v1/schema-registrations/preview": {"type": "x", "json_schema": "{}", "reads_as": "y"},
    "POST /v1/schema-registrations/{registration_id}/withdraw": {"reason": "they went back"},
    "POST /v1/snapshots": {},
    "POST /v1/subscribers/{name}/pause": {"reason": "not now"},
    "POST /v1/subscribers/{name}/replay": {"seq": 1, "reason": "they lost it"},
    "POST /v1/replays/{replay_id}/approve": {"reason": "looked at it"},
    "POST /v1/replays/{replay_id}/cancel": {"reason": "not now"},
    "POST /v1/replays/{replay_id}/confirm": {"reason": "the outage is over", "ticket": "INC-1"},
    "POST /v1/replays/{replay_id}/rate": {"per_minute": 60},
    "POST /v1/replays/{replay_id}/refuse": {"reason": "not now"},
}
PARAMETERS = {"client_id": "erp-bridge", "name": "mine", "secret_id": "1", "contract_id": "1", "replay_id": "1",
              "move_id": "1", "proposal_id": "1",
              "exception_id": "1", "quarantine_id": "1", "row_id": "1", "slug": "none", "job": "none",
              "snapshot_id": "1", "registration_id": "1"}  # fmt: skip
QUERIES = {"GET /v1/contracts/by-key": {"source": SOURCE, "external_id": "none"},
           "GET /v1/snapshots/diff": {"week": "2026-W46", "other": "2026-W47"}}  # fmt: skip


async def called(program: httpx.AsyncClient, route: str, number: int) -> httpx.Response:
    method, path = route.split(" ")
    headers = {**if_match("*"), **key(f"k-{number}")} if method != "GET" else {}
    return await program.request(
        method, path.removeprefix("/v1").format(**PARAMETERS), json=BODIES.get(route), params=QUERIES.get(route),
        headers=headers,
    )  # fmt: skip


async def test_each_route_lets_in_exactly_the_scope_that_the_table_names(door: Door) -> None:
    things = routes(door.app)
    assert {thing.name for thing in things} >= set(BODIES)
    assert all(thing.needs for thing in things)
    for scope in Permission:
        async with door.calls(scope) as program:
            for number, thing in enumerate(things):
                answer = await called(program, thing.name, number)
                refused = answer.status_code == 403
                assert refused == (thing.needs is not scope), (scope, thing.name, answer.text)
                if refused:
                    challenge = answer.headers["www-authenticate"]
                    assert 'error="insufficient_scope"' in challenge
                    assert f'scope="{thing.needs}"' in challenge


async def test_without_a_good_token_no_route_answers(door: Door) -> None:
    for number, thing in enumerate(routes(door.app)):
        async with door.bearing(None) as nobody:
            assert (await called(nobody, thing.name, number)).status_code == 401, thing.name
    async with door.bearing("tlt_" + "x" * 43) as stranger:
        refused = await stranger.get("/contracts")
    assert (refused.status_code, refused.json()["code"]) == (401, "token.invalid")
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


async def test_a_limited_program_sees_nothing_of_other_entities_in_any_list(door: Door, firm: dict[str, int]) -> None:
    replays = {entity: replay(door, firm[name], entity) for name, entity in (("L-1", "GB01"), ("N-1", "US01"))}
    await door_audit(door, firm)
    async with door.calls(entities=LONDON) as mine, door.calls() as whole:
        for address, only in (
            ("/contracts", "external_id"), ("/exceptions", "external_id"), ("/quarantine", "external_id"),
            ("/holds", "external_id"), ("/stuck", "external_id"),
        ):  # fmt: skip
            seen = (await mine.get(address)).json()["items"]
            assert [item[only] for item in seen] == ["L-1"], address
            assert len((await whole.get(address)).json()["items"]) == 3, address
        named = "/contracts?external_id=N-1"
        assert ((await mine.get(named)).json()["items"], len((await whole.get(named)).json()["items"])) == ([], 1)
        assert [one["legal_entity"] for one in (await mine.get("/exceptions/groups")).json()["items"]] == ["GB01"]
        assert {row["legal_entity"] for row in (await mine.get("/audit")).json()["items"]} == {"GB01"}
        assert [one["replay_id"] for one in (await mine.get("/replays")).json()["items"]] == [replays["GB01"]]
        assert (await mine.get("/status")).json()["contracts"]["blocked"] == 1
        assert {tuple(one["entities"]) for one in (await mine.get("/clients")).json()["items"]} == {("GB01",)}
        items = f"/replays/{replays['US01']}/items"
        assert ((await mine.get(items)).status_code, (await whole.get(items)).status_code) == (404, 200)


async def test_what_is_out_of_reach_is_not_there(door: Door, firm: dict[str, int]) -> None:
    theirs = replay(door, firm["N-1"], "US01")
    case, contract = firm["case N-1"], firm["N-1"]
    by_key = f"/contracts/by-key?source={SOURCE}&external_id=N-1"
    reads = (f"/contracts/{contract}", f"/contracts/{contract}/traces", by_key, f"/exceptions/{case}",
             f"/exceptions/{case}/correction", f"/replays/{theirs}", f"/replays/{theirs}/items/{contract}",
             "/quarantine/2", "/audit/1")  # fmt: skip
    changes: tuple[tuple[str, dict[str, Any] | None], ...] = (
        (f"/exceptions/{case}/assign", {"assignee": None}), (f"/exceptions/{case}/acknowledge", None),
        (f"/exceptions/{case}/comments", {"text": "x"}), (f"/exceptions/{case}/decide", {"reason": "as agreed"}),
        (f"/exceptions/{case}/correction", {"values": {}, "reason": "as agreed"}),
        (f"/exceptions/{case}/correction/preview", {"values": {}}),
        (f"/approvals/{case}/decide", {"approve": True, "reason": "as agreed"}),
        (f"/replays/{theirs}/confirm", {"reason": "over", "ticket": "INC-1"}),
        (f"/replays/{theirs}/cancel", {"reason": "not now"}),
        (f"/replays/{theirs}/offer-again", None), ("/replays", {"contracts": [contract]}),
        ("/holds", {"contract_ids": [contract], "reason": "a lawsuit"}),
        ("/holds/release", {"hold_ids": [firm["hold N-1"]], "reason": "it is over"}),
        ("/quarantine/dismiss", {"quarantine_ids": [2], "reason": "a test"}),
        ("/quarantine/release", {"quarantine_ids": [2]}),
    )  # fmt: skip
    async with door.calls(entities=LONDON) as mine, door.calls() as whole:
        for address in reads:
            assert (await mine.get(address)).status_code == 404, address
            assert (await whole.get(address)).status_code in (200, 409), address
        before = len(door.audited("exception.comment"))
        for number, (address, body) in enumerate(changes):
            headers = {**if_match("*"), **key(f"k-{number}")}
            answer = await mine.post(address, json=body, headers=headers)
            assert answer.status_code == 404, (address, answer.text)
        assert len(door.audited("exception.comment")) == before


async def test_nobody_makes_a_program_that_reaches_further_than_itself(door: Door) -> None:
    wider: dict[str, Any] = {"client_id": "wider", "scopes": ["access:write"], "entities": None}
    async with door.calls(P.ACCESS_WRITE, entities=LONDON) as program:
        for body in (
            wider,
            {**wider, "entities": ["US01"]},
            {**wider, "scopes": ["contracts:read"], "entities": ["GB01"]},
        ):
            answer = await program.post("/clients", json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "authority.forbidden"), body
        assert (await program.post("/clients", json={**wider, "entities": ["GB01"]})).status_code == 201


async def door_audit(door: Door, firm: dict[str, int]) -> None:
    """A row of the audit for each entity."""
    async with door.calls() as program:
        for name in ("L-1", "N-1"):
            await program.post(f"/exceptions/{firm[f'case {name}']}/comments", json={"text": "seen"})
