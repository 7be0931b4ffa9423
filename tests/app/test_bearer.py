"""Which program calls: tokens of ours and of issuers elsewhere, by HTTP; and every token that is not good."""

import base64
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated

import httpx
import pytest
import sqlalchemy as sa
from fastapi import APIRouter, Depends, FastAPI

from app.identity.api_tokens import ApiTokens
from app.identity.bearer import Bearer, authenticated, needs
from app.identity.issued_elsewhere import IssuedElsewhere, _name
from app.identity.oidc_provider import http_client
from app.identity.refusal_counts import Refusals
from app.identity.signed_tokens import IssuerUnavailable, Keys
from app.web.problems import ProblemRoute
from sync_core.authority import Actor, Permission
from sync_core.clock import SystemClock, VirtualClock
from sync_core.estate.identity import ApiIssuer
from tests.app import identity_provider
from tests.app.identity_provider import IdentityProvider, elliptic, rsa, signed, signed_by_public_key

AUDIENCE = "https://tieline.example/api"
Claims = Mapping[str, object]


@pytest.fixture
def issuer() -> Iterator[IdentityProvider]:
    with identity_provider.running() as started:
        started.person = {"azp": "erp-bridge", "scope": "contracts:read exceptions:write unknown", "sub": "service-7"}
        yield started


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(SystemClock().now())


@asynccontextmanager
async def api(database: sa.Engine, clock: VirtualClock, *issuers: ApiIssuer) -> AsyncIterator[httpx.AsyncClient]:
    routes = APIRouter(route_class=ProblemRoute)

    @routes.get("/who")
    def who(actor: Annotated[Actor, Depends(authenticated)]) -> dict[str, object]:
        entities = actor.entities(Permission.CONTRACTS_READ)
        reach = None if entities is None else sorted(entities)
        return {"name": actor.name, "kind": actor.kind, "scopes": sorted(actor.scopes), "entities": reach}

    @routes.get("/holds")
    def holds(actor: Annotated[Actor, Depends(needs(Permission.HOLDS_WRITE))]) -> str:
        return actor.name

    app, http = FastAPI(), http_client()
    app.include_router(routes)
    elsewhere = IssuedElsewhere(issuers, http, clock)
    app.state.bearer = Bearer((ApiTokens(database, clock), elsewhere), Refusals(database, clock))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        yield client
    http.close()


def known(issuer: IdentityProvider, **more: str) -> ApiIssuer:
    return ApiIssuer(issuer.issuer, AUDIENCE, **more)


def claims(issuer: IdentityProvider, **more: object) -> dict[str, object]:
    return {**issuer.claims(), "aud": AUDIENCE, **more}


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_a_token_of_a_known_issuer_names_its_program_and_scopes(
    database: sa.Engine, clock: VirtualClock, issuer: IdentityProvider
) -> None:
    token = signed(claims(issuer), issuer.keys[0], typ="at+jwt", x5t="unknown headers are ignored")
    async with api(database, clock, known(issuer)) as http:
        assert (await http.get("/who", headers=bearing(token))).json() == {
            "name": f"127.0.0.1:{issuer.port}/erp-bridge",
            "kind": "program",
            "scopes": ["contracts:read", "exceptions:write"],
            "entities": None,
        }


def test_clients_of_two_realms_of_one_host_have_two_names() -> None:
    names = {
        _name(ApiIssuer(f"https://login.example/realms/{realm}", AUDIENCE), {"client_id": "erp-bridge"})
        for realm in ("firm", "firm/", "partner")
    }
    assert names == {"login.example/realms/firm/erp-bridge", "login.example/realms/partner/erp-bridge"}


@pytest.mark.parametrize(
    ("claim", "scopes", "entities"),
    [
        ({"scp": ["contracts:read"], "ent": ["GB01", "US01"]}, ["contracts:read"], ["GB01", "US01"]),
        ({"scp": "contracts:read", "ent": "GB01 DE01"}, ["contracts:read"], ["DE01", "GB01"]),
        ({"scp": ["contracts:read", 7]}, ["contracts:read"], []),
        ({"scp": {"contracts:read": True}, "ent": {"GB01": 1}}, [], []),
    ],
)
async def test_scopes_and_reach_come_from_the_claims_of_the_estate_and_a_missing_reach_is_none(
    database: sa.Engine,
    clock: VirtualClock,
    issuer: IdentityProvider,
    claim: dict[str, object],
    scopes: list[str],
    entities: list[str],
) -> None:
    token = signed(claims(issuer, **claim), issuer.keys[0])
    one = known(issuer, scope_claim="scp", entities_claim="ent", jwks_url=f"{issuer.issuer}/jwks")
    async with api(database, clock, one) as http:
        seen = (await http.get("/who", headers=bearing(token))).json()
    assert (seen["scopes"], seen["entities"]) == (scopes, entities)


async def test_a_program_without_the_scope_is_told_which(
    database: sa.Engine, clock: VirtualClock, issuer: IdentityProvider
) -> None:
    async with api(database, clock, known(issuer)) as http:
        answer = await http.get("/holds", headers=bearing(signed(claims(issuer), issuer.keys[0])))
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    challenge = answer.headers["www-authenticate"]
    assert challenge == 'Bearer realm="tieline", error="insufficient_scope", scope="holds:write"'
    assert answer.json()["code"] == "token.insufficient_scope"


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer "}, {"authorization": "Basic eDp5"}])
async def test_without_a_token_the_challenge_has_no_error(
    database: sa.Engine, clock: VirtualClock, header: dict[str, str]
) -> None:
    async with api(database, clock) as http:
        answer = await http.get("/who", headers=header)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="tieline"')
    assert answer.json()["code"] == "token.missing"


def _now() -> int:
    return int(time.time())


def _nested(deep: int) -> str:
    """A header of lists in lists, within the size that is read."""
    header = base64.urlsafe_b64encode(b"[" * deep + b"]" * deep).rstrip(b"=").decode()
    return f"{header}.e30.AAAA"


@pytest.mark.parametrize(
    "bad",
    [
        lambda i: "garbage",
        lambda i: "a.b.c",
        lambda i: "tlt_" + "x" * 43,
        lambda i: "é.ü.ö",
        lambda i: _nested(1_400),
        lambda i: signed(claims(i), None, "none"),
        lambda i: signed_by_public_key(claims(i), i.keys[0]),
        lambda i: signed(claims(i), rsa("stranger")),
        lambda i: signed(claims(i), rsa("first")),
        lambda i: signed(claims(i), elliptic("first"), "ES256"),
        lambda i: signed(claims(i, iss="https://another.example"), i.keys[0]),
        lambda i: signed(claims(i, iss=None), i.keys[0]),
        lambda i: signed(i.claims(), i.keys[0]),
        lambda i: signed(claims(i, exp=_now() - 61), i.keys[0]),
        lambda i: signed(claims(i, exp=None), i.keys[0]),
        lambda i: signed(claims(i, nbf=_now() + 120), i.keys[0]),
        lambda i: signed(claims(i, iat=_now() + 120), i.keys[0]),
        lambda i: signed(claims(i, nonce="n"), i.keys[0]),
        lambda i: signed(claims(i, azp=None, sub=None), i.keys[0]),
        lambda i: signed(claims(i), i.keys[0])[:-6] + "AAAAAA",
        lambda i: signed(claims(i), i.keys[0]) + "." + "x",
    ],
)
async def test_a_token_that_is_not_good_is_refused_in_the_standards_words(
    database: sa.Engine, clock: VirtualClock, issuer: IdentityProvider, bad: Callable[[IdentityProvider], str]
) -> None:
    token = bad(issuer)
    async with api(database, clock, known(issuer)) as http:
        answer = await http.get("/who", headers=[(b"authorization", b"Bearer " + token.encode("utf-8"))])
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "token.invalid"
    assert token not in answer.text


async def test_times_have_sixty_seconds_of_leeway(
    database: sa.Engine, clock: VirtualClock, issuer: IdentityProvider
) -> None:
    edge = signed(claims(issuer, exp=_now() - 50, nbf=_now() + 50), issuer.keys[0])
    async with api(database, clock, known(issuer)) as http:
        assert (await http.get("/who", headers=bearing(edge))).status_code == 200


async def test_keys_rotate_and_made_up_key_ids_do_not_make_us_ask_each_time(
    database: sa.Engine, clock: VirtualClock, issuer: IdentityProvider
) -> None:
    async with api(database, clock, known(issuer)) as http:
        assert (await http.get("/who", headers=bearing(signed(claims(issuer), issuer.keys[0])))).status_code == 200
        stranger = rsa("stranger")
        for _ in range(3):
            assert (await http.get("/who", headers=bearing(signed(claims(issuer), stranger)))).status_code == 401
        assert issuer.fetched_keys == 1
        clock.advance(timedelta(minutes=1))
        assert (await http.get("/who", headers=bearing(signed(claims(issuer), stranger)))).status_code == 401
        assert issuer.fetched_keys == 2
        clock.advance(timedelta(minutes=1))
        old, issuer.keys = issuer.keys[0], [rsa("second")]
        renewed = signed(claims(issuer, exp=_now() + 9000), issuer.keys[0])
        assert (await http.get("/who", headers=bearing(renewed))).status_code == 200
        assert issuer.fetched_keys == 3
        taken_back = signed(claims(issuer, exp=_now() + 9000), old)
        assert (await http.get("/who", headers=bearing(taken_back))).status_code == 401


async def test_an_issuer_that_is_down_is_no_fault_of_the_token_and_known_keys_are_used_on(
    database: sa.Engine, clock: VirtualClock
) -> None:
    with identity_provider.running() as gone:
        gone.person = {"azp": "erp-bridge"}
        token = signed(claims(gone, exp=_now() + 9000), gone.keys[0])
        async with api(database, clock, known(gone)) as http:
            assert (await http.get("/who", headers=bearing(token))).status_code == 200
            gone.published = []
            clock.advance(timedelta(hours=1))
            assert (await http.get("/who", headers=bearing(token))).status_code == 401
    one = ApiIssuer(gone.issuer, AUDIENCE)
    async with api(database, clock, one) as http:
        answer = await http.get("/who", headers=bearing(token))
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


async def test_an_address_that_keeps_bringing_bad_tokens_is_slowed_and_good_ones_pass(
    database: sa.Engine, clock: VirtualClock, issuer: IdentityProvider
) -> None:
    async with api(database, clock, known(issuer)) as http:
        for _ in range(30):
            assert (await http.get("/who", headers=bearing("tlt_" + "x" * 43))).status_code == 401
        answer = await http.get("/who", headers=bearing("tlt_" + "x" * 43))
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        good = signed(claims(issuer), issuer.keys[0])
        assert (await http.get("/who", headers=bearing(good))).status_code == 200


def test_an_issuer_that_never_answered_is_asked_once_in_a_while(clock: VirtualClock) -> None:
    asked: list[str] = []

    def url() -> str:
        asked.append("again")
        raise IssuerUnavailable("it does not answer")

    with http_client() as http:
        keys = Keys(url, http, clock)
        for _ in range(5):  # whoever names the issuer in a made-up token makes us ask
            with pytest.raises(IssuerUnavailable, match="does not answer"):
                keys.find("first", "RS256")
        assert len(asked) == 1
        clock.advance(timedelta(seconds=5))
        with pytest.raises(IssuerUnavailable):
            keys.find("first", "RS256")
    assert len(asked) == 2


def test_good_tokens_do_not_wait_for_an_issuer_that_hangs(clock: VirtualClock, issuer: IdentityProvider) -> None:
    hanging, answered = threading.Event(), threading.Event()

    def url() -> str:
        if keys_known:
            hanging.set()
            answered.wait(timeout=30)
        return f"{issuer.issuer}/jwks"

    keys_known = False
    with http_client() as http, ThreadPoolExecutor() as threads:
        keys = Keys(url, http, clock)
        known = keys.find("first", "RS256")
        keys_known = True
        clock.advance(timedelta(hours=1))
        renewing = threads.submit(keys.find, "first", "RS256")
        assert hanging.wait(timeout=30)
        meanwhile = threads.submit(keys.find, "first", "RS256")
        try:
            assert meanwhile.result(timeout=10) is known
        finally:
            answered.set()
        assert renewing.result(timeout=30).kid == "first"
