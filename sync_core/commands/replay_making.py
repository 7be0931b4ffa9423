"""Making a replay: the list of contracts is frozen, and the workers find out what replaying each would change."""

from typing import Final

import orjson

from sync_core.audit.audit import Entry, clean
from sync_core.authority import Permission
from sync_core.commands.desk import Act, CommandRefused, InvalidInput, NotFound, texts
from sync_core.commands.replay_row import ReplayMade, possible, said, visible
from sync_core.estate.estate import Estate
from sync_core.replay import selection as selecting
from sync_core.replay import sql
from sync_core.replay.replay import MOST_ITEMS, Origin, ReplayState
from sync_core.replay.selection import Selection

LONGEST_TITLE: Final = 200


def preview(act: Act, selection: Selection, *, origin: Origin, title: str) -> ReplayMade:
    """Freeze the list of contracts, and let the workers find out what replaying each would change."""
    return _make(act, selection, origin=origin, title=title, offered_from=None)


def _make(act: Act, selection: Selection, *, origin: Origin, title: str, offered_from: int | None) -> ReplayMade:
    _usable(selection, act.estate)
    asked = selecting.asked(selection)
    lane = selection.missed.lane if selection.missed else None
    made = {"now": act.now, "actor": act.actor.name, "title": _title(title), "origin": origin.value, "lane": lane,
            "selection": orjson.dumps(asked).decode(), "offered_from": offered_from,
            "per_minute": act.estate.replay.per_minute}  # fmt: skip
    replay_id = int(act.conn.execute(sql.MAKE, made).scalar_one())
    conditions, values = selecting.where(selection)
    entities = act.actor.entities(Permission.REPLAY_PREVIEW)
    bound = {"entities": None if entities is None else sorted(entities), "most": MOST_ITEMS + 1,
             "replay_id": replay_id, "now": act.now, **values}  # fmt: skip
    act.conn.execute(sql.freeze(conditions), bound)
    row = act.conn.execute(sql.COUNT, {"replay_id": replay_id}).one()
    _countable(selection, row.items)
    frozen = act.conn.execute(sql.FROZEN, {"replay_id": replay_id}).scalars().all()
    act.wakes = row.to_preview > 0
    detail = {"selection": asked, "origin": origin, "title": made["title"], "items": row.items,
              "to_preview": row.to_preview, "offered_from": offered_from}  # fmt: skip
    act.note(Entry("replay.preview", f"replay {replay_id}", detail=detail, items=frozen))
    return ReplayMade(replay_id, row.items, row.to_preview, ReplayState(row.state))


def _usable(selection: Selection, estate: Estate) -> None:
    if selection.given != 1:
        raise InvalidInput("choose contracts by hand, or by a filter, or what an ERP missed: one of the three")
    if selection.contracts:
        texts(selection.contracts, most=MOST_ITEMS, what="contracts")
        possible(selection.contracts)
    if (missed := selection.missed) is None:
        return
    if missed.lane not in estate.erps:
        raise InvalidInput(f"{missed.lane[:80]!r} is no ERP of the estate; choose {' or '.join(sorted(estate.erps))}")
    if missed.since.tzinfo is None:
        raise InvalidInput("`since` has no time zone; add one, such as Z")


def _title(text: str) -> str:
    title = clean(" ".join(text.split()))
    if len(title) > LONGEST_TITLE:
        raise InvalidInput(f"the title is longer than {LONGEST_TITLE} characters; shorten it")
    return title


def _countable(selection: Selection, items: int) -> None:
    if items > MOST_ITEMS:
        raise InvalidInput(f"more than {MOST_ITEMS:,} contracts; narrow the selection, for instance by legal entity")
    if wanted := len(set(selection.contracts)):
        if items != wanted:
            raise NotFound(f"{wanted - items} of the {wanted} contracts do not exist or are not within your reach")
    elif not items:
        raise InvalidInput("no contract within your reach meets the selection; widen it")


def offer_again(act: Act, replay_id: int) -> ReplayMade:
    """A new replay of the items that changed, failed, mismatched, could not be verified or were cancelled."""
    row = visible(act, replay_id, Permission.REPLAY_PREVIEW)
    if not row.state.over or act.conn.scalar(sql.LEFT, {"replay_id": replay_id}):
        raise CommandRefused(f"replay {replay_id} is {said(row.state)}; wait until it is over, or cancel it")
    if row.move_to is not None:
        raise CommandRefused(f"replay {replay_id} is a move; make a new move of what is left")
    found = act.conn.execute(sql.AGAIN, {"replay_id": replay_id}).scalars().all()
    if not found:
        raise CommandRefused(f"replay {replay_id} left nothing to offer again")
    title = row.title if row.title.endswith("(again)") else f"{row.title or row.subject} (again)"[:LONGEST_TITLE]
    return _make(act, Selection(tuple(found)), origin=row.origin, title=title, offered_from=replay_id)
