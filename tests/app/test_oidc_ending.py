"""How a session of OpenID Connect ends: by its person, or by the provider's notice."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import sqlalchemy as sa

from app.identity.oidc_provider import LOGOUT_EVENT
from tests.app import identity_provider
from tests.app.identity_provider import (
    IdentityProvider,
    signed,
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


async def test_signing_out_ends_the_session_and_goes_on_to_the_provider(house: House) -> None:
    await house.sign_in()
    kept = house.browser.cookies[COOKIE]
    answer = await house.browser.get("/logout")
    sent = urlsplit(answer.headers["location"])
    query = parse_qs(sent.query)
    assert (answer.status_code, f"{sent.scheme}://{sent.netloc}{sent.path}") == (303, f"{house.idp.issuer}/end")
    assert query["post_logout_redirect_uri"] == [f"{OURS}/signed-out"]
    assert query["id_token_hint"][0].count(".") == 2
    assert COOKIE not in house.browser.cookies
    assert (await house.browser.get("/", headers={"cookie": f"{COOKIE}={kept}"})).status_code == 401
    assert (await house.browser.get("/signed-out")).status_code == 200
    with house.engine.connect() as conn:
        assert conn.execute(sa.text("SELECT id_token FROM core.session")).scalar_one() is None
    assert [row[0] for row in house.audited()] == ["session.begin", "session.sign_out"]


async def test_one_time_links_open_nothing_where_people_sign_in(house: House) -> None:
    assert (await house.browser.get("/enter?t=x")).status_code == 401
    assert "tieline link" not in (await house.browser.get("/enter?t=x")).text


def logout_token(idp: IdentityProvider, **more: object) -> str:
    claims = {k: v for k, v in idp.claims().items() if k in ("iss", "aud", "iat", "exp", "sub", "sid")}
    return signed({**claims, "jti": "1", "events": {LOGOUT_EVENT: {}}, **more}, idp.keys[0], typ="logout+jwt")


async def notify(house: House, token: str) -> httpx.Response:
    return await house.browser.post("/oauth2/backchannel-logout", data={"logout_token": token})


@pytest.mark.parametrize("named", [{"sub": None}, {"sid": None}, {}])
async def test_the_providers_notice_ends_the_session(house: House, named: dict[str, object]) -> None:
    await house.sign_in()
    claims = {k: v for k, v in house.idp.claims().items() if k in ("iss", "aud", "iat", "exp", "sub", "sid")}
    claims = {k: v for k, v in {**claims, **named}.items() if v is not None}
    token = signed({**claims, "events": {LOGOUT_EVENT: {}}}, house.idp.keys[0])
    answer = await notify(house, token)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    house.clock.advance(timedelta(seconds=1))
    assert (await house.browser.get("/")).status_code == 401
    assert house.audited()[-1] == (
        "session.end",
        "tieline",
        "person maya@example.com",
        "signed out at the identity provider",
    )


async def test_a_notice_of_another_session_or_one_sent_again_later_ends_nothing(house: House) -> None:
    await house.sign_in()
    assert (await notify(house, logout_token(house.idp, sid="another"))).status_code == 200
    house.clock.advance(timedelta(seconds=2))
    assert (await house.browser.get("/")).status_code == 200
    old = logout_token(house.idp)
    house.clock.advance(timedelta(minutes=3))
    house.idp.alter = lambda c: {**c, "iat": int(str(c["iat"])) + 180, "exp": int(str(c["exp"])) + 180}
    await house.sign_in()
    assert (await notify(house, old)).status_code == 200  # the older session ends, the new one stays
    house.clock.advance(timedelta(seconds=2))
    assert (await house.browser.get("/")).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"events": {}},
        {"events": "http://schemas.openid.net/event/backchannel-logout"},
        {"nonce": "x"},
        {"aud": "another"},
        {"iss": "https://another.example"},
        {"iat": 1},
        {"sub": None, "sid": None},
    ],
)
async def test_a_notice_that_is_none_is_refused(house: House, wrong: dict[str, object]) -> None:
    await house.sign_in()
    assert (await notify(house, logout_token(house.idp, **wrong))).status_code == 400
    house.clock.advance(timedelta(seconds=2))
    assert (await house.browser.get("/")).status_code == 200
