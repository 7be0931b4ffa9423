"""Which contracts a replay is about: by hand, by a filter, or all that an ERP may have missed. Text for SQL, no I/O."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from sync_core.journal.progress import State

Values = dict[str, object]

STUCK: Final = "(c.state IN ('blocked', 'set_aside') OR c.state = 'waiting' AND c.last_error_class IS NOT NULL)"


@dataclass(frozen=True, slots=True)
class StuckFilter:
    """Empty fields do not filter. Without `states`: what is blocked, set aside, or waiting with an error."""

    function: str = ""  # of an open exception, as are `cause` and `error_class`
    cause: str = ""
    error_class: str = ""
    legal_entity: str = ""
    lane: str = ""
    states: tuple[State, ...] = ()
    customer: str = ""  # its code
    min_money: Decimal | None = None  # value in the reporting currency; a value without a rate is never too small
    tests: bool = False


@dataclass(frozen=True, slots=True)
class Missed:
    """All that the ERP of `lane` may have missed since then, for instance because it was restored from a backup."""

    lane: str
    since: datetime  # aware


@dataclass(frozen=True, slots=True)
class Selection:
    """Exactly one of the three is given."""

    contracts: tuple[int, ...] = ()
    stuck: StuckFilter | None = None
    missed: Missed | None = None

    @property
    def given(self) -> int:
        return sum((bool(self.contracts), self.stuck is not None, self.missed is not None))


def where(selection: Selection) -> tuple[list[str], Values]:
    """Conditions over `core.contract AS c`, and what they bind."""
    if selection.missed is not None:
        return [MISSED], {"lane": selection.missed.lane, "since": selection.missed.since}
    if selection.stuck is not None:
        return stuck_where(selection.stuck)
    return ["c.contract_id = ANY(:contracts)"], {"contracts": list(selection.contracts)}


def stuck_where(wanted: StuckFilter) -> tuple[list[str], Values]:
    conditions, values = ([] if wanted.tests else ["NOT c.test"]), Values()
    if len(wanted.states) == 1:  # of one state, an index has the order; of several it has not
        conditions.append("c.state = :state")
        values["state"] = wanted.states[0].value
    elif wanted.states:
        conditions.append("c.state = ANY(:states)")
        values["states"] = [state.value for state in wanted.states]
    else:
        conditions.append(STUCK)
    for name, column in (("legal_entity", "c.legal_entity"), ("lane", "c.lane"), ("customer", "c.customer_code")):
        if value := getattr(wanted, name).replace("\0", ""):
            conditions.append(f"{column} = :{name}")
            values[name] = value
    if wanted.min_money is not None:
        conditions.append("coalesce(c.value_reporting >= :min_money, true)")
        values["min_money"] = wanted.min_money
    named = {name: getattr(wanted, name).replace("\0", "") for name in ("function", "cause", "error_class")}
    case = {name: value for name, value in named.items() if value}
    if case:
        alike = " AND ".join(f"k.{name} = :{name}" for name in case)
        conditions.append(
            f"EXISTS (SELECT FROM core.case AS k WHERE k.contract_id = c.contract_id AND k.state = 'open' AND {alike})"
        )
        values |= case
    return conditions, values


# What was written to the ERP, what came for it, and what got stuck on the way to it. A contract that moved to another
# ERP meanwhile is known by its run here.
MISSED: Final = """c.contract_id IN (
    SELECT of_lane.contract_id FROM core.event AS e JOIN core.contract AS of_lane USING (source, external_id)
    WHERE e.recorded_at >= :since AND of_lane.lane = :lane
    UNION
    SELECT contract_id FROM core.contract
    WHERE lane = :lane AND state IN ('waiting', 'blocked', 'set_aside') AND state_since >= :since
    UNION
    SELECT r.contract_id FROM core.run AS r WHERE r.recorded_at >= :since AND r.lane = :lane
      AND (r.outcome NOT IN ('converged', 'skipped')
           OR EXISTS (SELECT FROM core.operation AS o WHERE o.run_id = r.run_id AND o.status IN ('done', 'failed'))))"""


def asked(selection: Selection) -> dict[str, object]:
    """As it is kept with the replay and in its audit: long lists of ids by their number."""
    if selection.missed is not None:
        return {"missed": {"lane": selection.missed.lane, "since": selection.missed.since.isoformat()}}
    if selection.stuck is not None:
        plain = replace(selection.stuck, states=tuple(State(s) for s in selection.stuck.states))
        fields = {name: getattr(plain, name) for name in StuckFilter.__slots__}
        return {"filter": {name: _plain(value) for name, value in fields.items() if value}}
    return {"contracts": len(selection.contracts)}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [str(item) for item in value]
    return str(value) if isinstance(value, Decimal) else value
