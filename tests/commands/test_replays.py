"""What the commands on a replay refuse, and what they say."""

import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
import sqlalchemy as sa

from sync_core.authority import ActorKind, Forbidden, person, program
from sync_core.clock import VirtualClock
from sync_core.commands.desk import CommandRefused, Desk, InvalidInput, NotFound
from sync_core.commands.replays import Missed, Origin, Replays, Selection, StuckFilter
from sync_core.estate.estate import ReplayPolicy
from sync_core.journal.progress import State
from tests.databases import DatabaseUrls
from tests.reads.handmade import add_contract
from tests.rows import NOW, SOURCE, estate

ADA = person("ada@example.com", ["operator"])
BEN = person("ben@example.com", ["approver"])
ROBOT = program("robot", ["replay:preview", "replay:execute", "replay:approve"])
POLICY = ReplayPolicy(second_person_from_money=Decimal(500), second_person_from_count=3)


@pytest.fixture
def replays(database: sa.Engine) -> Replays:
    return Replays(Desk(database, VirtualClock(NOW), replace(estate(), replay=POLICY)))


def previewed(database: sa.Engine, replays: Replays, *moneys: Decimal | None, writes: bool = True) -> int:
    """A replay whose items a worker has previewed, by hand."""
    ids = [add_contract(database, took=1.0, value_reporting=money) for money in moneys]
    made = replays.preview(ADA, Selection(tuple(ids)))
    with database.begin() as conn:
        conn.execute(
            sa.text("UPDATE core.replay_item SET preview = 'done', digest = 'd', plan = '[]', creates = :creates"),
            {"creates": int(writes)},
        )
        conn.execute(sa.text("UPDATE core.replay SET state = 'previewed'"))
    return made.replay_id


@pytest.mark.parametrize(
    ("moneys", "writes", "why"),
    [
        ([Decimal(499)], True, ""),
        ([Decimal(500)], True, "500.00 USD is 500.00 USD or more"),
        ([Decimal(300), Decimal(300)], True, "600.00 USD is 500.00 USD or more"),
        ([None], True, "the money of 1 items is not known in USD"),
        ([Decimal(900), None], False, ""),
        ([Decimal(1)] * 3, False, "3 items are 3 or more"),
    ],
)
def test_a_second_person_is_asked_for_by_money_that_is_written_and_by_count(
    database: sa.Engine, replays: Replays, moneys: list[Decimal | None], writes: bool, why: str
) -> None:
    replay_id = previewed(database, replays, *moneys, writes=writes)
    confirmed = replays.confirm(ADA, replay_id, reason="after the outage", ticket="CHG-1")
    assert confirmed.approval_why == why
    assert confirmed.state == ("awaiting_approval" if why else "running")


def test_only_another_person_with_the_role_for_every_entity_approves(database: sa.Engine, replays: Replays) -> None:
    replay_id = previewed(database, replays, Decimal(900))
    confirmed = replays.confirm(ADA, replay_id, reason="after the outage", ticket="CHG-1")
    for actor, error in (
        (ADA, Forbidden),
        (person("ADA@example.com", ["approver"]), CommandRefused),
        (ROBOT, CommandRefused),
        (person("bob@example.com", ["approver@GB01"]), NotFound),
    ):
        with pytest.raises(error):
            replays.approve(actor, replay_id, reason="seen it")
    assert ROBOT.kind is ActorKind.PROGRAM
    replays.approve(BEN, replay_id, reason="seen it", version=confirmed.version)
    with pytest.raises(CommandRefused, match="is running"):
        replays.approve(BEN, replay_id, reason="seen it twice")


def test_refusing_ends_it_and_it_can_be_offered_again(database: sa.Engine, replays: Replays) -> None:
    replay_id = previewed(database, replays, Decimal(900))
    replays.confirm(ADA, replay_id, reason="after the outage", ticket="CHG-1")
    assert replays.refuse(BEN, replay_id, reason="not before the close").state == "refused"
    with database.connect() as conn:
        words = conn.scalar(sa.text("SELECT words FROM core.replay_item"))
    assert words == "refused by ben@example.com: not before the close"
    again = replays.offer_again(ADA, replay_id)
    assert (again.items, again.state) == (1, "previewing")


REFUSED: list[tuple[Callable[[Replays, int], object], type[Exception], str]] = [
    (lambda r, i: r.confirm(ADA, i, reason="x"), InvalidInput, "say why"),
    (lambda r, i: r.confirm(ADA, i, reason="good reason", per_minute=0), InvalidInput, "choose from 1"),
    (lambda r, i: r.confirm(ADA, i, reason="good reason"), InvalidInput, "name the ticket"),
    (lambda r, i: r.confirm(ADA, i, reason="good reason", ticket=" "), InvalidInput, "name the ticket"),
    (lambda r, i: r.confirm(ADA, i, reason="good reason", ticket="T" * 61), InvalidInput, "longer than 60"),
    (
        lambda r, i: r.confirm(ADA, i, reason="good reason", ticket="CHG-1", only=[]),
        InvalidInput,
        "no contracts was chosen",
    ),
    (lambda r, i: r.confirm(ADA, i, reason="good reason", ticket="CHG-1", only=[10**30]), NotFound, "no contract"),
    (lambda r, i: r.confirm(ADA, i, reason="good reason", ticket="CHG-1", only=[10**12]), NotFound, "is not in replay"),
    (lambda r, i: r.confirm(ADA, i + 1, reason="good reason"), NotFound, "no replay"),
    (lambda r, i: r.confirm(BEN, i, reason="good reason"), Forbidden, "replay:execute"),
    (lambda r, i: r.pause(ADA, i), CommandRefused, "only one that is running"),
    (lambda r, i: r.resume(ADA, i), CommandRefused, "only one that is paused"),
    (lambda r, i: r.offer_again(ADA, i), CommandRefused, "wait until it is over"),
    (lambda r, _: r.preview(ADA, Selection((1,)), title="t" * 201), InvalidInput, "title"),
    (lambda r, _: r.preview(ADA, Selection(tuple(range(1, 50_002)))), InvalidInput, "at most 50,000"),
    (lambda r, _: r.preview(ADA, Selection(missed=Missed("sap", NOW))), InvalidInput, "cloud or legacy"),
    (lambda r, _: r.preview(person("eve@example.com", ["auditor"]), Selection((1,))), Forbidden, "replay:preview"),
]


@pytest.mark.parametrize(("command", "error", "words"), REFUSED)
def test_what_cannot_be_is_refused_and_nothing_happens(
    database: sa.Engine, replays: Replays, command: Callable[[Replays, int], object], error: type[Exception], words: str
) -> None:
    replay_id = previewed(database, replays, Decimal(1))
    before = _all(database)
    with pytest.raises(error, match=words):
        command(replays, replay_id)
    assert _all(database) == before


def test_hostile_text_is_kept_as_text(database: sa.Engine, replays: Replays) -> None:
    contract = add_contract(database, took=1.0)
    title = "=HYPERLINK('x') <script>\x00 'quoted\" 100% :bind"
    made = replays.preview(ADA, Selection((contract,)), origin=Origin.ORIGINAL, title=title)
    replays.cancel(ADA, made.replay_id, reason="a\x00b because")
    with database.connect() as conn:
        assert conn.scalar(sa.text("SELECT title FROM core.replay")) == title.replace("\x00", "\ufffd")


def test_confirming_many_items_costs_one_pass_though_statistics_knew_of_none(
    database: sa.Engine, database_urls: DatabaseUrls, replays: Replays
) -> None:
    """Planned by statistics of an empty table, a self-join walked through all items for each: minutes for these."""
    owner = sa.create_engine(database_urls.owner, isolation_level="AUTOCOMMIT")
    with owner.connect() as conn:
        conn.execute(sa.text("ALTER TABLE core.replay_item SET (autovacuum_enabled = off)"))
        conn.execute(sa.text("VACUUM ANALYZE core.replay_item"))
        conn.execute(_MANY, {"source": SOURCE, "now": NOW})
    owner.dispose()
    made = replays.preview(ADA, Selection(stuck=StuckFilter(states=(State.ACTIVE,))))
    with database.begin() as conn:
        conn.execute(sa.text("UPDATE core.replay_item SET preview = 'done', digest = 'd', plan = '[]', creates = 1"))
        conn.execute(sa.text("UPDATE core.replay SET state = 'previewed'"))
    begun = time.monotonic()
    assert replays.confirm(ADA, made.replay_id, reason="after the outage", ticket="CHG-1").items == 8_000
    assert time.monotonic() - begun < 30


_MANY = sa.text("""
    INSERT INTO core.contract (source, external_id, state, state_since, lane, signed_at, received_at, updated_at,
                               legal_entity, currency, value, value_reporting)
    SELECT :source, 'M-' || n, 'active', :now, 'cloud', :now, :now, :now, 'US01', 'USD', 1, 1
    FROM generate_series(1, 8000) AS n
""")


def _all(database: sa.Engine) -> list[tuple[object, ...]]:
    with database.connect() as conn:
        tables = ("core.replay", "core.replay_item", "core.audit")
        return [tuple(row) for t in tables for row in conn.execute(sa.text(f"SELECT * FROM {t} ORDER BY 1"))]
