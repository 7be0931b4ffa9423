"""People who sign in at an identity provider: a real provider process, the real web process, a real browser."""

import contextlib
import json
import re
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from app.identity.gate import SIGNED_OUT, cookie_name
from app.identity.oidc_provider import LOGOUT_EVENT
from tests.acceptance.processes import House
from tests.app import identity_provider
from tests.app.identity_provider import CLIENT_ID, CLIENT_SECRET, signed
from tests.chromium import chromium
from tests.databases import DatabaseUrls
from tests.rows import ESTATE_TEXT

ANSWERS_S, DRAWS_S = 60.0, 60.0
COOKIE = cookie_name(secure=False)
IDENTITY = """
[identity]
issuer = "{issuer}"
client_id = "tieline"
client_secret_env = "NORTHFIELD_OIDC_SECRET"
contact = "the service desk"

[[identity.grant]]
value = "tax-uk"
role = "operator"
function = "tax"
entities = ["GB01"]

[[identity.grant]]
value = "audit"
role = "auditor"
"""
PEOPLE = (
    {"sub": "maya", "email": "maya@meridian.example", "roles": ["tax-uk"]},
    {"sub": "eve", "email": "eve@meridian.example", "roles": ["audit"]},
    {"sub": "kai", "email": "kai@meridian.example", "roles": ["canteen"]},
)


def house_for(place: Path, urls: DatabaseUrls, issuer: str) -> House:
    house = House(place, urls, {"NORTHFIELD_OIDC_SECRET": CLIENT_SECRET})
    house.estate.write_text(ESTATE_TEXT + IDENTITY.format(issuer=issuer))
    return house


def answers(url: str) -> None:
    """Waits until there is any answer."""
    deadline = time.monotonic() + ANSWERS_S
    while True:
        assert time.monotonic() < deadline, f"{url} does not answer"
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url, trust_env=False, timeout=5)
            return
        time.sleep(0.1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


@pytest.fixture
def site(tmp_path: Path, database_urls: DatabaseUrls) -> Iterator[str]:
    """`tieline web` whose people sign in at oidc-provider-mock."""
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    with house_for(tmp_path, database_urls, issuer) as house:
        known = [option for person in PEOPLE for option in ("--user-claims", json.dumps(person))]
        house.start("provider", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true", *known)
        url = house.web()
        answers(f"{issuer}/.well-known/openid-configuration")
        answers(f"{url}/healthz")
        yield url


@contextlib.contextmanager
def visitor(browser: Browser) -> Iterator[tuple[BrowserContext, Page]]:
    context = browser.new_context()
    try:
        yield context, context.new_page()
    finally:
        context.close()


def sign_in(page: Page, url: str, who: str) -> None:
    page.goto(url)
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("button", name=who, exact=True).click()


def drawn(page: Page) -> None:
    page.wait_for_selector("#page-done", state="attached", timeout=DRAWS_S * 1000)


def test_people_sign_in_see_what_their_role_may_see_and_sign_out_at_the_provider_too(site: str, tmp_path: Path) -> None:
    with chromium() as browser:
        with visitor(browser) as (context, page):
            sign_in(page, f"{site}/contracts?q=C-1", "maya")
            page.wait_for_url(re.compile(r"/contracts\?q=C-1"))
            drawn(page)
            expect(page.get_by_text("maya@meridian.example")).to_be_visible()
            expect(page.get_by_role("link", name="Audit")).to_have_count(0)
            kept = {str(one["name"]): str(one["value"]) for one in context.cookies()}[COOKIE]
            page.get_by_role("link", name="Sign out").click()
            page.get_by_role("button", name="End session").click()
            page.wait_for_url(f"{site}/signed-out*")
            expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
            assert httpx.get(site, headers={"cookie": f"{COOKIE}={kept}"}, trust_env=False).status_code == 401
        with visitor(browser) as (_, page):
            sign_in(page, site, "eve")
            drawn(page)
            page.goto(f"{site}/audit")
            drawn(page)
            expect(page.get_by_role("heading", name="Audit", exact=True)).to_be_visible(timeout=DRAWS_S * 1000)
        with visitor(browser) as (context, page):
            sign_in(page, site, "kai")
            expect(page.get_by_role("heading", name="You have no role yet")).to_be_visible()
            expect(page.get_by_text("Ask the service desk")).to_be_visible()
            assert COOKIE not in {one["name"] for one in context.cookies()}
    said = "".join(log.read_text() for log in tmp_path.glob("web-*.log"))
    assert not [secret for secret in (kept, CLIENT_SECRET, "id_token=", "code=") if secret in said]


def test_the_providers_notice_closes_an_open_page_within_two_seconds(
    tmp_path: Path, database_urls: DatabaseUrls
) -> None:
    with (
        identity_provider.running() as idp,
        house_for(tmp_path, database_urls, idp.issuer) as house,
        httpx.Client(trust_env=False, follow_redirects=True) as browser,
    ):
        url = house.web()
        answers(f"{url}/healthz")
        assert browser.get(f"{url}/login").status_code == 200
        with websocket(url, browser.cookies[COOKIE]) as open_page:
            claims = {"iss": idp.issuer, "aud": CLIENT_ID, "iat": int(time.time()), "sid": idp.person["sid"]}
            token = signed({**claims, "jti": secrets.token_hex(4), "events": {LOGOUT_EVENT: {}}}, idp.keys[0])
            answer = httpx.post(f"{url}/oauth2/backchannel-logout", data={"logout_token": token}, trust_env=False)
            assert answer.status_code == 200
            started = time.monotonic()
            with pytest.raises(ConnectionClosed) as closed:
                exhaust(open_page)
            assert time.monotonic() - started < 3  # two seconds, and one of a busy machine
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == SIGNED_OUT
        assert browser.get(url).status_code == 401


def websocket(url: str, session: str) -> ClientConnection:
    return connect(
        f"{url.replace('http', 'ws', 1)}/_stcore/stream",
        origin=Origin(url),
        additional_headers={"cookie": f"{COOKIE}={session}"},
        subprotocols=[Subprotocol("streamlit")],
    )


def exhaust(open_page: ClientConnection) -> None:
    while True:
        open_page.recv(timeout=10)
