"""Tieline's own clients: secrets that are shown once, two at a time, and tokens that die with them."""

import base64
import inspect
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from app.identity import api_tokens, token_endpoint
from app.identity.api_tokens import ApiTokens
from app.identity.refusal_counts import Refusals, sum_up
from app.identity.signed_tokens import InvalidToken
from sync_core.authority import SYSTEM, Forbidden, Permission, person, program
from sync_core.clock import SystemClock, VirtualClock
from sync_core.commands.access import Access
from sync_core.commands.commands import Commands
from sync_core.commands.desk import Changed, CommandRefused, InvalidInput, NotFound
from sync_core.reads.reads import Reads
from tests.rows import estate

ADMIN = person("ada@example.com", ["administrator"])
OF_GB = person("gil@example.com", ["administrator@GB01"])
READ, HOLD = Permission.CONTRACTS_READ, Permission.HOLDS_WRITE


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(SystemClock().now())


@pytest.fixture
def access(database: sa.Engine, clock: VirtualClock) -> Access:
    return Commands(database, clock=clock, estate=estate()).access


@pytest.fixture
def tokens(database: sa.Engine, clock: VirtualClock) -> ApiTokens:
    return ApiTokens(database, clock)


@pytest.fixture
async def http(database: sa.Engine, clock: VirtualClock, tokens: ApiTokens) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(token_endpoint.router(tokens, Refusals(database, clock)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        yield client


def made(access: Access, name: str = "erp-bridge", *entities: str) -> str:
    reach = frozenset(entities) or None
    return access.create_client(ADMIN, name, scopes=[READ, HOLD], entities=reach, description="nightly").secret


async def asked(http: httpx.AsyncClient, secret: str, name: str = "erp-bridge", **more: str) -> httpx.Response:
    return await http.post("/oauth/token", data={"grant_type": "client_credentials", **more}, auth=(name, secret))


async def test_a_client_gets_a_token_by_basic_or_by_form_for_all_or_some_of_its_scopes(
    http: httpx.AsyncClient, access: Access, tokens: ApiTokens
) -> None:
    secret = made(access, "erp-bridge", "GB01")
    answer = await asked(http, secret)
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, "contracts:read holds:write")
    assert tokens.actor_of(body["access_token"]) == program("erp-bridge", [READ, HOLD], entities=frozenset({"GB01"}))
    form = {"grant_type": "client_credentials", "client_id": "erp-bridge", "client_secret": secret}
    narrow = (await http.post("/oauth/token", data={**form, "scope": "contracts:read"})).json()
    assert tokens.actor_of(narrow["access_token"]) == program("erp-bridge", [READ], entities=frozenset({"GB01"}))


@pytest.mark.parametrize(
    ("sent", "auth", "status", "error"),
    [
        ({}, "right", 400, "invalid_request"),
        ({"grant_type": "password"}, "right", 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "scope": "audit:read"}, "right", 400, "invalid_scope"),
        ({"grant_type": "client_credentials", "client_secret": "x"}, "right", 400, "invalid_request"),
        ({"grant_type": "client_credentials"}, "none", 400, "invalid_request"),
        ({"grant_type": "client_credentials"}, "garbage", 400, "invalid_request"),
        ({"grant_type": "client_credentials"}, "beyond ASCII", 400, "invalid_request"),
        ({"grant_type": "client_credentials"}, "wrong", 401, "invalid_client"),
        ({"grant_type": "client_credentials"}, "unknown", 401, "invalid_client"),
        ({"grant_type": "client_credentials"}, "nul", 401, "invalid_client"),
    ],
)
async def test_a_request_that_is_not_good_is_refused_in_the_standards_words(
    http: httpx.AsyncClient, access: Access, sent: dict[str, str], auth: str, status: int, error: str
) -> None:
    pairs = {"right": f"erp-bridge:{made(access)}", "wrong": "erp-bridge:x", "unknown": "nobody:x", "nul": "a%00b:x"}
    header = {b"authorization": b"Basic " + base64.b64encode(pairs[auth].encode())} if auth in pairs else {}
    if auth in (strange := {"garbage": b"%%%", "beyond ASCII": "é".encode("latin-1")}):
        header = {b"authorization": b"Basic " + strange[auth]}
    answer = await http.post("/oauth/token", data=sent or {"x": "y"}, headers=header)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert ("www-authenticate" in answer.headers) is (status == 401)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"grant_type":"client_credentials"}', "application/json"),
        (b"grant_type=client_credentials&grant_type=client_credentials", "application/x-www-form-urlencoded"),
        (b"grant_type=" + b"x" * 40_000, "application/x-www-form-urlencoded"),
        (b"grant_type=\xff\xfe", "application/x-www-form-urlencoded"),
        (b"no form", "application/x-www-form-urlencoded"),
    ],
)
async def test_what_is_no_form_is_refused(http: httpx.AsyncClient, content: bytes, kind: str) -> None:
    answer = await http.post("/oauth/token", content=content, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_secret_is_rotated_without_a_gap(http: httpx.AsyncClient, access: Access, tokens: ApiTokens) -> None:
    old = made(access)
    new = access.rotate_secret(ADMIN, "erp-bridge")
    first, second = (await asked(http, old)).json(), (await asked(http, new.secret)).json()
    with pytest.raises(CommandRefused, match="2 valid secrets"):
        access.rotate_secret(ADMIN, "erp-bridge")
    access.revoke_secret(ADMIN, "erp-bridge", new.secret_id - 1, reason="rotated out")
    assert (await asked(http, old)).status_code == 401
    assert (await asked(http, new.secret)).status_code == 200
    with pytest.raises(InvalidToken):
        tokens.actor_of(first["access_token"])
    assert tokens.actor_of(second["access_token"]).name == "erp-bridge"
    with pytest.raises(NotFound):
        access.revoke_secret(ADMIN, "erp-bridge", new.secret_id - 1, reason="rotated out")


async def test_a_disabled_client_and_its_tokens_are_refused(
    http: httpx.AsyncClient, access: Access, tokens: ApiTokens
) -> None:
    secret = made(access)
    token = (await asked(http, secret)).json()["access_token"]
    with pytest.raises(Changed):
        access.disable_client(ADMIN, "erp-bridge", reason="not used any more", version=7)
    access.disable_client(ADMIN, "erp-bridge", reason="not used any more", version=1)
    assert (await asked(http, secret)).status_code == 401
    with pytest.raises(InvalidToken):
        tokens.actor_of(token)
    with pytest.raises(CommandRefused, match="disabled"):
        access.rotate_secret(ADMIN, "erp-bridge")


async def test_a_token_lasts_an_hour(
    http: httpx.AsyncClient, access: Access, tokens: ApiTokens, clock: VirtualClock
) -> None:
    token = (await asked(http, made(access))).json()["access_token"]
    clock.advance(timedelta(minutes=59))
    assert tokens.actor_of(token).name == "erp-bridge"
    clock.advance(timedelta(minutes=1))
    with pytest.raises(InvalidToken):
        tokens.actor_of(token)


async def test_guessing_is_stopped_where_it_comes_from_and_becomes_one_audit_row(
    http: httpx.AsyncClient, access: Access, clock: VirtualClock, database: sa.Engine
) -> None:
    secret = made(access)
    other = made(access, "other-client")
    for guess in range(10):
        assert (await asked(http, f"guess-{guess}")).status_code == 401
    stopped = await asked(http, secret)
    assert stopped.status_code == 429
    assert 0 < int(stopped.headers["retry-after"]) <= 360
    assert (await asked(http, other, "other-client")).status_code == 200
    clock.advance(timedelta(seconds=int(stopped.headers["retry-after"])))
    assert (await asked(http, secret)).status_code == 200
    with database.begin() as conn:
        assert sum_up(conn, now=clock.now()) >= 1
        assert sum_up(conn, now=clock.now()) == 0
        rows = conn.execute(sa.text("SELECT actor, detail FROM core.audit WHERE action = 'token.refused'")).all()
    assert {row.actor for row in rows} == {SYSTEM.name}
    assert sum(int(row.detail.split('"refused":')[1].split("}")[0]) for row in rows) == 10
    assert "client erp-bridge from 127.0.0.1: " in rows[0].detail


async def test_whoever_knows_a_clients_name_cannot_keep_its_owner_out(
    tokens: ApiTokens, access: Access, clock: VirtualClock, database: sa.Engine
) -> None:
    secret = made(access)
    app = FastAPI()
    app.include_router(token_endpoint.router(tokens, Refusals(database, clock)))

    async def asks(address: str, given: str) -> int:
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as caller:
            return (await asked(caller, given)).status_code

    for number in range(10):
        assert [await asks(f"192.0.2.{number}", f"guess-{guess}") for guess in range(10)] == [401] * 10
    assert await asks("192.0.2.0", secret) == 429
    assert await asks("203.0.113.9", secret) == 200
    # A hundred guesses from everywhere: an address that was not among them has one.
    assert [await asks("198.51.100.7", "guess") for _ in range(2)] == [401, 429]
    assert await asks("203.0.113.9", secret) == 200


async def test_an_address_that_names_many_clients_is_stopped_too(http: httpx.AsyncClient, database: sa.Engine) -> None:
    for number in range(30):
        assert (await asked(http, "x", f"client-{number}")).status_code == 401
    assert (await asked(http, "x", "client-99")).status_code == 429
    with database.connect() as conn:  # made-up names fill no table
        assert conn.execute(sa.text("SELECT count(DISTINCT who) FROM core.refusal")).scalar_one() == 1


def test_secrets_are_compared_in_constant_time() -> None:
    assert "hmac.compare_digest(bytes(row.secret_hash), given)" in inspect.getsource(api_tokens)
    assert "secret_hash =" not in str(api_tokens._SECRETS)  # nor does the database compare them


def test_no_secret_is_stored_or_audited(access: Access, database: sa.Engine, tokens: ApiTokens) -> None:
    secret = made(access)
    token = tokens.issue("erp-bridge", secret, "").token
    with database.connect() as conn:
        for table in ("api_client", "api_client_secret", "api_token", "audit", "idempotency"):
            text = conn.execute(sa.text(f"SELECT string_agg(CAST(t AS text), ' ') FROM core.{table} AS t")).scalar_one()
            assert secret not in (text or "")
            assert token not in (text or "")


def test_nobody_gives_a_program_more_than_they_reach(access: Access, database: sa.Engine, clock: VirtualClock) -> None:
    def create(by: object, name: str, entities: frozenset[str] | None) -> str:
        return access.create_client(by, name, scopes=[READ], entities=entities).secret  # type: ignore[arg-type]

    with pytest.raises(Forbidden):
        create(person("o@example.com", ["operator:tax"]), "one-client", None)
    for reach in (None, frozenset({"US01"}), frozenset({"GB01", "US01"})):
        with pytest.raises(Forbidden, match="reach further"):
            create(OF_GB, "one-client", reach)
    create(OF_GB, "gb-client", frozenset({"GB01"}))
    create(ADMIN, "all-client", None)
    with pytest.raises(NotFound):
        access.rotate_secret(OF_GB, "all-client")
    with pytest.raises(Forbidden):
        access.end_sessions(OF_GB, "ada@example.com", reason="no reach")
    by_program = program("setup", [Permission.ACCESS_WRITE, READ])
    with pytest.raises(Forbidden, match="reach further"):
        access.create_client(by_program, "two-client", scopes=[HOLD], entities=None)
    access.create_client(ADMIN, "three-client", scopes=[HOLD], entities=None)
    with pytest.raises(Forbidden, match="reach further"):  # else its new secret would be as good as its scopes
        access.rotate_secret(by_program, "three-client")
    access.rotate_secret(by_program, "all-client")
    access.disable_client(by_program, "three-client", reason="taking away needs no scope")
    reads = Reads(database, clock=clock, estate=estate())
    assert [one.client_id for one in reads.clients()] == ["all-client", "gb-client", "three-client"]
    assert [one.client_id for one in reads.within(OF_GB).clients()] == ["gb-client"]
    with pytest.raises(Forbidden):
        reads.within(person("a@example.com", ["auditor"])).clients()


@pytest.mark.parametrize(
    ("name", "scopes", "entities", "description"),
    [
        ("X", [READ], None, ""),
        ("erp bridge", [READ], None, ""),
        ("erp-bridge", [], None, ""),
        ("erp-bridge", [READ], frozenset(), ""),
        ("erp-bridge", [READ], frozenset({"ZZ99"}), ""),
        ("erp-bridge", [READ], None, "x" * 201),
    ],
)
def test_a_client_that_makes_no_sense_is_refused(
    access: Access, name: str, scopes: list[Permission], entities: frozenset[str] | None, description: str
) -> None:
    with pytest.raises(InvalidInput):
        access.create_client(ADMIN, name, scopes=scopes, entities=entities, description=description)


def test_a_name_is_given_once(access: Access) -> None:
    made(access)
    with pytest.raises(CommandRefused, match="already"):
        made(access)
