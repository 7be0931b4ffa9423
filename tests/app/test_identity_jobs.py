"""Counting refusals, whose address counts, and what is kept of secrets in logs."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request

from app.identity.refusal_counts import Refusals, Refused, Subject, address_of, sum_up
from app.identity.sessions import Person, Provided, Rules, start_session
from app.jobs.identity import tidy
from app.telemetry.logs import without_secrets
from sync_core.clock import VirtualClock
from tests.app.identity_provider import rsa, signed

NOW = datetime(2026, 11, 25, 9, 0, 30, tzinfo=UTC)


def request(peer: str | None, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    return Request({"type": "http", "headers": headers, "client": (peer, 1) if peer else None})


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "found"),
    [
        ("192.0.2.7", (), 0, "192.0.2.7"),
        ("192.0.2.7", ("203.0.113.1",), 0, "192.0.2.7"),
        ("192.0.2.7", ("10.0.0.1, 203.0.113.1",), 1, "203.0.113.1"),
        ("192.0.2.7", ("10.0.0.1", "203.0.113.1"), 1, "203.0.113.1"),
        ("192.0.2.7", ("10.0.0.1, 203.0.113.1, 198.51.100.2",), 2, "203.0.113.1"),
        ("192.0.2.7", (), 1, "192.0.2.7"),
        ("192.0.2.7", ("<script>",), 1, "unknown"),
        ("2001:db8:1:2:3:4:5:6", (), 0, "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", (), 0, "192.0.2.7"),
        ("192.0.2.7", ("::ffff:203.0.113.1",), 1, "203.0.113.1"),
        (None, (), 0, "unknown"),
    ],
)
def test_an_address_is_the_sockets_or_what_a_trusted_proxy_saw(
    peer: str | None, forwarded: tuple[str, ...], proxies: int, found: str
) -> None:
    assert address_of(request(peer, *forwarded), trusted_proxies=proxies) == found


def test_finished_minutes_become_one_audit_row_for_each_kind(database: sa.Engine) -> None:
    clock = VirtualClock(NOW)
    refusals = Refusals(database, clock)
    one, other = Subject("sign_in", "address 192.0.2.7", 30), Subject("sign_in", "address 192.0.2.8", 30)
    for _ in range(3):
        refusals.count(one)
    refusals.count(other, Subject("token", "client erp-bridge", 10), Subject("token", "address 192.0.2.8", 30))
    with database.begin() as conn:
        assert sum_up(conn, now=clock.now()) == 0  # the minute is not over
    clock.advance(timedelta(minutes=3))
    refusals.count(one)
    with database.begin() as conn:
        assert sum_up(conn, now=clock.now()) == 2
    with database.connect() as conn:
        rows = conn.execute(sa.text("SELECT action, subject, detail FROM core.audit ORDER BY id")).all()
    assert [(row.action, row.subject) for row in rows] == [
        ("sign_in.refused", "sign_in 2026-11-25 09:00"),
        ("token.refused", "token 2026-11-25 09:00"),
    ]
    assert '"refused":4' in rows[0].detail
    assert '"refused":1' in rows[1].detail
    assert "client erp-bridge: 1" in rows[1].detail


def test_a_limit_opens_again_and_counts_are_forgotten(database: sa.Engine) -> None:
    clock = VirtualClock(NOW)
    refusals, who = Refusals(database, clock), Subject("token", "client erp-bridge", 2)
    refusals.count(who)
    refusals.check(who)
    refusals.count(who)
    with pytest.raises(Refused) as refused:
        refusals.check(who)
    clock.advance(timedelta(seconds=refused.value.retry_after_s - 1))
    with pytest.raises(Refused):
        refusals.check(who)
    clock.advance(timedelta(seconds=1))
    refusals.check(who)
    clock.advance(timedelta(days=2))
    with database.begin() as conn:
        sum_up(conn, now=clock.now())
        sum_up(conn, now=clock.now())
        assert conn.execute(sa.text("SELECT count(*) FROM core.refusal")).scalar_one() == 0


EXPIRED = """
    INSERT INTO core.login_attempt VALUES ('\\x01', '\\x01', '/', :at, :at);
    INSERT INTO core.api_client (client_id, description, scopes, created_by, created_at)
    VALUES ('c', '', '{}', 'x', :at);
    INSERT INTO core.api_client_secret (client_id, secret_hash, created_at) VALUES ('c', '\\x01', :at);
    INSERT INTO core.api_token SELECT '\\x01', 'c', secret_id, '{}', :at, :at FROM core.api_client_secret;
    INSERT INTO core.idempotency VALUES ('c', 'k', '\\x01', '\\x01', :at)
"""


async def test_each_minute_what_expired_is_forgotten(async_database: AsyncEngine) -> None:
    clock = VirtualClock(NOW)
    async with async_database.begin() as conn:
        for statement in EXPIRED.split(";"):
            await conn.execute(sa.text(statement), {"at": NOW - timedelta(days=2)})
    assert await tidy(async_database, clock) == "0 refusals audited, 3 expired records forgotten"
    assert await tidy(async_database, clock) == "0 refusals audited, 0 expired records forgotten"


async def test_the_id_token_of_a_session_goes_when_the_session_is_over(
    database: sa.Engine, async_database: AsyncEngine
) -> None:
    clock, rules = VirtualClock(NOW), Rules(issuer="https://login.example")
    provided = Provided("https://login.example", "s-1", None, "the id token")
    with database.begin() as conn:
        start_session(conn, Person("maya@example.com", ("auditor",)), now=NOW, rules=rules, provided=provided, how="x")
    kept = sa.text("SELECT count(*) FROM core.session WHERE id_token IS NOT NULL")
    for hours, wanted in ((11, 1), (1, 0)):
        clock.advance(timedelta(hours=hours))
        await tidy(async_database, clock)
        with database.connect() as conn:
            assert conn.execute(kept).scalar_one() == wanted


SECRET = "tls_" + "Ab-_9" * 8
TOKEN = "tlt_" + "Ab-_9" * 8
JWT = signed({"sub": "s"}, rsa())


@pytest.mark.parametrize(
    "line",
    [
        f"Authorization: Bearer {TOKEN}",
        "authorization: Basic ZXJwLWJyaWRnZTpzZWNyZXQ=",
        f"the client sent {SECRET} as its secret",
        f"got {{'access_token': '{TOKEN}'}}",
        f"GET https://login.example/end?id_token_hint={JWT}&x=1",
        f"the token {JWT} is not good",
        "GET /oauth2/callback?code=SplxlOBeZQQYbYS6WxSbIA&state=xyzABC123 failed",
        "client_secret=hunter2hunter2&grant_type=client_credentials",
        "code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    ],
)
def test_no_token_secret_or_code_reaches_a_log(line: str) -> None:
    hidden = (
        TOKEN,
        SECRET,
        JWT,
        "ZXJwLWJyaWRnZTpzZWNyZXQ=",
        "SplxlOBeZQQYbYS6WxSbIA",
        "xyzABC123",
        "hunter2",
        "dBjftJeZ",
    )
    shown = without_secrets(line)
    assert not [one for one in hidden if one in shown], shown
    assert "***" in shown


def test_what_is_no_secret_stays_in_the_log() -> None:
    line = "contract state=active code=estate.invalid token tlt_short nonce of a basic rule"
    assert without_secrets(line) == line
