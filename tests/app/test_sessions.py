"""Links open once, sessions end when told to, and the database never holds a secret."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.gate import RECHECK_S
from app.sessions import (
    CACHE_FOR,
    LINK_VALID_FOR,
    SESSION_VALID_FOR,
    Identity,
    Sessions,
    create_link,
    forget,
    read_session,
    revoke_sessions_of,
    roles_header,
    roles_of,
    start_session,
)
from sync_core.clock import VirtualClock

CFO = Identity("cfo@example.com", ("executive", "approver"))
START = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def sessions(database: sa.Engine, clock: VirtualClock) -> Sessions:
    return Sessions(database, clock)


@pytest.fixture
def make_link(database: sa.Engine, clock: VirtualClock) -> Callable[[], str]:
    def make() -> str:
        with database.begin() as conn:
            return create_link(conn, CFO, now=clock.now())

    return make


@pytest.fixture
def sign_in(sessions: Sessions, make_link: Callable[[], str]) -> Callable[[], str]:
    def sign() -> str:
        secret = sessions.redeem(make_link())
        assert secret is not None
        return secret

    return sign


def test_a_link_opens_one_session_for_its_person(sessions: Sessions, make_link: Callable[[], str]) -> None:
    token = make_link()
    secret = sessions.redeem(token)
    assert secret is not None
    assert sessions.find(secret) == CFO
    assert sessions.redeem(token) is None


def test_of_many_uses_at_the_same_time_one_wins(sessions: Sessions, make_link: Callable[[], str]) -> None:
    token = make_link()
    with ThreadPoolExecutor(5) as pool:
        secrets = list(pool.map(sessions.redeem, [token] * 5))
    assert len([secret for secret in secrets if secret is not None]) == 1


@pytest.mark.parametrize("token", ["", "nonsense", "ü"])
def test_an_unknown_token_opens_nothing(sessions: Sessions, token: str) -> None:
    assert sessions.redeem(token) is None


def test_a_link_expires(sessions: Sessions, clock: VirtualClock, make_link: Callable[[], str]) -> None:
    token = make_link()
    clock.advance(LINK_VALID_FOR)
    assert sessions.redeem(token) is None


def test_the_database_holds_no_secret(sessions: Sessions, database: sa.Engine, make_link: Callable[[], str]) -> None:
    token = make_link()
    secret = sessions.redeem(token)
    with database.connect() as conn:
        kept = [
            *conn.execute(sa.text("SELECT token_hash FROM core.login_link")).scalars(),
            *conn.execute(sa.text("SELECT session_hash FROM core.session")).scalars(),
        ]
    assert [len(value) for value in kept] == [32, 32]
    assert not {token.encode(), str(secret).encode()} & {bytes(value) for value in kept}


def test_a_session_expires(sessions: Sessions, clock: VirtualClock, sign_in: Callable[[], str]) -> None:
    secret = sign_in()
    clock.advance(SESSION_VALID_FOR)
    assert sessions.find(secret) is None


def test_signing_out_acts_at_once_in_this_process(sessions: Sessions, sign_in: Callable[[], str]) -> None:
    secret = sign_in()
    assert sessions.find(secret) == CFO
    sessions.revoke(secret)
    assert sessions.find(secret) is None


def test_a_session_revoked_elsewhere_ends_within_five_seconds(
    sessions: Sessions, database: sa.Engine, clock: VirtualClock, sign_in: Callable[[], str]
) -> None:
    secret = sign_in()
    assert sessions.find(secret) == CFO
    Sessions(database, clock).revoke(secret)
    assert sessions.remembered(secret) == CFO
    clock.advance(CACHE_FOR)
    assert sessions.find(secret) is None
    assert CACHE_FOR.total_seconds() + RECHECK_S < 5


def test_all_sessions_of_a_leaver_end_together(
    sessions: Sessions, database: sa.Engine, clock: VirtualClock, sign_in: Callable[[], str]
) -> None:
    secrets = [sign_in(), sign_in()]
    with database.begin() as conn:
        other = start_session(conn, Identity("ops@example.com", ()), now=clock.now())
        assert revoke_sessions_of(conn, CFO.email, now=clock.now()) == 2
    assert [sessions.find(secret) for secret in secrets] == [None, None]
    assert sessions.find(other) == Identity("ops@example.com", ())


def test_a_look_up_is_remembered_and_seen_is_noted_once_a_minute(
    database: sa.Engine, clock: VirtualClock, sign_in: Callable[[], str]
) -> None:
    secret = sign_in()
    seen = []
    for step in (timedelta(seconds=30), timedelta(seconds=30), timedelta(seconds=30)):
        clock.advance(step)
        with database.begin() as conn:
            assert read_session(conn, secret, now=clock.now()) == CFO
            seen.append(conn.execute(sa.text("SELECT last_seen_at FROM core.session")).scalar_one())
    assert [moment - START for moment in seen] == [timedelta(0), timedelta(minutes=1), timedelta(minutes=1)]


def test_what_expired_is_forgotten(
    database: sa.Engine, clock: VirtualClock, sign_in: Callable[[], str], make_link: Callable[[], str]
) -> None:
    sign_in()
    clock.advance(timedelta(days=40))
    make_link()
    with database.begin() as conn:
        assert forget(conn, before=clock.now() - timedelta(days=30)) == 2
        assert conn.execute(sa.text("SELECT count(*) FROM core.login_link")).scalar_one() == 1


@pytest.mark.parametrize("word", ["", "a,b", "a\r\nx-auth-groups: admin", "ü@example.com"])
def test_names_that_would_break_a_header_are_refused(word: str) -> None:
    with pytest.raises(ValueError, match="cannot name"):
        Identity("cfo@example.com", (word,))
    with pytest.raises(ValueError, match="cannot name"):
        Identity(word, ())


def test_roles_travel_in_a_header_and_back() -> None:
    assert roles_of(roles_header(CFO.roles)) == CFO.roles
    assert roles_of("") == roles_of(None) == ()
