"""Replays counted by hand: what was asked for, what of it was carried out, and how that ended."""

from collections.abc import Mapping
from dataclasses import astuple
from datetime import datetime, timedelta

import sqlalchemy as sa

from metrics.replays import Replays, replays
from metrics.technical import Technical
from sync_core.clock import VirtualClock
from tests import rows
from tests.reads.handmade import add_contract, insert

HOUR = timedelta(hours=1)
SINCE = rows.NOW - HOUR


def _replay(engine: sa.Engine, at: datetime) -> int:
    return insert(
        engine, "replay", "replay_id", created_at=at, created_by="pat", title="", origin="current", selection="{}",
        entities=["US01"], items=1, state="running", per_minute=60,
    )  # fmt: skip


def _item(
    engine: sa.Engine, replay: int, state: str, counts: Mapping[str, int] | None = None, *, dispatched: bool = True,
    skip: str = "",
) -> None:  # fmt: skip
    """`counts`: what its plan was to do."""
    insert(
        engine, "replay_item", "", replay_id=replay, contract_id=add_contract(engine), position=1,
        eligibility="eligible", preview="done", preview_due_at=rows.NOW, state=state, skip=skip,
        dispatched_at=rows.NOW if dispatched else None, **(counts or {}),
    )  # fmt: skip


def _counted(engine: sa.Engine, since: datetime = SINCE) -> Replays:
    with engine.connect() as conn:
        return replays(conn, since=since)


def _in_every_state(engine: sa.Engine, replay: int) -> None:
    """Thirteen: nine of them dispatched, four verified, of which two found nothing to write."""
    writes_of: tuple[dict[str, int], ...] = ({"creates": 2}, {"updates": 1}, {}, {"no_ops": 3})
    for writes in writes_of:
        _item(engine, replay, "verified", writes)
    for state in ("failed", "mismatch", "unverifiable"):
        _item(engine, replay, state, {"creates": 1})
    _item(engine, replay, "skipped", {"creates": 1}, skip="changed")
    _item(engine, replay, "pending", {"creates": 1})
    _item(engine, replay, "pending", dispatched=False)
    _item(engine, replay, "skipped", skip="not_eligible", dispatched=False)
    _item(engine, replay, "skipped", skip="not_chosen", dispatched=False)
    _item(engine, replay, "cancelled", dispatched=False)


def test_nothing_was_replayed(database: sa.Engine) -> None:
    assert _counted(database) == Replays(0, 0, 0, 0, 0, 0)


def test_items_in_every_state_are_counted_once_each(database: sa.Engine) -> None:
    _in_every_state(database, _replay(database, rows.NOW - HOUR / 2))
    assert _counted(database) == Replays(requested=13, executed=9, verified=4, no_op=2, failed=3, replays=1)


def test_every_kind_of_write_tells_a_verified_item_from_a_prevented_duplicate(database: sa.Engine) -> None:
    replay = _replay(database, rows.NOW)
    for kind in ("creates", "updates", "activates", "closes"):
        _item(database, replay, "verified", {kind: 1})
        _item(database, replay, "failed", {kind: 0})  # wrote nothing, and is no duplicate that was prevented
    _item(database, replay, "verified", {"conflicts": 1})
    assert _counted(database) == Replays(requested=9, executed=9, verified=5, no_op=1, failed=4, replays=1)


def test_a_replay_is_of_the_window_in_which_it_was_made(database: sa.Engine) -> None:
    """One made at its very begin counts, one made a second earlier does not, whenever its items were dispatched."""
    first, earlier, second = (_replay(database, at) for at in (SINCE, SINCE - timedelta(seconds=1), rows.NOW))
    _in_every_state(database, first)
    _in_every_state(database, second)
    _item(database, earlier, "verified")
    _replay(database, rows.NOW)  # nothing was chosen for it
    assert astuple(_counted(database)) == (26, 18, 8, 4, 6, 2)
    assert astuple(_counted(database, SINCE - HOUR)) == (27, 19, 9, 5, 6, 3)


def test_the_report_has_them_of_its_window(database: sa.Engine) -> None:
    _in_every_state(database, _replay(database, rows.NOW - 2 * HOUR))
    technical = Technical(database, clock=VirtualClock(rows.NOW))
    assert technical.report(HOUR).replays == Replays(0, 0, 0, 0, 0, 0)
    assert technical.report(3 * HOUR).replays == Replays(13, 9, 4, 2, 3, 1)
