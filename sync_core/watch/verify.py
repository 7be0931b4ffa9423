"""Rebuilding a contract from its events, and comparing what is rebuilt with what the tables say. Pure.

Everything but the events could be made anew: the contract's row from the fold, the keys and fields of the crosswalk
from the objects that are derived, the plan of a run from these and what the run noted. Where a table says otherwise
than its events, somebody or something changed it by another way than through an event.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from sync_core.contract import Contract, Stage
from sync_core.desired import Desired, ErpObject, Kind, fields_of
from sync_core.domains.domains import Owner
from sync_core.engine.look import intend_of, local_day
from sync_core.estate.estate import Estate
from sync_core.estate.ownership import rule_for
from sync_core.events import Event
from sync_core.fold import fold
from sync_core.life.life_row import life_row
from sync_core.life.lifecycle import on_day
from sync_core.life.summary import summarise
from sync_core.master.match import Masters, identify
from sync_core.money import rounded
from sync_core.moving.moving import Placement
from sync_core.watch.plan_again import Held, Run, rebuilt_plan, unlike

# Columns of core.contract that follow from the terms alone.
OF_TERMS: Final = (
    "title", "customer_code", "customer_name", "legal_entity", "service_line", "geography", "billing", "currency",
    "value", "test",
)  # fmt: skip
# Those that follow from them and the day, or the estate's rules, of the last run.
OF_THE_DAY: Final = ("value_reporting", "bill_on", "lane", "renewal", "renews_on", "notice_by", "suspension")
OF_EVENTS: Final = ("revision", "signed_at")
STATE, PROJECT = "state", "project_ref"
COLUMNS: Final = (*OF_TERMS, *OF_THE_DAY, *OF_EVENTS, STATE, PROJECT)

_STANDS: Final = frozenset({"active", "suspended"})
_SIGNED: Final = _STANDS | {"waiting", "blocked", "set_aside"}
_OVER: Final = frozenset({"ended", "waiting", "blocked", "set_aside"})


@dataclass(frozen=True, slots=True)
class Live:
    """What the tables say of one contract. `columns` is of its row; `row_is_then`: nothing came since that moment."""

    contract_id: int
    external_id: str
    columns: Mapping[str, object]
    wanted_rev: int
    done_rev: int
    updated_at: datetime
    row_is_then: bool
    placement: Placement | None = None
    project_in: str | None = None
    run: Run | None = None
    held: tuple[Held, ...] = ()
    kinds: Mapping[str, frozenset[Kind]] = field(default_factory=dict)  # that an ERP can hold, where it is known
    keeps: Mapping[str, Callable[[ErpObject], ErpObject]] = field(
        default_factory=dict
    )  # what an ERP holds of an object, where that is less
    masters: Masters | None = None  # master data that it may mean


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a table says otherwise than the events. `where`: contract, crosswalk, plan or operations."""

    contract_id: int
    external_id: str
    where: str
    field: str
    rebuilt: str | None
    live: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was compared of one contract, and where it differs."""

    compared: frozenset[str]  # contract, crosswalk, plan
    differences: tuple[Difference, ...] = ()
    why: str = ""  # why not all of it
    other_rules: bool = False  # its last run by then was made by other rules, so its plan, lane and dates were not


def verified(live: Live, events: Sequence[Event], estate: Estate) -> Verdict:
    """`events`: all that were recorded by the moment that is looked at, at least one."""
    folded, at = fold(events, day_at=estate.day_at), live.run.started_at if live.run else live.updated_at
    day = local_day(folded, estate, at)
    owned = rule_for(estate.ownership, "customer.name").owner is Owner.MDM
    contract = identify(folded, live.masters, owned=owned, on=day).contract
    intent = intend_of(contract, live.project_in, estate, {}, now=at, placement=live.placement)
    rules = live.run is None or live.run.policy in (None, estate.rules_version)
    compared: set[str] = set()
    differs: list[Difference] = []
    why = ""
    if live.row_is_then and live.wanted_rev == live.done_rev:
        compared.add("contract")
        differs += _row(live, intent.contract, day, estate, rules=rules)
    elif live.row_is_then:
        why = "an event waits for its run"
    desired, run = intent.desired, live.run
    if run is None or desired is None or run.outcome != "converged" or not rules or run.lane != intent.lane:
        return Verdict(frozenset(compared), tuple(differs), why or _why(live, rules=rules), not rules)
    wanted = _representable(desired.priced(over_time=_over_time(live, run)), live, run.lane)
    if "contract" in compared and run.rev == live.done_rev and live.columns[STATE] in _STANDS:
        compared.add("crosswalk")
        differs += _crosswalk(live, run, wanted)
    current = run.rev == len(events) or (live.row_is_then and run.rev == live.wanted_rev)
    plan = rebuilt_plan(wanted, run, live.held) if current else None
    other = unlike(plan, run, wanted) if plan is not None and run.digest is not None else None
    if plan is not None and other is not None and (not other or run.lane in live.kinds):
        compared.add("plan")
        differs += [_differs(live, "operations", *one) for one in other]
        if not other and plan.digest != run.digest:
            differs.append(_differs(live, "plan", "digest", plan.digest, run.digest))
    return Verdict(frozenset(compared), tuple(differs), why)


def _why(live: Live, *, rules: bool) -> str:
    if live.run is None:
        return "no run yet"
    return "" if live.run.outcome != "converged" else "its last run was made by other rules" if not rules else ""


# ---- the contract's row ------------------------------------------------------------------------------------------


def _row(live: Live, contract: Contract, day: date, estate: Estate, *, rules: bool) -> Iterator[Difference]:
    for name, values in _expected(live, contract, day, estate, rules=rules).items():
        held = live.columns.get(name)
        if name == "value_reporting" and isinstance(held, Decimal):  # older releases kept it unrounded
            held = rounded(held, estate.group.reporting_currency)
        if held not in values:
            yield _differs(live, "contract", name, " or ".join(map(_text, values)), _text(held))


def _expected(
    live: Live, contract: Contract, day: date, estate: Estate, *, rules: bool
) -> dict[str, tuple[object, ...]]:
    """By column, the values that it may have."""
    expected: dict[str, tuple[object, ...]] = {
        "revision": (contract.revision,), STATE: tuple(sorted(_states(contract))), "signed_at": (contract.signed_at,),
    }  # fmt: skip
    if contract.terms is not None:
        days = {day, live.updated_at.date(), *({live.run.recorded_at.date()} if live.run else ())}
        rows = [summarise(contract.terms, estate, on=each) for each in sorted(days)]
        expected |= {name: (getattr(rows[0], name),) for name in OF_TERMS}
        if rules:
            expected["value_reporting"] = tuple(dict.fromkeys(row.value_reporting for row in rows))
            expected["bill_on"] = tuple(dict.fromkeys(row.bill_on for row in rows))
            expected["lane"] = _lanes(live, rows[0].lane)
        if live.columns.get("renewal") is not None:
            lives = [life_row(contract, each) for each in sorted(days)]
            for name in ("renewal", "renews_on", "notice_by", "suspension"):
                expected[name] = tuple(dict.fromkeys(getattr(one, name) for one in lives))
    if live.columns[STATE] in _STANDS:
        lane = str(live.columns.get("lane"))
        refs = [held.ref for held in live.held if held.kind is Kind.PROJECT and held.system == lane]
        expected[PROJECT] = tuple(refs) or ("a confirmed project in the crosswalk",)
    return expected


def _lanes(live: Live, routed: str) -> tuple[str, ...]:
    placed = live.placement
    return (routed,) if placed is None else tuple(lane for lane in (placed.lane, placed.leaving) if lane)


def _states(contract: Contract) -> frozenset[str]:
    if contract.signed_at is None:
        return frozenset({"draft", "ended", "blocked", "set_aside", "waiting"})
    if contract.stage is Stage.SIGNED:
        return _SIGNED
    owed = contract.ended_on is not None and on_day(contract, contract.ended_on).wanted is not None
    return _OVER | _STANDS if owed else _OVER


# ---- the crosswalk -----------------------------------------------------------------------------------------------


def _crosswalk(live: Live, run: Run, wanted: Sequence[ErpObject]) -> Iterator[Difference]:
    """What an active contract's objects are called in the ERP, and what they were read back to hold."""
    own = {(held.kind, held.key): held for held in live.held if held.system == run.lane and not held.kind.shared}
    tasks = {(one.kind, one.key) for one in run.operations if one.status == "task"}
    settled = tasks | {(one.kind, one.key) for one in run.operations if one.status in ("no_op", "adopted")}
    for obj in wanted:
        if obj.kind.shared:
            continue
        held = own.pop((obj.kind, obj.key), None)
        if held is None or held.state != "confirmed" or held.ref is None:
            yield _differs(live, "crosswalk", f"{obj.kind} {obj.key}", "confirmed", held.state if held else None)
        elif (obj.kind, obj.key) not in tasks:
            yield from _fields(live, obj, held)
    for (kind, key), held in own.items():
        if held.state == "confirmed" and (kind, key) not in settled:
            yield _differs(live, "crosswalk", f"{kind} {key}", None, held.state)


def _fields(live: Live, obj: ErpObject, held: Held) -> Iterator[Difference]:
    for name, value in fields_of(obj).items():
        if name in held.fields and name not in held.disagreed and held.fields[name] != value:
            where = f"{obj.kind} {obj.key} {name}"
            yield _differs(live, "crosswalk", where, _text(value), _text(held.fields[name]))


def _representable(desired: Desired, live: Live, lane: str) -> tuple[ErpObject, ...]:
    kinds, keeps = live.kinds.get(lane), live.keeps.get(lane)
    held = (o for o in desired.objects if kinds is None or o.kind in kinds)
    return tuple(keeps(o) if keeps else o for o in held)


def _over_time(live: Live, run: Run) -> bool:
    """Whether its ERP holds dated prices: it was read back with them."""
    rates = (held for held in live.held if held.system == run.lane and held.kind is Kind.LABOUR_RATE)
    return any("valid_from" in held.fields for held in rates)


def _differs(live: Live, where: str, name: str, rebuilt: str | None, held: str | None) -> Difference:
    return Difference(live.contract_id, live.external_id, where, name, rebuilt, held)


def _text(value: object) -> str:
    if value is None:
        return "nothing"
    return str(value.normalize() if isinstance(value, Decimal) and value else value)
