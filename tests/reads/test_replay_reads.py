"""What a replay's reads say: stopped contracts apart, trouble first at the end, what a second person is asked."""

from decimal import Decimal

import sqlalchemy as sa

from sync_core.reads import Reads, Window
from sync_core.reads.replay_items import ItemFilter, ItemSort
from sync_core.replay.replay import ItemState
from tests.commands import people
from tests.pages.repair import ended, previewed, refused_before, stop
from tests.reads.handmade import add_contract

ADA = people.EVERYTHING


def contracts(database: sa.Engine, *moneys: int) -> list[int]:
    return [add_contract(database, state="blocked", value_reporting=Decimal(money)) for money in moneys]


def test_what_is_stopped_counts_apart_before_and_after_the_confirmation(database: sa.Engine, reads: Reads) -> None:
    commands = people.commands(database)
    first, second, third = contracts(database, 1, 1, 1)
    replay_id = previewed(commands, ADA, [first, second, third])
    stop(database, replay_id, second, "no tax profile")
    for _ in range(2):
        found = reads.replay(replay_id)
        assert found is not None
        totals = found.totals
        assert (totals.stopped, totals.stopped_money.money.amount) == (1, Decimal(100))
        assert (totals.updates, totals.money.money.amount, totals.money.count) == (2, Decimal(200), 2)
        [row] = reads.replay_items(replay_id, ItemFilter(stopped=True)).rows
        assert (row.contract_id, row.stopped, row.findings) == (second, True, ("no tax profile",))
        assert reads.replay_items(replay_id, ItemFilter(stopped=False)).total == 2
        if found.replay.confirmed_at is None:
            assert (totals.ready, totals.ready_money.money.amount) == (2, Decimal(200))
            commands.replays.confirm(ADA, replay_id, reason="the outage is over", ticket="INC-1")


def test_the_last_refusal_is_told_until_the_item_has_ended(database: sa.Engine, reads: Reads) -> None:
    commands = people.commands(database)
    [one] = contracts(database, 1)
    refused_before(database, one, "cloud: the period is closed")
    replay_id = previewed(commands, ADA, [one])
    [row] = reads.replay_items(replay_id).rows
    assert row.refused is not None
    assert (row.refused.words, row.refused.error_class) == ("cloud: the period is closed", "erp_rejected")
    assert row.refused.at == reads.now
    stop(database, replay_id, one, "cloud: the period is closed")
    assert reads.replay_items(replay_id).rows[0].refused is None  # its preview says the same
    stop(database, replay_id, one, "something else")
    ended(database, replay_id, verified=1)
    assert reads.replay_items(replay_id).rows[0].refused is None


def test_once_it_is_over_what_went_wrong_comes_first_on_every_page(database: sa.Engine, reads: Reads) -> None:
    commands = people.commands(database)
    replay_id = previewed(commands, ADA, contracts(database, *range(9, 0, -1)))
    commands.replays.confirm(ADA, replay_id, reason="the outage is over", ticket="INC-1")
    states = (
        "verified",
        "verified",
        "failed",
        "verified",
        "mismatch",
        "unverifiable",
        "verified",
        "cancelled",
        "failed",
    )
    with database.begin() as conn:
        for position, state in enumerate(states, 1):
            conn.execute(
                sa.text("UPDATE core.replay_item SET state = :state, finished_at = now() WHERE position = :position"),
                {"state": state, "position": position},
            )
    in_order = [row.state for row in reads.replay_items(replay_id).rows]
    assert in_order == list(states)
    ended(database, replay_id)
    seen: list[ItemState] = []
    window = Window(4)
    while True:
        page = reads.replay_items(replay_id, window=window)
        seen += [row.state for row in page.rows]
        if page.after is None:
            break
        window = Window(4, after=page.after)
    assert [state.value for state in seen] == [
        "failed", "mismatch", "unverifiable", "failed", "cancelled", "verified", "verified", "verified", "verified",
    ]  # fmt: skip
    assert [row.state for row in reads.replay_items(replay_id, sort=ItemSort.DISPATCH).rows] == list(states)


def test_pages_go_on_as_they_began_though_the_replay_ends_between_two(database: sa.Engine, reads: Reads) -> None:
    commands = people.commands(database)
    chosen = contracts(database, *range(9, 0, -1))
    replay_id = previewed(commands, ADA, chosen)
    commands.replays.confirm(ADA, replay_id, reason="the outage is over", ticket="INC-1")
    page = reads.replay_items(replay_id, window=Window(4))
    seen = [row.contract_id for row in page.rows]
    with database.begin() as conn:
        conn.execute(sa.text("UPDATE core.replay_item SET state = 'failed' WHERE position > 7"))
    ended(database, replay_id)
    while page.after is not None:
        page = reads.replay_items(replay_id, window=Window(4, after=page.after))
        seen += [row.contract_id for row in page.rows]
    assert seen == chosen
    back = reads.replay_items(replay_id, window=Window(4, before=page.before))
    assert [row.contract_id for row in back.rows] == chosen[4:8]


def test_what_was_not_chosen_is_not_stopped_in_the_list_either(database: sa.Engine, reads: Reads) -> None:
    commands = people.commands(database)
    first, second = contracts(database, 1, 1)
    replay_id = previewed(commands, ADA, [first, second])
    stop(database, replay_id, second, "no tax profile")
    commands.replays.confirm(ADA, replay_id, reason="the outage is over", ticket="INC-1", only=[first])
    stopped = [row.contract_id for row in reads.replay_items(replay_id).rows if row.stopped]
    found = reads.replay(replay_id)
    assert found is not None
    listed = [row.contract_id for row in reads.replay_items(replay_id, ItemFilter(stopped=True)).rows]
    assert (stopped, found.totals.stopped) == (listed, len(listed))


def test_a_second_person_is_asked_for_what_is_carried_out_and_sees_whose_money_it_is(
    database: sa.Engine, reads: Reads
) -> None:
    commands = people.commands(database)
    chosen = contracts(database, 1, 1, 1, 1)
    replay_id = previewed(commands, ADA, chosen)
    stop(database, replay_id, chosen[0], "no tax profile")
    with database.begin() as conn:
        conn.execute(
            sa.text("UPDATE core.replay_item SET money_reporting = 900, money = 900 WHERE contract_id = :id"),
            {"id": chosen[2]},
        )
    commands.replays.confirm(ADA, replay_id, reason="the outage is over", ticket="INC-1", only=chosen[:3])
    asked = reads.replays_asked([replay_id, replay_id + 1], most=1)
    assert (asked[replay_id].count, asked[replay_id].money.money.amount) == (2, Decimal(1000))
    [first] = asked[replay_id].first
    assert first.value is not None
    assert first.value.amount == Decimal(900)
    assert (asked[replay_id + 1].count, asked[replay_id + 1].first) == (0, ())


def test_a_decision_raises_the_version_that_an_open_page_looks_at(database: sa.Engine, reads: Reads) -> None:
    commands = people.commands(database)
    replay_id = previewed(commands, ADA, contracts(database, 1))
    before = reads.replay_version(replay_id)
    commands.replays.confirm(ADA, replay_id, reason="the outage is over", ticket="INC-1")
    after = reads.replay_version(replay_id)
    assert before is not None
    assert after is not None
    assert after > before
    assert reads.within(people.EXECUTIVE).replay_version(replay_id) == after
    assert reads.replay_version(replay_id + 1) is None
