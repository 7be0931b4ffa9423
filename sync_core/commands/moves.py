"""Moving contracts from one ERP to another, as people and programs ask for it: make the list, take it back.

A move is a replay with two ERPs: once it is made, it is previewed, confirmed, approved, paused, resumed and cancelled
by the commands on replays (sync_core/commands/replays.py), under the same thresholds. Here is how one is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson
import sqlalchemy as sa

from sync_core.audit.audit import Entry, clean
from sync_core.authority import Actor, Permission
from sync_core.commands.desk import Act, CommandRefused, Desk, InvalidInput, NotFound, texts
from sync_core.commands.replay_row import ReplayMade, possible, said, visible
from sync_core.estate.estate import ErpMode, Estate
from sync_core.replay import sql
from sync_core.replay.replay import MOST_ITEMS, ReplayState

LONGEST_TITLE: Final = 200
COMMANDS: Final[Mapping[str, Permission]] = {
    "preview": Permission.REPLAY_PREVIEW,
    "undo": Permission.REPLAY_PREVIEW,
}


@dataclass(frozen=True, slots=True)
class Leaving:
    """What is moved: contracts by hand, or all of an ERP that meet the rest. Empty fields do not filter."""

    contracts: tuple[int, ...] = ()
    legal_entity: str = ""
    customer: str = ""  # its code

    @property
    def asked(self) -> dict[str, object]:
        if self.contracts:
            return {"contracts": len(self.contracts)}
        return {name: value for name in ("legal_entity", "customer") if (value := getattr(self, name))}


_MAKE = sa.text("""
    INSERT INTO core.replay (created_at, created_by, title, origin, selection, lane, entities, items, state,
                             per_minute, move_from, move_to, undoes)
    VALUES (:now, :actor, :title, 'current', CAST(:selection AS jsonb), NULL, '{}', 0, 'previewing', :per_minute,
            :move_from, :move_to, :undoes)
    RETURNING replay_id
""")
# Where a contract is: where it was moved to, else where its project stands, else where it waits to get one.
_STANDS: Final = """coalesce(
    (SELECT p.lane FROM core.placement AS p WHERE p.contract_id = c.contract_id),
    (SELECT x.system FROM core.crosswalk AS x
     WHERE x.contract_id = c.contract_id AND x.kind = 'project' AND x.state = 'confirmed' LIMIT 1), c.lane)"""
# One statement, so that the list and every reason are of one moment.
_FREEZE: Final = """
    WITH chosen AS MATERIALIZED (
        SELECT c.contract_id, c.state, c.priority, c.value, c.currency, c.value_reporting, c.bill_on,
               {stands} AS stands,
               (SELECT p.leaving FROM core.placement AS p WHERE p.contract_id = c.contract_id) AS leaving,
               (SELECT i.replay_id FROM core.replay_item AS i WHERE i.contract_id = c.contract_id
                AND i.confirmed AND i.finished_at IS NULL) AS other,
               EXISTS (SELECT FROM core.case AS k WHERE k.contract_id = c.contract_id AND k.state = 'open'
                       AND k.cause = 'double_in_erp') AS double
        FROM core.contract AS c
        WHERE (CAST(:entities AS text[]) IS NULL OR c.legal_entity = ANY(CAST(:entities AS text[]))) AND {conditions}
        ORDER BY c.priority DESC, c.contract_id LIMIT :most
    ), placed AS (
        SELECT chosen.*, row_number() OVER (ORDER BY priority DESC, contract_id) AS position,
               CASE WHEN other IS NOT NULL THEN 'superseded'
                    WHEN state IN ('draft', 'ended') OR stands <> :move_from OR double
                         OR leaving IS NOT NULL AND leaving <> :move_to THEN 'blocked'
                    ELSE 'eligible' END AS eligibility,
               CASE WHEN other IS NOT NULL THEN 'replay ' || other || ' is about to do it'
                    WHEN state = 'draft' THEN 'not signed yet'
                    WHEN state = 'ended' THEN 'it has ended, nothing is left to move'
                    WHEN stands = '' THEN 'no ERP is known for it; correct the contract or the estate'
                    WHEN stands <> :move_from THEN 'it is in ' || stands || ', not in ' || :move_from
                    WHEN leaving IS NOT NULL AND leaving <> :move_to THEN 'it has not left ' || leaving || ' yet'
                    WHEN double THEN stands || ' holds something of it twice; close one of the two there first'
                    ELSE '' END AS why
        FROM chosen
    )
    INSERT INTO core.replay_item (replay_id, contract_id, position, eligibility, eligibility_why, preview,
        preview_due_at, lane, money, currency, money_reporting, bill_on, state, skip, words, finished_at)
    SELECT :replay_id, contract_id, position, eligibility, why, CASE WHEN fit THEN 'pending' ELSE 'none' END, :now,
           :move_to, value, currency, value_reporting, bill_on, CASE WHEN fit THEN 'pending' ELSE 'skipped' END,
           CASE WHEN fit THEN '' ELSE 'not_eligible' END, CASE WHEN fit THEN '' ELSE eligibility || ': ' || why END,
           CASE WHEN NOT fit THEN CAST(:now AS timestamptz) END
    FROM placed, LATERAL (SELECT eligibility = 'eligible' AS fit) AS f
"""
# What the move has taken, and nobody has taken anywhere since.
_TAKEN = sa.text("""
    SELECT i.contract_id FROM core.replay_item AS i JOIN core.placement AS p USING (contract_id, replay_id)
    WHERE i.replay_id = :replay_id AND i.dispatched_at IS NOT NULL AND i.finished_at IS NOT NULL AND p.lane = :move_to
    ORDER BY i.position
""")


def preview(act: Act, leaving: Leaving, *, move_from: str, move_to: str, title: str = "") -> ReplayMade:
    """Freeze the list of contracts, and let the workers find out what moving each would do in both ERPs."""
    _possible(act.estate, leaving, move_from, move_to)
    return _make(act, leaving, move_from=move_from, move_to=move_to, title=title, undoes=None)


def undo(act: Act, replay_id: int) -> ReplayMade:
    """A move back of what this one took. What is billed in the new ERP by then stays there."""
    row = visible(act, replay_id, Permission.REPLAY_PREVIEW)
    if row.move_from is None or row.move_to is None:
        raise CommandRefused(f"{row.subject} is no move; only a move can be undone")
    if not row.state.over:
        raise CommandRefused(f"move {replay_id} is {said(row.state)}; wait until it is over, or cancel it")
    taken = act.conn.execute(_TAKEN, {"replay_id": replay_id, "move_to": row.move_to}).scalars().all()
    if not taken:
        raise CommandRefused(f"move {replay_id} has taken nothing that is still in {row.move_to}")
    title = f"Move {replay_id} taken back"
    leaving = Leaving(tuple(taken))
    return _make(act, leaving, move_from=row.move_to, move_to=row.move_from, title=title, undoes=replay_id)


def _make(act: Act, leaving: Leaving, *, move_from: str, move_to: str, title: str, undoes: int | None) -> ReplayMade:
    way = {"move_from": move_from, "move_to": move_to}
    named = clean(" ".join(title.split())) or f"From {move_from} to {move_to}"
    if len(named) > LONGEST_TITLE:
        raise InvalidInput(f"the title is longer than {LONGEST_TITLE} characters; shorten it")
    asked = {"move": {**way, **leaving.asked}}
    made = {"now": act.now, "actor": act.actor.name, "title": named, "selection": orjson.dumps(asked).decode(),
            "per_minute": act.estate.replay.per_minute, "undoes": undoes, **way}  # fmt: skip
    replay_id = int(act.conn.execute(_MAKE, made).scalar_one())
    conditions, values = _where(leaving)
    entities = act.actor.entities(Permission.REPLAY_PREVIEW)
    bound = {"entities": None if entities is None else sorted(entities), "most": MOST_ITEMS + 1,
             "replay_id": replay_id, "now": act.now, **way, **values}  # fmt: skip
    act.conn.execute(sa.text(_FREEZE.format(stands=_STANDS, conditions=conditions)), bound)
    row = act.conn.execute(sql.COUNT, {"replay_id": replay_id}).one()
    _countable(leaving, row.items, move_from)
    frozen = act.conn.execute(sql.FROZEN, {"replay_id": replay_id}).scalars().all()
    act.wakes = row.to_preview > 0
    detail = {**asked, "title": named, "items": row.items, "to_preview": row.to_preview, "undoes": undoes}
    act.note(Entry("move.preview", f"replay {replay_id}", detail=detail, items=frozen))
    return ReplayMade(replay_id, row.items, row.to_preview, ReplayState(row.state))


def _where(leaving: Leaving) -> tuple[str, dict[str, object]]:
    if leaving.contracts:
        return "c.contract_id = ANY(:contracts)", {"contracts": list(leaving.contracts)}
    conditions = [f"{_STANDS} = :move_from", "c.state NOT IN ('draft', 'ended')"]
    values: dict[str, object] = {}
    for name, column in (("legal_entity", "c.legal_entity"), ("customer", "c.customer_code")):
        if value := getattr(leaving, name).replace("\0", ""):
            conditions.append(f"{column} = :{name}")
            values[name] = value
    return " AND ".join(conditions), values


def _possible(estate: Estate, leaving: Leaving, move_from: str, move_to: str) -> None:
    known = " or ".join(sorted(estate.erps))
    for lane in (move_from, move_to):
        if lane not in estate.erps:
            raise InvalidInput(f"{lane[:80]!r} is no ERP of the estate; choose {known}")
        if estate.erps[lane].mode is ErpMode.OBSERVE:
            raise InvalidInput(f'{lane} is only observed; set its mode to "write" in the estate file first')
    if move_from == move_to:
        raise InvalidInput(f"from {move_from} to {move_to} is no move; name two ERPs")
    if leaving.legal_entity and leaving.legal_entity not in estate.entities:
        raise InvalidInput(f"{leaving.legal_entity[:80]!r} is no legal entity of the estate")
    if not (leaving.contracts or leaving.legal_entity or leaving.customer):
        raise InvalidInput("choose contracts by hand, or a legal entity, or a customer")
    if leaving.contracts:
        texts(leaving.contracts, most=MOST_ITEMS, what="contracts")
        possible(leaving.contracts)


def _countable(leaving: Leaving, items: int, move_from: str) -> None:
    if items > MOST_ITEMS:
        raise InvalidInput(f"more than {MOST_ITEMS:,} contracts; narrow the selection, for instance by customer")
    if wanted := len(set(leaving.contracts)):
        if items != wanted:
            raise NotFound(f"{wanted - items} of the {wanted} contracts do not exist or are not within your reach")
    elif not items:
        raise InvalidInput(f"no contract within your reach is in {move_from} and meets the selection")


class Moves:
    """For people. All raise Forbidden, NotFound, CommandRefused and InvalidInput; what follows is for `Replays`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def preview(self, actor: Actor, leaving: Leaving, *, move_from: str, move_to: str, title: str = "") -> ReplayMade:
        """Freeze the contracts within reach; workers find out what moving each would do in both ERPs."""
        return self._desk.run(
            actor,
            Permission.REPLAY_PREVIEW,
            lambda act: preview(act, leaving, move_from=move_from, move_to=move_to, title=title),
        )

    def undo(self, actor: Actor, replay_id: int) -> ReplayMade:
        """A move back of what this one took, previewed as any."""
        return self._desk.run(actor, Permission.REPLAY_PREVIEW, lambda act: undo(act, replay_id))
