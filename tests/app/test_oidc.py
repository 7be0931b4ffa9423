"""Signing in by OpenID Connect: who is who, and who is nobody. The provider is real HTTP."""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from app.identity.login_attempts import VALID_FOR, local_path
from tests.app import identity_provider
from tests.app.identity_provider import (
    CLIENT_ID,
    IdentityProvider,
    elliptic,
    rsa,
    signed,
    signed_by_public_key,
)
from tests.app.oidc_house import COOKIE, OURS, Building, House, identity_of


@pytest.fixture
def idp() -> Iterator[IdentityProvider]:
    with identity_provider.running() as started:
        yield started


@pytest.fixture
async def house(idp: IdentityProvider, database: sa.Engine) -> AsyncIterator[House]:
    async with Building(idp, database, identity_of(idp)) as one:
        yield one


async def test_a_sign_in_leads_to_the_page_that_was_asked_for_with_the_grants_of_the_claims(house: House) -> None:
    asked = await house.browser.get("/replay?cause=tax")
    assert asked.status_code == 401
    assert 'href="/login?next=%2Freplay%3Fcause%3Dtax"' in asked.text
    answer = await house.sign_in("/replay?cause=tax")
    assert (answer.status_code, answer.headers["location"]) == (303, "/replay?cause=tax")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    shown = (await house.browser.get("/")).json()
    assert shown["x-auth-email"] == "maya@example.com"
    assert shown["x-auth-groups"] == "operator:tax@GB01"
    assert house.audited() == [("session.begin", "maya@example.com", "person maya@example.com", "")]


async def test_the_way_to_the_provider_carries_state_nonce_and_pkce_and_the_database_none_of_them(house: House) -> None:
    url = await house.begin()
    sent = {name: values[0] for name, values in parse_qs(url.query.decode()).items()}
    assert (sent["response_type"], sent["client_id"], sent["scope"]) == ("code", CLIENT_ID, "openid email")
    assert sent["redirect_uri"] == f"{OURS}/oauth2/callback"
    assert sent["code_challenge_method"] == "S256"
    assert len({sent["state"], sent["nonce"], sent["code_challenge"]}) == 3
    with house.engine.connect() as conn:
        row = conn.execute(sa.text("SELECT state_hash, CAST(a AS text) AS shown FROM core.login_attempt AS a")).one()
    assert bytes(row.state_hash) == hashlib.sha256(sent["state"].encode()).digest()
    assert not [value for value in (sent["state"], sent["nonce"], sent["code_challenge"]) if value in row.shown]


async def test_two_tabs_can_sign_in_at_once_and_each_answer_works_once(house: House) -> None:
    first, second = await house.begin("/one"), await house.begin("/two")
    backs = [(await house.elsewhere.get(url)).headers["location"] for url in (first, second)]
    assert [(await house.browser.get(back)).headers["location"] for back in backs] == ["/one", "/two"]
    assert (await house.browser.get(backs[0])).status_code == 401


async def test_an_answer_in_another_browser_opens_nothing_and_uses_nothing_up(house: House) -> None:
    back = (await house.elsewhere.get(await house.begin())).headers["location"]
    cookies = dict(house.browser.cookies)
    house.browser.cookies.clear()
    assert (await house.browser.get(back)).status_code == 401
    house.browser.cookies.update(cookies)
    assert (await house.browser.get(back)).status_code == 303


async def test_an_answer_that_comes_late_opens_nothing(house: House) -> None:
    back = (await house.elsewhere.get(await house.begin())).headers["location"]
    house.clock.advance(VALID_FOR)
    assert (await house.browser.get(back)).status_code == 401


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"state": "made-up", "code": "x"},
        {"error": "access_denied"},
        {"code": "never issued"},
        {"iss": "https://mix-up.example"},
        {"code": ""},
    ],
)
async def test_an_answer_that_is_not_whole_opens_nothing(house: House, query: dict[str, str]) -> None:
    sent = urlsplit(str(await house.begin()))
    state = {"state": parse_qs(sent.query)["state"][0]} if query else {}
    answer = await house.browser.get("/oauth2/callback", params={"code": "x", **state, **query} if query else {})
    assert answer.status_code == 401
    assert COOKIE not in house.browser.cookies
    assert house.refused() == 1


Claims = dict[str, object]


@pytest.mark.parametrize(
    "alter",
    [
        lambda c: {**c, "nonce": "of another sign-in"},
        lambda c: {k: v for k, v in c.items() if k != "nonce"},
        lambda c: {**c, "aud": "another-client"},
        lambda c: {**c, "aud": [CLIENT_ID, "another-client"]},
        lambda c: {**c, "aud": [CLIENT_ID, "another-client"], "azp": "another-client"},
        lambda c: {**c, "azp": "another-client"},
        lambda c: {**c, "iss": "https://another.example"},
        lambda c: {**c, "exp": int(str(c["iat"])) - 61},
        lambda c: {k: v for k, v in c.items() if k != "exp"},
        lambda c: {**c, "exp": "tomorrow"},
        lambda c: {**c, "exp": True},
        lambda c: {**c, "exp": 1e300},
        lambda c: {k: v for k, v in c.items() if k != "iat"},
        lambda c: {**c, "iat": int(str(c["iat"])) - 3600},
        lambda c: {**c, "iat": int(str(c["iat"])) + 3600},
        lambda c: {k: v for k, v in c.items() if k != "sub"},
        lambda c: {k: v for k, v in c.items() if k != "email"},
        lambda c: {**c, "email_verified": False},
        lambda c: {**c, "email": "a,b@example.com"},
        lambda c: {**c, "email": "ü@example.com"},
        lambda c: {**c, "email": "CLI:root"},
    ],
)
async def test_an_id_token_that_says_something_wrong_opens_nothing(
    house: House, alter: Callable[[Claims], Claims]
) -> None:
    house.idp.alter = alter
    assert (await house.sign_in()).status_code == 401
    assert COOKIE not in house.browser.cookies
    assert house.audited() == []
    assert house.refused() == 1


@pytest.mark.parametrize(
    "sign",
    [
        lambda idp, claims: signed(claims, None, "none"),
        lambda idp, claims: signed(claims, None, "NoNe"),
        lambda idp, claims: signed(claims, rsa("stranger")),
        lambda idp, claims: signed(claims, rsa("first")),
        lambda idp, claims: signed(claims, idp.keys[0])[:-8] + "AAAAAAAA",
        lambda idp, claims: signed(claims, idp.keys[0], crit=["kid"]),
        lambda idp, claims: "not.a.token",
        lambda idp, claims: "x" * 20_000,
        lambda idp, claims: signed_by_public_key(claims, idp.keys[0]),
    ],
)
async def test_an_id_token_that_the_provider_did_not_sign_opens_nothing(
    house: House, sign: Callable[[IdentityProvider, Mapping[str, object]], str]
) -> None:
    house.idp.sign = sign
    assert (await house.sign_in()).status_code == 401
    assert COOKIE not in house.browser.cookies


async def test_other_algorithms_and_new_keys_of_the_provider_are_taken(house: House) -> None:
    assert (await house.sign_in()).status_code == 303
    curve = elliptic()
    house.idp.keys = [curve]
    house.idp.sign = lambda idp, claims: signed(claims, curve, "ES256")
    house.clock.advance(timedelta(minutes=1))
    house.idp.alter = lambda c: {**c, "iat": int(str(c["iat"])) + 60, "exp": int(str(c["exp"])) + 60}
    assert (await house.sign_in()).status_code == 303
    assert house.idp.fetched_keys == 2


async def test_a_person_without_a_role_is_told_whom_to_ask(house: House) -> None:
    house.idp.person["roles"] = ["canteen"]
    answer = await house.sign_in()
    assert answer.status_code == 403
    assert "maya@example.com" in answer.text
    assert "the service desk" in answer.text
    assert COOKIE not in house.browser.cookies
    assert (house.refused(), house.refused("no_role")) == (0, 1)


async def test_roles_deep_in_the_claims_are_found(idp: IdentityProvider, database: sa.Engine) -> None:
    identity = identity_of(idp, roles_claim="realm_access.roles", email_claim="upn")
    idp.person = {"sub": "s", "upn": "kai@example.com", "realm_access": {"roles": ["audit", "tax-uk", "audit"]}}
    async with Building(idp, database, identity) as one:
        assert (await one.sign_in()).status_code == 303
        assert (await one.browser.get("/")).json()["x-auth-groups"] == "operator:tax@GB01,auditor"


async def test_a_provider_that_is_down_is_said_and_not_counted(house: House) -> None:
    house.idp.token_status = 503
    assert (await house.sign_in()).status_code == 503
    assert house.refused() == 0


async def test_an_address_that_keeps_failing_has_to_wait(house: House) -> None:
    for _ in range(30):
        assert (await house.browser.get("/oauth2/callback?state=x&code=y")).status_code == 401
    answer = await house.browser.get("/oauth2/callback?state=x&code=y")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 360
    house.clock.advance(timedelta(seconds=int(answer.headers["retry-after"])))
    assert (await house.browser.get("/oauth2/callback?state=x&code=y")).status_code == 401


@pytest.mark.parametrize(
    ("asked", "goes"),
    [
        ("/contract?id=7&x=%20", "/contract?id=7&x=%20"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/a\r\nset-cookie: x", "/"),
        ("", "/"),
        ("/" + "a" * 3000, "/"),
    ],
)
def test_only_pages_of_ours_are_gone_on_to(asked: str, goes: str) -> None:
    assert local_path(asked) == goes
