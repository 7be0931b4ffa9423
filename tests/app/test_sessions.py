"""Links open once, sessions end when told to or when idle, and the database never holds a secret."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.cli.actor import operator_of_this_machine
from app.identity.gate import RECHECK_S
from app.identity.links import LINK_VALID_FOR, create_link, forget_links
from app.identity.refusal_counts import Refusals
from app.identity.sessions import (
    CACHE_FOR,
    Person,
    Provided,
    Rules,
    Sessions,
    forget_sessions,
    read_session,
    roles_header,
    roles_of,
    start_session,
)
from app.web.entry import Entry
from app.web.entry_pages import Pages
from sync_core.clock import VirtualClock
from sync_core.commands.commands import Commands
from tests.rows import estate

CFO = Person("cfo@example.com", ("executive", "approver@GB01+US01"))
START = datetime(2026, 11, 23, 6, tzinfo=UTC)
RULES = Rules()
AUDITED = sa.text("SELECT actor, roles, action, subject, reason FROM core.audit ORDER BY id")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def sessions(database: sa.Engine, clock: VirtualClock) -> Sessions:
    return Sessions(database, clock)


@pytest.fixture
def entry(database: sa.Engine, clock: VirtualClock, sessions: Sessions) -> Entry:
    return Entry(sessions, Refusals(database, clock), Pages(signs_in=False), None, secure=False)


@pytest.fixture
def make_link(database: sa.Engine, clock: VirtualClock) -> Callable[[], str]:
    def make() -> str:
        with database.begin() as conn:
            return create_link(conn, CFO, by=operator_of_this_machine(), now=clock.now())

    return make


@pytest.fixture
def sign_in(entry: Entry, make_link: Callable[[], str]) -> Callable[[], str]:
    def sign() -> str:
        secret = entry.enter(make_link())
        assert secret is not None
        return secret

    return sign


def test_a_link_opens_one_session_for_its_person(
    entry: Entry, sessions: Sessions, make_link: Callable[[], str]
) -> None:
    token = make_link()
    secret = entry.enter(token)
    assert secret is not None
    assert sessions.find(secret) == CFO
    assert entry.enter(token) is None


def test_of_many_uses_at_the_same_time_one_wins(entry: Entry, make_link: Callable[[], str]) -> None:
    token = make_link()
    with ThreadPoolExecutor(5) as pool:
        secrets = list(pool.map(entry.enter, [token] * 5))
    assert len([secret for secret in secrets if secret is not None]) == 1


@pytest.mark.parametrize("token", ["", "nonsense", "ü", "\x00", "\udcff"])
def test_an_unknown_token_opens_nothing(entry: Entry, token: str) -> None:
    assert entry.enter(token) is None


def test_a_link_expires(entry: Entry, clock: VirtualClock, make_link: Callable[[], str]) -> None:
    token = make_link()
    clock.advance(LINK_VALID_FOR)
    assert entry.enter(token) is None


def test_the_database_holds_no_secret(entry: Entry, database: sa.Engine, make_link: Callable[[], str]) -> None:
    token = make_link()
    secret = entry.enter(token)
    with database.connect() as conn:
        kept = [
            *conn.execute(sa.text("SELECT token_hash FROM core.login_link")).scalars(),
            *conn.execute(sa.text("SELECT session_hash FROM core.session")).scalars(),
        ]
        said = conn.execute(sa.text("SELECT string_agg(CAST(a AS text), ' ') FROM core.audit AS a")).scalar_one()
    assert [len(value) for value in kept] == [32, 32]
    assert not {token.encode(), str(secret).encode()} & {bytes(value) for value in kept}
    assert token not in said
    assert str(secret) not in said


def test_what_people_do_at_the_door_is_audited(
    sessions: Sessions, database: sa.Engine, sign_in: Callable[[], str]
) -> None:
    sessions.end(sign_in())
    with database.connect() as conn:
        rows = [tuple(row) for row in conn.execute(AUDITED)]
    local = operator_of_this_machine()
    roles = "executive approver@GB01+US01"
    assert rows == [
        (local.name, local.roles, "link.create", "person cfo@example.com", ""),
        (CFO.email, roles, "session.begin", "person cfo@example.com", ""),
        (CFO.email, roles, "session.sign_out", "person cfo@example.com", ""),
    ]


def test_a_session_expires(sessions: Sessions, clock: VirtualClock, sign_in: Callable[[], str]) -> None:
    secret = sign_in()
    step = RULES.idle_after - timedelta(minutes=1)
    while clock.now() + step < START + RULES.valid_for:
        clock.advance(step)
        assert sessions.find(secret) == CFO
        sessions.see(secret)
    clock.advance_to(START + RULES.valid_for)
    assert sessions.find(secret) is None


def test_a_session_that_nobody_uses_ends(sessions: Sessions, clock: VirtualClock, sign_in: Callable[[], str]) -> None:
    secret = sign_in()
    clock.advance(RULES.idle_after - timedelta(seconds=1))
    assert sessions.find(secret) == CFO  # looking is not using
    clock.advance(timedelta(seconds=1))
    assert sessions.find(secret) is None
    sessions.see(secret)
    assert sessions.find(secret) is None


def test_signing_out_acts_at_once_in_this_process(sessions: Sessions, sign_in: Callable[[], str]) -> None:
    secret = sign_in()
    assert sessions.find(secret) == CFO
    ended = sessions.end(secret)
    assert ended is not None
    assert ended.email == CFO.email
    assert sessions.find(secret) is None
    assert sessions.end(secret) is None


def test_a_session_ended_elsewhere_ends_within_two_seconds(
    sessions: Sessions, database: sa.Engine, clock: VirtualClock, sign_in: Callable[[], str]
) -> None:
    secret = sign_in()
    assert sessions.find(secret) == CFO
    Sessions(database, clock).end(secret)
    assert sessions.remembered(secret) == CFO
    clock.advance(CACHE_FOR)
    assert sessions.find(secret) is None
    assert CACHE_FOR.total_seconds() + RECHECK_S <= 2


def test_all_sessions_of_a_leaver_end_together(
    sessions: Sessions, database: sa.Engine, clock: VirtualClock, sign_in: Callable[[], str]
) -> None:
    secrets = [sign_in(), sign_in()]
    ops = Person("ops@example.com", ("operator:tax",))
    with database.begin() as conn:
        other = start_session(conn, ops, now=clock.now(), rules=RULES, how="test")
    access = Commands(database, clock=clock, estate=estate()).access
    assert access.end_sessions(operator_of_this_machine(), "CFO@example.com", reason="has left").ended == 2
    assert [sessions.find(secret) for secret in secrets] == [None, None]
    assert sessions.find(other) == ops


def test_with_a_provider_a_session_of_a_link_is_none(
    database: sa.Engine, clock: VirtualClock, sign_in: Callable[[], str]
) -> None:
    secret = sign_in()
    strict = Rules(issuer="https://login.example.com")
    provided = Provided("https://login.example.com", "s-1", None, "id-token")
    with database.begin() as conn:
        good = start_session(conn, CFO, now=clock.now(), rules=strict, provided=provided, how="OpenID Connect")
        assert read_session(conn, secret, now=clock.now(), rules=strict) is None
        assert read_session(conn, good, now=clock.now(), rules=strict) == CFO


def test_use_is_noted_once_a_minute(
    database: sa.Engine, sessions: Sessions, clock: VirtualClock, sign_in: Callable[[], str]
) -> None:
    secret = sign_in()
    seen = []
    for _ in range(4):
        clock.advance(timedelta(seconds=30))
        sessions.see(secret)
        with database.connect() as conn:
            seen.append(conn.execute(sa.text("SELECT last_seen_at FROM core.session")).scalar_one())
    assert [(moment - START).total_seconds() for moment in seen] == [30, 30, 90, 90]


def test_what_expired_is_forgotten(
    database: sa.Engine, clock: VirtualClock, sign_in: Callable[[], str], make_link: Callable[[], str]
) -> None:
    sign_in()
    clock.advance(timedelta(days=40))
    make_link()
    before = clock.now() - timedelta(days=30)
    with database.begin() as conn:
        assert (forget_links(conn, before=before), forget_sessions(conn, before=before)) == (1, 1)
        assert conn.execute(sa.text("SELECT count(*) FROM core.login_link")).scalar_one() == 1


@pytest.mark.parametrize("word", ["", "a,b", "a\r\nx-auth-groups: administrator", "ü@example.com"])
def test_words_that_a_header_cannot_carry_are_refused(word: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        Person(word, ("executive",))
    with pytest.raises(ValueError, match="printable ASCII"):
        Person("cfo@example.com", (word,))


def test_grants_travel_in_a_header_and_back() -> None:
    assert roles_of(roles_header(CFO.grants)) == CFO.grants
    assert roles_of("") == roles_of(None) == ()
